"""`ettametta rank`: a file in, an order out, with no services."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from actors.ranker.columns import columns_of
from actors.ranker.examples import Past, examples_of
from actors.ranker.features import Counts, base_rates, history_of
from actors.ranker.rank_file import RankedLine, Ranking, rank_lines
from actors.ranker.recent import RECENT, Freshest
from actors.ranker.score import Observation, score, uses_for
from actors.ranker.signals import OBJECTIVES, Objective, parts_of, scores_of, values_of
from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.events import CandidateFound
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from deploy.cli import main
from deploy.offline import rank_file

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def seen(days_ago: float, views: int | None, likes: int | None = None) -> dict[str, Any]:
    at = (AT - timedelta(days=days_ago)).isoformat()
    return {"at": at, "views": views, "likes": likes, "comments": None, "shares": None}


def line(name: str = "a", *observations: dict[str, Any], **given: Any) -> bytes:
    fields: dict[str, Any] = {
        "id": name,
        "platform": "youtube",
        "title": "Creatures of the deep sea",
        "description": None,
        "channel": "c",
        "tags": ["fish", "reef"],
        "published_at": (AT - timedelta(days=3)).isoformat(),
        "duration_s": 60.0,
        "licence": None,
        "observations": list(observations) or None,
    }
    return json.dumps(fields | given).encode()


def ranked(lines: list[bytes], **given: Any) -> list[RankedLine]:
    return list(rank_lines(lines, **({"monetised": True} | given)).lines)


def ids(lines: list[bytes], **given: Any) -> list[Any]:
    return [one.id for one in ranked(lines, **given)]


def many(count: int) -> list[bytes]:
    rng = random.Random(5)
    found = []
    for number in range(count):
        views = [rng.randrange(10**6) for _ in range(rng.randrange(4))]
        observations = [
            seen(len(views) - at, view, rng.choice([None, view // 30])) for at, view in enumerate(sorted(views))
        ]
        published = rng.choice([None, (AT - timedelta(days=rng.uniform(0, 40))).isoformat()])
        found.append(line(f"v{number:03}", *observations, published_at=published, channel=rng.choice([None, "c", "d"])))
    return found


def test_output_has_the_shape_that_is_promised() -> None:
    """Programs that read the output would break."""
    (one,) = ranked([line("a", seen(1, 100, 3), seen(0, 900, 30))])
    told = json.loads(msgspec.json.encode(one))
    assert list(told) == ["id", "score", "reasons"]
    assert all(list(reason) == ["signal", "value", "weight"] for reason in told["reasons"])
    assert told["score"] == pytest.approx(
        sum(reason["value"] * reason["weight"] for reason in told["reasons"]), abs=1e-3
    )


def test_best_is_first() -> None:
    """The order is what the command is for."""
    rising = line("rising", seen(2, 1_000), seen(1, 2_000), seen(0, 8_000))
    tired = line("tired", seen(2, 900_000), seen(1, 950_000), seen(0, 955_000))
    assert ids([tired, rising]) == ["rising", "tired"]
    large = line("large", seen(2, 800_000), seen(1, 900_000), seen(0, 1_000_000))
    assert ids([rising, large]) == ["rising", "large"]
    assert ids([rising, large], objective="views") == ["large", "rising"]
    scores = [one.score for one in ranked(many(50))]
    assert scores == sorted(scores, reverse=True)


def test_nothing_after_the_time_of_ranking_is_looked_at() -> None:
    """A backtest would know the future."""
    until = AT - timedelta(days=1)
    whole, short = [], []
    for raw in many(60):
        one = json.loads(raw)
        whole.append(raw)
        one["observations"] = [
            each for each in one["observations"] or [] if datetime.fromisoformat(each["at"]) <= until
        ]
        short.append(json.dumps(one).encode())
    assert whole != short
    assert ranked(whole, as_of=until) == ranked(short, as_of=until)


def test_newest_observation_is_the_time_of_ranking() -> None:
    """Without --as-of a file of last year would be ranked as of today, and all of it would be old."""
    lines = many(30)
    assert rank_lines(lines, monetised=True).as_of == AT - timedelta(days=1)
    assert ranked(lines) == ranked(lines, as_of=AT - timedelta(days=1))


def test_what_is_not_published_yet_is_left_out_and_said() -> None:
    """A candidate of tomorrow cannot be ranked today; one that was seen is there, whatever its date says."""
    tomorrow = (AT + timedelta(days=1)).isoformat()
    given = [
        line("later", seen(-2, 5), published_at=tomorrow),
        line("dated", seen(0, 5), published_at=tomorrow),
        line("none"),
    ]
    ranking = rank_lines(given, monetised=True, as_of=AT)
    assert {one.id for one in ranking.lines} == {"none", "dated"}
    assert ranking.notes[0].startswith("1 left out: published after")
    assert ranking.notes[1].startswith("1 have no observation")


def test_order_of_the_lines_does_not_matter() -> None:
    """The same candidates would be ranked otherwise tomorrow."""
    lines = many(60)
    shuffled = lines[:]
    random.Random(3).shuffle(shuffled)
    assert ranked(shuffled) == ranked(lines)


def test_nulls_everywhere_are_fine() -> None:
    """Most platforms leave most fields out."""
    bare = b'{"id": "bare"}'
    null = line(
        "null", **dict.fromkeys(["platform", "title", "description", "channel", "tags", "published_at", "duration_s"])
    )
    unviewed = line("unviewed", seen(1, None), seen(0, None, 5))
    numbered = line("x", seen(0, 3), id=7)
    assert set(ids([bare, null, unviewed, numbered])) == {"bare", "null", "unviewed", 7}
    assert ids([]) == []


@pytest.mark.parametrize("time", ["00:00:00", "12:00:00", "23:59:59"])
def test_dates_alone_are_ranked_alike_whatever_time_stands_for_them(time: str) -> None:
    """Ages of hours decide most about young works: noon instead of midnight would turn the order round."""

    def table(clock: str) -> list[Any]:
        def dated(day: int, views: int) -> dict[str, Any]:
            return {"at": f"2026-11-{day}T{clock}Z", "views": views}

        return ids(
            [
                line("hours", dated(23, 500), published_at="2026-11-23T05:00:00Z"),
                line("day", dated(23, 9_000), published_at="2026-11-22T06:00:00Z"),
                line("measured", dated(22, 1_000), dated(23, 2_500), published_at="2026-11-20T05:00:00Z"),
                line("old", dated(22, 1_000), dated(23, 1_010), published_at="2026-11-01T05:00:00Z"),
            ]
        )

    assert table(time) == table("00:00:00") == ["hours", "day", "measured", "old"]


def test_niche_and_licence_count() -> None:
    """A channel about the deep sea would be shown whatever rises."""
    sea, cats = line("sea", seen(0, 100)), line("cats", seen(0, 100), title="Cats", tags=None)
    assert ids([cats, sea], niche="deep sea") == ["sea", "cats"]
    free, unknown = line("b", seen(0, 100), licence="CC0-1.0"), line("a", seen(0, 100))
    assert ids([unknown, free]) == ["b", "a"]


def test_repeated_lines_are_observations_of_one_work() -> None:
    """A file kept over days holds the measured velocity; counting a work twice would hide it."""
    twice = [line("a", seen(1, 100)), line("a", seen(0, 900))]
    assert ranked(twice) == ranked([line("a", seen(1, 100), seen(0, 900))])


def candidate(**given: Any) -> Candidate:
    fields: dict[str, Any] = {
        "item_id": ItemId("youtube:a"),
        "platform": "youtube",
        "platform_id": "a",
        "url": "https://example.org/a",
        "title": "Creatures of the deep sea",
        "published_at": AT - timedelta(days=3),
        "metrics": Metrics(views=900, likes=30),
        "observed_at": AT,
        "rights": RightsRecord(licence="CC-BY-4.0"),
    }
    return Candidate(**(fields | given))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_file_is_scored_as_the_ranker_scores(objective: Objective) -> None:
    """What a person tries on the command line must be what the engine does."""
    before = candidate(observed_at=AT - timedelta(days=1), metrics=Metrics(views=100, likes=3))
    events = [msgspec.json.encode(CandidateFound(candidate=one, niche="deep sea")) for one in (candidate(), before)]
    (found,) = ranked(events, objective=objective)
    earlier = [Observation(observed_at=before.observed_at, views=100)]
    scored = score(candidate(), niche="deep sea", earlier=earlier, uses=uses_for(monetised=True), objective=objective)
    assert found.id == "youtube:a"
    assert found.score == pytest.approx(scored.score, abs=0.05)
    mine = {reason.signal: reason.value for reason in scored.reasons if reason.signal != "engagement"}
    assert mine == {each.signal: pytest.approx(each.value) for each in found.reasons if each.signal in mine}
    plain = [msgspec.json.encode(one) for one in (candidate(), before)]
    assert ranked(plain, niche="deep sea", objective=objective) == [found]


def test_examples_are_what_a_file_of_that_day_would_give() -> None:
    """The backtest would judge another order than the command's."""
    rng = random.Random(8)
    day0 = 20_000.25
    works = [
        Past(f"v{n:02}", "youtube", rng.choice([None, "c"]), "A title?", day0 - rng.uniform(0.1, 5), counts)
        for n in range(20)
        for start in (rng.randrange(3),)
        for counts in (tuple(Counts(day0 + d, 1000.0 * (1 + n) * 1.3**d, 10.0 + n) for d in range(start, 5)),)
    ]
    examples = examples_of(works)
    day = int(day0) + 3
    rows = examples.day == day
    scores = scores_of(values_of(examples.columns, parts_of(examples.columns)))[rows]
    order = [works[examples.work[rows][at]].id for at in np.argsort(-scores, kind="stable")]

    def iso(at: float) -> str:
        return datetime.fromtimestamp(at * 86_400, tz=UTC).isoformat()

    lines = [
        json.dumps(
            {
                "id": work.id,
                "platform": work.platform,
                "channel": work.channel,
                "title": work.title,
                "published_at": iso(work.published),
                "observations": [
                    {"at": iso(one.at), "views": one.views, "likes": one.likes} for one in work.observations
                ],
            }
        ).encode()
        for work in works
    ]
    assert ids(lines, as_of=datetime.fromtimestamp((day0 + 3) * 86_400 + 1, tz=UTC)) == order


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"{", "truncated"),
        (b"[]", "object"),
        (b'{"title": "x"}', "`id`"),
        (b'{"id": null}', "id"),
        (b'{"id": "x", "observations": [{"at": "yesterday"}]}', "yesterday"),
        (b'{"id": "x", "observations": [{"at": "2026-11-23", "views": -1}]}', ">= 0"),
        (b'{"id": "x", "observations": [{"views": 1}]}', "`at`"),
        (b'{"id": "x", "published_at": "soon"}', "soon"),
        (b'{"item_id": "x"}', "platform"),
        (b'{"type": "scan.requested", "niche": "x", "item_id": 1}', "type"),
        (b'{"id": "caf\xe9"}', "not UTF-8"),
        (b'{"id": "x", "more": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"id": "x", "observations": [{"at": "9999-12-31T23:59:59.999999"}]}', "year 9999 is not between"),
        (b'{"id": "x", "observations": [{"at": "0001-01-01T00:00:00+14:00"}]}', "year 1 is not between"),
        (b'{"id": "x", "published_at": "0001-01-01T00:00:00+05:00"}', "year 1 is not between"),
        (b'{"id": "x", "observations": [{"at": "2026-11-23", "views": 1e300}]}', "<= 1e+18"),
        (b'{"id": "x", "observations": [{"at": "2026-11-23", "likes": 1000000000000000001}]}', "<= 1000"),
    ],
)
def test_unreadable_line_is_named(bad: bytes, said: str) -> None:
    """In a file of thousands the wrong line must be found."""
    with pytest.raises(Reject, match="line 2 is no candidate") as error:
        ranked([line(), bad])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"observed_at": datetime.max.replace(tzinfo=UTC)}, "year 9999"),
        ({"published_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))}, "year 1 is"),
        ({"metrics": Metrics(views=10**400)}, "a count is above"),
        ({"duration_us": 10**30}, "length is above"),
    ],
)
def test_candidate_beyond_all_bounds_is_named(given: dict[str, Any], said: str) -> None:
    """A program's mistake would end in a traceback instead of the number of its line."""
    with pytest.raises(Reject, match=f"line 2 is no candidate: .*{said}"):
        ranked([line(), msgspec.json.encode(candidate(**given))])


