"""What the ranker reads from PostgreSQL beside a candidate, and the models it keeps there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.ranker.context import context_of, count_rates
from actors.ranker.entries import Seen, counts_of
from actors.ranker.examples import examples_of
from actors.ranker.ingest import ingest
from actors.ranker.model import Report, in_use, promote, retire, store
from actors.ranker.score import score, uses_for
from actors.ranker.signals import TYPICAL_PER_VIEW
from actors.ranker.train import fitted, read_history, retrain
from actors.runtime.db import Connection, Database
from contracts.errors import Reject
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from tests.unit.test_ranker_learning import channel

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def candidate(name: str = "a", **given: Any) -> Candidate:
    fields: dict[str, Any] = {
        "item_id": ItemId(f"archive:{name}"),
        "platform": "archive",
        "platform_id": name,
        "url": f"https://example.org/{name}",
        "title": "An octopus opens a jar",
        "creator_id": "reef",
        "published_at": AT - timedelta(days=10),
        "metrics": Metrics(views=1_000_000, likes=100_000, comments=1_000),
        "observed_at": AT,
        "rights": RightsRecord(licence="CC0-1.0"),
    }
    return Candidate(**(fields | given))


async def put(database: Database, *candidates: Candidate) -> None:
    async with database.transaction() as conn:
        await ingest(conn, [Seen(candidate=one, counts=(counts_of(one),), niche="sea") for one in candidates])


async def posted(conn: Connection, name: str, title: str, views: int | None, *, days_ago: float) -> None:
    await conn.execute(
        "insert into items (item_id, correlation_id, origin, platform, title, rights, decision)"
        " values ($1, 'c', 'scan', 'archive', $2, '{}', 'selected')",
        name,
        title,
    )
    at = AT - timedelta(days=days_ago)
    await conn.execute(
        "insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id, request,"
        " published_at) values ($1, $1, 'youtube', 'published', '{}', 'k', 1, 'c', '{}', $2)",
        name,
        at,
    )
    if views is not None:
        await conn.execute(
            "insert into measurements (post_id, bucket, measured_at, age_s, views) values ($1, 0, $2, 86400, $3)",
            name,
            at + timedelta(days=1),
            views,
        )


async def test_nothing_known_is_said(database: Database) -> None:
    """A new installation has no history; the score must say so instead of inventing one."""
    async with database.transaction() as conn:
        found = await context_of(conn, candidate(), "sea")
    assert found.likes_per_view == TYPICAL_PER_VIEW["likes"]
    assert (found.saturation, found.fit) == (1.0, None)
    assert "0 own posts are measured" in found.because["fit"]
    assert "nothing is counted" in found.because["engagement"]


async def test_usual_engagement_is_the_channels_shrunk_to_its_platforms(database: Database) -> None:
    """Where everybody likes everything, a like would still count."""
    other = candidate("b", creator_id="dune", metrics=Metrics(views=1_000_000, likes=10_000), title="Sand dunes sing")
    old = candidate("c", observed_at=AT - timedelta(days=40), title="Tides")
    await put(database, candidate(), other, old)
    async with database.transaction() as conn:
        await count_rates(conn, AT + timedelta(hours=1))
        mine = await context_of(conn, candidate("new"), "sea")
        theirs = await context_of(conn, candidate("new", creator_id="dune"), "sea")
        stranger = await context_of(conn, candidate("d", creator_id=None), "sea")
        rows = await conn.fetch("select creator, views, likes, commented_views from base_rates order by creator")
    assert [tuple(row) for row in rows] == [
        ("", 2_000_000, 110_000, 1_000_000),
        ("dune", 1_000_000, 10_000, 0),
        ("reef", 1_000_000, 100_000, 1_000_000),
    ]
    assert mine.likes_per_view is not None
    assert theirs.likes_per_view is not None
    platform = (110_000 + 0.03 * 1e5) / 2_100_000
    assert stranger.likes_per_view == pytest.approx(platform)
    assert mine.likes_per_view == pytest.approx((100_000 + platform * 2e4) / 1_020_000)
    assert theirs.likes_per_view < platform < mine.likes_per_view
    async with database.transaction() as conn:
        await count_rates(conn, AT + timedelta(days=60))
        assert await conn.fetchval("select count(*) from base_rates") == 0


async def test_usual_engagement_is_of_the_channels_other_works(database: Database) -> None:
    """A work of a small channel would be compared with itself, and the more it is liked the less it would count."""
    old = candidate(observed_at=AT - timedelta(days=1), metrics=Metrics(views=10, likes=10, comments=10))
    quiet = candidate("b", metrics=Metrics(views=1_000_000, likes=10_000), title="Sand dunes sing")
    await put(database, old, candidate(), quiet)
    async with database.transaction() as conn:
        await count_rates(conn, AT + timedelta(hours=1))
        stranger = await context_of(conn, candidate("c", creator_id=None), "sea")
        liked = await context_of(conn, candidate(), "sea")
        # What is seen after the counting was not counted, and is not taken off either.
        later = candidate(observed_at=AT + timedelta(hours=2), metrics=Metrics(views=9_000_000, likes=9_000_000))
        await ingest(conn, [Seen(candidate=later, counts=(counts_of(later),))])
        again = await context_of(conn, later, "sea")
        await conn.execute("update base_rates set likes = 50000, liked_views = 500000 where creator = 'reef'")
        less = await context_of(conn, candidate(), "sea")
    platform = stranger.likes_per_view
    assert platform is not None
    assert liked.likes_per_view == again.likes_per_view == pytest.approx((10_000 + platform * 2e4) / 1_020_000)
    assert liked.comments_per_view == stranger.comments_per_view
    assert "its channel's other works', shrunk" in liked.because["engagement"]
    assert less.likes_per_view == platform, "fewer than none are no likes"
    assert "are its platform's" in less.because["engagement"]


async def test_fit_and_saturation_follow_the_channels_own_posts(database: Database) -> None:
    """The channel would repeat what failed, or what it has just shown."""
    async with database.transaction() as conn:
        await posted(conn, "p1", "An octopus opens a box", 90_000, days_ago=90)
        await posted(conn, "p2", "A volcano at night", 100, days_ago=80)
        await posted(conn, "p3", "Chess in the park", 500, days_ago=70)
        await posted(conn, "p4", "Never measured", None, days_ago=60)
        liked = await context_of(conn, candidate(), "sea")
        failed = await context_of(conn, candidate("b", title="A volcano wakes"), "sea")
        assert liked.fit is not None
        assert failed.fit is not None
        assert liked.fit > 0.5 > failed.fit
        assert liked.saturation == 1.0
        await posted(conn, "p5", "An octopus opens a jar again", 300, days_ago=2)
        again = await context_of(conn, candidate(), "sea")
    assert again.saturation is not None
    assert again.saturation < 0.5
    before, after = (score(candidate(), niche="", uses=uses_for(monetised=True), context=one) for one in (liked, again))
    assert after.score < before.score


async def test_namesakes_saturate(database: Database) -> None:
    """Ten others with the same title in a week are a wave that has passed."""
    others = [candidate(f"n{n}", creator_id=f"c{n}", published_at=AT - timedelta(days=n)) for n in range(3)]
    await put(database, *others)
    async with database.transaction() as conn:
        found = await context_of(conn, candidate("z"), "sea")
        works = await conn.fetchval("select count(distinct work_id) from marks")
    assert found.saturation == pytest.approx(1 / (1 + works))
    assert works >= 1


async def test_copies_of_a_work_do_not_saturate(database: Database) -> None:
    """A work that is shown in many places would be held for a subject that many have taken up."""
    length = {"duration_us": 187_000_000, "title": "Giant octopus filmed opening a jar near Japan coast"}
    copies = [
        candidate("t", platform=site, item_id=ItemId(f"{site}:t"), creator_id=site, creator=site, **length)
        for site in ("vimeo", "tiktok", "rumble")
    ]
    await put(database, *copies, candidate("o", **(length | {"duration_us": 400_000_000})))
    async with database.transaction() as conn:
        assert await conn.fetchval("select count(distinct work_id) from marks") == 2
        known = await context_of(conn, copies[0], "sea")
        unseen = await context_of(conn, candidate("z", creator="new", **length), "sea")
        unlike = await context_of(conn, candidate("y", **(length | {"duration_us": 600_000_000})), "sea")
    assert [one.saturation for one in (known, unseen, unlike)] == [1 / 2, 1 / 2, 1 / 3]
    assert "1 other works" in unseen.because["saturation"]


def report(*, better: bool) -> Report:
    return Report(
        made_at=AT,
        works=1,
        fit_examples=1,
        fit_days=1,
        validation_examples=1,
        validation_days=1,
        better=better,
        because="not surely better: it is not",
    )


async def test_only_a_better_model_is_put_to_use(database: Database) -> None:
    """A model worse than the forecast would choose."""
    onnx = fitted(examples_of(channel(days=6)))
    async with database.transaction() as conn:
        assert await in_use(conn) is None
        worse = await store(conn, onnx, report(better=False))
        with pytest.raises(Reject, match="not surely better: it is not"):
            await promote(conn, worse, at=AT)
        with pytest.raises(Reject, match="there is no model"):
            await promote(conn, "none", at=AT)
        assert await in_use(conn) is None
        first = await store(conn, onnx + b"", report(better=False))
        assert first == worse
        other = fitted(examples_of(channel(days=6, seed=1)))
        good = await store(conn, other, report(better=True))
        await promote(conn, good, at=AT)
        model = await in_use(conn)
        assert model is not None
        assert model.version == good
        scored = score(candidate(), niche="", uses=uses_for(monetised=True), model=model)
        assert any(good in reason.because for reason in scored.reasons)
        await retire(conn, at=AT)
        assert await in_use(conn) is None


async def test_training_reads_what_was_observed(database: Database) -> None:
    """The schedule would train on nothing, or end in an error where there is little."""
    await put(database, candidate(), candidate(observed_at=AT + timedelta(days=1), metrics=Metrics(views=2_000_000)))
    async with database.transaction() as conn:
        (work,) = await read_history(conn, now=datetime.now(UTC))
        assert [one.views for one in work.observations] == [1_000_000, 2_000_000]
        assert (work.platform, work.channel, work.title) == ("archive", "reef", "An octopus opens a jar")
        assert work.published == pytest.approx((AT - timedelta(days=10)).timestamp() / 86_400)
        told = await retrain(conn, now=datetime.now(UTC))
        assert "too little to learn from" in told.because
        assert await conn.fetchval("select count(*) from models") == 0
