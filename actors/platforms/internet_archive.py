"""Internet Archive: discovery of moving images that state a Creative Commons licence.

Docs: https://archive.org/developers/metadata-schema/ and https://archive.org/advancedsearch.php, read 2026-11-23.
Auth: none. Limits: none stated; 429 and 503 carry Retry-After; deep paging ends at about 10,000 results. Answers of
the search are kept for 10 minutes, items for 6 hours; 4 items are asked for at a time.
Units: `size` bytes and `length` seconds or H:MM:SS, both as strings; `downloads` is the count of views or downloads
for ever; dates are UTC. Any metadata value may be a string or a list of strings. Descriptions are HTML.
"""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from actors.platforms._api import KEYLESS, Api
from actors.platforms._reading import words_of
from actors.platforms._text import clean, parse_moment, plain_text
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Metrics
from contracts.rights import RightsRecord, licence_from_url

__all__ = [
    "ADAPTER",
    "CAPS",
    "LIMITS",
    "NAME",
    "InternetArchive",
    "MediaFile",
    "choose_file",
    "parse_hits",
    "parse_item",
    "query_for",
]

NAME: Final = "internet_archive"
MOST_ITEMS: Final = 100
CAPS: Final = Caps(
    discover=True,
    keyless=True,
    licence_known=True,
    sees=f"the first {MOST_ITEMS} moving images under Creative Commons, by words; downloads as views",
    costs=f"no stated quota; 1 request, and 1 for each of at most {MOST_ITEMS} items, which are kept for 6 hours",
)
PAGE_SIZE: Final = MOST_ITEMS
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://archive.org"
PARALLEL: Final = 4
FRESH_S: Final = 600.0
ITEM_FRESH_S: Final = 6 * 3600.0
ITEMS_DEADLINE_S: Final = 35.0
"""What is read of the items by then is the answer: with the search, it comes within the minute that a scan has."""
PREFERRED_BYTES: Final = 400_000_000
PREFERRED_HEIGHT_PX: Final = 1080
_FIELDS: Final = ("identifier", "downloads")
_SPECIAL: Final = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/])')
_PLAYABLE: Final = (
    ".mp4",
    ".m4v",
    ".webm",
    ".mov",
    ".mkv",
    ".ogv",
    ".mpg",
    ".mpeg",
    ".avi",
    ".ts",
    ".mts",
    ".m2ts",
    ".flv",
    ".wmv",
    ".3gp",
)
_SUBTITLES: Final = (".srt", ".vtt")
_MP4: Final = (".mp4", ".m4v")
_DOES_NOT_COUNT: Final = "the Internet Archive does not count them"


class Hit(Struct, frozen=True, kw_only=True):
    """One line of a search answer. downloads: null where the answer has none."""

    identifier: str
    downloads: int | None


class MediaFile(Struct, frozen=True, kw_only=True):
    """One playable file of an item. Units: bytes, px, microseconds; null: not stated."""

    name: str
    format: str
    original: bool
    size_bytes: int | None
    height_px: int | None
    duration_us: int | None


def query_for(niche: str) -> str:
    """Return the Lucene query: every word of `niche`, moving images, a Creative Commons address as licence."""
    words = [_SPECIAL.sub(r"\\\1", word) for word in niche.split()]
    words = [word.lower() if word in {"AND", "OR", "NOT", "TO"} else word for word in words]
    return f"({' AND '.join(words)}) AND mediatype:movies AND licenseurl:(*creativecommons.org*)"


def parse_hits(answer: Any) -> tuple[Hit, ...]:
    """Read an advancedsearch answer. Raises: Retry if it is none; the search reports its own faults with status 200."""
    response = answer.get("response") if isinstance(answer, dict) else None
    docs = response.get("docs") if isinstance(response, dict) else None
    if not isinstance(docs, list):
        told = clean(str(answer.get("error", "")), max_chars=200) if isinstance(answer, dict) else ""
        raise Retry(f"the Internet Archive search gave no result list{': ' if told else ''}{told}")
    return tuple(
        Hit(identifier=identifier, downloads=_count(doc.get("downloads")))
        for doc in docs
        if isinstance(doc, dict) and (identifier := _first(doc.get("identifier")))
    )


