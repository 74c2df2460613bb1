"""What experiments showed is followed in new plans, and what they try is made: real rows, real events."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from nats.aio.client import Client

from actors.editor.app import APP
from actors.editor.choice import styled
from actors.editor.styles import STYLES
from actors.runtime.app import serving
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from actors.tracker.experiments import begin
from actors.tracker.experiments.design import Experiment
from actors.tracker.experiments.pairs import add_pair, by_word, draws, next_variant
from actors.tracker.experiments.run import run_experiments
from contracts.errors import Reject
from contracts.events import Destination, PostRequested, RenderRequested
from contracts.ids import AccountId, ItemId, ObjectKey, PostId
from contracts.plan import Captions, Chosen, Clip, Cue, Plan, PlanSource, plan_id
from contracts.platform import Draft
from contracts.rights import RightsRecord
from deploy.experiments import experiments
from tests.channel import Channel, connected_channel
from tests.integration.test_editor_flow import importing, outcome, put, reasons, renders, video

__all__ = ["video"]

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OWNED = RightsRecord(licence="owned")
YOUTUBE = Destination(platform="youtube")
PLAN = Plan(
    sources=(PlanSource(id="s", key=ObjectKey("sources/a.mp4"), sha256="a", rights=OWNED),),
    clips=(Clip(source="s", start_us=0, end_us=1_000_000),),
    captions=Captions(cues=(Cue(start_us=0, end_us=900_000, text="Down here"),), style=STYLES["outline"]),
)


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="tracker", time_scale=1.0) as found:
        yield found


async def begun(db: Database, *, a: str = "outline", b: str = "pop", account: str | None = None, **given: Any) -> str:
    """Begin an experiment on captions that the editor makes itself; return its id."""
    values = {"kind": "caption_style", "platform": "youtube", "effect": 0.5, "age": DAY, "made_here": True, "at": AT}
    async with db.transaction() as conn:
        one = await begin.begin_pairs(conn, a=a, b=b, account=account, **{**values, **given})
    return one.experiment_id


async def concluded(
    db: Database, name: str, value: str, *, account: str | None = None, at: datetime = AT, kind: str = "caption_style"
) -> None:
    """Write a blueprint as a concluded experiment leaves it."""
    experiment = await begun(db, a="plain", b=value, account=account, at=at, made_here=False)
    await db.execute(
        "update experiments set state = 'concluded', ended_at = $2 where experiment_id = $1", experiment, at
    )
    await db.execute(
        "insert into blueprints (blueprint_id, kind, value, against, platform, account_id, effect, low, high,"
        " experiment_id, written_at) values ($1, $2, $3, 'plain', 'youtube', $4, 0.5, 0.2, 0.9, $5, $6)",
        *(name, kind, value, account, experiment, at),
    )


async def put_account(db: Database, name: str) -> AccountId:
    await db.execute(
        "insert into accounts (account_id, platform, title, state) values ($1, 'youtube', $1, 'connected')", name
    )
    return AccountId(name)


async def put_item(db: Database, name: str) -> ItemId:
    await db.execute(
        "insert into items (item_id, correlation_id, origin, title, rights, decision)"
        " values ($1, $1, 'import', $1, $2, 'imported') on conflict do nothing",
        *(name, OWNED),
    )
    return ItemId(name)


async def planned(
    db: Database, item: str = "i", *, to: Destination | None = YOUTUBE, wanted: str = "", plan: Plan = PLAN
) -> Plan:
    """Return the plan of an item as the editor leaves it."""
    name = await put_item(db, item)
    async with db.transaction() as conn:
        return await styled(conn, plan, item=name, destination=to, wanted=wanted, at=AT)


def choice(plan: Plan) -> Chosen | None:
    return plan.chosen[0] if plan.chosen else None


def value_of(plan: Plan) -> str:
    """Return the name of the style that a plan shows; it must say the same of itself."""
    assert plan.captions is not None
    (name,) = (name for name, style in STYLES.items() if style == plan.captions.style)
    told = choice(plan)
    assert told is None or told.value == name
    return name


# Blueprints ---------------------------------------------------------------------------------------


async def test_a_winner_is_followed_until_it_is_withdrawn(
    nats_admin: Client,
    database: Database,
    settings_of: Callable[[str], Settings],
    video: bytes,
) -> None:
    """What was learned changes nothing, or changes what nobody asked it to."""
    settings = settings_of("editor")
    words = put(settings, "imports/s.srt", b"1\n00:00:01,000 --> 00:00:02,000\nWaves\n")
    given = {"key": put(settings, "imports/w.mp4", video), "subtitles_key": words}

    async def made(name: str, **more: Any) -> RenderRequested:
        (found,) = renders(
            await outcome(nats_admin, database, importing(name, **{**given, "destination": YOUTUBE, **more}))
        )
        return found

    async with serving(APP, settings):
        before = await made("e1")
        await concluded(database, "b1", "pop")
        followed = await made("e2")
        elsewhere = await made("e3", destination=Destination(platform="tiktok"))
        kept = await made("e4", destination=None)
        asked = await made("e5", caption_style="boxed")
        silent = await made("e6", subtitles_key=None)
        refused = await outcome(nats_admin, database, importing("e7", key=given["key"], caption_style="bogus"))
        async with database.transaction() as conn:
            await begin.withdraw(conn, "b1", because="it looks bad", at=AT)
        after = await made("e8")
    exact = msgspec.json.encode(before.plan)
    assert b"chosen" not in exact
    assert value_of(before.plan) == "outline"
    assert value_of(followed.plan) == "pop"
    told = choice(followed.plan)
    assert told is not None
    assert told.blueprint_id == "b1"
    assert told.because.endswith("on youtube: +50% over 'plain' (95 %: +20% to +90%)")
    for same in (elsewhere, kept, after):
        assert msgspec.json.encode(same.plan) == exact
    assert value_of(asked.plan) == "boxed"
    assert choice(asked.plan) == Chosen(what="caption_style", value="boxed", because="it was asked for")
    assert (silent.plan.captions, choice(silent.plan)) == (None, None)
    assert ["no caption style 'bogus'" in reason for reason in reasons(refused)] == [True]


async def test_the_accounts_own_blueprint_stands_before_the_platforms_and_the_newest_first(database: Database) -> None:
    """A channel follows what was shown of another one, or what has been shown to be worse since."""
    mine, other = await put_account(database, "youtube:mine"), await put_account(database, "youtube:other")
    await concluded(database, "b1", "pop", at=AT)
    await concluded(database, "b2", "boxed", at=AT + DAY)
    await concluded(database, "b3", "karaoke", at=AT - DAY, account=mine)
    await concluded(database, "b4", "my own look", at=AT + 2 * DAY)
    await concluded(database, "b5", "word_box", at=AT + 2 * DAY, kind="hook")
    to = msgspec.structs.replace
    assert value_of(await planned(database, to=to(YOUTUBE, account_id=mine))) == "karaoke"
    assert value_of(await planned(database, to=to(YOUTUBE, account_id=other))) == "boxed"
    assert value_of(await planned(database)) == "boxed"  # two are connected: whose post it becomes is not known
    await database.execute("update accounts set state = 'disconnected' where account_id = $1", other)
    assert value_of(await planned(database)) == "karaoke"


# Variants -----------------------------------------------------------------------------------------


async def test_variants_are_drawn_once_for_each_item_and_in_pairs(database: Database) -> None:
    """Replicas that plan at the same time would give an order that a person could foresee, or two A in a pair."""
    await concluded(database, "b1", "boxed")
    name = await begun(database)
    assert choice(await planned(database, "a", wanted="karaoke")) is not None
    assert choice(await planned(database, "b", to=Destination(platform="tiktok"))) is None
    assert choice(await planned(database, "c", plan=msgspec.structs.replace(PLAN, captions=None))) is None
    async with database.transaction() as conn:
        (one,) = await begin.experiments(conn, state="running")
        expected, _ = await next_variant(conn, one)
        assert await draws(conn, name) == ()
    plans = dict(
        zip("defghijklmno", await asyncio.gather(*(planned(database, item) for item in "defghijklmno")), strict=True)
    )
    assert {item: await planned(database, item) for item in plans} == plans
    async with database.transaction() as conn:
        drawn = await draws(conn, name)
    assert [draw.number for draw in drawn] == list(range(12))
    assert drawn[0].variant == expected
    assert all({drawn[at].variant, drawn[at + 1].variant} == {"A", "B"} for at in range(0, 12, 2))
    for draw in drawn:
        told = choice(plans[draw.item_id])
        assert told is not None
        assert (told.experiment_id, told.variant, told.blueprint_id) == (name, draw.variant, None)
        assert value_of(plans[draw.item_id]) == {"A": "outline", "B": "pop"}[draw.variant]
    async with database.transaction() as conn:
        await begin.stop(conn, name, because="enough", at=AT)
    assert value_of(await planned(database, "d")) == "boxed"


async def test_what_people_make_is_not_drawn_by_the_editor(database: Database) -> None:
    """An experiment that a person carries out by hand would lose its variants to videos that nobody looks at."""
    name = await begun(database, made_here=False)
    assert await planned(database) == PLAN
    async with database.transaction() as conn:
        assert await draws(conn, name) == ()


# Pairs --------------------------------------------------------------------------------------------


async def put_post(channel: Channel, name: str, item: str, account: AccountId, *, plan: Plan | None) -> PostId:
    """Write the row of a published post, and that its file was rendered from a plan."""
    sha256 = hashlib.sha256(b"" if plan is None else msgspec.json.encode(plan) + item.encode()).hexdigest()
    request = PostRequested(
        item_id=await put_item(channel.db, item), key=ObjectKey("k"), rights=OWNED, destination=YOUTUBE
    )
    await channel.db.execute(
        "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes,"
        " platform_post_id, correlation_id, request, published_at)"
        " values ($1, $2, 'youtube', $3, 'published', $4, $5, 1, $1, '', $6, $7)",
        *(name, item, account, Draft(marker="m", title="T", description=""), f"renditions/{sha256}.mp4", request),
        channel.clock.now(),
    )
    if plan is not None:
        await channel.db.execute(
            "insert into renditions (plan_id, item_id, plan, rendition) values ($1, $2, $3, $4)",
            *(plan_id(plan) + item, item, plan, {"sha256": sha256}),
        )
    return PostId(name)


async def pair(channel: Channel, experiment: str, a: PostId, b: PostId) -> tuple[PostId, ...]:
    async with channel.db.transaction() as conn:
        return (await add_pair(conn, experiment, a, b)).by_word


async def test_a_pair_has_the_variants_that_its_plans_say(channel: Channel) -> None:
    """Two posts with the same captions are counted as a pair, and what is learned is worth nothing."""
    account = await channel.connect()
    before = await put_post(channel, "before", "before", account, plan=PLAN)
    name = await begun(channel.db)
    found: dict[str, PostId] = {}
    for item in ("one", "two"):
        plan = await planned(channel.db, item)
        told = choice(plan)
        assert told is not None
        assert told.variant is not None
        found[told.variant] = await put_post(channel, f"p-{item}", item, account, plan=plan)
    wanted = await planned(channel.db, "wanted", wanted="boxed")
    asked = await put_post(channel, "asked", "wanted", account, plan=wanted)
    hand = await put_post(channel, "hand", "hand", account, plan=None)
    for a, b, words in (
        (found["B"], found["A"], "has variant B, not A"),
        (found["A"], before, f"was not made for experiment {name}. See"),
        (found["A"], asked, "caption style is 'boxed', it was asked for"),
    ):
        with pytest.raises(Reject, match=words):
            await pair(channel, name, a, b)
    assert await pair(channel, name, found["A"], hand) == (hand,)
    assert await channel.db.fetchval("select by_word from experiment_pairs") is True
    hooks = await begun(channel.db, kind="hook", a="a question", b="a number", made_here=False)
    assert await pair(channel, hooks, before, asked) == (before, asked)
    async with channel.db.transaction() as conn:
        assert (await by_word(conn, name), await by_word(conn, hooks)) == (1, 1)


async def test_an_experiment_runs_by_itself_to_a_blueprint_that_is_followed(channel: Channel) -> None:
    """From the draw to the next plan: a step that is left out, and nothing is ever learned."""
    account = await channel.connect()
    name = await begun(channel.db, account=account)
    one = await known(channel, name)
    views: dict[PostId, int] = {}
    for number in range(2 * one.planned + 1):  # the last one stays alone
        plan = await planned(channel.db, f"i{number}")
        told = choice(plan)
        assert told is not None
        if number == 3:  # edited again in another way before it was posted: it has no variant any more
            plan = await planned(channel.db, "i3", wanted="boxed")
        if number == 4:
            continue  # never posted
        post = await put_post(channel, f"p{number}", f"i{number}", account, plan=plan)
        views[post] = 1_000 if told.variant == "A" else 1_500 + 100 * (number % 7)
        if number % 8 == 0:
            await run_experiments(channel.services)
    for post, count in views.items():
        await channel.db.execute(
            "insert into measurements (post_id, bucket, measured_at, age_s, views) values ($1, 6, $2, 86400, $3)",
            *(post, channel.clock.now(), count),
        )
    for _ in range(2):
        await run_experiments(channel.services)
    rows = await channel.db.fetch("select number, post_a, post_b, by_word from experiment_pairs order by number")
    assert [row["number"] for row in rows] == list(range(len(rows)))
    paired = {row["post_a"] for row in rows} | {row["post_b"] for row in rows}
    assert not any(row["by_word"] for row in rows)
    assert not paired & {"p2", "p3", "p5", f"p{2 * one.planned}"}
    assert len(rows) == one.planned - 2
    for row in rows:
        assert int(row["post_a"][1:]) // 2 == int(row["post_b"][1:]) // 2
        told = choice(await planned(channel.db, f"i{row['post_a'][1:]}"))
        assert told is None or told.variant in {"A", None}
    found = await known(channel, name)
    assert (found.state, found.verdict and found.verdict["state"]) == ("concluded", "B"), found
    after = await planned(channel.db, "after")
    told = choice(after)
    assert told is not None
    (blueprint,) = await begin.blueprints(channel.db)
    assert (value_of(after), told.blueprint_id) == ("pop", blueprint.blueprint_id)


async def known(channel: Channel, name: str) -> Experiment:
    return next(one for one in await begin.experiments(channel.db) if one.experiment_id == name)


# Commands -----------------------------------------------------------------------------------------


async def test_commands_tell_what_is_made_and_what_is_followed(
    database: Database, settings_of: Callable[[str], Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person cannot tell what the editor does by itself, nor stop it."""
    monkeypatch.chdir(tmp_path)
    url = settings_of("outside").database_url
    assert url is not None
    env = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path)}

    async def ask(*arguments: str) -> str:
        group: click.Command = experiments
        result = await asyncio.to_thread(CliRunner(env=env).invoke, group, arguments)
        return result.output or str(result.exception)

    start = ("start", "--kind", "caption_style", "--platform", "youtube")
    assert "no caption style 'outlin'" in await ask(*start, "-a", "pop", "-b", "outlin")
    assert "make the variants yourself" in await ask(*start, "-a", "my red one", "-b", "my blue one")
    assert "the editor makes the variants" in await ask(*start, "-a", "pop", "-b", "outline")
    (one,) = [one for one in await begin.experiments(database) if one.made_here]
    plan = await planned(database, "item")
    told = choice(plan)
    assert told is not None
    shown = await ask("show", one.experiment_id)
    assert f"drawn 0: {told.variant} for item: no post of it stands" in shown
    assert "a person said" not in shown
    assert "the editor makes it" in await ask("next", one.experiment_id)
    await concluded(database, "0a1b2c3d-x", "boxed")
    await concluded(database, "0a1b9999-x", "my red one")
    listed = await ask("blueprints")
    assert "0a1b2c3d  caption_style on youtube: 'boxed' over 'plain', +50%" in listed
    assert "in force: the editor plans captions so for youtube" in listed
    assert "'my red one' is no style that the editor knows" in listed
    assert "several blueprints begin with" in await ask("withdraw", "0a1b")
    assert "there is no blueprint" in await ask("withdraw", "f")
    assert "0a1b2c3d: withdrawn on" in await ask("withdraw", "0a1b2", "--because", "too loud")
    assert "too loud" in await ask("blueprints")
    assert "is withdrawn already" in await ask("withdraw", "0a1b2")
    assert "0a1b2c3d: in force" in await ask("withdraw", "0a1b2", "--undo")
