"""The sandbox's own calls under /sandbox: state, listings, settings, clock, tokens, faults, and its pages."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import BodyPartReader, web

from contracts.errors import Reject
from deploy.sandbox import pages
from deploy.sandbox.context import MediaFile, Sandbox, origin, rfc3339
from deploy.sandbox.faults import Switchboard, known_kinds, parse_fault
from deploy.sandbox.google_oauth import SCOPE_TITLES, GoogleOauth
from deploy.sandbox.groq import Chat, Sound
from deploy.sandbox.internet_archive import InternetArchive
from deploy.sandbox.posted import People, Posted
from deploy.sandbox.samples import seed_samples
from deploy.sandbox.settings import changed
from deploy.sandbox.wikimedia_commons import CommonsFile, WikimediaCommons
from deploy.sandbox.youtube_access import YoutubeAccess
from deploy.sandbox.youtube_resource import Video, channel_id_of, is_processed, privacy_of, statistics
from deploy.sandbox.youtube_upload import Session

__all__ = ["Admin"]

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHANNEL_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 88 88"><rect width="88" height="88" rx="20" fill="#b3261e"/>'
    '<path d="M34 28v32l28-16z" fill="#fff"/></svg>'
)
_SECRETS = frozenset({"client_secret", "api_key", "groq_api_key"})


class Admin:
    """Everything that no real platform has."""

    def __init__(
        self,
        sandbox: Sandbox,
        switchboard: Switchboard,
        *,
        oauth: GoogleOauth,
        access: YoutubeAccess,
        archive: InternetArchive,
        commons: WikimediaCommons,
    ) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._switchboard = switchboard
        self._oauth = oauth
        self._access = access
        self._archive = archive
        self._commons = commons

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._front)
        router.add_get("/watch", self._watch)
        router.add_get("/shorts/{id}", self._watch)
        router.add_get("/channel/{id}", self._front)
        router.add_get("/sandbox/state", self._state)
        router.add_get("/sandbox/media/{id}", self._media)
        router.add_get("/sandbox/faults", self._list_faults)
        router.add_post("/sandbox/faults", self._set_fault)
        router.add_delete("/sandbox/faults", self._clear_faults)
        router.add_delete("/sandbox/faults/{id}", self._clear_faults)
        router.add_post("/sandbox/faults/{id}/clear", self._clear_faults)
        router.add_post("/sandbox/archive/items", self._list_archive_item)
        router.add_post("/sandbox/commons/items", self._list_commons_file)
        router.add_post("/sandbox/samples", self._samples)
        router.add_get("/sandbox/settings", self._settings)
        router.add_patch("/sandbox/settings", self._settings)
        router.add_post("/sandbox/clock", self._clock)
        router.add_post("/sandbox/oauth/grant", self._grant)
        router.add_post("/sandbox/people/{platform}/grant", self._grant_at)
        router.add_post("/sandbox/people/{platform}/expire", self._expire_at)
        router.add_post("/sandbox/people/{platform}/posts/{id}", self._change_post)
        router.add_get("/sandbox/posted", self._posted)
        router.add_get("/sandbox/page.css", _page_file("page.css", "text/css"))
        router.add_get("/sandbox/page.js", _page_file("page.js", "text/javascript"))
        router.add_get("/sandbox/channel.svg", _channel_picture)

    # --- people of any platform

    async def _grant_at(self, request: web.Request) -> web.Response:
        """Give tokens as after a consent page: {"account", "scopes"}."""
        asked = await request.json()
        people = People(self._sandbox, request.match_info["platform"])
        grant = people.grant(str(asked.get("account", "creator")), tuple(asked.get("scopes", ())))
        return web.json_response(msgspec.to_builtins(grant))

    async def _expire_at(self, request: web.Request) -> web.Response:
        People(self._sandbox, request.match_info["platform"]).expire()
        return web.Response(status=204)

    async def _change_post(self, request: web.Request) -> web.Response:
        """Change a post as the platform's own people would: {"state": "removed", "because": "..."}."""
        people = People(self._sandbox, request.match_info["platform"])
        post = people.post(request.match_info["id"])
        if post is None:
            raise web.HTTPNotFound(text="no such post")
        post = msgspec.convert({**msgspec.to_builtins(post), **await request.json()}, Posted)
        people.put(post)
        return web.json_response(msgspec.to_builtins(post))

    async def _posted(self, request: web.Request) -> web.Response:  # noqa: ARG002 - the shape of a handler
        return web.json_response([msgspec.to_builtins(post) for post in self._store.all(Posted)])

    # --- what is there

    def state(self) -> dict[str, Any]:
        """Return everything a test or the page needs to know."""
        now = self._sandbox.now()
        videos = [self._video(video, now) for video in self._store.all(Video)]
        sessions = [self._session(session, now) for session in self._store.all(Session)]
        tags = Counter(tag for video in videos for tag in video["tags"])
        return {
            "now": rfc3339(now),
            "time_scale": self._sandbox.settings.time_scale,
            "videos": videos,
            "sessions": sessions,
            "posted": [msgspec.to_builtins(post) for post in self._store.all(Posted)],
            "counts": {
                "videos": len(videos),
                "sessions": len(sessions),
                "by_tag": dict(tags),
                "by_sha256": dict(Counter(video["sha256"] for video in videos)),
            },
            "archive": [
                {
                    "identifier": document["identifier"],
                    "title": str(document.get("title", document["identifier"])),
                    "licenseurl": str(document.get("licenseurl", "")),
                    "downloads": document["downloads"],
                }
                for document in self._archive.documents()
            ],
            "commons": [
                {"title": page.title, "license": page.extmetadata.get("LicenseShortName", "")}
                for page in self._store.all(CommonsFile)
            ],
            "groq": {
                "chats": [msgspec.to_builtins(chat) for chat in self._store.all(Chat)],
                "sounds": [msgspec.to_builtins(sound) for sound in self._store.all(Sound)],
            },
            "faults": [msgspec.to_builtins(fault) for fault in self._switchboard.faults()],
            "calls": self._store.counters("calls:"),
            "struck": self._store.counters("faults:"),
            "quota": {"spent": self._access.spent(), "limits": self._access.limits()},
        }

    def _video(self, video: Video, now: float) -> dict[str, Any]:
        settings = self._sandbox.settings
        counts = statistics(video, now, time_scale=settings.time_scale, private_views=settings.private_views)
        status = "uploaded"
        if is_processed(video, self._sandbox):
            status = "processed" if video.probe.failure is None else "failed"
        return {
            "id": video.id,
            "channel_id": video.channel_id,
            "title": video.meta.title,
            "description": video.meta.description,
            "tags": list(video.meta.tags),
            "privacy": privacy_of(video, now),
            "publish_at": None if video.meta.publish_at is None else rfc3339(video.meta.publish_at),
            "license": video.meta.license,
            "synthetic": video.meta.synthetic,
            "upload_id": video.upload_id,
            "upload_status": status,
            "failure": video.probe.failure,
            "size_bytes": video.size_bytes,
            "sha256": video.sha256,
            "duration_s": video.probe.duration_s,
            "width_px": video.probe.width_px,
            "height_px": video.probe.height_px,
            "created_at": rfc3339(video.created_at),
            "views": counts.views,
            "likes": counts.likes,
            "comments": counts.comments,
        }

    def _session(self, session: Session, now: float) -> dict[str, Any]:
        ended = session.expired or now - session.created_at > self._sandbox.settings.session_lifetime_s
        return {
            "upload_id": session.id,
            "channel_id": session.channel_id,
            "title": session.meta.title,
            "tags": list(session.meta.tags),
            "state": "completed" if session.video_id else "expired" if ended else "open",
            "total_bytes": session.total_bytes,
            "received_bytes": session.received_bytes,
            "puts": session.puts,
            "video_id": session.video_id,
            "created_at": rfc3339(session.created_at),
        }

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self.state(), headers={"Cache-Control": "no-store"})

    async def _front(self, _: web.Request) -> web.Response:
        places = {place: sorted(kinds) for place, kinds in self._switchboard.places.items()}
        return pages.html(pages.front(self.state(), places, known_kinds()))

    async def _watch(self, request: web.Request) -> web.Response:
        video = self._store.get(Video, request.match_info.get("id", request.query.get("v", "")))
        if video is None:
            return pages.html(pages.notice("Video unavailable", "There is no video with this id."), status=404)
        return pages.html(pages.watch(self._video(video, self._sandbox.now())))

    async def _media(self, request: web.Request) -> web.StreamResponse:
        video = self._store.get(Video, request.match_info["id"])
        if video is None:
            return web.Response(status=404, text="There is no video with this id.")
        kind = video.content_type if video.content_type.startswith("video/") else "video/mp4"
        return MediaFile(self._sandbox.media / video.file, content_type=kind)

    # --- faults

    async def _list_faults(self, _: web.Request) -> web.Response:
        places = {place: sorted(kinds) for place, kinds in sorted(self._switchboard.places.items())}
        faults = [msgspec.to_builtins(fault) for fault in self._switchboard.faults()]
        return web.json_response({"faults": faults, "places": places})

    async def _set_fault(self, request: web.Request) -> web.Response:
        by_form = request.content_type == "application/x-www-form-urlencoded"
        body: Any = await request.post() if by_form else await _object(request)
        try:
            fault = self._switchboard.set(parse_fault(body))
        except (msgspec.ValidationError, ValueError) as wrong:
            return _wrong(str(wrong))
        return _home() if by_form else web.json_response(msgspec.to_builtins(fault), status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._switchboard.clear(request.match_info.get("id"))
        return _home() if request.method == "POST" else web.Response(status=204)

    # --- listings

    async def _list_archive_item(self, request: web.Request) -> web.Response:
        fields, media, name = await self._listing(request)
        identifier = str(fields.pop("identifier", ""))
        if not _IDENTIFIER.fullmatch(identifier):
            raise _bad("identifier must be letters, digits, '.', '_' and '-', at most 100")
        try:
            downloads, per_day = int(fields.pop("downloads", 0)), float(fields.pop("downloads_per_day", 0))
        except (TypeError, ValueError) as wrong:
            raise _bad("downloads and downloads_per_day must be numbers") from wrong
        fields.setdefault("title", identifier)
        subtitles = await _file(fields.pop("subtitles")) if fields.get("subtitles") else None
        item = await self._archive.list_item(
            identifier,
            fields,
            media,
            name=name,
            subtitles=subtitles,
            downloads=downloads,
            downloads_per_day=per_day,
        )
        base = origin(request)
        answer = {
            "identifier": identifier,
            "details_url": f"{base}/details/{identifier}",
            "download_url": f"{base}/download/{identifier}/{item.files[0].name}",
        }
        return web.json_response(answer, status=201)

    async def _list_commons_file(self, request: web.Request) -> web.Response:
        fields, media, name = await self._listing(request)
        title, user = str(fields.pop("title", name)), str(fields.pop("user", "SandboxUploader"))
        categories = fields.pop("categories", [])
        if not isinstance(categories, list):
            categories = [word.strip() for word in str(categories).split("|") if word.strip()]
        if not Path(title).suffix:
            title += Path(name).suffix
        extmetadata = {key: str(value) for key, value in fields.items()}
        page = await self._commons.list_file(title, media, extmetadata, user=user, categories=tuple(categories))
        return web.json_response({"pageid": page.page_id, "title": page.title}, status=201)

    async def _listing(self, request: web.Request) -> tuple[dict[str, Any], Path, str]:
        """Read what to list: JSON with a `file` path, or a form with the bytes in `file`."""
        if request.content_type == "multipart/form-data":
            return await self._listing_form(request)
        fields = await _object(request)
        path = await _file(fields.pop("file", ""))
        return fields, path, str(fields.pop("name", path.name))

    async def _listing_form(self, request: web.Request) -> tuple[dict[str, Any], Path, str]:
        fields: dict[str, Any] = {}
        path: Path | None = None
        name = ""
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise _bad("the form must not be nested")
            if part.name != "file":
                fields[part.name or ""] = await part.text()
                continue
            name = Path(unquote(part.filename or "media.mp4")).name
            folder = self._sandbox.folder / "listed" / str(int(self._store.add("listed_id", 1)))
            folder.mkdir(parents=True)
            path = folder / name
            with path.open("wb") as out:
                while block := await part.read_chunk(1 << 18):
                    out.write(block)
        if path is None:
            raise _bad("the form has no part called file")
        return fields, path, name

    async def _samples(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"listed": await seed_samples(self._sandbox, self._archive, self._commons)}, status=201
        )

    # --- settings, clock, tokens

    async def _settings(self, request: web.Request) -> web.Response:
        if request.method == "PATCH":
            try:
                self._sandbox.settings = changed(self._sandbox.settings, await _object(request))
            except Reject as wrong:
                return _wrong(str(wrong))
        shown = msgspec.to_builtins(self._sandbox.settings)
        return web.json_response({name: value for name, value in shown.items() if name not in _SECRETS})

    async def _clock(self, request: web.Request) -> web.Response:
        seconds = (await _object(request)).get("advance_s")
        if not isinstance(seconds, int | float) or seconds < 0:
            raise _bad("advance_s must be a number of seconds, 0 or more")
        return web.json_response({"now": rfc3339(self._sandbox.advance(float(seconds)))})

    async def _grant(self, request: web.Request) -> web.Response:
        body = await _object(request)
        account = str(body.get("account") or self._sandbox.settings.account)
        scopes = body.get("scopes") or [scope for scope in SCOPE_TITLES if "youtube" in scope]
        if not isinstance(scopes, list) or not all(scope in SCOPE_TITLES for scope in scopes):
            raise _bad(f"scopes must be a list out of {', '.join(SCOPE_TITLES)}")
        answer = self._oauth.grant(account, tuple(scopes))
        return web.json_response({**answer, "account": account, "channel_id": channel_id_of(account)}, status=201)


async def _file(given: object) -> Path:
    path = Path(str(given))
    if not path.is_absolute() or not await asyncio.to_thread(path.is_file):
        raise _bad(f"file must be the absolute path of a file on this machine; '{path}' is none")
    return path


async def _object(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise _bad("send application/json")
    try:
        body = json.loads(await request.read())
    except ValueError as wrong:
        raise _bad("the body is no JSON") from wrong
    if not isinstance(body, dict):
        raise _bad("the body must be a JSON object")
    return body


def _wrong(words: str) -> web.Response:
    return web.json_response({"error": words}, status=400)


def _bad(words: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": words}), content_type="application/json")


def _home() -> web.Response:
    return web.Response(status=303, headers={"Location": "/"})


def _page_file(name: str, content_type: str) -> Any:
    async def send(_: web.Request) -> web.StreamResponse:
        return MediaFile(pages.PAGE_FOLDER / name, content_type=content_type)

    return send


async def _channel_picture(_: web.Request) -> web.Response:
    return web.Response(text=_CHANNEL_SVG, content_type="image/svg+xml")
