"""Experiments from their beginning to their verdict, on real rows and the sandbox's YouTube."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from actors.platforms import youtube
from actors.runtime.db import Database
from actors.tracker.experiments import begin, run
from actors.tracker.experiments.begin import Kind
from actors.tracker.experiments.design import SETTLES_S, Experiment, variant_of
from actors.tracker.experiments.pairs import add_pair
from actors.tracker.experiments.run import run_experiments
from contracts.errors import Reject
from contracts.events import Destination, PostRequested
from contracts.ids import AccountId, ItemId, ObjectKey, PostId
from contracts.platform import Draft
from contracts.rights import RightsRecord
from tests.channel import Channel, connected_channel
from tests.journal import Notes

DAY = timedelta(days=1)


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="tracker", time_scale=1.0) as found:
        yield found


async def put_post(channel: Channel, name: str, account: AccountId, remote: str) -> PostId:
    """Write the row of a published post."""
    request = PostRequested(
        item_id=ItemId(name),
        key=ObjectKey("k.mp4"),
        rights=RightsRecord(licence="owned"),
        destination=Destination(platform="youtube"),
    )
    await channel.db.execute(
        "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes,"
        " platform_post_id, correlation_id, request, published_at)"
        " values ($1, $1, 'youtube', $2, 'published', $3, 'k', 1, $4, '', $5, $6)",
        name,
        account,
        Draft(marker="ett1", title="T", description=""),
        remote,
        request,
        channel.clock.now(),
    )
    return PostId(name)


async def measure_at(channel: Channel, post: PostId, views: int, *, age: timedelta = DAY) -> None:
    await channel.db.execute(
        "insert into measurements (post_id, bucket, measured_at, age_s, views) values ($1, 6, $2, $3, $4)",
        post,
        channel.clock.now(),
        int(age.total_seconds()),
        views,
    )


async def paired(channel: Channel, *, gain: float, effect: float = 0.5) -> Experiment:
    """Begin an experiment of pairs and give it all the pairs that it asks for, B better by `gain`."""
    account = await channel.connect()
    async with channel.db.transaction() as conn:
        one = await begin.begin_pairs(
            conn,
            kind="hook",
            platform="youtube",
            account=None,
            a="a question",
            b="a number",
            effect=effect,
            age=DAY,
            at=channel.clock.now(),
        )
    for number in range(one.planned):
        a = await put_post(channel, f"a{number}", account, f"ra{number}")
        b = await put_post(channel, f"b{number}", account, f"rb{number}")
        async with channel.db.transaction() as conn:
            assert (await add_pair(conn, one.experiment_id, a, b)).number == number
        wobble = 1.1 if number % 2 else 1 / 1.1
        await measure_at(channel, a, 1_000)
        await measure_at(channel, b, round(1_000 * (1 + gain) * wobble))
    return one


async def known(channel: Channel, one: Experiment) -> Experiment:
    return next(found for found in await begin.experiments(channel.db) if found.experiment_id == one.experiment_id)


async def test_pairs_end_with_a_winner_and_a_blueprint(channel: Channel) -> None:
    """A variant that is better by half is never learned from, or is told twice."""
    one = await paired(channel, gain=0.5)
    for _ in range(2):
        await run_experiments(channel.services)
    found = await known(channel, one)
    assert found.state == "concluded", found
    assert found.verdict is not None
    assert found.verdict["state"] == "B"
    (blueprint,) = await begin.blueprints(channel.db)
    assert (blueprint.kind, blueprint.value, blueprint.against) == ("hook", "a number", "a question")
    assert blueprint.low < 0.5 < blueprint.high
    (told,) = await channel.given("experiment.concluded")
    assert told["winner"] == "B"
    assert told["effect"] == pytest.approx(0.5, abs=0.02)


async def test_a_worse_second_variant_makes_the_first_a_blueprint(channel: Channel) -> None:
    """The effect and its interval must be turned round with the winner."""
    await paired(channel, gain=-0.4)
    await run_experiments(channel.services)
    (blueprint,) = await begin.blueprints(channel.db)
    assert (blueprint.value, blueprint.against) == ("a question", "a number")
    assert blueprint.effect == pytest.approx(1 / 0.6 - 1, rel=0.05)
    assert 0 < blueprint.low < blueprint.effect < blueprint.high


async def test_no_difference_is_a_result(channel: Channel) -> None:
    """An experiment that finds nothing must end, and must not leave a blueprint."""
    one = await paired(channel, gain=0.0)
    await run_experiments(channel.services)
    found = await known(channel, one)
    assert found.state == "concluded"
    assert found.verdict is not None
    assert found.verdict["state"] == "no difference"
    assert await begin.blueprints(channel.db) == ()
    (told,) = await channel.given("experiment.concluded")
    assert told["winner"] is None
    assert told["low"] < 0 < told["high"]


async def test_posts_that_cannot_be_compared_do_not_count(channel: Channel) -> None:
    """A removed post, or one measured at another age, would decide for the other."""
    account = await channel.connect()
    async with channel.db.transaction() as conn:
        one = await begin.begin_pairs(
            conn, kind="hook", platform="youtube", account=None, a="x", b="y", effect=0.2, age=DAY,
            at=channel.clock.now(),
        )  # fmt: skip
    posts = [await put_post(channel, f"p{number}", account, f"r{number}") for number in range(6)]
    for number in range(0, 6, 2):
        async with channel.db.transaction() as conn:
            await add_pair(conn, one.experiment_id, posts[number], posts[number + 1])
    await channel.db.execute("update posts set state = 'removed' where post_id = 'p0'")
    await measure_at(channel, posts[2], 10)
    await measure_at(channel, posts[3], 10, age=3 * DAY)
    await measure_at(channel, posts[4], 10)
    await run_experiments(channel.services)
    rows = await channel.db.fetch("select number, ratio, void from experiment_pairs order by number")
    assert [row["ratio"] for row in rows] == [None, None, None]
    assert "does not stand" in rows[0]["void"]
    assert "too far apart" in rows[1]["void"]
    assert rows[2]["void"] == "", "it waits for the other post's measurement"
    with pytest.raises(Reject, match="in a pair already"):
        async with channel.db.transaction() as conn:
            await add_pair(conn, one.experiment_id, posts[0], posts[5])
    known_one = await put_post(channel, "p9", account, "r9")
    await measure_at(channel, known_one, 10)
    with pytest.raises(Reject, match="is known already"):
        async with channel.db.transaction() as conn:
            await add_pair(conn, one.experiment_id, known_one, await put_post(channel, "p8", account, "r8"))


async def swapped(channel: Channel, folder: Path, *, kind: Kind = "title") -> tuple[Experiment, str]:
    """Publish a video on the sandbox and begin to swap its title; return the id of the video too."""
    account = await channel.connect()
    file = folder / "video.mp4"
    file.write_bytes(b"video" * 100)
    adapter = youtube.YouTube(channel.services.means)
    draft = Draft(marker="ett1", title="T", description="", privacy="public")
    checkpoint = await adapter.open_session(account, draft, size_bytes=500)
    video = (await adapter.send(account, draft, checkpoint, file, Notes())).platform_post_id
    post = await put_post(channel, "p1", account, video)
    async with channel.db.transaction() as conn:
        one = await begin.begin_swap(
            conn, kind=kind, post=post, a="First", b="Second", effect=0.2, window=DAY, at=channel.clock.now()
        )
    return one, video


async def title_of(channel: Channel) -> str:
    return str((await channel.video())["title"])


async def turn_over(channel: Channel) -> None:
    """Let one turn pass: it is set, it settles, it is counted from and counted to."""
    await run_experiments(channel.services)
    channel.clock.turn(SETTLES_S)
    await run_experiments(channel.services)
    channel.clock.turn(DAY.total_seconds())
    await run_experiments(channel.services)


async def test_a_swap_shows_both_variants_in_turns(channel: Channel, tmp_path: Path) -> None:
    """A title that is never changed, or views counted for the wrong title, make the experiment a lie."""
    one, _ = await swapped(channel, tmp_path)
    shown = []
    for _ in range(4):
        await run_experiments(channel.services)
        shown.append(await title_of(channel))
        await turn_over(channel)
    turns = await begin.turns(channel.db, one.experiment_id)
    assert sorted(shown[:2]) == sorted(shown[2:]) == ["First", "Second"]
    assert [{"A": "First", "B": "Second"}[turn.variant] for turn in turns[:4]] == shown
    for turn in turns[:4]:
        assert turn.until_views is not None
        assert turn.from_views is not None
        assert turn.until_views >= turn.from_views
        assert turn.void == ""


async def test_a_death_after_the_change_costs_nothing(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that was set and not written down must be set again, not skipped."""
    one, _ = await swapped(channel, tmp_path)

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    write = run._Swap._write
    with monkeypatch.context() as patched:

        async def written(self: run._Swap, query: str, *values: object) -> None:
            await (die() if query == "set_turn" else write(self, query, *values))

        patched.setattr(run._Swap, "_write", written)
        with pytest.raises(KeyboardInterrupt):
            await run_experiments(channel.services)
    before = await title_of(channel)
    await turn_over(channel)
    (turn,) = await begin.turns(channel.db, one.experiment_id)
    assert {"A": "First", "B": "Second"}[turn.variant] == before
    assert turn.until_at is not None


