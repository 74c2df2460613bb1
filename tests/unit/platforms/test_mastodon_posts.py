"""Limits of Mastodon servers, whose account a token opens, and what odd answers mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms._mastodon.account import denied, parse_owner, refusal
from actors.platforms._mastodon.limits import check_draft, length_of
from actors.platforms._mastodon.posts import NOT_TOLD, parse_counts, parse_status, visibility_of
from actors.runtime.http import Response
from contracts.errors import RateLimited, Reject, Retry
from contracts.media import Probe, Rational, VideoStream
from contracts.platform import Draft
from deploy.sandbox.feeds._mastodon_posts import CONFIGURATION
from tests.unit.platforms.drift import drifted

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OWNER = {"id": "42", "username": "ada", "url": "https://m.example/@ada", "avatar_static": "https://m.example/a.png"}
STATUS = {
    "id": "110000000000000001", "url": "https://m.example/@ada/1", "uri": "https://m.example/users/ada/statuses/1",
    "visibility": "direct", "created_at": "2026-11-22T10:00:00.000Z",
    "favourites_count": 90, "reblogs_count": 20, "replies_count": 3,
}  # fmt: skip


def draft(**changes: Any) -> Draft:
    values: dict[str, Any] = {"marker": "ett1", "title": "A squid", "description": "", "caption": "A squid"}
    return Draft(**{**values, **changes})


def probe(**changes: Any) -> Probe:
    stream: dict[str, Any] = {"coded_width_px": 1080, "coded_height_px": 1920, "width_px": 1080, "height_px": 1920}
    video = VideoStream(index=0, codec="h264", **{**stream, **changes})
    return Probe(container="mov,mp4,m4a,3gp,3g2,mj2", size_bytes=1, start_us=0, duration_us=1, video=video)


def answered(status: int, body: bytes = b"", **headers: str) -> Response:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(status=status, headers=CIMultiDictProxy(named), body=body, url="https://m.example")


@pytest.mark.parametrize(
    ("text", "chars"),
    [
        ("a" * 500, 500),
        (f"https://example.org/{'x' * 300} b", 25),
        ("@ada@m.example hello", 10),
        ("深海 🦑", 4),
    ],
)
def test_text_is_counted_as_servers_count(text: str, chars: int) -> None:
    """A text that is counted otherwise is refused after the video was sent, or cut for nothing."""
    assert length_of(text) == chars


@pytest.mark.parametrize(
    ("change", "size_bytes", "words"),
    [
        ({"caption": "x" * 501}, 1, "501 characters and its server takes 500"),
        ({}, 103_809_025, "103809025 bytes"),
        ({"probe": probe(width_px=3840, height_px=2162)}, 1, "8302080 pixels"),
        ({"probe": probe(fps=Rational(240, 1))}, 1, "240 frames a second"),
    ],
)
def test_what_a_server_does_not_take_is_told_before(change: dict[str, Any], size_bytes: int, words: str) -> None:
    """A refusal after an hour of upload."""
    with pytest.raises(Reject, match=words):
        check_draft(draft(**change), CONFIGURATION, size_bytes=size_bytes)
    check_draft(draft(probe=probe()), CONFIGURATION, size_bytes=1)


def test_a_server_without_video_is_told() -> None:
    """Some servers take pictures only."""
    told = {"media_attachments": {"supported_mime_types": ["image/png"]}}
    with pytest.raises(Reject, match="no MP4"):
        check_draft(draft(), told, size_bytes=1)


def test_a_server_that_tells_oddly_refuses_nothing_by_itself() -> None:
    """A field that changes overnight must not stop every post."""
    for words, variant in drifted(CONFIGURATION):
        try:
            check_draft(draft(probe=probe()), variant, size_bytes=1)
        except Reject:
            assert "supported_mime_types" in words, words


def test_an_account_is_named_with_its_server() -> None:
    """Ids are good on one server: two accounts of two servers would be one."""
    found = parse_owner(OWNER, server="https://m.example")
    assert (found.account_id, found.title) == ("mastodon:42@m.example", "@ada@m.example")
    for words, variant in drifted(OWNER):
        try:
            assert parse_owner(variant, server="https://m.example").account_id.endswith("@m.example"), words
        except Retry:
            assert words.startswith("id"), words


def test_odd_answers_have_counts_or_reasons() -> None:
    """A count that changes its type overnight must not end as a fault of the product, nor as zero."""
    whole = parse_counts(STATUS)
    assert (whole.likes, whole.comments, whole.shares) == (90, 3, 20)
    assert set(whole.absent) == set(NOT_TOLD)
    assert parse_status(STATUS, home="https://m.example").privacy == "private"
    for words, variant in drifted(STATUS):
        metrics = parse_counts(variant)
        for name in ("likes", "comments", "shares"):
            assert (getattr(metrics, name) is None) == (name in metrics.absent), words
        try:
            assert parse_status(variant, home="https://m.example").url.startswith("https://"), words
        except Retry:
            assert words.startswith("id"), words


@pytest.mark.parametrize(
    ("privacy", "timed", "visibility"),
    [
        ("public", False, "public"),
        ("unlisted", False, "unlisted"),
        ("private", False, "direct"),
        ("private", True, "public"),
        ("unlisted", True, "unlisted"),
    ],
)
def test_visibility_is_what_was_asked(privacy: Any, timed: bool, visibility: str) -> None:  # noqa: FBT001 - a row
    """What is private until its time must be seen then, and what is private must not be seen by followers."""
    assert visibility_of(draft(privacy=privacy, publish_at=AT if timed else None)) == visibility


def test_a_closed_account_is_told_from_a_refusal() -> None:
    """A refusal of one call must not disconnect the account."""
    assert denied(answered(403, b'{"error":"This action is not allowed"}')) is None
    closed = denied(answered(403, b'{"error":"Your login is currently disabled"}'))
    lost = denied(answered(401, b'{"error":"The access token is invalid"}'))
    assert closed is not None
    assert lost is not None
    assert (closed.renewable, lost.renewable) == (False, False)


def test_patience_is_as_long_as_was_asked_for() -> None:
    """Mastodon names the moment in a header of its own."""
    until = AT + timedelta(minutes=4)
    found = refusal(answered(429, X_RateLimit_Reset=until.isoformat()), AT)
    assert isinstance(found, RateLimited)
    assert found.until == until
    assert refusal(answered(503), AT) is None
