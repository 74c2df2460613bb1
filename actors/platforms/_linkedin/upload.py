"""LinkedIn's upload of a video: parts at the offsets that it names, their ETags in order, then a wait. No post yet.

Docs: learn.microsoft.com/linkedin/marketing, Videos API, read 2026-11-23. `firstByte` and `lastByte` are both included;
the addresses of parts carry their own permission, live about 30 days and get no token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from actors.platforms._account import AccountApi
from actors.platforms._api import count
from actors.platforms._bodies import deadline_of, file_body
from actors.platforms._linkedin.posts import HEADERS, path_of
from actors.platforms._posts import as_dict, as_list
from actors.platforms._text import clean
from actors.runtime.http import raise_for_status
from actors.runtime.killpoint import reach
from actors.runtime.means import Means
from contracts.errors import Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Journal, UploadCheckpoint

__all__ = ["Upload"]

VIDEOS: Final = "/rest/videos"
POLL_S: Final = 10.0
_GONE: Final = frozenset({400, 401, 403, 404, 410})
"""Answers of the store, or to the finalizing, after which an upload is of no use."""

Part = tuple[str, int, int]
"""Address, first and last byte."""


class Upload:
    """Uploads of connected accounts. A checkpoint's step is parts, sent or finalized."""

    def __init__(self, means: Means, api: AccountApi) -> None:
        self._means = means
        self._api = api

    async def begin(self, account: AccountId, *, owner: str, size_bytes: int) -> UploadCheckpoint:
        """Announce a file. Raises: Reject, RateLimited, AuthExpired, Retry."""
        wanted = {"owner": owner, "fileSizeBytes": size_bytes, "uploadCaptions": False, "uploadThumbnail": False}
        body = {"initializeUploadRequest": wanted}
        answer = await self._api.post(account, f"{VIDEOS}?action=initializeUpload", headers=HEADERS, json=body)
        told = as_dict(answer.get("value"))
        video, token = told.get("video"), told.get("uploadToken")
        if not isinstance(video, str) or not video.startswith("urn:li:video:"):
            raise Retry("LinkedIn began an upload without naming it")
        parts = self._parts(as_list(told.get("uploadInstructions")), size_bytes)
        ids = {"video": video, "token": token if isinstance(token, str) else "", "owner": owner}
        ids |= {"parts": msgspec.json.encode(parts).decode(), "etags": "[]"}
        return UploadCheckpoint(step="parts", ids=ids)

    def _parts(self, told: list[Any], size_bytes: int) -> list[Part]:
        """Read where each part goes. Raises: Retry if they do not cover the file, or lead to no safe address."""
        parts: list[Part] = []
        for one in sorted(map(as_dict, told), key=lambda one: count(one.get("firstByte")) or 0):
            url, first, last = one.get("uploadUrl"), count(one.get("firstByte")), count(one.get("lastByte"))
            begins = parts[-1][2] + 1 if parts else 0
            if not isinstance(url, str) or first != begins or last is None or last < first or not self._is_safe(url):
                raise Retry("LinkedIn named parts of an upload that cannot be used")
            parts.append((url, first, last))
        if not parts or parts[-1][2] + 1 != size_bytes:
            raise Retry("LinkedIn named parts that do not cover the file")
        return parts

    def _is_safe(self, url: str) -> bool:
        there, home = urlsplit(url), urlsplit(self._api.base_url)
        return there.scheme == "https" or (there.scheme, there.netloc) == (home.scheme, home.netloc)

    async def finish(self, account: AccountId, checkpoint: UploadCheckpoint, file: Path, journal: Journal) -> str:
        """Go on from the checkpoint until the video can be posted; return its URN.

        Raises: Snooze (LinkedIn works on it), Unconfirmed (the upload is gone), Reject, RateLimited, AuthExpired,
        Retry.
        """
        if checkpoint.step == "parts":
            checkpoint = await self._send_parts(checkpoint, file, journal)
        video = checkpoint.ids["video"]
        if checkpoint.step == "sent":
            refused = await self._finalize(account, checkpoint)
            if refused and await self._state(account, video) == "WAITING_UPLOAD":
                raise Unconfirmed(f"LinkedIn does not take the parts that it was sent ({refused})")
            checkpoint = msgspec.structs.replace(checkpoint, step="finalized")
            await journal.keep(checkpoint)
        state = await self._state(account, video)
        if state == "WAITING_UPLOAD":
            await self._finalize(account, checkpoint)
        if state != "AVAILABLE":
            raise Snooze(f"LinkedIn works on the video ({clean(state, max_chars=40)})", delay_s=POLL_S)
        return video

    async def _send_parts(self, checkpoint: UploadCheckpoint, file: Path, journal: Journal) -> UploadCheckpoint:
        """Send the parts that have no ETag yet; each is noted with the one that it got."""
        replace, pace = msgspec.structs.replace, self._means.pace
        parts = msgspec.json.decode(checkpoint.ids["parts"], type=list[Part])
        etags = msgspec.json.decode(checkpoint.ids["etags"], type=list[str])
        for url, first, last in parts[len(etags) :]:
            await journal.sending(last + 1)
            length = last + 1 - first
            answer = await self._means.http.request(
                "PUT",
                url,
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(length)},
                data=file_body(file, first, last + 1, pace)(),
                deadline_s=deadline_of(length, pace),
            )
            if answer.status in _GONE:
                raise Unconfirmed(f"LinkedIn no longer takes the upload (HTTP {answer.status})")
            raise_for_status(answer, what="LinkedIn's store", now=self._means.clock.now())
            if not (etag := answer.headers.get("ETag", "").strip()):
                raise Retry("LinkedIn's store took a part without an ETag")
            etags.append(etag)
            ids = {**checkpoint.ids, "etags": msgspec.json.encode(etags).decode()}
            checkpoint = replace(checkpoint, confirmed_bytes=last + 1, ids=ids)
            await journal.keep(checkpoint)
            reach("publisher.chunk_sent")
        checkpoint = replace(checkpoint, step="sent", ids={**checkpoint.ids, "parts": "[]"})
        await journal.keep(checkpoint)
        return checkpoint

    async def _finalize(self, account: AccountId, checkpoint: UploadCheckpoint) -> str:
        """Say that all parts are there; return why that was refused, as it is where it was said before."""
        ids = checkpoint.ids
        etags = msgspec.json.decode(ids["etags"], type=list[str])
        body = {"finalizeUploadRequest": {"video": ids["video"], "uploadToken": ids["token"], "uploadedPartIds": etags}}
        answer = await self._api.send(account, "POST", f"{VIDEOS}?action=finalizeUpload", headers=HEADERS, json=body)
        if answer.status in {400, 404, 409, 410, 422}:
            return f"HTTP {answer.status}"
        self._api.check(answer)
        return ""

    async def _state(self, account: AccountId, video: str) -> str:
        """Return how far LinkedIn is with the video. Raises: Reject (it cannot be used), Unconfirmed (it is gone)."""
        answer = await self._api.send(account, "GET", path_of("videos", video), headers=HEADERS)
        if answer.status in {404, 410}:
            raise Unconfirmed("LinkedIn no longer knows the upload")
        self._api.check(answer)
        told = self._api.read(answer)
        if told.get("status") == "PROCESSING_FAILED":
            words = clean(str(told.get("processingFailureReason") or "no reason"), max_chars=200)
            mend = "Render it again within LinkedIn's limits: MP4 of 3 s to 30 min, 75 KB to 500 MB"
            raise Reject(f"LinkedIn could not process the video: {words}", mend=mend)
        return str(told.get("status") or "no state")