def test_byte_order_mark_is_taken() -> None:
    """Files saved by some editors begin with one; only there does it say nothing."""
    assert ids([b"\xef\xbb\xbf" + line("a"), line("b")]) == ["a", "b"]
    assert list(rank_lines(["\ufeff" + line("a").decode()], monetised=True).lines) == ranked([line("a")])
    assert ids([b"\xef\xbb\xbf\n", line("b")]) == ["b"]
    with pytest.raises(Reject, match="line 2"):
        ranked([line(), b"\xef\xbb\xbf" + line("b")])


def test_dates_stay_dates_whatever_is_observed_later() -> None:
    """One observation of tomorrow would change the age, so the score, of every work of today."""
    until = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)

    def table(*more: dict[str, Any]) -> list[RankedLine]:
        at = {"at": "2026-11-23", "views": 500}
        given = [
            line("young", at, published_at="2026-11-23T05:00:00Z"),
            line("old", at, *more, published_at="2026-11-20T05:00:00Z"),
        ]
        return ranked(given, as_of=until)

    assert table({"at": "2026-11-24T13:00:00Z", "views": 900}) == table()
    assert table({"at": "2026-11-23T13:00:00Z", "views": 500}) != table()


def test_texts_of_a_later_observation_are_not_looked_at() -> None:
    """A title or licence that was changed after the time of ranking would decide."""
    later = candidate(observed_at=AT + timedelta(days=1), title="OFFICIAL TRAILER", rights=RightsRecord(licence="CC0"))
    now, then = msgspec.json.encode(candidate()), msgspec.json.encode(later)
    assert ranked([now, then], as_of=AT, niche="sea") == ranked([now], as_of=AT, niche="sea")
    assert ranked([now, then], niche="sea") == ranked([then, now], niche="sea") != ranked([now], niche="sea")