def parse_item(answer: Any, *, downloads: int | None, base_url: str, at: datetime) -> Candidate | None:
    """Read a /metadata/{id} answer; None: there is no such item, it is dark, or it is not a moving image."""
    metadata = answer.get("metadata") if isinstance(answer, dict) else None
    if not isinstance(metadata, dict) or answer.get("is_dark"):
        return None
    identifier = _first(metadata.get("identifier"))
    if not identifier or "movies" not in _many(metadata.get("mediatype")):
        return None
    page = f"{base_url}/details/{quote(identifier)}"
    title = clean(_first(metadata.get("title")) or identifier, max_chars=300)
    creators = [clean(name, max_chars=100) for name in _many(metadata.get("creator"))]
    creator = ", ".join(name for name in creators if name)[:300] or None
    restricted = _first(metadata.get("access-restricted-item")).lower() == "true"
    file = None if restricted else choose_file(parse_files(answer.get("files")))
    subtitles = choose_subtitles(answer.get("files"), file) if file else None
    runtime_us = parse_length(_first(metadata.get("runtime")))
    absent = dict.fromkeys(("likes", "comments", "shares"), _DOES_NOT_COUNT)
    if downloads is None:
        absent["views"] = "the search answer has no downloads field for this item"
    return Candidate(
        item_id=item_id(NAME, identifier),
        platform=NAME,
        platform_id=identifier,
        url=page,
        title=title,
        description=plain_text("<br>".join(_many(metadata.get("description"))), max_chars=5000),
        creator=creator,
        tags=_tags(metadata.get("subject")),
        published_at=parse_moment(_first(metadata.get("publicdate")) or _first(metadata.get("addeddate"))),
        duration_us=(file.duration_us if file else None) or runtime_us,
        media_url=f"{base_url}/download/{quote(identifier)}/{quote(file.name)}" if file else None,
        media_bytes=file.size_bytes if file else None,
        subtitles_url=f"{base_url}/download/{quote(identifier)}/{quote(subtitles)}" if subtitles else None,
        metrics=Metrics(views=downloads, absent=absent),
        observed_at=at,
        rights=_rights(metadata, title=title, author=creator, page=page, at=at),
    )


def parse_files(files: Any) -> tuple[MediaFile, ...]:
    """Return the files that can be played and that anybody may download."""
    return tuple(
        MediaFile(
            name=name,
            format=_first(file.get("format")).lower(),
            original=_first(file.get("source")) == "original",
            size_bytes=_count(file.get("size")),
            height_px=_count(file.get("height")) or None,
            duration_us=parse_length(_first(file.get("length"))),
        )
        for file in (files if isinstance(files, list) else ())
        if isinstance(file, dict)
        and (name := _first(file.get("name"))).lower().endswith(_PLAYABLE)
        and _first(file.get("private")).lower() != "true"
    )


def choose_file(files: tuple[MediaFile, ...]) -> MediaFile | None:
    """Choose the file to fetch: MP4 before others, H.264 first, the tallest up to 1080 lines, then the smallest.

    Files above `PREFERRED_BYTES`, or of unknown size, come only where there is no other: then the original.
    """

    def rank(file: MediaFile) -> tuple[bool, bool, int, bool, int, str]:
        return (
            not file.name.lower().endswith(_MP4),
            file.name.lower().endswith(_MP4) and "512kb" in file.format,
            -min(file.height_px or 0, PREFERRED_HEIGHT_PX),
            "h.264" not in file.format,
            file.size_bytes or 0,
            file.name,
        )

    fitting = [file for file in files if file.size_bytes is not None and 0 < file.size_bytes <= PREFERRED_BYTES]
    if fitting:
        return min(fitting, key=rank)
    return min(files, key=lambda file: (not file.original, *rank(file)), default=None)


def choose_subtitles(files: Any, media: MediaFile) -> str | None:
    """Return the name of the subtitles made for `media`: same name but for the ending, perhaps with a language."""
    stem = media.name.rpartition(".")[0].removesuffix(".ia")
    names = [
        name
        for file in (files if isinstance(files, list) else ())
        if isinstance(file, dict)
        and (name := _first(file.get("name"))).lower().endswith(_SUBTITLES)
        and _first(file.get("private")).lower() != "true"
        and (name.rpartition(".")[0] == stem or name.startswith(f"{stem}."))
    ]
    return min(names, key=lambda name: (len(name), name), default=None)


