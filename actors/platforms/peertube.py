"""PeerTube: videos of independent servers by words, through the Sepia Search index or on servers of one's own choice.

Docs: https://docs.joinpeertube.org/api-rest-reference.html and PeerTube's own list of licences, read 2026-11-23; the
host of the index and its `url` field second-hand.
Auth: none. Limits: 100 results an answer; about 50 requests in 10 s from one address, 429 with Retry-After.
Units: `duration` seconds; `size` bytes; times ISO 8601 UTC; a resolution is lines, px. Files are told by the server
that holds the video, one request each.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from datetime import datetime
from itertools import chain, zip_longest
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from actors.platforms._api import Api, count, dig, read_each
from actors.platforms._posts import language_tag, length_us, metrics_of
from actors.platforms._reading import address, words_of
from actors.platforms._renditions import Rendition, best
from actors.platforms._text import clean, parse_moment, plain_text
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need
from contracts.rights import RightsRecord, parse_licence

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "PeerTube", "parse_file", "parse_rights", "parse_videos"]

NAME: Final = "peertube"
MOST_DETAILS: Final = 10
CAPS: Final = Caps(
    discover=True,
    keyless=True,
    licence_known=True,
    sees="public videos of servers in the Sepia Search index, or of PEERTUBE_SERVERS, by words; all counts but shares",
    costs=f"1 request for 100 videos, and 1 for the files of each of the first {MOST_DETAILS} with a known licence",
)
NEEDS: Final = (
    Need(
        setting="peertube_servers",
        means="Addresses of PeerTube servers to search instead of the index, separated by commas",
        secret=False,
        optional=True,
    ),
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://sepiasearch.org"
FRESH_S: Final = 600.0
FILES_FRESH_S: Final = 3600.0
FILES_DEADLINE_S: Final = 10.0
MOST_SERVERS: Final = 10
MOST_PAGES: Final = 5
PARALLEL: Final = 4
CC_VERSION: Final = "4.0"
_LICENCES: Final = {
    1: ("CC-BY", "Attribution"),
    2: ("CC-BY-SA", "Attribution - Share Alike"),
    3: ("CC-BY-ND", "Attribution - No Derivatives"),
    4: ("CC-BY-NC", "Attribution - Non Commercial"),
    5: ("CC-BY-NC-SA", "Attribution - Non Commercial - Share Alike"),
    6: ("CC-BY-NC-ND", "Attribution - Non Commercial - No Derivatives"),
    7: ("CC0", "Public Domain Dedication"),
    8: ("PDM", "Public Domain Mark"),
}
"""Flavour and PeerTube's own label by licence id; a server may add and rename licences, which the label shows."""
_VERSIONLESS: Final = {"CC0": "CC0-1.0", "PDM": "PDM-1.0"}
_NOT_TOLD: Final = {
    "views": "the answer has no views for this video",
    "likes": "the answer has no likes for this video",
    "comments": "the answer has no number of comments for this video",
    "shares": "PeerTube does not count shares",
}
_PAGE: Final = re.compile(r"^(https?://[^?#]+?)/(?:w|videos/watch)/[A-Za-z0-9-]+/?$")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Label(Struct):
    id: int | str | None = None
    label: str | None = None


class _Actor(Struct):
    name: str | None = None
    displayName: str | None = None  # noqa: N815 - the platform's name
    host: str | None = None


class _Video(Struct, rename="camel"):
    uuid: str
    name: str
    url: str | None = None
    truncated_description: str | None = None
    description: str | None = None
    duration: float | None = None
    is_live: bool | None = None
    nsfw: bool | None = None
    privacy: _Label | None = None
    licence: _Label | None = None
    language: _Label | None = None
    published_at: str | None = None
    originally_published_at: str | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    thumbnail_path: str | None = None
    preview_path: str | None = None
    thumbnail_url: str | None = None
    preview_url: str | None = None
    account: _Actor | None = None
    tags: list[str] | None = None


class _File(Struct, rename="camel"):
    file_download_url: str | None = None
    resolution: _Label | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    has_audio: bool | None = None
    has_video: bool | None = None


class Found(Struct, frozen=True):
    """A candidate without its file, and the server that tells of it."""

    candidate: Candidate
    home: str


def parse_videos(answer: Any, *, server: str, what: str, at: datetime) -> tuple[tuple[Found, ...], int]:
    """Return what one page holds, and how many there are in all.

    Left out: live streams, what is not public, what is marked as sensitive. Raises: Retry on another shape.
    """
    videos = read_each(dig(answer, "data", what=what), _Video, what=what)
    found = (_found(video, server, at) for video in videos)
    return tuple(one for one in found if one is not None), count(answer.get("total")) or 0


