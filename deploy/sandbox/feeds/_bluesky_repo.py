"""An account's server and the video service of Bluesky as the sandbox plays them: sessions, uploads, records.

Docs: lexicons com.atproto.server.*, com.atproto.repo.*, app.bsky.video.* and app.bsky.feed.getPosts, and
docs.bsky.app/docs/tutorials/video, read 2026-11-23. createRecord with a key that is taken answers 500, as the reference
server does (bluesky-social/atproto issue 3718). An account of the sandbox is its own DID.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any, Final

import msgspec
from aiohttp import web
from icu4py.breakers import CharacterBreaker
from msgspec import Struct

from deploy.sandbox.context import Refused, rfc3339
from deploy.sandbox.faults import Refusal, fault_of, hang_up
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import BLOCK_BYTES, Grant, Posted

__all__ = ["DAILY_VIDEOS", "PASSWORD", "Repo"]

PASSWORD: Final = "sandbox-bluesky"  # noqa: S105 - a made-up word, good on this machine alone
DAILY_VIDEOS: Final = 25
DAILY_BYTES: Final = 10 * 1024**3
MAX_VIDEO_BYTES: Final = 300_000_000
MAX_CAPTION_BYTES: Final = 20_000
MAX_GRAPHEMES: Final = 300
POLLS: Final = 2
"""How often a job is asked for before it is done."""
POST: Final = "app.bsky.feed.post"
_KEY: Final = re.compile(r"[A-Za-z0-9._~:-]{1,512}")


class VideoJob(Struct, frozen=True, kw_only=True):
    """A video that is worked on, or done."""

    id: str
    account: str
    sha256: str
    size_bytes: int
    polls: int = 0

    @property
    def done(self) -> bool:
        return self.polls >= POLLS

    @property
    def blob(self) -> dict[str, Any]:
        return blob(self.sha256, "video/mp4", self.size_bytes)


class Caption(Struct, frozen=True, kw_only=True):
    """A file of captions that was stored."""

    sha256: str
    size_bytes: int


class ServiceToken(Struct, frozen=True, kw_only=True):
    """What lets one service act for an account, for one kind of call."""

    token: str
    account: str
    aud: str
    lxm: str
    ends_at: float


def blob(sha256: str, mime: str, size_bytes: int) -> dict[str, Any]:
    return {"$type": "blob", "ref": {"$link": f"bafkrei{sha256}"}, "mimeType": mime, "size": size_bytes}


class Repo:
    """What accounts of the sandbox do. place names: those of the calls."""

    def __init__(self, stage: Stage, *, handle: str, refusal: Refusal) -> None:
        self._stage = stage
        self._store = stage.sandbox.store
        self._handle = handle
        self._refuse = refusal
        server, repo, video = (f"/xrpc/{name}" for name in ("com.atproto.server", "com.atproto.repo", "app.bsky.video"))
        stage.post(f"{server}.createSession", "token", self._create_session, refusal=refusal)
        stage.post(f"{server}.refreshSession", "refresh", self._refresh_session, refusal=refusal)
        stage.post(f"{server}.deleteSession", "sign_out", self._delete_session, refusal=refusal)
        stage.get(f"{server}.getServiceAuth", "service_auth", self._service_auth, refusal=refusal)
        stage.get(f"{video}.getUploadLimits", "limits", self._limits, refusal=refusal)
        stage.upload(f"{video}.uploadVideo", "upload", self._upload, refusal=refusal)
        stage.get(f"{video}.getJobStatus", "job", self._job, refusal=refusal)
        stage.post(f"{repo}.uploadBlob", "blob", self._blob, refusal=refusal)
        stage.post(f"{repo}.createRecord", "post", self._create_record, refusal=refusal)
        stage.get(f"{repo}.getRecord", "record", self._record, refusal=refusal)
        stage.get("/xrpc/app.bsky.feed.getPosts", "posts", self._posts, refusal=refusal)

    def account(self, request: web.Request) -> str:
        """Return whose session the request carries. Raises: Refused."""
        token = _bearer(request)
        if not token:
            raise Refused(self._refuse(401, "AuthMissing"))
        grant = self._stage.people.holder(token)
        if grant is None:
            raise Refused(self._refuse(400, "ExpiredToken"))
        return grant.account

    # --- sessions

    async def _create_session(self, request: web.Request) -> web.Response:
        try:
            told = msgspec.json.decode(await request.read(), type=dict[str, str])
        except msgspec.DecodeError:
            return self._refuse(400, "")
        handle = told.get("identifier", "")
        if told.get("password") != PASSWORD or not handle:
            return self._refuse(401, "AuthenticationRequired")
        account = "did:plc:sandbox" if handle == self._handle else f"did:plc:{handle.partition('.')[0]}"
        return self._session(request, self._stage.people.grant(account, ()), handle)

    async def _refresh_session(self, request: web.Request) -> web.Response:
        grant = self._stage.people.rotated(_bearer(request))
        if grant is None:
            return self._refuse(400, "ExpiredToken")
        return self._session(request, grant, f"{grant.account.rpartition(':')[2]}.test")

    async def _delete_session(self, request: web.Request) -> web.Response:
        if not self._stage.people.revoke(_bearer(request)):
            return self._refuse(400, "InvalidToken")
        return web.Response(status=200)

    def _session(self, request: web.Request, grant: Grant, handle: str) -> web.Response:
        service = {
            "id": "#atproto_pds",
            "type": "AtprotoPersonalDataServer",
            "serviceEndpoint": self._stage.home(request),
        }
        body = {
            "accessJwt": grant.access,
            "refreshJwt": grant.refresh,
            "did": grant.account,
            "handle": handle,
            "didDoc": {"id": grant.account, "service": [service]},
            "active": True,
        }
        return web.json_response(body)

    async def _service_auth(self, request: web.Request) -> web.Response:
        account, asked = self.account(request), request.query
        ends_at = float(asked.get("exp", self._stage.sandbox.now() + 60))
        if not asked.get("aud", "").startswith("did:") or ends_at > self._stage.sandbox.now() + 3_600:
            return self._refuse(400, "BadExpiration")
        number = int(self._store.add("bluesky:service_tokens", 1))
        token = ServiceToken(
            token=f"sandbox-service-bluesky-{number}",
            account=account,
            aud=asked["aud"],
            lxm=asked.get("lxm", ""),
            ends_at=ends_at,
        )
        self._store.put(token.token, token)
        return web.json_response({"token": token.token})

    def _service(self, request: web.Request, lxm: str, aud: str | None) -> str:
        found = self._store.get(ServiceToken, _bearer(request))
        known = found is not None and found.ends_at > self._stage.sandbox.now() and found.lxm == lxm
        if found is None or not known or (aud is not None and found.aud != aud):
            raise Refused(self._refuse(401, "AuthenticationRequired"))
        return found.account

    # --- videos

    async def _limits(self, request: web.Request) -> web.Response:
        account = self._service(request, "app.bsky.video.getUploadLimits", "did:web:video.bsky.app")
        today = [job for job in self._store.all(VideoJob) if job.account == account]
        left, room = DAILY_VIDEOS - len(today), DAILY_BYTES - sum(job.size_bytes for job in today)
        body: dict[str, Any] = {
            "canUpload": left > 0 and room > 0,
            "remainingDailyVideos": max(left, 0),
            "remainingDailyBytes": max(room, 0),
        }
        if left <= 0:
            body |= {"error": "exceeded_daily_limit", "message": "User has exceeded the daily upload limit"}
        return web.json_response(body)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        account = self._service(request, "com.atproto.repo.uploadBlob", None)
        if request.query.get("did") != account or request.content_type != "video/mp4":
            return self._refuse(400, "InvalidRequest")
        number, cut = int(self._store.add("bluesky:uploads", 1)), fault_of(request, "drop_mid_body")
        receiver, name, announced = self._stage.receiver, f"upload-{number}", request.content_length or 0
        keep = (announced // 2 if cut.after_bytes is None else cut.after_bytes) if cut is not None else None
        async for block in request.content.iter_chunked(BLOCK_BYTES):
            receiver.add(name, block)
            if keep is not None and receiver.size(name) >= keep:
                break
        size_bytes, sha256 = receiver.size(name), receiver.sha256(name)
        receiver.forget(name)
        if cut is not None or size_bytes != announced:
            return hang_up(request)
        if size_bytes > MAX_VIDEO_BYTES:
            return self._refuse(400, "BlobTooLarge")
        known = next((j for j in self._store.all(VideoJob) if (j.account, j.sha256) == (account, sha256)), None)
        if known is not None:
            words = {"error": "already_exists", "message": "Video already processed"}
            return web.json_response({**self._status(known), **words}, status=409)
        job = VideoJob(id=f"job{number:08}", account=account, sha256=sha256, size_bytes=size_bytes)
        self._store.put(job.id, job)
        return web.json_response(self._status(job))

    async def _job(self, request: web.Request) -> web.Response:
        job = self._store.get(VideoJob, request.query.get("jobId", ""))
        if job is None:
            return self._refuse(404, "JobNotFound")
        job = msgspec.structs.replace(job, polls=job.polls + 1)
        self._store.put(job.id, job)
        return web.json_response({"jobStatus": self._status(job)})

    def _status(self, job: VideoJob) -> dict[str, Any]:
        state = "JOB_STATE_COMPLETED" if job.done else "JOB_STATE_ENCODING"
        status: dict[str, Any] = {"jobId": job.id, "did": job.account, "state": state, "progress": 100 * job.done}
        return status | ({"blob": job.blob} if job.done else {})

    # --- records

    async def _blob(self, request: web.Request) -> web.Response:
        self.account(request)
        body = await request.read()
        if request.content_type != "text/vtt" or len(body) > MAX_CAPTION_BYTES or not body.startswith(b"WEBVTT"):
            return self._refuse(400, "InvalidRequest")
        caption = Caption(sha256=hashlib.sha256(body).hexdigest(), size_bytes=len(body))
        self._store.put(caption.sha256, caption)
        return web.json_response({"blob": blob(caption.sha256, "text/vtt", caption.size_bytes)})

    async def _create_record(self, request: web.Request) -> web.Response:
        account = self.account(request)
        told = await request.json()
        key, record = str(told.get("rkey", "")), told.get("record")
        if told.get("repo") != account:
            return self._refuse(401, "AuthRequired")
        if told.get("collection") != POST or not isinstance(record, dict) or not _KEY.fullmatch(key):
            return self._refuse(400, "InvalidRequest")
        if (fault := _fault_in(record)) is not None:
            return self._refuse(400, fault)
        embed = record.get("embed") or {}
        video = self._video(account, embed)
        if video is None:
            words = {"error": "InvalidRequest", "message": "Could not find blob"}
            return web.json_response(words, status=400)
        if self._stage.people.post(f"{account}:{key}") is not None:
            return self._refuse(500, "InternalServerError")
        uri = f"at://{account}/{POST}/{key}"
        self._stage.people.add(
            Posted(
                id=f"{account}:{key}",
                platform="bluesky",
                account=account,
                text=record["text"],
                created_at=self._stage.sandbox.now(),
                url=f"https://bsky.app/profile/{account}/post/{key}",
                sha256=video.sha256,
                size_bytes=video.size_bytes,
                more={"record": record},
            )
        )
        return web.json_response({"uri": uri, "cid": f"bafyrei{key}", "validationStatus": "valid"})

    def _video(self, account: str, embed: dict[str, Any]) -> VideoJob | None:
        link = ((embed.get("video") or {}).get("ref") or {}).get("$link", "")
        found = (job for job in self._store.all(VideoJob) if job.account == account and job.done)
        return next((job for job in found if job.blob["ref"]["$link"] == link), None)

    async def _record(self, request: web.Request) -> web.Response:
        asked = request.query
        post = self._stage.people.post(f"{asked.get('repo', '')}:{asked.get('rkey', '')}")
        if post is None or post.state == "removed":
            return self._refuse(400, "RecordNotFound")
        did, _, key = post.id.rpartition(":")
        return web.json_response(
            {"uri": f"at://{did}/{POST}/{key}", "cid": f"bafyrei{key}", "value": post.more["record"]}
        )

    async def _posts(self, request: web.Request) -> web.Response:
        self.account(request)
        uris = request.query.getall("uris", [])
        if not 1 <= len(uris) <= 25:
            return self._refuse(400, "InvalidRequest")
        found = ((uri, self._post_at(uri)) for uri in uris)
        return web.json_response({"posts": [self._view(uri, post) for uri, post in found if post is not None]})

    def _post_at(self, uri: str) -> Posted | None:
        did, _, key = uri.removeprefix("at://").partition(f"/{POST}/")
        post = self._stage.people.post(f"{did}:{key}")
        return post if post is not None and post.state not in {"removed", "blocked"} else None

    def _view(self, uri: str, post: Posted) -> dict[str, Any]:
        age_h = max(0.0, self._stage.sandbox.now() - post.created_at) / 3_600
        likes = int(age_h * 7)
        return {
            "uri": uri,
            "cid": "bafyrei1",
            "author": {"did": post.account, "handle": "creator.test"},
            "record": post.more["record"],
            "replyCount": likes // 9,
            "repostCount": likes // 4,
            "likeCount": likes,
            "quoteCount": likes // 20,
            "bookmarkCount": likes // 12,
            "indexedAt": rfc3339(post.created_at),
            "labels": [],
        }


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def _fault_in(record: dict[str, Any]) -> str | None:
    """Return what the lexicon has against a record; None: nothing."""
    text = record.get("text")
    if record.get("$type") != POST or not isinstance(text, str):
        return "InvalidRecord"
    if sum(1 for _ in CharacterBreaker(text, "en").segments()) > MAX_GRAPHEMES or len(text.encode()) > 3_000:
        return "InvalidRecord"
    try:
        datetime.fromisoformat(str(record.get("createdAt")))
    except ValueError:
        return "InvalidRecord"
    whole = text.encode()
    for facet in record.get("facets", ()):
        first, last = facet["index"]["byteStart"], facet["index"]["byteEnd"]
        if not 0 <= first < last <= len(whole):
            return "InvalidRecord"
    return None
