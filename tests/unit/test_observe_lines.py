"""What `observe` makes of one line, without a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from actors.ranker.observe import read_line
from actors.ranker.rank_file import rank_lines
from contracts.events import CandidateFound
from contracts.ids import CorrelationId, ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SEEN = {"at": "2026-11-22T10:00:00Z", "views": 10}


def line(**given: Any) -> bytes:
    return json.dumps({"id": "1", "platform": "vimeo", "observations": [SEEN]} | given).encode()


def candidate(**given: Any) -> bytes:
    fields: dict[str, Any] = {
        "item_id": ItemId("vimeo:1"),
        "platform": "vimeo",
        "platform_id": "1",
        "url": "https://vimeo.com/1",
        "title": "Squid",
        "observed_at": AT,
        "rights": RightsRecord(licence="unknown"),
    }
    return msgspec.json.encode(Candidate(**(fields | given)))


def test_all_that_rank_takes_is_taken() -> None:
    """A person would have to write the same history twice, in two ways."""
    given = {
        "id": 7,
        "platform": None,
        "title": None,
        "tags": [None, "squid"],
        "published_at": "2026-11-01",
        "observations": [
            {"at": "2026-11-23", "views": 30.0, "likes": 9_007_199_254_740_993, "comments": 2.6},
            {"at": "2026-11-22T23:00:00", "views": 10.0},
            {"at": "2026-11-22T23:00:00+05:00", "views": None},
        ],
    }
    raw = json.dumps(given).encode()
    assert len(list(rank_lines([raw], monetised=True).lines)) == 1
    seen = read_line(raw)
    one = seen.candidate
    assert (one.item_id, one.platform, one.platform_id, one.title) == ("unknown:7", "unknown", "7", "")
    assert (one.tags, one.published_at) == (("squid",), datetime(2026, 11, 1, tzinfo=UTC))
    assert (one.observed_at, one.metrics.views) == (datetime(2026, 11, 23, tzinfo=UTC), 30)
    assert [each.at.isoformat() for each in seen.counts] == [
        "2026-11-23T00:00:00+00:00",
        "2026-11-22T23:00:00+00:00",
        "2026-11-22T18:00:00+00:00",
    ]
    assert [each.views for each in seen.counts] == [30, 10, None]
    assert (seen.counts[0].likes, seen.counts[0].comments) == (9_007_199_254_740_993, 3)
    assert type(seen.counts[0].views) is int


@pytest.mark.parametrize("none", [None, []])
def test_work_that_nobody_observed_has_no_counts(none: list[Any] | None) -> None:
    """An observation made up for it would be a growth made up."""
    seen = read_line(line(observations=none, published_at="2026-11-01T10:00:00Z"))
    assert seen.counts == ()
    assert seen.candidate.observed_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert set(seen.candidate.metrics.absent) == {"views", "likes", "comments", "shares"}
    with pytest.raises(ValueError, match="neither an observation nor a time of publication"):
        read_line(line(observations=none))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (line(id="a\0b"), "its id has a NUL"),
        (line(platform="vi\0meo"), "has a NUL"),
        (line(language="e\0n"), "its language has a NUL"),
        (line(channel="Ocean\0"), "its channel has a NUL"),
        (line(id="x" * 5_000), "its id is longer than 1000 bytes"),
        (line(id=""), "its id is empty"),
        (line(observations=[{"at": "0001-01-01T00:00:00+14:00"}]), "the year 1 is not"),
        (line(observations=[{"at": "9999-12-31T23:59:59-14:00"}]), "the year 9999 is not"),
        (line(published_at="0001-01-01T00:00:00+05:00"), "the year 1 is not"),
        (line(observations=[{"at": "2026-11-23", "views": 1e19}]), r"<= 1e\+18"),
        (line(duration_s=1e30), "duration_s"),
        (candidate(item_id="vimeo:\0"), "its id has a NUL"),
        (candidate(platform="vi\0meo"), "its platform has a NUL"),
        (candidate(language="e\0n"), "its language has a NUL"),
        (candidate(creator_id="c" * 3_000), "its channel is longer"),
        (candidate(observed_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))), "the year 1 is not"),
        (candidate(published_at=datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=14)))), "the year 9999"),
        (candidate(metrics=Metrics(views=2**63)), "a count is above"),
        (candidate(duration_us=2**63), "length is above"),
        (b'{"id": "caf\xe9"}', "not UTF-8"),
        (b'{"id": "x", "more": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_stored_is_a_bad_line(raw: bytes, said: str) -> None:
    """The database would refuse it together with the whole batch, and the run would end."""
    with pytest.raises(ValueError, match=said):
        read_line(raw)


def test_event_keeps_niche_and_correlation() -> None:
    """Works of a niche are found by them."""
    one = msgspec.json.decode(candidate(), type=Candidate)
    event = CandidateFound(candidate=one, niche="deep sea", correlation_id=CorrelationId("c1"))
    seen = read_line(msgspec.json.encode(event))
    assert (seen.niche, seen.correlation_id, seen.candidate) == ("deep sea", "c1", one)
    with pytest.raises(ValueError, match="its niche has a NUL"):
        read_line(msgspec.json.encode(msgspec.structs.replace(event, niche="deep\0sea")))
