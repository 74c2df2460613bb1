"""What one look means, and what a snapshot tells of earlier ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.tracker.numbers import FIELDS, Known, changes_of, revised
from actors.tracker.schedule import LOOKS, LOOKS_WHEN_GONE, next_look, next_look_when_gone
from actors.tracker.standing import judge
from contracts.platform import PostMetrics, Standing

AT = datetime(2026, 11, 23, tzinfo=UTC)


def judged(state: Any, *, told: str = "stands", doubted: str | None = None, privacy: str | None = "public") -> Any:
    seen = Standing(state=state)
    return judge(seen, state=told, told_state=told, doubted=doubted, confirmed_privacy=privacy)


@pytest.mark.parametrize("grave", ["removed", "blocked"])
def test_what_stops_an_account_needs_two_looks(grave: str) -> None:
    """One wrong answer of a platform stops an account."""
    first = judged(grave)
    assert (first.state, first.tells, first.doubt) == ("stands", False, grave)
    second = judged(grave, doubted=grave)
    assert (second.state, second.told_state, second.tells, second.doubt) == (grave, grave, True, None)
    assert not judged(grave, told=grave, doubted=None).tells, "it is told again"


@pytest.mark.parametrize("grave", ["removed", "blocked"])
@pytest.mark.parametrize("state", ["stands", "processing", "private", "claimed"])
def test_what_two_looks_said_one_does_not_take_back(grave: str, state: str) -> None:
    """One wrong answer of a platform says that a removed post stands again."""
    meant = "stands" if state == "processing" else state
    first = judged(state, told=grave)
    assert (first.state, first.told_state, first.tells, first.doubt) == (grave, grave, False, meant)
    second = judged(state, told=grave, doubted=meant)
    assert (second.state, second.told_state, second.tells, second.doubt) == (state, meant, True, None)
    assert judged(grave, told=grave, doubted=meant).doubt is None


def test_a_look_that_tells_nothing_leaves_a_doubt() -> None:
    """The look after it begins to count anew, so that a removal is never told."""
    assert judged("unknown", doubted="removed").doubt == "removed"
    assert judged("stands", doubted="removed").doubt is None


@pytest.mark.parametrize(
    ("state", "told", "privacy", "tells"),
    [
        ("stands", "stands", "public", False),
        ("processing", "stands", "public", False),
        ("unknown", "stands", "public", False),
        ("unknown", "claimed", "public", False),
        ("private", "stands", "private", False),
        ("private", "stands", None, False),
        ("private", "stands", "public", True),
        ("claimed", "stands", "public", True),
        ("claimed", "claimed", "public", False),
        ("stands", "claimed", "public", True),
        ("private", "claimed", "public", True),
    ],
)
def test_only_news_is_told(state: str, told: str, privacy: str | None, *, tells: bool) -> None:
    """Each look tells the same, or a change is kept from its owner."""
    assert judged(state, told=told, privacy=privacy).tells is tells


def test_looks_that_were_missed_are_not_made_up_for() -> None:
    """After an outage each post is looked at many times at one moment."""
    assert next_look(AT, AT) == AT + LOOKS[0]
    assert next_look(AT, AT + timedelta(days=3)) == AT + timedelta(days=4)
    assert next_look(AT, AT + LOOKS[-1]) is None


def test_looks_at_what_is_gone_come_to_an_end() -> None:
    """A post that is gone is asked for for ever, or many times at one moment after an outage."""
    assert next_look_when_gone(AT, AT) == AT + LOOKS_WHEN_GONE[0]
    assert next_look_when_gone(AT, AT + timedelta(days=10)) == AT + timedelta(days=14)
    assert next_look_when_gone(AT, AT + LOOKS_WHEN_GONE[-1]) is None


def known(bucket: int, **numbers: Any) -> dict[str, Any]:
    return {**dict.fromkeys(FIELDS), **numbers, "bucket": bucket}


def test_only_what_cannot_fall_is_corrected() -> None:
    """People take likes back; a platform takes views back."""
    now = PostMetrics(views=90, likes=3, followers=-4)
    found = changes_of([known(0, views=80, likes=9, followers=2), known(1, views=100, likes=9)], now)
    assert [(one.bucket, one.field, one.kind, one.was, one.value) for one in found] == [
        (1, "views", "corrected", 100, 90),
        (1, "followers", "late", None, -4),
    ]
    assert changes_of([known(0, views=90)], PostMetrics()) == (), "an answer without numbers corrects nothing"


def test_a_revision_says_what_was_told_later_and_when() -> None:
    """A number of today passes for one of the first hour, or stands beside the reason why it is not there."""
    first = Known(
        bucket=2,
        measured_at=AT,
        age_s=3600,
        metrics=PostMetrics(views=100, likes=9, absent={"reach": "not yet", "saves": "never"}),
    )
    late = changes_of([known(2, views=100, likes=9), known(3, views=100)], PostMetrics(views=90, likes=8, reach=60))
    then = AT + timedelta(days=2)
    second = revised(first, late, then)
    assert second.metrics == PostMetrics(views=90, likes=9, reach=60, absent={"saves": "never"})
    assert (second.bucket, second.measured_at, second.age_s) == (2, AT, 3600)
    assert (second.revision, second.revised) == (1, {"views": then, "reach": then})
    again = AT + timedelta(days=4)
    third = revised(second, changes_of([known(2, views=90, likes=9, reach=60)], PostMetrics(views=80)), again)
    assert (third.metrics.views, third.revision, third.revised) == (80, 2, {"views": again, "reach": then})