async def test_a_turn_that_nobody_counted_does_not_count(channel: Channel, tmp_path: Path) -> None:
    """After a night of standing still the views of the night belong to no variant."""
    one, _ = await swapped(channel, tmp_path)
    await run_experiments(channel.services)
    channel.clock.turn(SETTLES_S)
    await run_experiments(channel.services)
    channel.clock.turn(3 * DAY.total_seconds())
    await run_experiments(channel.services)
    turns = await begin.turns(channel.db, one.experiment_id)
    assert [turn.number for turn in turns] == [0, 1]
    assert all("nothing was measured in between" in turn.void for turn in turns)
    await run_experiments(channel.services)
    assert [turn.number for turn in await begin.turns(channel.db, one.experiment_id)] == [0, 1, 2]


async def test_a_death_while_a_pair_is_struck_off_strikes_it_off_later(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair that does not count is counted, or the experiment fails at every step from then on."""
    one, _ = await swapped(channel, tmp_path)
    await run_experiments(channel.services)
    channel.clock.turn(SETTLES_S)
    await run_experiments(channel.services)
    channel.clock.turn(3 * DAY.total_seconds())

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "variant_of", die)
        with pytest.raises(KeyboardInterrupt):
            await run_experiments(channel.services)
    (turn,) = await begin.turns(channel.db, one.experiment_id)
    assert turn.until_at is None
    await run_experiments(channel.services)
    turns = await begin.turns(channel.db, one.experiment_id)
    assert [(turn.number, bool(turn.void)) for turn in turns] == [(0, True), (1, True)]


async def test_the_better_title_stays(channel: Channel, tmp_path: Path) -> None:
    """The post must end with the winner, and the experiment must not go on changing it."""
    one, _ = await swapped(channel, tmp_path)
    for number in range(one.planned * 2):
        variant = variant_of(one.seed, number)
        views = round(10_000 * (1.5 if variant == "A" else 1.0) * (1.05 if number % 4 < 2 else 0.95))
        begins = channel.clock.now()
        await channel.db.execute(
            "insert into experiment_turns values ($1, $2, $3, $4, $4, 0, $5, $6)",
            one.experiment_id,
            number,
            variant,
            begins,
            begins + DAY,
            views,
        )
    await run_experiments(channel.services)
    found = await known(channel, one)
    assert found.state == "concluded", found
    assert found.verdict is not None
    assert found.verdict["state"] == "A"
    assert math.isclose(found.verdict["effect"], 1 / 1.5 - 1, abs_tol=0.01)
    assert await title_of(channel) == "First"
    await run_experiments(channel.services)
    assert await title_of(channel) == "First"


async def test_what_cannot_be_compared_is_refused(channel: Channel, tmp_path: Path) -> None:
    """A wrong wish is found out at once, not after a month of turns."""
    await swapped(channel, tmp_path)
    at = channel.clock.now()
    cases: list[tuple[dict[str, object], str]] = [
        ({"post": "nobody"}, "there is no post"),
        ({"a": "Same", "b": "Same"}, "the same"),
        ({"kind": "hook"}, "cannot be changed"),
        ({"a": "x" * 101}, "longer than 100"),
        ({}, "has an experiment already"),
        ({"effect": 0.0}, "above 0"),
    ]
    for changes, words in cases:
        asked = {"kind": "title", "post": "p1", "a": "One", "b": "Two", "effect": 0.2, "window": DAY, "at": at}
        with pytest.raises(Reject, match=words):
            async with channel.db.transaction() as conn:
                await begin.begin_swap(conn, **{**asked, **changes})  # type: ignore[arg-type] # a table of cases


async def test_a_removed_post_ends_its_experiment(channel: Channel, tmp_path: Path) -> None:
    """An experiment on a post that is gone would ask for ever."""
    one, _ = await swapped(channel, tmp_path)
    await channel.db.execute("update posts set state = 'removed'")
    await run_experiments(channel.services)
    found = await known(channel, one)
    assert (found.state, "no longer stands" in found.because) == ("stopped", True)


async def test_verdicts_are_plain_data(channel: Channel) -> None:
    """What is shown and what is stored must be the same figures."""
    one = await paired(channel, gain=0.5)
    await run_experiments(channel.services)
    found = await known(channel, one)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Experiment) == found


async def test_a_broken_experiment_does_not_hold_up_the_next(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in one of them would stop all that come after it, at every tick."""
    swap, _ = await swapped(channel, tmp_path)
    pairs = await paired(channel, gain=0.5)

    async def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(run._Swap, "step", fail)
    await run_experiments(channel.services)
    assert (await known(channel, swap)).state == "running"
    assert (await known(channel, pairs)).state == "concluded"