def parse_length(text: str) -> int | None:
    """Return microseconds for `83.5`, `1:23` or `0:01:23.5`; None for anything else."""
    parts = text.strip().split(":")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"\d{1,7}(\.\d{1,9})?", part) for part in parts):
        return None
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + float(part)
    return round(seconds * 1_000_000) or None


def _rights(metadata: dict[str, Any], *, title: str, author: str | None, page: str, at: datetime) -> RightsRecord:
    stated = _many(metadata.get("licenseurl"))
    words = clean("; ".join(_many(metadata.get("rights"))), max_chars=500)
    ids = {licence_from_url(url) for url in stated}
    notes = []
    if not stated:
        notes.append("the item states no licence address")
    elif len(ids) > 1:
        notes.append("the item states several licences that differ")
    elif ids == {"unknown"}:
        notes.append("the stated address is no licence that is known here")
    if words:
        notes.append(f"its rights field says: {words}")
    return RightsRecord(
        licence=ids.pop() if len(ids) == 1 else "unknown",
        title=title,
        author=author,
        source_url=page,
        read_at=at,
        proof="; ".join(f"licenseurl: {clean(url, max_chars=300)}" for url in stated),
        note="; ".join(notes),
    )


def _many(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(str(one) for one in values if isinstance(one, str | int | float) and str(one).strip())


def _first(value: Any) -> str:
    return next(iter(_many(value)), "")


def _count(value: Any) -> int | None:
    text = _first(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _tags(value: Any) -> tuple[str, ...]:
    """Split subjects, which people also write as one text with semicolons."""
    tags = (clean(tag, max_chars=80) for text in _many(value) for tag in text.split(";"))
    return tuple(dict.fromkeys(tag for tag in tags if tag))[:50]


class InternetArchive:
    """Finds moving images by words; what the week liked most comes first."""

    def __init__(self, means: Means) -> None:
        self._api = Api(means, name=NAME, base=BASE_URL, what="the Internet Archive", mend=KEYLESS)
        self._turns = asyncio.Semaphore(PARALLEL)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates, and no more than `MOST_ITEMS`.

        An item that cannot be read, or not in time, is left out, unless none can; a repeat goes on with those.

        Raises: Retry, RateLimited, Reject.
        """
        hits, seen_at = await self._search(words_of(query), min(limit, MOST_ITEMS))
        if not hits:
            return ()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._item(hit, seen_at)) for hit in hits]
            _, late = await asyncio.wait(tasks, timeout=ITEMS_DEADLINE_S)
            for task in late:
                task.cancel()
        results = [task.result() for task in tasks if task not in late]
        found = tuple(result for result in results if isinstance(result, Candidate))
        slow = Retry(f"the Internet Archive did not give its items within {ITEMS_DEADLINE_S:g} s")
        faults = [*(result for result in results if isinstance(result, Exception)), *(slow for _ in late)]
        if faults:
            get_logger().warning("discovery.items_left_out", platform=NAME, count=len(faults), because=str(faults[0]))
            if not found:
                raise faults[0]
        return found

    async def _search(self, query: str, rows: int) -> tuple[tuple[Hit, ...], datetime]:
        """Return the lines of the answer, and the moment at which it was fetched."""
        hits, seen_at = await self._api.read_json(
            "/advancedsearch.php",
            lambda answer, at: (parse_hits(answer), at),
            params=[
                ("q", query_for(query)),
                *(("fl[]", field) for field in _FIELDS),
                ("sort[]", "week desc"),
                ("sort[]", "downloads desc"),
                ("rows", str(rows)),
                ("page", "1"),
                ("output", "json"),
            ],
            fresh_s=FRESH_S,
        )
        return tuple({hit.identifier: hit for hit in hits}.values())[:rows], seen_at

    async def _item(self, hit: Hit, seen_at: datetime) -> Candidate | Retry | RateLimited | Reject | None:
        """Return the item with the downloads that the search told, as of the moment at which it told them."""
        async with self._turns:
            try:
                found = await self._api.read_json(
                    f"/metadata/{quote(hit.identifier, safe='')}",
                    lambda answer, at: parse_item(answer, downloads=hit.downloads, base_url=self._api.base_url, at=at),
                    fresh_s=ITEM_FRESH_S,
                )
            except (Retry, RateLimited, Reject) as error:
                return error
        return None if found is None else msgspec.structs.replace(found, observed_at=seen_at)


ADAPTER = InternetArchive
