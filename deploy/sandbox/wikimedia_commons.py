"""Wikimedia Commons, as the sandbox plays it: file search with licences, and the files.

Docs: MediaWiki "API:Search", "API:Imageinfo", "CommonsMetadata" (www.mediawiki.org, read 2026-11); shapes from
recorded answers. A User-Agent of one's own is required. Errors of the API come with HTTP 200.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from msgspec import Struct

from deploy.sandbox import pages
from deploy.sandbox.context import MediaFile, Refused, Sandbox, origin, rfc3339
from deploy.sandbox.faults import Handler, Switchboard
from deploy.sandbox.media import Probe, digests_of, probe

__all__ = ["CommonsFile", "WikimediaCommons"]

MOST_PAGES = 50
PAGES_PER_ROUND = 10
"""With several props, so many pages get their imageinfo in one round; the rest follow by `continue`."""
_LIBRARY_AGENTS = re.compile(
    r"(python|aiohttp|curl|wget|go-http-client|java|okhttp|libwww|node-fetch|axios)\b", re.IGNORECASE
)
_ROBOT_WORDS = "Please set a user-agent and respect our robot policy https://w.wiki/4wJS."
_INFO_PROPS = {"imageinfo": "ii", "videoinfo": "vi"}
_HIDDEN = frozenset({"License", "LicenseShortName", "AttributionRequired", "Copyrighted", "Restrictions", "UsageTerms"})
_LICENCE_CLASSES = {
    "attribution": ("cc-by-1", "cc-by-2", "cc-by-3", "cc-by-4"),
    "sharealike": ("cc-by-sa",),
    "unrestricted": ("cc0", "pd", "cc-zero"),
}


class CommonsFile(Struct, frozen=True, kw_only=True):
    """One file page; `path` is where its bytes lie, `extmetadata` the values (HTML) of the licence template."""

    page_id: int
    title: str
    path: str
    size_bytes: int
    sha1: str
    mime: str
    user: str
    categories: tuple[str, ...]
    extmetadata: dict[str, str]
    probe: Probe
    uploaded_at: float


class WikimediaCommons:
    """The MediaWiki API and the file server."""

    def __init__(self, sandbox: Sandbox, switchboard: Switchboard) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._switchboard = switchboard

    def add_routes(self, router: web.UrlDispatcher) -> None:
        def guard(place: str, handler: Handler) -> Handler:
            return self._switchboard.guard(place, handler, refusal=refusal)

        router.add_get("/w/api.php", guard("commons.search", self._api))
        router.add_get("/wikipedia/commons/{a}/{ab}/{name}", guard("commons.download", self._file))
        router.add_get("/wiki/{title:File:.+}", self._page)

    async def list_file(
        self,
        title: str,
        media: Path,
        extmetadata: Mapping[str, str],
        *,
        user: str = "SandboxUploader",
        categories: tuple[str, ...] = (),
    ) -> CommonsFile:
        """List a media file, or replace the page of that title. The file stays where it is."""
        title = "File:" + title.removeprefix("File:").replace("_", " ").strip()
        before = self._store.get(CommonsFile, title)
        digests = await asyncio.to_thread(digests_of, media)
        page = CommonsFile(
            page_id=before.page_id if before else 100_000 + int(self._store.add("commons_page_id", 1)),
            title=title,
            path=str(media),
            size_bytes=digests.size_bytes,
            sha1=digests.sha1,
            mime=mimetypes.guess_type(title)[0] or "application/octet-stream",
            user=user,
            categories=categories,
            extmetadata=dict(extmetadata),
            probe=await asyncio.to_thread(probe, media),
            uploaded_at=self._sandbox.now(),
        )
        self._store.put(title, page)
        return page

    async def _api(self, request: web.Request) -> web.StreamResponse:
        _check_agent(request)
        query = request.query
        if query.get("format") != "json":
            return pages.html(pages.notice("MediaWiki API", "Add format=json to get results."))
        if query.get("action") != "query":
            return _error("badvalue", f'Unrecognized value for parameter "action": {query.get("action", "")}.')
        offset, extra = 0, {}
        if query.get("generator") == "search" or query.get("list") == "search":
            prefix = "gsr" if query.get("generator") == "search" else "sr"
            terms = query.get(f"{prefix}search", "")
            if not terms:
                return _error("missingparam", f'The "{prefix}search" parameter must be set.')
            given, at = query.get(f"{prefix}limit", "10"), query.get(f"{prefix}offset", "0")
            limit = MOST_PAGES if given == "max" else int(given) if given.isdecimal() else 0
            if not limit or not at.isdecimal():
                return _error("badinteger", f'Invalid value for integer parameter "{prefix}limit" or "{prefix}offset".')
            offset = int(at)
            if limit > MOST_PAGES:
                extra["warnings"] = {"search": {"warnings": f'"{prefix}limit" may not be over {MOST_PAGES}.'}}
            limit = min(limit, MOST_PAGES)
            in_files = "6" in query.get(f"{prefix}namespace", "0").split("|")
            found = [page for page in self._store.all(CommonsFile) if in_files and _matches(terms, page)]
            chosen = found[offset : offset + limit]
            next_at = {f"{prefix}offset": offset + limit, "continue": f"{prefix}offset||"}
            more: dict[str, Any] | None = next_at if offset + limit < len(found) else None
            if prefix == "sr":
                hits = [{"ns": 6, "title": page.title, "pageid": page.page_id, "size": 100} for page in chosen]
                answer: dict[str, Any] = {"query": {"searchinfo": {"totalhits": len(found)}, "search": hits}}
                return web.json_response({"batchcomplete": True, **({"continue": more} if more else {}), **answer})
        elif "titles" in query or "pageids" in query:
            titles, ids = query.get("titles", "").split("|"), query.get("pageids", "").split("|")
            names = {title.replace("_", " ") for title in titles}
            every = self._store.all(CommonsFile)
            chosen = [page for page in every if page.title in names or str(page.page_id) in ids]
            more = None
        else:
            return web.json_response({"batchcomplete": True})
        return self._answer(request, chosen, offset, more, extra)

    def _answer(
        self,
        request: web.Request,
        chosen: list[CommonsFile],
        offset: int,
        more: dict[str, Any] | None,
        extra: dict[str, Any],
    ) -> web.Response:
        """Write one round. With several props, some pages wait for a later round, as on the real site."""
        query = request.query
        modern = query.get("formatversion") in {"2", "latest"}
        props = [prop for prop in query.get("prop", "").split("|") if prop]
        first = int(query["iistart"]) if query.get("iistart", "").isdecimal() else 0
        last = first + PAGES_PER_ROUND if len(props) > 1 else len(chosen)
        entries = []
        for at, page in enumerate(chosen):
            entry: dict[str, Any] = {"pageid": page.page_id, "ns": 6, "title": page.title, "index": offset + at + 1}
            for prop, prefix in _INFO_PROPS.items():
                if prop in props and first <= at < last:
                    entry["imagerepository"] = "local"
                    entry[prop] = [self._info(page, request, prefix)]
            if "globalusage" in props:
                entry["globalusage"] = []
            entries.append(entry)
        answer: dict[str, Any] = dict(extra)
        if last < len(chosen):
            here = {name: value for name, value in query.items() if name == "gsroffset"}
            others = "|".join(prop for prop in props if prop not in _INFO_PROPS)
            answer["continue"] = {**here, "iistart": str(last), "continue": f"||{others}"}
        else:
            answer["batchcomplete"] = True if modern else ""
            if more:
                answer["continue"] = more
        if entries:
            paged: Any = entries if modern else {str(entry["pageid"]): entry for entry in entries}
            answer["query"] = {"pages": paged}
        return web.json_response(answer)

    def _info(self, page: CommonsFile, request: web.Request, prefix: str) -> dict[str, Any]:
        asked = set(request.query.get(f"{prefix}prop", "timestamp|user").split("|"))
        base = origin(request)
        info: dict[str, Any] = {}
        if "timestamp" in asked:
            info["timestamp"] = rfc3339(page.uploaded_at)
        if "user" in asked:
            info["user"] = page.user
        if asked & {"size", "dimensions"}:
            info |= {"size": page.size_bytes, "width": page.probe.width_px, "height": page.probe.height_px}
            if page.probe.duration_s is not None:
                info["duration"] = page.probe.duration_s
        if "url" in asked:
            info |= {
                "url": base + _file_path(page.title),
                "descriptionurl": f"{base}/wiki/{quote(page.title.replace(' ', '_'), safe=':')}",
                "descriptionshorturl": f"{base}/w/index.php?curid={page.page_id}",
            }
        if "sha1" in asked:
            info["sha1"] = page.sha1
        if "mime" in asked:
            info["mime"] = page.mime
        if "mediatype" in asked:
            info["mediatype"] = _media_type(page.mime)
        if "canonicaltitle" in asked:
            info["canonicaltitle"] = page.title
        if "metadata" in asked:
            info["metadata"] = [{"name": "length", "value": page.probe.duration_s}]
        if "extmetadata" in asked:
            only = [name for name in request.query.get(f"{prefix}extmetadatafilter", "").split("|") if name]
            info["extmetadata"] = {
                name: {"value": value, "source": "commons-desc-page", **({"hidden": ""} if name in _HIDDEN else {})}
                for name, value in page.extmetadata.items()
                if not only or name in only
            }
        if "derivatives" in asked and prefix == "vi":
            info["derivatives"] = [
                {
                    "src": base + _file_path(page.title),
                    "type": page.mime,
                    "width": page.probe.width_px,
                    "height": page.probe.height_px,
                    "bandwidth": round(page.size_bytes * 8 / max(page.probe.duration_s or 1.0, 0.001)),
                }
            ]
        return info

    async def _file(self, request: web.Request) -> web.StreamResponse:
        _check_agent(request)
        page = self._store.get(CommonsFile, "File:" + request.match_info["name"].replace("_", " "))
        if page is None or not await asyncio.to_thread(Path(page.path).is_file):
            return pages.html(pages.notice("File not found", "There is no such file."), status=404)
        return MediaFile(Path(page.path), content_type=page.mime)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        page = self._store.get(CommonsFile, request.match_info["title"].replace("_", " "))
        if page is None:
            return pages.html(pages.notice("No such file", "No file by this name exists."), status=404)
        shown = {"title": page.title, **page.extmetadata}
        return pages.html(pages.listed_item(shown, _file_path(page.title), "Wikimedia Commons"))


def refusal(status: int, reason: str = "") -> web.Response:
    """Write an error. `maxlag` comes as an API error with HTTP 200; the rest as the edge servers' page."""
    if reason == "maxlag":
        response = _error("maxlag", "Waiting for db1: 6 seconds lagged.")
        response.headers.update({"Retry-After": "5", "X-Database-Lag": "6"})
        return response
    words = {
        403: _ROBOT_WORDS,
        429: "Too many requests. Please contact noc@wikimedia.org to discuss a less disruptive approach.",
    }
    return web.Response(status=status, text=reason or words.get(status, f"Error: {status}"), content_type="text/plain")


