"""Pinterest's upload of a video: register it, send it as a form to the store, wait. Nothing of it makes a pin.

Docs: developers.pinterest.com/docs/api/v5/media-create, "Create video Pins", OpenAPI 5.23.0, read 2026-11-23. The form
has every field of `upload_parameters` first and the file last; the store is another's, and gets no token. A form cannot
be gone on with: what broke off is sent again as a whole, under the same key.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from actors.platforms._account import AccountApi
from actors.platforms._bodies import deadline_of
from actors.platforms._multipart import multipart
from actors.platforms._posts import as_dict
from actors.platforms._text import clean
from actors.runtime.http import raise_for_status
from actors.runtime.killpoint import reach
from actors.runtime.means import Means
from contracts.errors import Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Journal, UploadCheckpoint

__all__ = ["Upload"]

POLL_S: Final = 10.0
_GONE: Final = frozenset({400, 401, 403, 404, 410})
"""Answers of the store after which a form is of no use: its policy ended."""


class Upload:
    """Uploads of connected accounts. A checkpoint's step is registered or uploaded."""

    def __init__(self, means: Means, api: AccountApi) -> None:
        self._means = means
        self._api = api

    async def begin(self, account: AccountId, *, board: str) -> UploadCheckpoint:
        """Register a video. Raises: Reject, RateLimited, AuthExpired, Retry."""
        told = await self._api.post(account, "/media", json={"media_type": "video"})
        media_id, url, form = told.get("media_id"), told.get("upload_url"), told.get("upload_parameters")
        if not isinstance(media_id, str) or not media_id or not isinstance(url, str) or not self._is_safe(url):
            raise Retry("Pinterest registered a video without a usable address")
        if not isinstance(form, dict) or not all(isinstance(value, str) for value in form.values()):
            raise Retry("Pinterest registered a video without a usable form")
        ids = {"media": media_id, "board": board, "form": msgspec.json.encode(form).decode()}
        return UploadCheckpoint(session_url=url, step="registered", ids=ids)

    def _is_safe(self, url: str) -> bool:
        there, home = urlsplit(url), urlsplit(self._api.base_url)
        return there.scheme == "https" or (there.scheme, there.netloc) == (home.scheme, home.netloc)

    async def finish(self, account: AccountId, checkpoint: UploadCheckpoint, file: Path, journal: Journal) -> str:
        """Go on from the checkpoint until the video can be pinned; return its media id.

        Raises: Snooze (Pinterest works on it), Unconfirmed (the upload is gone), Reject, RateLimited, AuthExpired,
        Retry.
        """
        state, told = await self._state(account, checkpoint)
        if checkpoint.step == "registered":
            if state == "registered":
                await self._send(checkpoint, file, journal)
            checkpoint = msgspec.structs.replace(checkpoint, step="uploaded")
            await journal.keep(checkpoint)
            if state == "registered":
                state, told = await self._state(account, checkpoint)
        if state == "failed":
            words = clean(str(told.get("failure_code") or told.get("message") or "no reason"), max_chars=200)
            mend = "Render it again as an MP4 of H.264 and AAC"
            raise Reject(f"Pinterest could not process the video: {words}", mend=mend)
        if state != "succeeded":
            raise Snooze(f"Pinterest works on the video ({clean(state, max_chars=40)})", delay_s=POLL_S)
        return checkpoint.ids["media"]

    async def _send(self, checkpoint: UploadCheckpoint, file: Path, journal: Journal) -> None:
        size_bytes = (await asyncio.to_thread(file.stat)).st_size
        fields = msgspec.json.decode(checkpoint.ids["form"], type=dict[str, str])
        pace = self._means.pace
        headers, body = multipart(
            fields, name="file", file=file, first=0, end=size_bytes, content_type="video/mp4", pace=pace
        )
        await journal.sending(size_bytes)
        answer = await self._means.http.request(
            "POST", checkpoint.session_url, headers=headers, data=body(), deadline_s=deadline_of(size_bytes, pace)
        )
        if answer.status in _GONE:
            raise Unconfirmed(f"Pinterest's store no longer takes the upload (HTTP {answer.status})")
        raise_for_status(answer, what="Pinterest's store", now=self._means.clock.now())
        reach("publisher.chunk_sent")

    async def _state(self, account: AccountId, checkpoint: UploadCheckpoint) -> tuple[str, dict[str, Any]]:
        """Return how far Pinterest is with the video. Raises: Unconfirmed (it is gone)."""
        answer = await self._api.send(account, "GET", f"/media/{checkpoint.ids['media']}")
        if answer.status in {404, 410}:
            raise Unconfirmed("Pinterest no longer knows the upload")
        self._api.check(answer)
        told = as_dict(self._api.read(answer))
        return str(told.get("status") or "no state"), told
