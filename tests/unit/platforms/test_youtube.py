"""YouTube without a network: limits, answers, quota days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms import youtube
from actors.platforms._youtube.errors import fault_of, next_quota_day, raise_for_answer
from actors.platforms._youtube.upload import parse_confirmed
from actors.runtime.http import Response
from actors.runtime.oauth import ClientRefused
from contracts.errors import EttamettaError, RateLimited, Reject, Retry
from contracts.platform import Draft

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DRAFT = Draft(marker="ett0123456789abcdef", title="A title", description="Words")


def answer(status: int, reason: str = "", message: str = "words", **headers: str) -> Response:
    error = {"code": status, "message": message, "errors": [{"message": message, "domain": "d", "reason": reason}]}
    return Response(
        status=status,
        headers=CIMultiDictProxy(CIMultiDict(headers)),
        body=msgspec.json.encode({"error": error}),
        url="https://www.googleapis.com/x",
    )


def draft(**changes: Any) -> Draft:
    return msgspec.structs.replace(DRAFT, **changes)


@pytest.mark.parametrize(
    "good",
    [
        draft(title="x" * 100),
        draft(title="é" * 100),
        draft(description="é" * 2500),
        draft(tags=("a" * 480,)),
        draft(tags=("a" * 200 + " b", "c" * 275)),
        draft(publish_at=NOW + timedelta(days=1)),
    ],
)
def test_a_draft_at_the_exact_limit_is_taken(good: Draft) -> None:
    """If this fails, posts that YouTube would take are refused before they are sent."""
    youtube.check_draft(good, size_bytes=274_877_906_944, duration_us=12 * 3600 * 1_000_000)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (draft(title=""), "empty"),
        (draft(title="x" * 101), "101 characters"),
        (draft(title="a < b"), "<"),
        (draft(description="é" * 2500 + "x"), "5001 bytes"),
        (draft(description="a > b"), ">"),
        (draft(tags=("a" * 481,)), "501 characters"),
        (draft(tags=("a" * 200 + " b", "c" * 276)), "501 characters"),
        (draft(tags=("a<b",)), "<"),
        (draft(privacy="unlisted", publish_at=NOW), "unlisted"),
    ],
)
def test_a_draft_above_a_limit_is_refused_with_its_fault(bad: Draft, word: str) -> None:
    """If this fails, a person sees YouTube's bare 400 instead of what to change."""
    with pytest.raises(Reject, match=word):
        youtube.check_draft(bad, size_bytes=1)


@pytest.mark.parametrize("size", [0, 274_877_906_945])
def test_a_file_that_is_empty_or_too_large_is_refused(size: int) -> None:
    """If this fails, hours of upload end in a refusal."""
    with pytest.raises(Reject, match="bytes"):
        youtube.check_draft(DRAFT, size_bytes=size)


def test_a_video_above_twelve_hours_is_refused() -> None:
    """If this fails, hours of upload end in a refusal."""
    with pytest.raises(Reject, match="hours"):
        youtube.check_draft(DRAFT, size_bytes=1, duration_us=12 * 3600 * 1_000_000 + 1)


def test_the_resource_says_privacy_disclosure_and_marker() -> None:
    """If this fails, a video may come out public, undisclosed, or impossible to find after a crash."""
    at = datetime(2026, 12, 1, 20, 0, tzinfo=UTC)
    body = youtube.video_resource(draft(tags=("sea", "deep sea"), publish_at=at, synthetic=True))
    assert body["status"]["privacyStatus"] == "private"
    assert body["status"]["publishAt"] == "2026-12-01T20:00:00Z"
    assert body["status"]["selfDeclaredMadeForKids"] is False
    assert body["status"]["containsSyntheticMedia"] is True
    assert body["snippet"]["tags"] == ["ett0123456789abcdef", "sea", "deep sea"]
    assert body["snippet"]["categoryId"] == "22"
    assert "publishAt" not in youtube.video_resource(DRAFT)["status"]


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-11-23T12:00:00+00:00", "2026-11-24T08:00:00+00:00"),
        ("2026-07-01T12:00:00+00:00", "2026-07-02T07:00:00+00:00"),
        ("2026-07-01T06:59:59+00:00", "2026-07-01T07:00:00+00:00"),
        ("2026-07-01T07:00:00+00:00", "2026-07-02T07:00:00+00:00"),
        ("2026-03-08T09:00:00+00:00", "2026-03-09T07:00:00+00:00"),  # clocks go forward that night
        ("2026-11-01T08:00:00+00:00", "2026-11-02T08:00:00+00:00"),  # clocks go back that night
    ],
)
def test_quota_days_begin_at_midnight_in_los_angeles(now: str, midnight: str) -> None:
    """If this fails, posts wait an hour too long, or spend the new day's calls too early."""
    assert next_quota_day(datetime.fromisoformat(now)) == datetime.fromisoformat(midnight)


@pytest.mark.parametrize(
    ("told", "kind", "until"),
    [
        (answer(403, "quotaExceeded"), RateLimited, datetime(2026, 11, 24, 8, tzinfo=UTC)),
        (answer(400, "uploadLimitExceeded"), RateLimited, NOW + timedelta(hours=24)),
        (answer(403, "userRateLimitExceeded"), RateLimited, NOW + timedelta(seconds=60)),
        (answer(429, "rateLimitExceeded", **{"Retry-After": "7"}), RateLimited, NOW + timedelta(seconds=7)),
        (answer(500, "internalError"), Retry, None),
        (answer(503, "backendError"), Retry, None),
        (answer(408), Retry, None),
        (answer(429), Retry, None),
        (answer(400, "invalidTitle"), Reject, None),
        (answer(403, "forbidden"), Reject, None),
        (answer(413, "uploadTooLarge"), Reject, None),
    ],
)
def test_an_error_answer_becomes_the_right_failure(
    told: Response, kind: type[EttamettaError], until: datetime | None
) -> None:
    """If this fails, a spent quota is hammered, or a wrong title is retried for ever."""
    with pytest.raises(kind) as caught:
        raise_for_answer(told, what="the call", now=NOW)
    if isinstance(caught.value, RateLimited):
        assert caught.value.until == until


