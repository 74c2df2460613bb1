"""PeerTube: videos of independent servers by words, through the Sepia Search index or on servers of one's own choice.

Docs: https://docs.joinpeertube.org/api-rest-reference.html and PeerTube's own list of licences, read 2026-11-23; the
host of the index and its `url` field second-hand.
Auth: none. Limits: 100 results an answer; about 50 requests in 10 s from one address, 429 with Retry-After.
Units: `duration` seconds; times ISO 8601 UTC. Licence and files are told by the server that holds the video,
one request each: see _peertube_details.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from datetime import datetime
from itertools import chain, zip_longest
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from actors.platforms._api import KEYLESS, Api, count, dig, leaving_out, read_each
from actors.platforms._peertube_details import Label, confirmed, doubted, parse_details, parse_rights
from actors.platforms._posts import language_tag, length_us, metrics_of
from actors.platforms._reading import address, words_of
from actors.platforms._text import clean, parse_moment, plain_text
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "PeerTube", "parse_videos"]

NAME: Final = "peertube"
MOST_DETAILS: Final = 10
CAPS: Final = Caps(
    discover=True,
    keyless=True,
    licence_known=True,
    sees="public videos of servers in the Sepia Search index, or of PEERTUBE_SERVERS, by words; all counts but shares",
    costs=f"1 request for 100 videos, and 1 for licence and files of each of the first {MOST_DETAILS} with a licence",
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
_NOT_TOLD: Final = {
    "views": "the answer has no views for this video",
    "likes": "the answer has no likes for this video",
    "comments": "the answer has no number of comments for this video",
    "shares": "PeerTube does not count shares",
}
_PAGE: Final = re.compile(r"^(https?://[^?#]+?)/(?:w|videos/watch)/[A-Za-z0-9-]+/?$")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    privacy: Label | None = None
    licence: Label | None = None
    language: Label | None = None
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


class Found(Struct, frozen=True):
    """A candidate without its file, and the server that holds it."""

    candidate: Candidate
    home: str


def parse_videos(answer: Any, *, server: str, what: str, at: datetime) -> tuple[tuple[Found, ...], int]:
    """Return what one page holds, and how many there are in all.

    Left out: live streams, what is not public, what is marked as sensitive. Raises: Retry on another shape.
    """
    videos = read_each(dig(answer, "data", what=what), _Video, what=what)
    found = (_found(video, server, at) for video in videos)
    return tuple(one for one in found if one is not None), count(answer.get("total")) or 0


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
        """Return the index, or a server by the name under which it alone is left in peace."""
        parts = urlsplit(base)
        name = NAME if base == BASE_URL else f"{NAME}:{parts.netloc}"
        return Api(self._means, name=name, base=base, what=f"the PeerTube search at {parts.hostname}", mend=KEYLESS)

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
            with leaving_out(found, platform=NAME):
                for page in range(MOST_PAGES):
                    batch, total = await server.read_json(
                        "/api/v1/search/videos",
                        lambda answer, at: parse_videos(
                            answer, server=server.base_url, what="the PeerTube search", at=at
                        ),
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
        """Ask the server that holds the video for its licence and file.

        A server that refuses takes the licence away; one that is away for now leaves the candidate as it is.
        """
        candidate = found.candidate
        async with self._turns:
            try:
                host = await self._trusted(found.home)
                holder = Api(
                    self._means,
                    name=f"{NAME}:{host}",
                    base=found.home,
                    what=f"the PeerTube server {host}",
                    mend=KEYLESS,
                    deadline_s=FILES_DEADLINE_S,
                )
                told = await holder.read_json(
                    f"/api/v1/videos/{candidate.platform_id}",
                    lambda answer, at: parse_details(answer, of=candidate, at=at),
                    fresh_s=FILES_FRESH_S,
                )
            except (Retry, RateLimited, Reject) as error:
                get_logger().warning(
                    "discovery.file_unknown", platform=NAME, item_id=candidate.item_id, because=str(error)
                )
                if isinstance(error, Reject):
                    candidate = doubted(candidate, f"its server does not confirm the licence of the index: {error}")
                return candidate.platform_id, candidate
        return candidate.platform_id, confirmed(candidate, told)

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
