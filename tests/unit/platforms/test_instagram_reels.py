"""Instagram's reels: what a container is asked for, how figures are read, and limits before any request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.platforms._meta.account import check_words
from actors.platforms._meta.insights import Figures, parse_insights
from actors.platforms.instagram import LIMITS, Instagram, container_form, parse_metrics
from contracts.errors import Reject
from contracts.ids import AccountId
from contracts.platform import Draft
from tests.unit.platforms.imitated import told
from tests.unit.platforms.recorded import recorded

ME = AccountId("instagram:178")


def draft(**changes: Any) -> Draft:
    values: dict[str, Any] = {"marker": "ett0", "title": "A reef", "description": "", "privacy": "public"}
    return Draft(**{**values, "caption": "A reef #sea", **changes})


def test_nothing_is_disclosed_that_is_not_so() -> None:
    """A label that is set by itself is a false statement in the poster's name."""
    assert container_form(draft()) == {"media_type": "REELS", "upload_type": "resumable", "caption": "A reef #sea"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"share_to_feed": "yes"}, "share_to_feed is 'yes'"),
        ({"thumb_offset": "-1"}, "thumb_offset is '-1'"),
        ({"thumb_offset": "1.5"}, "thumb_offset"),
        ({"collaborators": "a,b,c,d"}, "collaborators has 4"),
        ({"sponsor_ids": "1,2,3"}, "sponsor_ids has 3"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, str], says: str) -> None:
    """The platform's own words for it are "Invalid parameter"."""
    with pytest.raises(Reject, match=says) as refused:
        container_form(draft(options=options))
    assert refused.value.mend


@pytest.mark.parametrize(
    ("changes", "size", "says"),
    [
        ({"caption": "x" * 2201}, 1, "2201 characters"),
        ({"caption": "#a " * 31}, 1, "31 hashtags"),
        ({"caption": "@a " * 21}, 1, "21 mentions"),
        ({"privacy": "unlisted"}, 1, "cannot be unlisted"),
        ({}, 0, "0 bytes"),
        ({}, (LIMITS.max_bytes or 0) + 1, "300000001 bytes"),
    ],
)
async def test_limits_are_kept_before_any_request(
    changes: dict[str, Any], size: int, says: str, tmp_path: Path
) -> None:
    """A draft that must fail costs one of 400 containers of the day."""
    async with told(Instagram, tmp_path, {}, options={}) as (platform, made, _):
        with pytest.raises(Reject, match=says) as refused:
            await made.open_session(ME, draft(**changes), size_bytes=size)
        assert refused.value.mend
        assert platform.asked == []


def test_a_caption_at_the_limit_is_taken() -> None:
    """A limit that is off by one refuses good posts."""
    check_words(draft(caption="x" * 2200), LIMITS, what="Instagram", most_mentions=20)
    check_words(draft(caption="#a @b " * 20), LIMITS, what="Instagram", most_mentions=20)


def test_recorded_insights_are_read() -> None:
    """This answer is real; figures that come under `values` and under `total_value` are both figures."""
    answer = recorded("instagram/media_insights_reels.json")
    assert parse_insights(answer) == {"profile_activity": 11}
    for one in answer["data"]:
        del one["values"]
    assert parse_insights(answer) == {"profile_activity": 11}


def figures(**values: Any) -> Figures:
    return Figures(values=values, refused={})


def test_watch_times_are_microseconds() -> None:
    """The platform writes milliseconds, with a point now and then."""
    found = parse_metrics({}, figures(ig_reels_avg_watch_time=7500.4, ig_reels_video_view_total_time=9_000_000))
    assert (found.average_watched_us, found.watched_us) == (7_500_000, 9_000_000_000)


@pytest.mark.parametrize("value", [None, "many", -1, {}, [], True, float("nan"), float("inf")])
def test_what_is_no_count_is_unknown(value: Any) -> None:
    """A crash costs the figures of fifty posts; a wrong number is learned from."""
    answer = {"data": [{"name": "views", "values": [{"value": value}]}, 7, {"name": 3, "values": "x"}, {}]}
    found = parse_metrics({"like_count": value}, Figures(values=parse_insights(answer), refused={}))
    assert (found.views, found.likes) == (None, None)
    assert {"views", "likes"} <= set(found.absent)


def test_a_refused_figure_says_why() -> None:
    """Without its reason nobody knows whether to wait, or to connect the account again."""
    found = parse_metrics({"like_count": 3}, Figures(values={"views": 5}, refused={"saved": "Grant it"}))
    assert (found.views, found.likes) == (5, 3)
    assert found.absent["saves"] == "Grant it"
    assert "48 hours" in found.absent["reach"]
    assert "views" not in found.absent