def _error(code: str, info: str) -> web.Response:
    body = {"error": {"code": code, "info": info, "docref": "See /w/api.php for API usage."}}
    return web.json_response(body, headers={"MediaWiki-API-Error": code})


def _check_agent(request: web.Request) -> None:
    """Refuse requests that do not say who sends them. Raises: Refused (403)."""
    agent = request.headers.get("User-Agent", "")
    if not agent or _LIBRARY_AGENTS.match(agent):
        raise Refused(refusal(403))


def _file_path(title: str) -> str:
    name = title.removeprefix("File:").replace(" ", "_")
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"/wikipedia/commons/{digest[0]}/{digest[:2]}/{quote(name)}"


def _media_type(mime: str) -> str:
    kind = mime.partition("/")[0]
    return {"video": "VIDEO", "audio": "AUDIO", "image": "BITMAP"}.get(kind, "UNKNOWN")


def _matches(terms: str, page: CommonsFile) -> bool:
    """Tell whether a CirrusSearch query finds a page: words, "phrases", -not, and a few keywords."""
    described = re.sub(r"<[^>]+>", " ", page.extmetadata.get("ImageDescription", ""))
    text = " ".join((page.title, described, *page.categories)).casefold()
    licence = page.extmetadata.get("License", "").casefold()
    for found in re.finditer(r'(-?)(?:(\w+):)?(?:"([^"]*)"|(\S+))', terms):
        negative, keyword = bool(found[1]), (found[2] or "").casefold()
        value = (found[3] if found[3] is not None else found[4]).casefold()
        match keyword:
            case "filetype":
                hit = value in {_media_type(page.mime).casefold(), *page.mime.split("/")}
            case "filemime":
                hit = value == page.mime
            case "intitle":
                hit = value in page.title.casefold()
            case "incategory":
                hit = value.replace("_", " ") in {category.casefold() for category in page.categories}
            case "haslicense":
                hit = any(licence.startswith(start) for start in _LICENCE_CLASSES.get(value, (value,)))
            case _:
                words = re.findall(r"\w+", value)
                hit = all(re.search(rf"\b{re.escape(word)}", text) for word in words)
                hit = hit and (found[3] is None or value in text)
        if hit == negative:
            return False
    return True
