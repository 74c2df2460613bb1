"""The Internet Archive, as the sandbox plays it: search, metadata, downloads.

Docs: archive.org/advancedsearch.php, archive.org/developers (read 2026-11); shapes from recorded answers.
No authentication. Limit: page x rows up to 10,000.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web
from msgspec import Struct

from deploy.sandbox import pages
from deploy.sandbox.context import MediaFile, Sandbox, origin, rfc3339
from deploy.sandbox.faults import Handler, Switchboard
from deploy.sandbox.lucene import QueryInvalid, parse_query
from deploy.sandbox.media import Probe, digests_of, probe

__all__ = ["ArchiveFile", "ArchiveItem", "InternetArchive"]

DEEPEST = 10_000
_DAY_S = 86_400.0
_FORMATS = {
    ".mp4": "MPEG4",
    ".m4v": "MPEG4",
    ".webm": "WebM",
    ".ogv": "Ogg Video",
    ".mov": "QuickTime",
    ".mkv": "Matroska",
    ".avi": "AVI",
    ".mpg": "MPEG2",
    ".mpeg": "MPEG2",
    ".mp3": "VBR MP3",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".xml": "Metadata",
    ".srt": "SubRip",
    ".vtt": "Web Video Text Tracks",
}
_TEXTS = frozenset({".xml", ".srt", ".vtt", ".ass", ".txt"})


class ArchiveFile(Struct, frozen=True, kw_only=True):
    """One file of an item; `path` is where its bytes lie."""

    name: str
    path: str
    source: str
    format: str
    size_bytes: int
    md5: str
    sha1: str
    crc32: str
    mtime: float
    probe: Probe | None = None


class ArchiveItem(Struct, frozen=True, kw_only=True):
    """One item. `metadata` values are words or lists of words, as on the real site."""

    identifier: str
    metadata: dict[str, Any]
    files: tuple[ArchiveFile, ...]
    downloads: int = 0
    downloads_per_day: float = 0.0
    listed_at: float = 0.0


class InternetArchive:
    """Search, metadata and the data node."""

    def __init__(self, sandbox: Sandbox, switchboard: Switchboard) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._switchboard = switchboard

    def add_routes(self, router: web.UrlDispatcher) -> None:
        def guard(place: str, handler: Handler) -> Handler:
            return self._switchboard.guard(place, handler, refusal=refusal)

        router.add_get("/advancedsearch.php", guard("archive.search", self._search))
        router.add_get("/services/search/v1/scrape", guard("archive.scrape", self._scrape))
        router.add_get("/metadata/{identifier}", guard("archive.metadata", self._metadata))
        router.add_get("/metadata/{identifier}/{path:.+}", guard("archive.metadata", self._metadata))
        router.add_get("/download/{identifier}/{file:.+}", guard("archive.redirect", self._redirect))
        router.add_get("/{node:[0-9]+}/items/{identifier}/{file:.+}", guard("archive.download", self._file))
        router.add_get("/details/{identifier}", self._details)

    async def list_item(
        self,
        identifier: str,
        metadata: Mapping[str, Any],
        media: Path,
        *,
        name: str,
        subtitles: Path | None = None,
        downloads: int = 0,
        downloads_per_day: float = 0.0,
    ) -> ArchiveItem:
        """List a media file, with subtitles if there are any, or replace the item. The files stay where they are."""
        now = self._sandbox.now()
        stated = {
            "mediatype": "movies",
            "collection": ["opensource_movies"],
            "publicdate": rfc3339(now),
            **{key: value for key, value in metadata.items() if value not in (None, "", [])},
            "identifier": identifier,
        }
        with contextlib.suppress(ValueError):
            stated["publicdate"] = rfc3339(datetime.fromisoformat(str(stated["publicdate"])).timestamp())
        folder = self._sandbox.folder / "archive"
        folder.mkdir(exist_ok=True)
        notes = folder / f"{identifier}_meta.xml"
        notes.write_text(_as_xml(stated), "utf-8")
        listed = [(media, name), (notes, notes.name)]
        if subtitles is not None:
            listed.append((subtitles, Path(name).with_suffix(subtitles.suffix).name))
        files = tuple([await self._describe(path, title) for path, title in listed])
        before = self._store.get(ArchiveItem, identifier)
        item = ArchiveItem(
            identifier=identifier,
            metadata=stated,
            files=files,
            downloads=downloads,
            downloads_per_day=downloads_per_day,
            listed_at=before.listed_at if before else now,
        )
        self._store.put(identifier, item)
        return item

    async def _describe(self, path: Path, name: str) -> ArchiveFile:
        digests = await asyncio.to_thread(digests_of, path)
        suffix = Path(name).suffix.lower()
        found = None if suffix in _TEXTS else await asyncio.to_thread(probe, path)
        return ArchiveFile(
            name=name,
            path=str(path),
            source="metadata" if suffix == ".xml" else "original",
            format=_FORMATS.get(suffix, suffix.lstrip(".").upper() or "Unknown"),
            size_bytes=digests.size_bytes,
            md5=digests.md5,
            sha1=digests.sha1,
            crc32=digests.crc32,
            mtime=(await asyncio.to_thread(path.stat)).st_mtime,
            probe=found if found is not None and found.failure is None else None,
        )

    def documents(self) -> list[dict[str, Any]]:
        """Return every item the way search sees it."""
        return [self._document(item) for item in self._store.all(ArchiveItem)]

    def _document(self, item: ArchiveItem) -> dict[str, Any]:
        days = max(0.0, self._sandbox.now() - item.listed_at) * self._sandbox.settings.time_scale / _DAY_S
        per_day = item.downloads_per_day
        document = dict(item.metadata)
        document["collection"] = _several(document.get("collection"))
        document["downloads"] = item.downloads + int(per_day * days)
        document["week"] = int(per_day * min(7.0, days))
        document["month"] = int(per_day * min(30.0, days))
        document["format"] = sorted({file.format for file in item.files})
        document["item_size"] = sum(file.size_bytes for file in item.files)
        if str(document.get("year", document.get("date", "")))[:4].isdecimal():
            document["year"] = int(str(document.get("year", document.get("date")))[:4])
        if isinstance(document.get("subject"), str) and ";" in document["subject"]:
            document["subject"] = [word.strip() for word in document["subject"].split(";") if word.strip()]
        return document

    def _found(self, query: str, sorts: Sequence[str]) -> list[dict[str, Any]]:
        matches = parse_query(query)
        found = [document for document in self.documents() if matches(document)]
        for sort in reversed(sorts):
            name, _, order = sort.strip().replace(":", " ").partition(" ")
            descending = order.strip().lower() == "desc" or name.startswith("-")
            found.sort(key=_sort_key(name.lstrip("-+")), reverse=descending)
        return found

    async def _search(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        asked = query.get("q", "").strip()
        if query.get("output") != "json":
            return pages.html(pages.notice("Advanced search", "Add output=json to get results."))
        if not asked:
            return web.json_response({"error": "Missing q parameter"}, status=400)
        rows, page = _number(query.get("rows"), 50), max(1, _number(query.get("page"), 1))
        start = (page - 1) * rows
        if start + rows > DEEPEST:
            words = "[DEEP_PAGING] Paging deeper than 10000 results is not supported; use the scrape API."
            return web.json_response({"error": words}, status=400)
        try:
            found = self._found(asked, _repeated(request, "sort"))
        except QueryInvalid as wrong:
            return web.json_response({"error": f"[PARSE_ERROR] {wrong}"}, status=400)
        fields = [name for given in _repeated(request, "fl") for name in given.split(",") if name]
        documents = [_only(document, fields) for document in found[start : start + rows]]
        params = {"query": asked, "qin": asked, "fields": ",".join(fields), "wt": "json"}
        params |= {"rows": str(rows), "start": str(start)}
        return web.json_response(
            {
                "responseHeader": {"status": 0, "QTime": 1, "params": params},
                "response": {"numFound": len(found), "start": start, "docs": documents},
            }
        )

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        count = _number(query.get("count"), DEEPEST)
        if count < 100:
            return web.json_response({"error": "count must be at least 100", "errorType": "RangeException"})
        sorts = [sort for sort in query.get("sorts", "").split(",") if sort]
        try:
            found = self._found(query.get("q", ""), sorts)
        except QueryInvalid as wrong:
            return web.json_response({"error": str(wrong), "errorType": "QueryException"})
        first = _number(query.get("cursor"), 0)
        fields = [name for name in query.get("fields", "identifier").split(",") if name]
        items = [_only(document, fields) for document in found[first : first + count]]
        answer: dict[str, Any] = {"items": items, "count": len(items), "total": len(found)}
        if first + count < len(found):
            answer["cursor"] = str(first + count)
        return web.json_response(answer)

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        item = self._store.get(ArchiveItem, request.match_info["identifier"])
        if item is None:
            return web.json_response({})
        full = self._full(item, request.host)
        path = request.match_info.get("path")
        if path is None:
            return web.json_response(full)
        value: Any = full
        for step in path.strip("/").split("/"):
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                return web.json_response({"error": f"Couldn't find '{path}'"})
        return web.json_response({"result": value})

    def _full(self, item: ArchiveItem, host: str) -> dict[str, Any]:
        changed_at = max(file.mtime for file in item.files)
        return {
            "created": int(self._sandbox.now()),
            "d1": host,
            "d2": host,
            "dir": f"/{_node(item.identifier)}/items/{item.identifier}",
            "files": [_file_entry(file) for file in item.files],
            "files_count": len(item.files),
            "item_last_updated": int(changed_at),
            "item_size": sum(file.size_bytes for file in item.files),
            "metadata": {
                **item.metadata,
                "addeddate": str(item.metadata["publicdate"]).replace("T", " ").rstrip("Z"),
            },
            "server": host,
            "uniq": int(hashlib.sha256(item.identifier.encode()).hexdigest()[:8], 16),
            "workable_servers": [host],
        }

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        identifier, name = request.match_info["identifier"], request.match_info["file"]
        if self._path(identifier, name) is None:
            return pages.html(pages.notice("Item not available", "The item or the file does not exist."), status=404)
        target = f"{origin(request)}/{_node(identifier)}/items/{quote(identifier)}/{quote(name)}"
        return web.Response(status=302, headers={"Location": target})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        path = self._path(request.match_info["identifier"], name)
        if path is None or not await asyncio.to_thread(path.is_file):
            return pages.html(pages.notice("404 Not Found", "There is no such file."), status=404)
        return MediaFile(path, content_type=mimetypes.guess_type(name)[0] or "application/octet-stream")

    def _path(self, identifier: str, name: str) -> Path | None:
        item = self._store.get(ArchiveItem, identifier)
        paths = [Path(file.path) for file in item.files if file.name == name] if item else []
        return paths[0] if paths else None

    async def _details(self, request: web.Request) -> web.StreamResponse:
        item = self._store.get(ArchiveItem, request.match_info["identifier"])
        if item is None:
            return pages.html(pages.notice("Item not available", "The item does not exist."), status=404)
        media = f"/download/{quote(item.identifier)}/{quote(item.files[0].name)}"
        return pages.html(pages.listed_item(item.metadata, media, "Internet Archive"))


def refusal(status: int, reason: str = "") -> web.Response:
    """Write the archive's error: an HTML page."""
    words = {429: "Too Many Requests", 503: "Service Unavailable", 500: "Internal Server Error"}
    title = f"{status} {reason or words.get(status, 'Error')}"
    body = f"<html><head><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1></body></html>"
    return web.Response(status=status, text=body, content_type="text/html")