def test_equal_scores_are_ordered_by_id() -> None:
    """Two runs over a file in another order would differ."""
    names: list[str | int] = ["b", "é", 10, "a", 9, "9", "Z", "a" * 50]
    given = [line("x", id=name) for name in names]
    assert ids(given) == ids(given[::-1]) == sorted(names, key=str)


def test_one_long_id_costs_only_itself() -> None:
    """Memory would grow with lines times the longest id: 1.6 GB for 20,000 lines and one of 20,000 letters."""
    import tracemalloc

    given = [line("x" * 20_000), *(line(f"v{number}") for number in range(3_000))]
    tracemalloc.start()
    assert len(ranked(given)) == 3_001
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("day", ["2026-11-23", "20261123", "2026-W48-1", "2026W481", " 2026-11-23 "])
def test_date_alone_is_all_of_that_day(tmp_path: Path, day: str) -> None:
    """What was observed at noon would not be seen by who asks for that day."""
    path = tmp_path / "c.jsonl"
    path.write_bytes(line("a", seen(0, 10), seen(-1, 900)))
    ranking = rank_file(path, niche=None, as_of=day, objective="growth", settings=Settings())
    assert ranking.as_of == datetime(2026, 11, 23, 23, 59, 59, 999_999, tzinfo=UTC)
    assert ranking.notes == ()


