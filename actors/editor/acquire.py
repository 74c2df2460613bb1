"""Get the media of an item: from a platform, from an address a person gave, or from an uploaded file.

The original file is kept as it came. Remuxing to another container would not make anything playable that is not:
the renderer decodes from the start of a clip, seeking to keyframes, and every accepted container (probe.DEMUXERS)
allows that with libav; what a remux does lose is edit lists, rotation and the proof that the bytes are the source's.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from actors.editor.fetch import fetch_page
from actors.editor.words import SourceText
from actors.runtime.addresses import configured_origins
from actors.runtime.http import Http
from actors.runtime.objects import content_key
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.ids import ObjectKey
from contracts.platform import Candidate

__all__ = ["MAX_BYTES", "Acquired", "acquire_candidate", "acquire_url", "file_sha256", "source_key"]

MAX_BYTES: Final = 4 << 30
DOWNLOAD_DEADLINE_S: Final = 1800.0
MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_VIDEO_SUFFIXES: Final = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".ogv", ".wmv"}
)
_SUFFIX_OF: Final = {"mov": ".mp4", "matroska": ".mkv", "mpegts": ".ts", "mpeg": ".mpg", "asf": ".wmv"}
_CHUNK_BYTES: Final = 1 << 20


class Acquired(Struct, frozen=True, kw_only=True):
    """A local file and the words that came with it."""

    file: Path
    sha256: str
    words: SourceText = SourceText()


async def acquire_candidate(candidate: Candidate, folder: Path, http: Http) -> Acquired:
    """Download the media that a platform offers. http: one that connects to public addresses alone.

    Raises: Reject, Retry, RateLimited.
    """
    if candidate.media_url is None:
        raise Reject("the platform offers no media file for this work", mend="import the file by hand")
    file = folder / "source"
    got = await http.download(candidate.media_url, file, max_bytes=MAX_BYTES, deadline_s=DOWNLOAD_DEADLINE_S)
    words = SourceText(title=candidate.title, description=candidate.description, tags=candidate.tags)
    return Acquired(file=file, sha256=got.sha256, words=words)


async def acquire_url(url: str, folder: Path, http: Http, settings: Settings) -> Acquired:
    """Fetch a video by its address: the file itself, or the one video of a web page.

    Args: http: one that connects to public addresses alone.
    Raises: Reject, also if the address leads to a machine that is not public; Retry, RateLimited.
    """
    allowed = configured_origins(settings.api_urls)
    direct = await _direct_address(url, http)
    if direct is not None:
        file = folder / "source"
        got = await http.download(direct, file, max_bytes=MAX_BYTES, deadline_s=DOWNLOAD_DEADLINE_S)
        name = urlsplit(direct).path.rpartition("/")[2]
        return Acquired(file=file, sha256=got.sha256, words=SourceText(file_name=name))
    page = folder / "page"
    await asyncio.to_thread(page.mkdir)
    fetched = await fetch_page(url, page, max_bytes=MAX_BYTES, allowed=tuple(allowed))
    file = Path(fetched.file)
    words = SourceText(title=fetched.title, description=fetched.description, tags=fetched.tags)
    return Acquired(file=file, sha256=await file_sha256(file), words=words)


async def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, hex."""

    def read() -> str:
        digest = hashlib.sha256()
        with file.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    return await asyncio.to_thread(read)


def source_key(sha256: str, container: str) -> ObjectKey:
    """Return where a source is stored: by its content alone, so that the same file is never stored twice."""
    family = container.partition(",")[0]
    return content_key("sources", sha256, _SUFFIX_OF.get(family, f".{family}"))


async def _direct_address(url: str, http: Http) -> str | None:
    """Follow redirects by hand and return the last address if a video file is there; None: a page, perhaps."""
    for _ in range(MAX_REDIRECTS + 1):
        try:
            answer = await http.request("HEAD", url)
        except Retry:
            return None  # some servers drop HEAD; the page fetcher asks in its own way
        if answer.status in _REDIRECTS and "Location" in answer.headers:
            url = urljoin(url, answer.headers["Location"])
            continue
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        named_video = Path(urlsplit(url).path).suffix.lower() in _VIDEO_SUFFIXES
        untold = kind in {"", "application/octet-stream", "binary/octet-stream"}
        is_file = answer.status == 200 and (kind.startswith("video/") or (untold and named_video))
        return url if is_file else None
    raise Reject("the address redirects too often", mend="give the address that it ends at")