def parse_file(answer: Any) -> Rendition | None:
    """Return the file to fetch from a video's details; None: its owner offers none, or none that is whole."""
    if not isinstance(answer, dict) or answer.get("downloadEnabled") is not True:
        return None
    files = answer.get("files")
    if not files:
        lists = answer.get("streamingPlaylists")
        files = [
            file
            for one in (lists if isinstance(lists, list) else ())
            if isinstance(one, dict) and isinstance(one.get("files"), list)
            for file in one["files"]
        ]
    renditions = []
    for told in files if isinstance(files, list) else ():
        try:
            file = msgspec.convert(told, _File)
        except msgspec.ValidationError:
            continue
        url, lines = address(file.file_download_url), count(file.resolution.id) if file.resolution else None
        whole = file.has_audio is not False and file.has_video is not False
        if url is not None and whole and lines != 0:
            known = bool(file.width and file.height)
            renditions.append(
                Rendition(
                    url=url,
                    width_px=count(file.width) or None if known else None,
                    height_px=count(file.height) or None if known else lines,
                    size_bytes=count(file.size) or None,
                )
            )
    return best(renditions)


def parse_rights(told: _Label | None, *, title: str, author: str | None, page: str, at: datetime) -> RightsRecord:
    """Read the licence from its number, which the server's label for it must not contradict."""
    number = count(told.id) if told else None
    label = clean(told.label or "", max_chars=200) if told else ""
    flavour, usual = _LICENCES.get(number or 0, ("", ""))
    named = parse_licence(label) if label else "unknown"
    licence, note = "unknown", ""
    if number is None:
        note = "the video states no licence"
    elif not flavour:
        note = "the stated licence is none that allows re-use, or none that is known here"
    elif named != "unknown":
        licence = named if _flavour_of(named) == flavour else "unknown"
        note = "" if licence != "unknown" else "the number and the label of the licence contradict each other"
    elif not label.casefold().startswith(usual.casefold()) or (
        flavour != "PDM" and label.casefold() != usual.casefold()
    ):
        note = "the server gives this licence a label of its own that is not known here"
    elif flavour in _VERSIONLESS:
        licence = _VERSIONLESS[flavour]
    else:
        licence = f"{flavour}-{CC_VERSION}"
        note = f"PeerTube names the licence without a version; {CC_VERSION}, the present one, is taken"
    return RightsRecord(
        licence=licence,
        title=title,
        author=author,
        source_url=page,
        read_at=at,
        proof=f"licence: {number} {label}".rstrip() if number is not None else "",
        note=note,
    )


def _flavour_of(licence: str) -> str:
    return "PDM" if licence == "PDM-1.0" else licence.rpartition("-")[0]


def _found(video: _Video, server: str, at: datetime) -> Found | None:
    page = address(video.url) or f"{server}/w/{video.uuid}"
    where = _PAGE.match(page)
    hidden = video.privacy is not None and video.privacy.id not in {None, 1}
    if where is None or not _UUID.fullmatch(video.uuid) or video.is_live or video.nsfw or hidden:
        return None
    home = where[1]
    title = clean(video.name, max_chars=300) or f"PeerTube {video.uuid}"
    owner = video.account
    author = clean(owner.displayName or owner.name or "", max_chars=200) or None if owner else None
    stills = (
        video.preview_url,
        video.thumbnail_url,
        *(f"{home}{path}" for path in (video.preview_path, video.thumbnail_path) if path and path.startswith("/")),
    )
    counts = {
        "views": count(video.views),
        "likes": count(video.likes),
        "comments": count(video.comments),
    }
    language = video.language.id if video.language else None
    tags = (clean(tag, max_chars=80) for tag in video.tags or ())
    candidate = Candidate(
        item_id=item_id(NAME, video.uuid),
        platform=NAME,
        platform_id=video.uuid,
        url=page,
        title=title,
        description=plain_text(video.description or video.truncated_description or "", max_chars=5000),
        creator=author,
        creator_id=clean(f"{owner.name}@{owner.host}", max_chars=300) if owner and owner.name and owner.host else None,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:50],
        published_at=parse_moment(video.originally_published_at) or parse_moment(video.published_at),
        duration_us=length_us(video.duration),
        thumbnail_url=next((url for still in stills if (url := address(still))), None),
        language=language_tag(language),
        metrics=metrics_of(_NOT_TOLD, **counts),
        observed_at=at,
        rights=parse_rights(video.licence, title=title, author=author, page=page, at=at),
    )
    return Found(candidate, home)


