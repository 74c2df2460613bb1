"""When posts are measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from actors.tracker.numbers import FIELDS, nothing_known, values_of
from actors.tracker.schedule import SNAPSHOTS, due_times


def test_the_first_snapshot_is_due_at_once_and_the_last_after_a_month() -> None:
    """If this fails, a new post shows no numbers, or its growth is not seen to the end."""
    at = datetime(2026, 11, 23, tzinfo=UTC)
    times = due_times(at)
    assert times[0] == at
    assert times[-1] == at + timedelta(days=30)
    assert len(times) == 12


def test_snapshots_thin_out() -> None:
    """If this fails, old posts eat the quota that new ones need."""
    gaps = [later - earlier for earlier, later in pairwise(SNAPSHOTS)]
    assert all(gap > timedelta(0) for gap in gaps)
    assert gaps == sorted(gaps)


def test_a_post_that_is_gone_has_no_numbers_and_says_why() -> None:
    """If this fails, a deleted post shows zeros."""
    metrics = nothing_known("youtube no longer shows this post")
    assert set(values_of(metrics)) == {None}
    assert set(metrics.absent) == set(FIELDS)