@pytest.mark.parametrize("at", ["9999-12-31", "0001-01-01T00:00:00+14:00", "0001-01-01", "9999-12-31T23:59:59-14:00"])
def test_time_of_ranking_at_the_edge_is_refused(tmp_path: Path, at: str) -> None:
    """A mistyped year would end in a traceback."""
    path = tmp_path / "c.jsonl"
    path.write_bytes(line("a", seen(0, 10)))
    found = CliRunner().invoke(main, ["rank", str(path), "--as-of", at])
    assert found.exit_code == 2
    assert "is not between 1900 and 9000" in found.stderr
    for edge in ("9000-12-31T23:59:59-14:00", "1900-01-01T00:00:00+14:00"):
        assert CliRunner().invoke(main, ["rank", str(path), "--as-of", edge]).exit_code == 0


def test_observations_nearest_to_a_day_apart_measure_velocity() -> None:
    """A work looked at every minute would have a velocity made of noise, one looked at monthly none."""
    hourly = [Counts(20_000 + hour / 24, 100.0 + hour) for hour in range(49)]
    found = history_of(hourly)
    assert found.before_gap_days == pytest.approx(1.0)
    assert found.earlier_gap_days == pytest.approx(1.0)
    assert (found.views, found.before_views, found.earlier_views) == (148, 124, 100)
    assert np.isnan(history_of([Counts(20_000, 1.0), Counts(20_000.2, 2.0)]).before_views)
    assert np.isnan(history_of([Counts(20_000, 1.0), Counts(20_031, 2.0)]).before_views)
    assert history_of(hourly, until=20_001.0).views == 124