class PeerTube:
    """Finds public videos by words, in the order of the index or of the servers, which take turns."""

    def __init__(self, means: Means) -> None:
        self._means = means
        own = (means.settings.option("peertube_servers") or "").replace(",", " ").split()
        self._wrong = [url for url in own if address(url) is None]
        self._searched = [self._server(url.rstrip("/")) for url in own[:MOST_SERVERS]] or [self._server(BASE_URL)]
        self._turns = asyncio.Semaphore(PARALLEL)

    def _server(self, base: str) -> Api:
        return Api(self._means, name=NAME, base=base, what=f"the PeerTube search at {urlsplit(base).hostname}")

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. A server that fails is left out, unless all do.

        Raises: Retry, RateLimited, Reject.
        """
        words = words_of(query)
        if self._wrong:
            raise Reject(f"PEERTUBE_SERVERS names {len(self._wrong)} that are no web address", mend=NEEDS[0].means)
        async with asyncio.TaskGroup() as group:
            searches = [group.create_task(self._search(server, words, limit)) for server in self._searched]
        results = [search.result() for search in searches]
        faults = [one for one in results if isinstance(one, Exception)]
        if faults:
            get_logger().warning("discovery.servers_left_out", platform=NAME, count=len(faults), because=str(faults[0]))
            if len(faults) == len(results):
                raise faults[0]
        by_turns = chain.from_iterable(zip_longest(*(one for one in results if isinstance(one, tuple))))
        found = {one.candidate.platform_id: one for one in by_turns if one is not None}
        chosen = list(found.values())[:limit]
        usable = [one for one in chosen if one.candidate.rights.licence != "unknown"][:MOST_DETAILS]
        async with asyncio.TaskGroup() as group:
            details = [group.create_task(self._with_file(one)) for one in usable]
        whole = dict(detail.result() for detail in details)
        return tuple(whole.get(one.candidate.platform_id, one.candidate) for one in chosen)

    async def _search(self, server: Api, words: str, limit: int) -> tuple[Found, ...] | Retry | RateLimited | Reject:
        found: dict[str, Found] = {}
        size = min(limit, PAGE_SIZE)
        try:
            for page in range(MOST_PAGES):
                batch, total = await server.read_json(
                    "/api/v1/search/videos",
                    lambda answer, at: parse_videos(answer, server=server.base_url, what="the PeerTube search", at=at),
                    params={
                        "search": words,
                        "start": str(page * size),
                        "count": str(size),
                        "nsfw": "false",
                        "isLive": "false",
                    },
                    fresh_s=FRESH_S,
                )
                found |= {one.candidate.platform_id: one for one in batch}
                if (page + 1) * size >= total or len(found) >= limit:
                    break
        except (Retry, RateLimited, Reject) as error:
            return error
        return tuple(found.values())

    async def _with_file(self, found: Found) -> tuple[str, Candidate]:
        """Ask the server that holds the video for its file; without an answer the candidate stays as it is."""
        candidate = found.candidate
        async with self._turns:
            try:
                host = await self._trusted(found.home)
                holder = Api(
                    self._means,
                    name=f"{NAME}:{host}",
                    base=found.home,
                    what=f"the PeerTube server {host}",
                    deadline_s=FILES_DEADLINE_S,
                )
                file = await holder.read_json(
                    f"/api/v1/videos/{candidate.platform_id}",
                    lambda answer, _at: parse_file(answer),
                    fresh_s=FILES_FRESH_S,
                )
            except (Retry, RateLimited, Reject) as error:
                get_logger().warning(
                    "discovery.file_unknown", platform=NAME, item_id=candidate.item_id, because=str(error)
                )
                file = None
        if file is not None:
            candidate = msgspec.structs.replace(
                candidate,
                media_url=file.url,
                media_bytes=file.size_bytes,
                width_px=file.width_px,
                height_px=file.height_px,
            )
        return candidate.platform_id, candidate

    async def _trusted(self, home: str) -> str:
        """Return the host of a server that the index names. Raises: Reject unless it is public or was configured."""
        parts = urlsplit(home)
        if any(home == server.base_url for server in self._searched):
            return parts.netloc
        try:
            port = parts.port or 443
            async with asyncio.timeout(FILES_DEADLINE_S):
                told = await asyncio.get_running_loop().getaddrinfo(parts.hostname or "", port)
        except (OSError, UnicodeError, ValueError) as error:
            raise Retry(f"the PeerTube server {parts.hostname} cannot be resolved") from error
        if parts.scheme != "https" or not all(ipaddress.ip_address(one[4][0]).is_global for one in told):
            raise Reject(f"the PeerTube server {parts.hostname} is not a public one, so it is not asked")
        return parts.netloc


ADAPTER = PeerTube
