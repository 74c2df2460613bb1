"""Fetch the video of a web page with yt-dlp, in a child process.

No configuration file, cookie, cache, plugin, playlist or helper program is used: what is public in one file is taken,
or nothing. Public addresses only (see addresses.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from actors.runtime import isolate
from actors.runtime.addresses import Origin, guard_process
from contracts.errors import Reject, Retry

__all__ = ["FetchRequest", "Fetched", "fetch", "fetch_page"]

DEADLINE_S: Final = 1800.0
MEMORY_BYTES: Final = 1 << 30
SOCKET_TIMEOUT_S: Final = 20
_BUSY: Final = frozenset({408, 425, 429})
_FORMAT: Final = "b[height<=1080][ext=mp4]/b[height<=1080]/b"
"""One file with picture and sound: joining two would need ffmpeg."""


class FetchRequest(Struct, frozen=True):
    """folder: an empty folder that the file is written to."""

    url: str
    folder: str
    max_bytes: int
    allowed: tuple[Origin, ...] = ()


class Fetched(Struct, frozen=True):
    """file: path of what was fetched; the words are the page's own."""

    file: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


async def fetch_page(url: str, folder: Path, *, max_bytes: int, allowed: tuple[Origin, ...]) -> Fetched:
    """Fetch the one video of a page into `folder`. Raises: Reject, Retry."""
    return await isolate.run_isolated(
        "actors.editor.fetch",
        FetchRequest(url, str(folder), max_bytes, allowed),
        result=Fetched,
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        network=True,
        what="fetching the video",
    )


def fetch(request: FetchRequest, _progress: isolate.Progress) -> Fetched:
    """Fetch in this process. Raises: Reject, Retry."""
    os.environ["YTDLP_NO_PLUGINS"] = "1"
    guard_process(request.allowed)
    import yt_dlp  # type: ignore[import-untyped]  # noqa: PLC0415  # after the guard and the plugin switch

    def stop_when_large(told: dict[str, Any]) -> None:
        if told.get("downloaded_bytes", 0) > request.max_bytes:
            raise Reject(f"the video is larger than {request.max_bytes >> 20} MiB", mend="import a shorter one")

    options: dict[str, Any] = {
        "format": _FORMAT,
        "outtmpl": str(Path(request.folder) / "media.%(ext)s"),
        "noplaylist": True,
        "playlist_items": "1",
        "max_filesize": request.max_bytes,
        "progress_hooks": [stop_when_large],
        "socket_timeout": SOCKET_TIMEOUT_S,
        "cachedir": False,
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "nopart": True,
        "fixup": "never",
        "updatetime": False,
    }
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            info = downloader.extract_info(request.url, download=True) or {}
    except yt_dlp.utils.DownloadError as error:
        raise _named(error) from error
    info = next(iter(info.get("entries") or [info]))
    title = str(info.get("title") or "")
    if info.get("extractor") in {"generic", "html5"}:
        title = title.removesuffix(" (1)")  # it numbers the players of a page
    files = [path for path in Path(request.folder).iterdir() if path.is_file() and path.stat().st_size]
    if not files:
        raise Reject(f"no video of at most {request.max_bytes >> 20} MiB was found there", mend="import another one")
    tags = tuple(str(tag) for tag in info.get("tags") or ())
    return Fetched(str(files[0]), title, str(info.get("description") or ""), tags)


def _named(error: Any) -> Exception:
    """Say whether waiting helps: faults of the way there are worth another try, refusals are not."""
    from yt_dlp.networking.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415  # as above
        HTTPError,
        TransportError,
    )

    cause: BaseException | None = error.exc_info[1] if error.exc_info else None
    while cause is not None:
        if isinstance(cause, Reject):
            return cause
        if isinstance(cause, HTTPError) and (cause.status in _BUSY or cause.status >= 500):
            return Retry(f"the video's site answered {cause.status}")
        if isinstance(cause, TransportError) and not isinstance(cause, HTTPError):
            return Retry(f"the video's site cannot be reached ({cause})")
        cause = getattr(cause, "cause", None) or cause.__cause__ or cause.__context__
    text = str(error).removeprefix("ERROR: ").splitlines()[0]
    return Reject(f"no video can be fetched there: {text}", mend="download the file and import it by its path")


if __name__ == "__main__":
    isolate.serve(FetchRequest, fetch)