def test_items_of_the_database_are_read_like_lines_of_a_file() -> None:
    """A hundred thousand items at once would be ranked by other observations than one by one."""
    rng = np.random.default_rng(2)
    count = 300
    at = np.sort(20_000 + rng.choice([0.01, 0.3, 1.0, 12.0, 40.0], (count, 1)) * rng.random((count, RECENT)), axis=1)
    views, likes = rng.integers(0, 10**6, (2, count, RECENT)).astype(np.float64)
    views[rng.random(views.shape) < 0.3] = np.nan
    for row, left in enumerate(rng.integers(0, RECENT, count)):
        at[row, :left] = views[row, :left] = likes[row, :left] = np.nan
    published = np.where(rng.random(count) < 0.5, np.nan, 19_990.0)
    names = [ItemId(f"a:{n}") for n in range(count)]
    found = Freshest(
        item_ids=names,
        platforms=["a"] * count,
        work_ids=np.arange(count),
        published_s=published * 86_400,
        at_s=at * 86_400,
        views=views,
        likes=likes,
        comments=np.full_like(likes, np.nan),
        shares=np.full_like(likes, np.nan),
    )
    columns = columns_of(found)
    for row in range(count):
        seen = [Counts(*one) for one in zip(at[row], views[row], likes[row], strict=True) if not np.isnan(one[0])]
        one = history_of(seen)
        mine = [column[row] for column in (columns.views, columns.likes, columns.seen_days, columns.before_views)]
        assert mine == pytest.approx([one.views, one.likes, one.seen_days, one.before_views], nan_ok=True)
        gaps = columns.before_gap_days[row], columns.earlier_views[row], columns.earlier_gap_days[row]
        assert gaps == pytest.approx((one.before_gap_days, one.earlier_views, one.earlier_gap_days), nan_ok=True)
        assert columns.age_days[row] == pytest.approx(one.at - published[row], nan_ok=True)
    assert np.isfinite(scores_of(values_of(columns, parts_of(columns)))).all()
    none = columns_of(Freshest(**{f: getattr(found, f)[:0] for f in found.__struct_fields__}))
    assert len(scores_of(values_of(none, parts_of(none)))) == 0


def test_base_rates_are_those_of_others_and_shrunk() -> None:
    """A hit would be compared with itself; a channel with one work would have a rate of its own."""
    counts, views = np.array([50_000.0, 1_000.0, 1.0, np.nan]), np.array([1e6, 1e6, 1e3, 1e3])
    rates = base_rates(counts, views, ["p", "p", "p", "q"], ["hit", "hit", "lone", None], typical=0.03)
    platform = (51_001 + 0.03 * 1e5) / (2_001_000 + 1e5)
    assert rates[0] == pytest.approx((1_000 + platform * 2e4) / (1e6 + 2e4))
    assert rates[1] == pytest.approx((50_000 + platform * 2e4) / (1e6 + 2e4))
    assert rates[2] == pytest.approx(platform)
    assert rates[3] == pytest.approx(0.03)


def test_command_prints_lines_and_says_what_it_left_out(tmp_path: Path) -> None:
    """The command is a contract with scripts: JSON on stdout and nothing else, notes on stderr."""
    path = tmp_path / "c.jsonl"
    later = (AT + timedelta(days=1)).isoformat()
    path.write_bytes(
        b"\n".join([line("a", seen(0, 10)), b"", line("b", seen(0, 10**6)), line("c", published_at=later)])
    )
    found = CliRunner().invoke(main, ["rank", str(path), "--as-of", "2026-11-23", "--objective", "views"])
    assert found.exit_code == 0, found.output
    assert [json.loads(each)["id"] for each in found.stdout.splitlines()] == ["b", "a"]
    assert "1 left out" in found.stderr
    wrong = CliRunner().invoke(main, ["rank", str(path), "--as-of", "noon"])
    assert (wrong.exit_code, "'noon' is no time" in wrong.stderr, wrong.stdout) == (2, True, "")


def test_texts_are_not_kept() -> None:
    """A file of a million lines with long descriptions would not fit into memory."""
    import tracemalloc

    def lines() -> Any:
        for number in range(2_000):
            yield line(f"v{number}", seen(1, 5), seen(0, 9), description="x" * 20_000)

    tracemalloc.start()
    ranking: Ranking = rank_lines(lines(), monetised=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(1 for _ in ranking.lines) == 2_000
    assert peak < 10_000_000
