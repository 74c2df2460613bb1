"""Meta's upload host: bytes from an offset, and what is there is asked of the upload's own status.

Docs: developers.facebook.com/docs/video-api/guides/reels-publishing and .../docs/instagram-platform/content-publishing
(resumable uploads), read 2026-11-23. The headers `offset` and `file_size` say where a body belongs; it carries
everything that is missing. No post comes of the bytes alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from actors.platforms._bodies import deadline_of, file_body
from actors.platforms._meta.account import GraphAccount
from actors.runtime.http import Response
from actors.runtime.killpoint import reach
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from contracts.errors import Reject, Retry, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Journal, UploadCheckpoint

__all__ = ["Upload", "parse_phase"]

STALLS_ALLOWED: Final = 2
_HOST: Final = "facebook.com"
_ASK_AGAIN: Final = frozenset({"OffsetInvalidError", "PartialRequestError"})
"""Refusals that only mean that the two sides disagree about what is there."""

Confirmed = Callable[[], Awaitable[int | None]]
"""Ask how many bytes are there; None: all of them are, the platform has said so."""


def parse_phase(status: Any) -> int | None:
    """Read `uploading_phase` of a status: bytes that are there; None: the upload is complete.

    Two spellings of the number of bytes are in use.
    """
    phase = status.get("uploading_phase") if isinstance(status, dict) else None
    if not isinstance(phase, dict):
        return 0
    if phase.get("status") in {"complete", "completed"}:
        return None
    told = phase.get("bytes_transferred", phase.get("bytes_transfered", 0))
    return int(told) if isinstance(told, int | str) and str(told).isascii() and str(told).isdigit() else 0


class Upload:
    """Sends files to one of Meta's platforms. api: sends the token as the upload host wants it."""

    def __init__(self, means: Means, api: GraphAccount, *, what: str) -> None:
        self._api = api
        self._what = what
        self._pace = means.pace

    def check_home(self, url: str) -> None:
        """Refuse to send the token and the video anywhere but to Meta, or where the settings point. Raises: Retry."""
        there, home = urlsplit(url), urlsplit(self._api.base_url)
        host = there.hostname or ""
        metas = there.scheme == "https" and (host == _HOST or host.endswith(f".{_HOST}"))
        if not metas and (there.scheme, there.netloc) != (home.scheme, home.netloc):
            raise Retry(f"{self._what} opened an upload without a usable address")

    async def send_rest(
        self, account: AccountId, checkpoint: UploadCheckpoint, file: Path, *, confirmed: Confirmed, journal: Journal
    ) -> UploadCheckpoint:
        """Send what is missing, until the platform has every byte; return where the upload then stands.

        A connection that breaks is no fault as long as bytes have arrived. Raises: Retry, RateLimited, AuthExpired,
        Reject, Unconfirmed (the upload is spent: another one must be opened).
        """
        self.check_home(checkpoint.session_url)
        size_bytes = (await asyncio.to_thread(file.stat)).st_size
        furthest, stalls, broke = -1, 0, None
        while (first := await confirmed()) is not None and first < size_bytes:
            if first <= furthest:
                if broke is not None:
                    raise broke
                stalls += 1
                if stalls > STALLS_ALLOWED:
                    raise Retry(f"{self._what} stores nothing beyond byte {first} of {size_bytes}")
            furthest, broke = max(furthest, first), None
            checkpoint = await _note(journal, checkpoint, first)
            await journal.sending(size_bytes)
            try:
                answer = await self._send(account, checkpoint.session_url, file, first, size_bytes)
            except Retry as error:
                broke = error
                get_logger().warning("upload.broke", platform=self._what, first=first, because=str(error))
                continue
            reach("publisher.chunk_sent")
            if self._taken(answer):
                break
        return await _note(journal, checkpoint, size_bytes)

    async def _send(self, account: AccountId, url: str, file: Path, first: int, end: int) -> Response:
        body = file_body(file, first, end, self._pace)
        headers = {
            "offset": str(first),
            "file_size": str(end),
            "Content-Length": str(end - first),
            "Content-Type": "application/octet-stream",
        }
        limit_s = deadline_of(end - first, self._pace)
        return await self._api.send(account, "POST", url, headers=headers, data=body, deadline_s=limit_s)

    def _taken(self, answer: Response) -> bool:
        """Say whether every byte was taken; False: ask what is there. Raises: what the refusal means."""
        told = _object(answer)
        debug = told.get("debug_info")
        if not isinstance(debug, dict):
            self._api.check(answer)
            return told.get("success") is True
        kind, words = str(debug.get("type", "")), str(debug.get("message", "")).rstrip(".")
        if kind in _ASK_AGAIN:
            return False
        text = f"{self._what} did not take the video ({kind or 'no name'}: {words[:200]})"
        if kind == "ProcessingFailedError" or answer.status in {404, 410}:
            if debug.get("retriable") is True:
                raise Retry(text)
            raise Unconfirmed(text)
        if debug.get("retriable") is True or answer.status >= 500:
            raise Retry(text)
        raise Reject(text, mend="Render the video again, then retry: a new upload begins")


async def _note(journal: Journal, checkpoint: UploadCheckpoint, confirmed_bytes: int) -> UploadCheckpoint:
    """Keep how many bytes the platform said it has."""
    if confirmed_bytes != checkpoint.confirmed_bytes:
        checkpoint = msgspec.structs.replace(checkpoint, confirmed_bytes=confirmed_bytes)
        await journal.keep(checkpoint)
    return checkpoint


def _object(answer: Response) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return {}
    return told if isinstance(told, dict) else {}
