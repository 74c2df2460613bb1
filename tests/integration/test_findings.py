"""Patterns and trends in a real database: the right spans, own posts with their plans, the same rows each time."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from actors.ranker.findings import Pattern, Refreshed, patterns_of, refresh, trends_of
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from contracts.ids import ItemId, ObjectKey, PlanId
from contracts.media import Rendition
from contracts.plan import Captions, Clip, Cue, Plan, PlanSource
from contracts.rights import RightsRecord
from deploy.patterns import findings, patterns, render
from tests.judging import work

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CC0 = RightsRecord(licence="CC0-1.0")


async def seen(
    db: Database, name: str, counts: dict[float, int | None], *, title: str, niche: str = "deep sea", **given: Any
) -> None:
    """Store a work of a scan. counts: views by days before now."""
    one = work(name, title, **given)
    number = await db.fetchval(
        "insert into items (item_id, correlation_id, origin, platform, title, niche, candidate, rights, decision, "
        "first_seen_at) values ($1, 'c', 'scan', $2, $3, $4, $5, $6, 'found', $7) returning item_no",
        one.item_id,
        one.platform,
        one.title,
        niche,
        one,
        one.rights,
        AT - timedelta(days=max(counts)),
    )
    for days, views in counts.items():
        await db.execute(
            "insert into counts (item_no, observed_at, views) values ($1, $2, $3)",
            number,
            AT - timedelta(days=days),
            views,
        )


async def posted(db: Database, name: str, clips: int, words: int, views: tuple[int, int]) -> None:
    """Store an own post of 60 s with its plan and two measurements a day apart."""
    item, key = f"import:{name}", f"renditions/{name}.mp4"
    cues = (Cue(start_us=0, end_us=1_000_000, text=" ".join(["word"] * words)),) if words else ()
    plan = Plan(
        sources=(PlanSource(id="a", key=ObjectKey("a"), sha256="0", rights=CC0),),
        clips=tuple(Clip(source="a", start_us=n, end_us=n + 1) for n in range(clips)),
        captions=Captions(cues=cues) if cues else None,
    )
    rendition = Rendition(
        item_id=ItemId(item),
        plan_id=PlanId(name),
        key=ObjectKey(key),
        sha256="0",
        size_bytes=1,
        width_px=1,
        height_px=1,
        duration_us=60_000_000,
        frames=1,
        has_audio=True,
        engine="test",
    )
    await db.execute(
        "insert into items (item_id, correlation_id, origin, title, niche, rights, decision) "
        "values ($1, 'c', 'import', 'x', 'deep sea', $2, 'imported')",
        item,
        CC0,
    )
    await db.execute(
        "insert into renditions (plan_id, item_id, plan, rendition) values ($1, $2, $3, $4)",
        name,
        item,
        plan,
        rendition,
    )
    await db.execute(
        "insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id, request, "
        "published_at) values ($1, $2, 'youtube', 'published', $3, $4, 1, 'c', '{}', $5)",
        f"post-{name}",
        item,
        {"title": "Waves"},
        key,
        AT - timedelta(days=3),
    )
    for bucket, count in enumerate(views):
        await db.execute(
            "insert into measurements (post_id, bucket, measured_at, age_s, views) values ($1, $2, $3, 0, $4)",
            f"post-{name}",
            bucket,
            AT - timedelta(days=2 - bucket),
            count,
        )


async def refreshed(db: Database, at: datetime = AT) -> Refreshed:
    async with db.transaction() as conn:
        return await refresh(conn, at)


def one(found: tuple[Pattern, ...], kind: str, value: str, origin: str = "seen") -> Pattern:
    (only,) = [each for each in found if (each.kind, each.value, each.origin) == (kind, value, origin)]
    return only


async def fill(db: Database) -> None:
    """Ten questions whose views double in a day (100 to 200 with the prior), ten plain titles that stand still."""
    for n in range(10):
        await seen(db, f"q{n}", {2: 50, 1: 150}, title="Why do waves break?")
        await seen(db, f"p{n}", {2: 50, 1: 50}, title="Waves at the coast")


async def test_patterns_are_those_worked_out_by_hand(database: Database) -> None:
    """If it fails, the table says something else than the formula: 2^(1/3) - 1, see the unit tests."""
    await fill(database)
    await refreshed(database)
    found = await patterns_of(database, "deep sea")
    question = one(found, "title form", "question")
    assert question.lift == pytest.approx(2 ** (1 / 3) - 1)
    assert (question.platform, question.works, question.of_works) == ("archive", 10, 20)
    assert (question.begins_at, question.ends_at) == (AT - timedelta(days=28), AT)
    assert one(found, "hook", "question").lift == pytest.approx(2 ** (1 / 3) - 1)
    assert one(found, "pacing", "").because.endswith("cuts are known of own renders only")
    assert await patterns_of(database, "chess") == ()


async def test_only_counts_of_the_span_are_looked_at(database: Database) -> None:
    """If it fails, growth of last year, or of the future, is taken for that of now."""
    for n in range(20):
        title = "Why?" if n % 2 else "Waves"
        await seen(database, f"w{n}", {40: 0, 10: 50, 9: 50 + 100 * (n % 2), -1: 10**6}, title=title)
    await refreshed(database)
    question = one(await patterns_of(database), "title form", "question")
    assert question.lift == pytest.approx(2 ** (1 / 3) - 1)


async def test_counts_that_are_not_known_are_no_zero(database: Database) -> None:
    """If it fails, a platform that hides a count for a day makes works seem to shrink and to explode."""
    await fill(database)
    for n in range(5):
        await seen(database, f"null{n}", {2: None, 1: 500}, title="Why?")
    await refreshed(database)
    assert one(await patterns_of(database), "title form", "question").of_works == 20


async def test_niches_and_platforms_are_kept_apart(database: Database) -> None:
    """If it fails, what grows in one niche or on one platform is told of another."""
    await fill(database)
    for n in range(20):
        await seen(database, f"x{n}", {2: 50, 1: 50}, title="Why?", platform="vimeo")
        await seen(database, f"c{n}", {2: 50, 1: 50}, title="Why?", niche="chess")
    await refreshed(database)
    found = await patterns_of(database)
    assert {(each.niche, each.platform) for each in found} == {
        ("deep sea", "archive"), ("deep sea", "vimeo"), ("chess", "archive"),
    }  # fmt: skip
    (lift,) = {
        each.lift
        for each in found
        if (each.niche, each.platform, each.kind, each.value) == ("deep sea", "archive", "title form", "question")
    }
    assert lift == pytest.approx(2 ** (1 / 3) - 1)


async def test_own_posts_tell_of_cuts_and_captions(database: Database) -> None:
    """If it fails, the pacing and the captions that work for the own channel are never learnt."""
    for n in range(10):
        await posted(database, f"fast{n}", clips=13, words=90, views=(50, 150))
        await posted(database, f"slow{n}", clips=1, words=0, views=(50, 50))
    await refreshed(database)
    found = await patterns_of(database)
    assert {(each.origin, each.platform) for each in found} == {("own", "youtube")}
    for kind, quick, slow in (
        ("pacing", "6-20 cuts a min", "no cut"),
        ("caption density", "1-2.5 words a s", "no captions"),
    ):
        assert one(found, kind, quick, "own").lift == pytest.approx(2 ** (1 / 3) - 1)
        assert one(found, kind, slow, "own").lift == pytest.approx(2 ** (-1 / 3) - 1)


async def test_the_first_words_spoken_are_the_hook(database: Database) -> None:
    """If it fails, a transcript that is known is not read."""
    await fill(database)
    for n in range(10):
        await database.execute(
            "insert into transcripts (item_id, origin, cues) values ($1, 'subtitles', $2)",
            f"archive:q{n}",
            [Cue(start_us=0, end_us=1, text="Stop here")],
        )
    await refreshed(database)
    found = await patterns_of(database)
    assert one(found, "hook", "command").works == 10
    assert one(found, "title form", "question").works == 10


async def test_trends_compare_with_the_window_before(database: Database) -> None:
    """If it fails, a niche that moves is not seen to, or a window takes works of another."""
    for n in range(10):
        await seen(database, f"old{n}", {13: 50, 12: 51 + n % 2}, title="Waves")
        await seen(database, f"new{n}", {6: 50, 5: 150 + n % 2}, title="Waves")
    await seen(database, "once", {1: 10**6}, title="Waves")
    await refreshed(database)
    week, month = await trends_of(database, "deep sea")
    assert (week.window_days, week.begins_at, week.ends_at) == (7, AT - timedelta(days=7), AT)
    assert (week.works, week.new_works, week.measured) == (11, 11, 10)
    assert (week.works_before, week.new_works_before, week.measured_before) == (10, 10, 10)
    assert week.growth == pytest.approx(math.sqrt(2.0 * 2.01) - 1)  # the middle of ln 2.00 and ln 2.01
    assert week.change == pytest.approx(math.sqrt(2.0 * 2.01) / math.sqrt(1.01 * 1.02) - 1)
    assert week.verdict == "rising"
    assert (month.window_days, month.works, month.measured, month.verdict) == (28, 21, 20, "unknown")
    assert "not enough data before: 0 of 10 works counted twice" in month.because


async def test_a_refresh_again_gives_the_same_rows(database: Database) -> None:
    """If it fails, a refresh that is repeated doubles the rows or changes the figures."""
    await fill(database)
    await posted(database, "a", clips=2, words=2, views=(1, 2))
    first = await refreshed(database), await patterns_of(database), await trends_of(database)
    again = await refreshed(database), await patterns_of(database), await trends_of(database)
    assert again == first
    assert first[0] == Refreshed(patterns=len(first[1]), trends=len(first[2]))
    later = AT + timedelta(days=40)
    await refreshed(database, later)
    assert {each.lift for each in await patterns_of(database)} == {None}
    assert {each.verdict for each in await trends_of(database)} == {"unknown"}


async def test_nothing_known_is_no_fault(database: Database) -> None:
    """If it fails, the first refresh of a new system crashes."""
    assert await refreshed(database) == Refreshed(patterns=0, trends=0)


# The command --------------------------------------------------------------------------------------


async def test_people_read_what_was_found(database: Database, database_url: str) -> None:
    """If it fails, `ettametta patterns` shows nothing, or something else than the tables hold."""
    await fill(database)
    settings = Settings(database_url=database_url)
    assert "nothing is known yet for 'chess'" in render(await findings(settings, "chess"), "chess")
    found = await findings(settings, refresh_at=AT)
    text = render(found)
    assert text.startswith("deep sea on archive\n")
    assert "\n   7 days  unknown: views a day of the work in the middle: +41.4% (+0.0% to +100.0%); not enough" in text
    assert "\n  title form, works seen\n    question              +26.0% views a day (+10.9% to +43.1%): 10 of" in text
    assert found.patterns == await patterns_of(database)


def test_the_command_prints_json(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, the command does not start, or programs cannot read what it prints."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    done = CliRunner().invoke(patterns, ["--niche", "chess", "--refresh", "--json"], catch_exceptions=False)
    assert (done.exit_code, json.loads(done.output)) == (0, {"patterns": [], "trends": []})
    done = CliRunner().invoke(patterns, ["--niche", "chess"], catch_exceptions=False)
    assert done.output == (
        "nothing is known yet for 'chess': scan a niche twice, hours apart, then ask with --refresh\n"
    )