def _file_entry(file: ArchiveFile) -> dict[str, str]:
    entry = {
        "name": file.name,
        "source": file.source,
        "format": file.format,
        "mtime": str(int(file.mtime)),
        "size": str(file.size_bytes),
        "md5": file.md5,
        "crc32": file.crc32,
        "sha1": file.sha1,
    }
    if file.probe is not None:
        entry |= {"width": str(file.probe.width_px), "height": str(file.probe.height_px)}
        if file.probe.duration_s is not None:
            entry["length"] = f"{file.probe.duration_s:.2f}"
    return entry


def _node(identifier: str) -> int:
    return int(hashlib.sha256(identifier.encode()).hexdigest()[:4], 16) % 35


def _only(document: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not fields or name in fields or "*" in fields}


def _sort_key(name: str) -> Any:
    def key(document: Mapping[str, Any]) -> tuple[int, float, str]:
        value = document.get(name)
        if isinstance(value, int | float):
            return (1, float(value), "")
        return (0, 0.0, "") if value is None else (1, 0.0, str(value).casefold())

    return key


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _repeated(request: web.Request, name: str) -> list[str]:
    return [*request.query.getall(f"{name}[]", []), *request.query.getall(name, [])]


def _number(text: str | None, usual: int) -> int:
    return int(text) if text is not None and text.isdecimal() else usual


def _as_xml(metadata: Mapping[str, Any]) -> str:
    lines = [
        f"  <{name}>{escape(str(value))}</{name}>" for name, values in metadata.items() for value in _several(values)
    ]
    return "\n".join(("<metadata>", *lines, "</metadata>", ""))
