"""What is added to a video that stands: a thumbnail, subtitles, other words; and what became of it.

Docs: YouTube Data API v3 reference, "Thumbnails: set", "Captions: list", "Captions: insert", "Videos: update", "Videos"
(status, contentDetails), read 2026-11-23. Done again, each changes nothing: a thumbnail is replaced, subtitles of the
same language and name are left alone, words that are as asked are not sent.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.platforms._bodies import deadline_of, file_body
from actors.platforms._youtube.calls import Calls
from actors.platforms._youtube.drafts import DESCRIPTION_BYTES, TITLE_CHARS, plain
from actors.platforms._youtube.errors import PERMISSION_REASONS, parse_reason
from actors.runtime.http import Response
from actors.runtime.pace import Pace
from contracts.errors import Reject
from contracts.ids import AccountId
from contracts.platform import Draft, RemotePost, Standing

__all__ = ["Dresser", "parse_standing"]

THUMBNAIL_BYTES: Final = 50_000_000
SUBTITLES_BYTES: Final = 10_000_000
UNITS: Final = {"thumbnail": 50, "captions.list": 50, "captions.insert": 400, "update": 50}
_CLAIMS: Final = frozenset({"claim", "copyright", "legal", "trademark"})
_SNIPPET: Final = ("title", "description", "tags", "categoryId", "defaultLanguage", "defaultAudioLanguage")
GRANT: Final = "connect the channel again and leave all permissions ticked"


def parse_standing(video: Any) -> Standing:
    """Read `status` and `contentDetails` of a video resource."""
    status = video.get("status") or {}
    privacy = status.get("privacyStatus")
    state = status.get("uploadStatus")
    reason = str(status.get("rejectionReason") or status.get("failureReason") or "")
    if state == "rejected":
        kind = "claimed" if reason in _CLAIMS else "blocked"
        return msgspec.convert(
            {"state": kind, "because": f"YouTube rejected it: {reason or 'no reason given'}", "privacy": privacy},
            Standing,
        )
    if state == "failed":
        return Standing(state="blocked", because=f"YouTube could not process it: {reason}", privacy=privacy)
    if state == "deleted":
        return Standing(state="removed", because="YouTube says that it is deleted", privacy=privacy)
    if state == "uploaded":
        return Standing(state="processing", because="YouTube works on it", privacy=privacy)
    if privacy == "private" and not status.get("publishAt"):
        return Standing(state="private", because="YouTube shows it to its owner alone", privacy=privacy)
    hidden = ((video.get("contentDetails") or {}).get("regionRestriction") or {}).get("blocked")
    because = f"it is blocked in {len(hidden)} countries" if isinstance(hidden, list) and hidden else ""
    return Standing(state="stands", because=because, privacy=privacy)


class Dresser:
    """Adds to videos of connected channels, changes their words, looks what became of them."""

    def __init__(self, calls: Calls, pace: Pace) -> None:
        self._calls = calls
        self._pace = pace

    async def dress(
        self, account: AccountId, draft: Draft, post: RemotePost, *, thumbnail: Path | None, subtitles: Path | None
    ) -> str:
        """Set thumbnail and subtitles; return what YouTube did not take and why. Raises: Retry, RateLimited, ..."""
        left_out = [
            await self._thumbnail(account, post.platform_post_id, thumbnail) if thumbnail is not None else "",
            await self._subtitles(account, draft, post.platform_post_id, subtitles) if subtitles is not None else "",
        ]
        return "; ".join(words for words in left_out if words)

    async def _thumbnail(self, account: AccountId, video_id: str, picture: Path) -> str:
        size_bytes = (await asyncio.to_thread(picture.stat)).st_size
        if size_bytes > THUMBNAIL_BYTES:
            return f"no thumbnail: it has {size_bytes} bytes, YouTube takes {THUMBNAIL_BYTES}"
        kind = "image/png" if picture.suffix.lower() == ".png" else "image/jpeg"
        answer = await self._calls.send(
            account,
            "POST",
            "/upload/youtube/v3/thumbnails/set",
            params={"videoId": video_id, "uploadType": "media"},
            headers={"Content-Type": kind, "Content-Length": str(size_bytes)},
            data=file_body(picture, 0, size_bytes, self._pace),
            cost=UNITS["thumbnail"],
            deadline_s=deadline_of(size_bytes, self._pace),
            whole=False,
        )
        return self._not_taken(answer, "thumbnail")

    async def _subtitles(self, account: AccountId, draft: Draft, video_id: str, file: Path) -> str:
        if draft.language is None:
            return "no subtitles: the language of the post is not known"
        answer = await self._calls.send(
            account,
            "GET",
            "/youtube/v3/captions",
            params={"part": "snippet", "videoId": video_id},
            cost=UNITS["captions.list"],
            whole=False,
        )
        if words := self._not_taken(answer, "subtitles"):
            return words
        tracks = self._calls.read(answer, what="captions.list").get("items")
        for track in tracks if isinstance(tracks, list) else ():
            snippet = track.get("snippet") or {}
            same = str(snippet.get("language", "")).casefold() == draft.language.casefold()
            if same and not snippet.get("name") and snippet.get("trackKind", "standard") == "standard":
                return ""
        size_bytes = (await asyncio.to_thread(file.stat)).st_size
        if size_bytes > SUBTITLES_BYTES:
            return f"no subtitles: the file has {size_bytes} bytes"
        headers, body = _related(video_id, draft.language, await asyncio.to_thread(file.read_bytes))
        answer = await self._calls.send(
            account,
            "POST",
            "/upload/youtube/v3/captions",
            params={"part": "snippet", "uploadType": "multipart"},
            headers=headers,
            data=lambda: body,
            cost=UNITS["captions.insert"],
            whole=False,
        )
        if answer.status == 409 or parse_reason(answer)[0] == "captionExists":
            return ""
        return self._not_taken(answer, "subtitles")

    def _not_taken(self, answer: Response, what: str) -> str:
        """Return why YouTube does not take it, empty: it does. Raises: Retry, RateLimited."""
        reason, message = parse_reason(answer)
        if reason in PERMISSION_REASONS:
            return f"no {what}: the channel has not granted that ({message}): {GRANT}"
        try:
            self._calls.check(answer, what=what)
        except Reject as refused:
            return f"no {what}: {refused.reason}"
        return ""

    async def revise(
        self, account: AccountId, platform_post_id: str, *, title: str | None, description: str | None
    ) -> None:
        """Change the title and the description; all else of the snippet is sent back as it is.

        Raises: Reject (the video is gone, the words are refused, no permission), Retry, RateLimited, AuthExpired.
        """
        found = await self._calls.videos(account, (platform_post_id,), "snippet")
        if not found:
            raise Reject("YouTube no longer shows the video", mend="Look for it on the channel")
        snippet = found[0].get("snippet") or {}
        kept = {name: snippet[name] for name in _SNIPPET if snippet.get(name) is not None}
        asked = {"title": title, "description": description}
        changed = kept | {name: plain(words) for name, words in asked.items() if words is not None}
        if changed == kept:
            return
        if not 0 < len(changed.get("title", "")) <= TITLE_CHARS:
            raise Reject("the title has no or too many characters", mend=f"YouTube takes 1 to {TITLE_CHARS}")
        if len(changed.get("description", "").encode()) > DESCRIPTION_BYTES:
            raise Reject("the description is too long", mend=f"YouTube takes {DESCRIPTION_BYTES} bytes")
        answer = await self._calls.send(
            account,
            "PUT",
            "/youtube/v3/videos",
            params={"part": "snippet"},
            json={"id": platform_post_id, "snippet": changed},
            cost=UNITS["update"],
            whole=False,
        )
        reason, message = parse_reason(answer)
        if reason in PERMISSION_REASONS:
            raise Reject(f"the channel has not granted changes of its videos: {message}", mend=GRANT.capitalize())
        self._calls.check(answer, what="changing the words of a video")

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each video stands; one that YouTube does not show to its owner is removed."""
        gone = Standing(state="removed", because="YouTube no longer shows it to its owner")
        found: dict[str, Standing] = dict.fromkeys(platform_post_ids, gone)
        for start in range(0, len(platform_post_ids), 50):
            batch = platform_post_ids[start : start + 50]
            for video in await self._calls.videos(account, batch, "status,contentDetails"):
                found[video["id"]] = parse_standing(video)
        return found


def _related(video_id: str, language: str, text: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a multipart/related upload (RFC 2387)."""
    boundary = secrets.token_hex(16)
    about = msgspec.json.encode({"snippet": {"videoId": video_id, "language": language, "name": "", "isDraft": False}})
    head = f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode()
    then = f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
    body = head + about + then + text + f"\r\n--{boundary}--\r\n".encode()
    return {"Content-Type": f'multipart/related; boundary="{boundary}"', "Content-Length": str(len(body))}, body
