"""X's upload of a video: announce it, append segments, finalize, wait. Nothing of it makes a post.

Docs: https://docs.x.com/x-api/media/quickstart/media-upload-chunked and OpenAPI 2.167, read 2026-11-23. A segment is
named by its place, counted from 0, so one whose answer was lost is sent again under its own. An answer without
`processing_info` says that the video is ready. 5 MB a segment is stated for the older paths only.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.platforms._account import AccountApi
from actors.platforms._api import count
from actors.platforms._bodies import deadline_of
from actors.platforms._multipart import multipart
from actors.platforms._posts import as_dict
from actors.platforms._text import clean
from actors.runtime.http import Response
from actors.runtime.killpoint import reach
from actors.runtime.pace import Pace
from contracts.errors import Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Journal, UploadCheckpoint

__all__ = ["MOST_SEGMENTS", "SEGMENT_BYTES", "Upload"]

SEGMENT_BYTES: Final = 4 * 1024 * 1024
MOST_SEGMENTS: Final = 1000
UPLOADS: Final = "/2/media/upload"
_GONE: Final = frozenset({400, 404, 410})
"""Answers after which a media id is of no use: it ended, or what it holds is not what was announced."""


class Upload:
    """Uploads of connected accounts. A checkpoint's step is appending, appended or processing."""

    def __init__(self, api: AccountApi, pace: Pace) -> None:
        self._api = api
        self._pace = pace

    async def begin(self, account: AccountId, *, size_bytes: int, segment_bytes: int) -> UploadCheckpoint:
        """Announce a file. Raises: Reject, RateLimited, AuthExpired, Retry."""
        if size_bytes > segment_bytes * MOST_SEGMENTS:
            raise Reject(f"the file has {size_bytes} bytes", mend=f"X takes {segment_bytes * MOST_SEGMENTS}")
        body = {"media_type": "video/mp4", "total_bytes": size_bytes, "media_category": "tweet_video"}
        told = as_dict((await self._api.post(account, f"{UPLOADS}/initialize", json=body)).get("data"))
        media_id, key = told.get("id"), told.get("media_key")
        if not isinstance(media_id, str) or not media_id.isalnum():
            raise Retry("X began an upload without naming it")
        ids = {"media": media_id, "media_key": key if isinstance(key, str) else ""}
        return UploadCheckpoint(step="appending", ids={**ids, "segments": "0", "segment_bytes": str(segment_bytes)})

    async def finish(self, account: AccountId, checkpoint: UploadCheckpoint, file: Path, journal: Journal) -> str:
        """Go on from the checkpoint until the video can be posted; return its media id.

        Raises: Snooze (X works on it), Unconfirmed (X no longer knows it), Reject, RateLimited, AuthExpired, Retry.
        """
        replace = msgspec.structs.replace
        media_id = checkpoint.ids["media"]
        if checkpoint.step == "appending":
            checkpoint = await self._append(account, checkpoint, file, journal)
        if checkpoint.step == "appended":
            answer = await self._api.send(account, "POST", f"{UPLOADS}/{media_id}/finalize")
            told = await (self._status(account, media_id) if answer.status in _GONE else self._read(answer))
            await journal.keep(replace(checkpoint, step="processing"))
        else:
            told = await self._status(account, media_id)
        _check(as_dict(told.get("processing_info")))
        return media_id

    async def _append(
        self, account: AccountId, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> UploadCheckpoint:
        """Send the segments that X did not acknowledge, each noted as soon as it did."""
        size_bytes = (await asyncio.to_thread(file.stat)).st_size
        ids, segment_bytes = checkpoint.ids, int(checkpoint.ids["segment_bytes"])
        for index in range(int(ids["segments"]), -(-size_bytes // segment_bytes)):
            first, end = index * segment_bytes, min((index + 1) * segment_bytes, size_bytes)
            await journal.sending(end)
            headers, body = multipart(
                {"segment_index": str(index)},
                name="media",
                file=file,
                first=first,
                end=end,
                content_type="application/octet-stream",
                pace=self._pace,
            )
            path = f"{UPLOADS}/{ids['media']}/append"
            deadline_s = deadline_of(end - first, self._pace)
            answer = await self._api.send(account, "POST", path, headers=headers, data=body, deadline_s=deadline_s)
            _check_known(answer)
            self._api.check(answer)
            ids = {**ids, "segments": str(index + 1)}
            checkpoint = msgspec.structs.replace(checkpoint, confirmed_bytes=end, ids=ids)
            await journal.keep(checkpoint)
            reach("publisher.chunk_sent")
        checkpoint = msgspec.structs.replace(checkpoint, step="appended")
        await journal.keep(checkpoint)
        return checkpoint

    async def _status(self, account: AccountId, media_id: str) -> dict[str, Any]:
        """Ask how far X is. An upload that was not finalized has no state to tell."""
        answer = await self._api.send(account, "GET", UPLOADS, params={"command": "STATUS", "media_id": media_id})
        _check_known(answer)
        return await self._read(answer)

    async def _read(self, answer: Response) -> dict[str, Any]:
        self._api.check(answer)
        told = self._api.read(answer).get("data")
        if not isinstance(told, dict):
            raise Retry("X told nothing of the upload")
        return told


def _check_known(answer: Response) -> None:
    if answer.status in _GONE:
        raise Unconfirmed(f"X no longer knows the upload (HTTP {answer.status})")


def _check(processing: dict[str, Any]) -> None:
    """Return where X is done with the video. Raises: Snooze, Reject with X's words."""
    state = processing.get("state", "succeeded")
    if state == "succeeded":
        return
    if state == "failed":
        error = as_dict(processing.get("error"))
        words = clean(str(error.get("message") or error.get("name") or "no reason"), max_chars=200)
        mend = "Render it again within X's limits: MP4, H.264, AAC, at most 140 s and 512 MB"
        raise Reject(f"X could not process the video: {words}", mend=mend)
    wait_s = count(processing.get("check_after_secs"))
    raise Snooze(f"X works on the video ({clean(str(state), max_chars=40)})", delay_s=float(min(wait_s or 5, 600)))