@pytest.mark.parametrize(
    "reason",
    ["keyInvalid", "keyExpired", "accessNotConfigured", "ipRefererBlocked", "SERVICE_DISABLED", "API_KEY_INVALID"],
)
@pytest.mark.parametrize("newer", [False, True], ids=["errors", "details"])
def test_a_refusal_of_the_project_is_no_refusal_of_the_channel(reason: str, newer: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """If this fails, a switch in Google's console makes every number of that time a null for good."""
    told = answer(403, "forbidden" if newer else reason)
    if newer:
        body = msgspec.json.decode(told.body)
        body["error"]["details"] = [{"@type": "type.googleapis.com/google.rpc.Help"}, {"reason": reason}]
        told = msgspec.structs.replace(told, body=msgspec.json.encode(body))
    with pytest.raises(ClientRefused, match=f"not the channel .{reason}: words") as caught:
        raise_for_answer(told, what="videos.list", now=NOW)
    assert "GOOGLE_CLIENT_ID" in caught.value.mend
    search = fault_of(told, NOW)
    assert isinstance(search, ClientRefused)
    assert "YOUTUBE_API_KEY" in search.mend


@pytest.mark.parametrize(
    "body",
    [b"", b"<p>", b"[]", b'{"error":"no"}', b'{"error":{"errors":{},"details":[7,{"reason":[]}]}}'],
)
def test_other_refusals_are_of_the_channel(body: bytes) -> None:
    """If this fails, the refusal of one channel's wish holds up the measuring of all."""
    told = msgspec.structs.replace(answer(403), body=body)
    with pytest.raises(Reject) as caught:
        raise_for_answer(told, what="videos.list", now=NOW)
    assert not isinstance(caught.value, ClientRefused)


def test_a_refusal_carries_the_words_of_youtube_and_a_mend() -> None:
    """If this fails, a person is not told what YouTube minded."""
    with pytest.raises(Reject, match="invalidTitle: The title is wrong") as caught:
        raise_for_answer(answer(400, "invalidTitle", "The title is wrong"), what="opening", now=NOW)
    assert "100 characters" in caught.value.mend


def test_counts_that_are_absent_are_null_with_a_reason() -> None:
    """If this fails, hidden likes show up as zero likes."""
    metrics = youtube.parse_metrics({"id": "a", "statistics": {"viewCount": "12", "commentCount": "0"}})
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (12, None, 0, None)
    assert set(metrics.absent) == {"likes", "shares"}
    assert "hides" in metrics.absent["likes"]


def test_a_video_without_statistics_has_no_numbers_at_all() -> None:
    """If this fails, unknown counts show up as zeros."""
    metrics = youtube.parse_metrics({"id": "a"})
    assert metrics.views is None
    assert set(metrics.absent) == {"views", "likes", "comments", "shares"}


def test_a_post_carries_the_privacy_that_youtube_set() -> None:
    """If this fails, a video that YouTube locked private passes for public."""
    post = youtube.parse_post(
        {"id": "abc", "status": {"privacyStatus": "private"}, "snippet": {"publishedAt": "2026-11-23T10:00:00Z"}}
    )
    assert (post.platform_post_id, post.privacy) == ("abc", "private")
    assert post.url == "https://www.youtube.com/watch?v=abc"
    assert post.published_at == datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.mark.parametrize("video", [{}, {"id": ""}, [], None])
def test_an_answer_without_a_video_id_is_asked_again(video: Any) -> None:
    """If this fails, a post is recorded that nobody can find."""
    with pytest.raises(Retry):
        youtube.parse_post(video)


def test_a_channel_is_read_with_its_uploads_list() -> None:
    """If this fails, lost uploads cannot be looked for."""
    identity, uploads = youtube.parse_channel(
        {
            "items": [
                {
                    "id": "UC1",
                    "snippet": {"title": "My channel"},
                    "contentDetails": {"relatedPlaylists": {"uploads": "UU1"}},
                }
            ]
        }
    )
    assert (identity.account_id, identity.title, uploads) == ("youtube:UC1", "My channel", "UU1")
    assert identity.url == "https://www.youtube.com/channel/UC1"


def test_an_account_without_a_channel_is_named() -> None:
    """If this fails, a person without a channel gets a stack trace."""
    with pytest.raises(Reject, match="no YouTube channel"):
        youtube.parse_channel({"items": []})


@pytest.mark.parametrize(
    ("headers", "count"), [({}, 0), ({"Range": "bytes=0-0"}, 1), ({"Range": "bytes=0-524287"}, 524_288)]
)
def test_confirmed_bytes_are_read_from_the_range(headers: dict[str, str], count: int) -> None:
    """If this fails, a resumed upload skips or repeats bytes and the video is broken."""
    assert parse_confirmed(headers) == count


@pytest.mark.parametrize("told", ["bytes=5-9", "bytes 0-9", "0-9", ""])
def test_a_range_that_is_not_from_the_start_is_not_believed(told: str) -> None:
    """If this fails, a misread Range leaves a hole in the video."""
    with pytest.raises(Retry):
        parse_confirmed({"Range": told})
