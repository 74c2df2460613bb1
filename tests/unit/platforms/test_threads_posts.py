"""Threads' posts: what a container is asked for, and how figures are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.platforms._meta.insights import Figures
from actors.platforms.threads import Threads, container_form, parse_metrics
from contracts.errors import Reject
from contracts.ids import AccountId
from contracts.platform import Draft
from tests.unit.platforms.imitated import told

ME = AccountId("threads:178")


def draft(**changes: Any) -> Draft:
    values: dict[str, Any] = {"marker": "ett0", "title": "A reef", "description": "", "privacy": "public"}
    return Draft(**{**values, "caption": "A reef", "media_address": "https://media.example/a.mp4", **changes})


def test_options_reach_the_post() -> None:
    """A person who shut the answers must not get them."""
    options = {"reply_control": "mentioned_only", "topic_tag": "Sea", "alt_text": "Fish"}
    form = container_form(draft(options=options))
    assert {name: form[name] for name in options} == options
    assert set(container_form(draft())) == {"media_type", "text", "video_url"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"options": {"reply_control": "nobody"}}, "reply_control is 'nobody'"),
        ({"options": {"topic_tag": "a.b"}}, "topic_tag"),
        ({"options": {"topic_tag": "x" * 51}}, "topic_tag"),
        ({"caption": "x" * 501}, "501 characters"),
        ({"privacy": "private"}, "cannot be private"),
        ({"media_address": None}, "public address"),
    ],
)
async def test_drafts_that_cannot_be_are_refused_before_any_request(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    """What Threads would refuse costs a container, and says less."""
    async with told(Threads, tmp_path, {}, options={}) as (platform, made, _):
        with pytest.raises(Reject, match=says) as refused:
            await made.open_session(ME, draft(**changes), size_bytes=1)
        assert refused.value.mend
        assert platform.asked == []


def test_reposts_and_quotes_are_shares() -> None:
    """Who passes a post on in either way has shared it."""
    found = parse_metrics(
        Figures(values={"views": 9, "shares": 1, "reposts": 2, "quotes": 3, "replies": 4}, refused={})
    )
    assert (found.views, found.shares, found.comments, found.likes) == (9, 6, 4, None)
    assert parse_metrics(Figures(values={}, refused={})).shares is None
    assert "how a video is watched" in found.absent["watched_us"]
