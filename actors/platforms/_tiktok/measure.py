"""What TikTok tells of own posts: their counts, and what became of them.

Docs: developers.tiktok.com/doc: tiktok-api-v2-video-query, tiktok-api-v2-video-object,
content-posting-api-reference-get-video-status, read 2026-11-23. Only public videos are shown, 20 a request. Posts that
have no public id are known by the id of their upload.
"""

from __future__ import annotations

from typing import Any, Final

from actors.platforms._account import AccountApi
from actors.platforms._api import count, dig
from actors.platforms._tiktok.publish import Publisher, Status, id_of
from actors.platforms._tiktok.reading import LISTINGS, NAME
from actors.runtime.means import Means
from contracts.ids import AccountId
from contracts.platform import PostMetrics, Standing

__all__ = ["Measurer", "parse_metrics"]

PAGE_SIZE: Final = 20
FIELDS: Final = "id,view_count,like_count,comment_count,share_count"
_COUNTS: Final = {
    "views": "view_count",
    "likes": "like_count",
    "comments": "comment_count",
    "shares": "share_count",
}
_NEVER: Final = dict.fromkeys(
    ("saves", "reach", "impressions", "clicks", "followers", "watched_us", "average_watched_us", "retention"),
    "TikTok's Display API does not tell it",
)
NOT_PUBLIC: Final = "TikTok counts public videos only: this one has no public id, it is private or still looked at"
IN_THE_INBOX: Final = "it waits in the account's inbox until a person posts it in the TikTok app"


def parse_metrics(video: Any) -> PostMetrics:
    """Read one video object; what is absent is null, with the reason."""
    counts: dict[str, Any] = {name: count(video.get(field)) for name, field in _COUNTS.items()}
    absent = {name: "TikTok's answer has no such count" for name, value in counts.items() if value is None}
    return PostMetrics(**counts, absent=absent | _NEVER)


class Measurer:
    """Reads back what was posted."""

    def __init__(self, means: Means, api: AccountApi, publisher: Publisher) -> None:
        self._quota = means.quota
        self._api = api
        self._publisher = publisher

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by post id; a video that is not public any more is not in the answer."""
        numbers, states = await self._public_ids(account, platform_post_ids)
        shown = await self._videos(account, tuple(dict.fromkeys(numbers.values())))
        found = {post: parse_metrics(shown[number]) for post, number in numbers.items() if number in shown}
        for post, status in states.items():
            if status is not None and status.state != "FAILED":
                because = IN_THE_INBOX if status.state == "SEND_TO_USER_INBOX" else NOT_PUBLIC
                found[post] = PostMetrics(absent=dict.fromkeys(_COUNTS, because) | _NEVER)
        return found

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands: public videos by the list of them, others by their upload."""
        numbers, states = await self._public_ids(account, platform_post_ids)
        shown = await self._videos(account, tuple(dict.fromkeys(numbers.values())))
        gone = Standing(state="removed", because="TikTok no longer shows it as public: removed, hidden or made private")
        stands = Standing(state="stands", privacy="PUBLIC_TO_EVERYONE")
        found = {post: stands if number in shown else gone for post, number in numbers.items()}
        return found | {post: _standing(status) for post, status in states.items()}

    async def _public_ids(
        self, account: AccountId, posts: tuple[str, ...]
    ) -> tuple[dict[str, str], dict[str, Status | None]]:
        """Return the public id of each post that has one, and the state of the upload of the others."""
        numbers = {post: post for post in posts if post.isdigit()}
        states: dict[str, Status | None] = {}
        for post in posts:
            if post in numbers:
                continue
            status = await self._publisher.status(account, post)
            if status is not None and status.post_id is not None:
                numbers[post] = status.post_id
            else:
                states[post] = status
        return numbers, states

    async def _videos(self, account: AccountId, numbers: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(numbers), PAGE_SIZE):
            await self._quota.spend(NAME, LISTINGS)
            body = {"filters": {"video_ids": list(numbers[start : start + PAGE_SIZE])}}
            answer = await self._api.post(account, "/video/query/", params={"fields": FIELDS}, json=body)
            videos = dig(answer, "data", "videos", what="TikTok's query of videos")
            for video in videos if isinstance(videos, list) else ():
                number = id_of(video.get("id")) if isinstance(video, dict) else None
                if number is not None:
                    found[number] = video
        return found


def _standing(status: Status | None) -> Standing:
    if status is None:
        return Standing(state="unknown", because="TikTok no longer knows the upload, and it had no public id")
    if status.state == "FAILED":
        return Standing(state="blocked", because=status.because)
    if status.state == "PUBLISH_COMPLETE":
        return Standing(state="private", because=NOT_PUBLIC)
    return Standing(state="processing", because=IN_THE_INBOX if status.state == "SEND_TO_USER_INBOX" else status.state)
