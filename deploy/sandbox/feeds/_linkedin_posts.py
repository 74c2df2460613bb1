"""Videos and posts of connected accounts on LinkedIn as the sandbox plays them.

Docs: learn.microsoft.com/linkedin/marketing: Videos API, Posts API, Social Metadata API, versioning, read 2026-11-23.
Posts may be listed, and counts read, only with scopes that most apps lack; `SOME_SCOPES` are those.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import FaultKind, Refusal, drain, fault_of, hang_up
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import Posted

__all__ = ["PART_BYTES", "VERSIONS", "LinkedInPosts"]

PART_BYTES = 4_194_304
LIFE_S: Final = 30 * 86_400.0
MOST_BYTES: Final = 500 * 1024 * 1024
VERSIONS: Final = {"202511", "202602", "202605", "202608", "202610"}
MOST_CHARS: Final = 3_000
CALLS_A_DAY: Final = 100_000
READS: Final = {"person": "r_member_social", "organization": "r_organization_social"}
WRITES: Final = {"person": "w_member_social", "organization": "w_organization_social"}
STATISTICS: Final = {"IMPRESSION": 3.0, "MEMBERS_REACHED": 2.0, "RESHARE": 0.01, "REACTION": 0.04, "COMMENT": 0.01}
_PLAIN: Final = re.compile(r"\{hashtag\|\\#\|(.*?)\}|\\(.)", re.DOTALL)
_BARE: Final = re.compile(r"(?<!\\)(?:\\\\)*[|{}@\[\]()<>#*_~]")


class LinkedInVideo(Struct, frozen=True, kw_only=True):
    """One upload. etags: of the parts that came, by place; state: as in `status`."""

    id: str
    account: str
    owner: str
    size_bytes: int
    expires_at: float
    etags: tuple[str, ...] = ()
    state: str = "WAITING_UPLOAD"
    polls: int = 0
    sha256: str = ""
    is_video: bool = True

    @property
    def urn(self) -> str:
        return f"urn:li:video:{self.id}"


class LinkedInPosts:
    """The REST host and the store of parts."""

    def __init__(self, stage: Stage, *, refusal: Refusal) -> None:
        self._stage = stage
        self._store = stage.sandbox.store
        self._refusal = refusal
        stage.people.access_life_s = 60 * 86_400
        stage.people.refresh_life_s = 365 * 86_400
        stage.get("/v2/userinfo", "me", self._me, refusal=refusal)
        stage.post("/rest/videos", "videos", self._videos, refusal=refusal)
        own: frozenset[FaultKind] = frozenset({"drop_mid_body"})
        stage.put("/dms-uploads/{id}/{part}", "part", self._part, refusal=_store_refusal, own=own)
        stage.get("/rest/videos/{urn}", "video", self._video, refusal=refusal)
        stage.post("/rest/posts", "post", self._post, refusal=refusal)
        stage.get("/rest/posts", "posts", self._posts, refusal=refusal)
        stage.get("/rest/posts/{urn}", "look", self._one, refusal=refusal)
        stage.get("/rest/socialMetadata/{urn}", "metadata", self._metadata, refusal=refusal)
        stage.get("/rest/memberCreatorPostAnalytics", "statistics", self._statistics, refusal=refusal)

    def _asker(self, request: web.Request, *scopes: str) -> str:
        """Return whose the request is. Raises: Refused."""
        grant = self._stage.people.holder(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if grant is None:
            raise Refused(self._refusal(401, ""))
        if request.path.startswith(f"{self._stage.path}/rest/"):
            if request.headers.get("LinkedIn-Version") not in VERSIONS:
                raise Refused(self._refusal(426, "NONEXISTENT_VERSION"))
            if request.headers.get("X-Restli-Protocol-Version") != "2.0.0":
                raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))
        if not set(scopes) <= set(grant.scopes):
            raise Refused(self._refusal(403, "ACCESS_DENIED"))
        if self._stage.take(f"calls:{grant.account}", limit=CALLS_A_DAY, window_s=86_400)[0] < 0:
            raise Refused(self._refusal(429, ""))
        return grant.account

    def _author(self, request: web.Request, urn: object, rights: dict[str, str]) -> str:
        """Return whose the request is, if it may speak for `urn`. Raises: Refused."""
        found = re.fullmatch(r"urn:li:(person|organization):([\w-]+)", str(urn))
        if found is None:
            raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))
        account = self._asker(request, rights[found[1]])
        if found[1] == "person" and found[2] != account:
            raise Refused(self._refusal(403, "ACCESS_DENIED"))
        return account

    async def _me(self, request: web.Request) -> web.Response:
        account = self._asker(request, "openid", "profile")
        return web.json_response({"sub": account, "name": "Sandbox Person", "picture": "https://media.licdn.com/s.jpg"})

    # --- the video

    async def _videos(self, request: web.Request) -> web.Response:
        body = await request.json()
        action = request.query.get("action")
        if action == "initializeUpload":
            return self._begin(request, dict(body.get("initializeUploadRequest") or {}))
        if action == "finalizeUpload":
            return self._finalize(request, dict(body.get("finalizeUploadRequest") or {}))
        raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))

    def _begin(self, request: web.Request, asked: dict[str, Any]) -> web.Response:
        account = self._author(request, asked.get("owner"), WRITES)
        size = asked.get("fileSizeBytes")
        if not isinstance(size, int) or not 0 < size <= MOST_BYTES:
            raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))
        ends = self._stage.sandbox.now() + LIFE_S
        name = f"D4E{int(self._store.add('linkedin:videos', 1)):07d}"
        video = LinkedInVideo(id=name, account=account, owner=asked["owner"], size_bytes=size, expires_at=ends)
        self._store.put(video.id, video)
        parts = [
            {
                "uploadUrl": f"{self._stage.home(request)}/dms-uploads/{name}/{place}?sau=sandbox-{name}",
                "firstByte": first,
                "lastByte": min(first + PART_BYTES, size) - 1,
            }
            for place, first in enumerate(range(0, size, PART_BYTES))
        ]
        told = {"video": video.urn, "uploadToken": "", "uploadUrlsExpireAt": round(ends * 1000)}
        return web.json_response({"value": {**told, "uploadInstructions": parts}})

    async def _part(self, request: web.Request) -> web.StreamResponse:
        """Take one part; it needs the signed address and no token. Parts come in their order here."""
        name, place = request.match_info["id"], int(request.match_info["part"])
        video = self._store.get(LinkedInVideo, name)
        first = place * PART_BYTES
        gone = video is None or video.expires_at <= self._stage.sandbox.now() or video.state != "WAITING_UPLOAD"
        signed = request.query.get("sau") == f"sandbox-{name}" and "Authorization" not in request.headers
        if video is None or gone or not signed or place > len(video.etags):
            await drain(request)
            return _store_refusal(403)
        if cut := fault_of(request, "drop_mid_body"):
            await request.content.read(
                (request.content_length or 0) // 2 if cut.after_bytes is None else cut.after_bytes
            )
            return hang_up(request)
        content = b"".join([block async for block in request.content.iter_chunked(1 << 18)])
        if len(content) != min(PART_BYTES, video.size_bytes - first):
            return _store_refusal(400)
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if place == len(video.etags):
            self._stage.receiver.add(name, content)
            is_video = content[4:8] == b"ftyp" if place == 0 else video.is_video
            video = msgspec.structs.replace(video, etags=(*video.etags, etag), is_video=is_video)
            self._store.put(name, video)
        return web.Response(status=200, headers={"ETag": etag})

    def _finalize(self, request: web.Request, asked: dict[str, Any]) -> web.Response:
        video = self._store.get(LinkedInVideo, str(asked.get("video")).removeprefix("urn:li:video:"))
        if video is None:
            raise Refused(self._refusal(404, "NOT_FOUND"))
        self._author(request, video.owner, WRITES)
        whole = self._stage.receiver.size(video.id) == video.size_bytes
        right = asked.get("uploadedPartIds") == list(video.etags) and asked.get("uploadToken") == ""
        if video.state != "WAITING_UPLOAD" or not whole or not right:
            raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))
        settings = self._stage.sandbox.settings
        state = "PROCESSING" if settings.processing_polls else "AVAILABLE"
        sha256 = self._stage.receiver.sha256(video.id)
        video = msgspec.structs.replace(video, state=state, polls=settings.processing_polls, sha256=sha256)
        self._store.put(video.id, video)
        self._stage.receiver.forget(video.id)
        return web.Response(status=200)

    async def _video(self, request: web.Request) -> web.Response:
        video = self._store.get(LinkedInVideo, request.match_info["urn"].removeprefix("urn:li:video:"))
        account = self._asker(request)
        if video is None or video.account != account or video.expires_at <= self._stage.sandbox.now():
            raise Refused(self._refusal(404, "NOT_FOUND"))
        told: dict[str, Any] = {"id": video.urn, "owner": video.owner, "status": video.state}
        if video.state == "PROCESSING":
            decodes = video.is_video or not self._stage.sandbox.settings.check_media
            state = "PROCESSING" if video.polls > 1 else "AVAILABLE" if decodes else "PROCESSING_FAILED"
            video = msgspec.structs.replace(video, polls=video.polls - 1, state=state)
            self._store.put(video.id, video)
        elif video.state == "PROCESSING_FAILED":
            told["processingFailureReason"] = "The media cannot be decoded"
        return web.json_response(told)

    # --- the post

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.json()
        account = self._author(request, body.get("author"), WRITES)
        words, media = body.get("commentary"), dict((body.get("content") or {}).get("media") or {})
        video = self._store.get(LinkedInVideo, str(media.get("id")).removeprefix("urn:li:video:"))
        if video is None or video.owner != body["author"] or video.state != "AVAILABLE":
            raise Refused(self._refusal(400, "INVALID_CONTENT"))
        good = body.get("visibility") in {"PUBLIC", "CONNECTIONS", "LOGGED_IN"} and body.get("distribution")
        if not isinstance(words, str) or not good or body.get("lifecycleState") != "PUBLISHED":
            raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))
        text = _PLAIN.sub(lambda found: f"#{found[1]}" if found[1] else found[2], words)
        if _BARE.search(_PLAIN.sub("", words)):
            raise Refused(self._refusal(400, "INVALID_LITTLE_TEXT"))
        if len(text) > MOST_CHARS:
            raise Refused(self._refusal(400, "FIELD_LENGTH_TOO_LONG"))
        same = next((one for one in self._of(body["author"]) if one.text == text), None)
        if same is not None:
            raise Refused(self._refusal(422, f"DUPLICATE_POST Content is a duplicate of {same.id}"))
        urn = f"urn:li:share:{7_390_000_000_000_000_000 + int(self._store.add('linkedin:posts', 1))}"
        post = Posted(
            id=urn,
            platform="linkedin",
            account=account,
            text=text,
            created_at=self._stage.sandbox.now(),
            url=f"https://www.linkedin.com/feed/update/{urn}/",
            title=str(media.get("title", "")),
            sha256=video.sha256,
            size_bytes=video.size_bytes,
            more={"author": body["author"], "video": video.urn, "commentary": words},
        )
        self._stage.people.add(post)
        return web.Response(status=201, headers={"x-restli-id": urn})

    def _of(self, author: str) -> list[Posted]:
        every = self._stage.people.posts()
        return [one for one in every if one.more["author"] == author and one.state != "removed"]

    async def _posts(self, request: web.Request) -> web.Response:
        query = request.query
        self._author(request, query.get("author"), READS)
        if query.get("q") != "author" or request.headers.get("X-RestLi-Method") != "FINDER":
            raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))
        every = sorted(self._of(query["author"]), key=lambda one: -one.created_at)
        start, size = int(query.get("start", "0")), int(query.get("count", "10"))
        told = [_told(one) for one in every[start : start + size]]
        return web.json_response({"elements": told, "paging": {"start": start, "count": size, "links": []}})

    def _known(self, request: web.Request) -> Posted:
        post = self._stage.people.post(request.match_info["urn"])
        kind = "person" if post is None else post.more["author"].split(":")[2]
        self._asker(request, READS[kind])
        if post is None or post.state == "removed":
            raise Refused(self._refusal(404, "NOT_FOUND"))
        return post

    async def _one(self, request: web.Request) -> web.Response:
        return web.json_response(_told(self._known(request)))

    def _views(self, post: Posted) -> int:
        hours = (self._stage.sandbox.now() - post.created_at) * self._stage.sandbox.settings.time_scale / 3600.0
        return int(hours * (10 + int(post.id[-3:]) % 40))

    async def _metadata(self, request: web.Request) -> web.Response:
        post = self._known(request)
        views = self._views(post)
        told = {
            "entity": post.id,
            "reactionSummaries": {
                "LIKE": {"reactionType": "LIKE", "count": views // 30},
                "PRAISE": {"reactionType": "PRAISE", "count": views // 90},
            },
            "commentSummary": {"count": views // 100, "topLevelCount": views // 150},
            "commentsState": "OPEN",
        }
        return web.json_response(told)

    async def _statistics(self, request: web.Request) -> web.Response:
        self._asker(request, "r_member_postAnalytics")
        found = re.fullmatch(r"\((?:share|ugc):(.*)\)", request.query.get("entity", ""))
        post = None if found is None else self._stage.people.post(found[1])
        part = STATISTICS.get(request.query.get("queryType", ""))
        if post is None or part is None or request.query.get("aggregation") != "TOTAL":
            raise Refused(self._refusal(400, "ILLEGAL_ARGUMENT"))
        return web.json_response({"elements": [{"count": int(self._views(post) * part)}], "paging": {}})


def _told(post: Posted) -> dict[str, Any]:
    state = {"blocked": "PUBLISH_FAILED", "processing": "PUBLISH_REQUESTED"}.get(post.state, "PUBLISHED")
    moment = round(post.created_at * 1000)
    return {
        "id": post.id,
        "author": post.more["author"],
        "commentary": post.more["commentary"],
        "content": {"media": {"id": post.more["video"], "title": post.title}},
        "lifecycleState": state,
        "visibility": "PUBLIC",
        "createdAt": moment,
        "publishedAt": moment,
    }


def _store_refusal(status: int, reason: str = "") -> web.Response:
    """Write an error of the store of parts, which speaks no JSON."""
    return web.Response(status=status, text=reason or "refused")
