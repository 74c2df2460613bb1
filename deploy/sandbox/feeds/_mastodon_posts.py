"""Accounts of a Mastodon server as the sandbox plays them: consent, media, statuses, scheduled statuses.

Docs: docs.joinmastodon.org/methods/media/, /methods/statuses/, /methods/scheduled_statuses/, /methods/accounts/,
/methods/instance/, read 2026-11-23; app/services/post_status_service.rb of mastodon/mastodon: the key of a request is
kept for an hour after its status was made, and a medium that a status has is no longer found by itself.
An account of the sandbox is its own id. A scheduled status becomes a status when somebody asks after its time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import BodyPartReader, web
from msgspec import Struct
from msgspec.structs import replace

from deploy.sandbox import pages
from deploy.sandbox.context import Refused
from deploy.sandbox.faults import Refusal, fault_of, hang_up
from deploy.sandbox.feeds._consent import Consent, Style
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import BLOCK_BYTES, Grant, People, Posted

__all__ = ["CONFIGURATION", "Accounts"]

MAX_CHARS: Final = 500
CONFIGURATION: Final[dict[str, Any]] = {
    "statuses": {"max_characters": MAX_CHARS, "max_media_attachments": 4, "characters_reserved_per_url": 23},
    "media_attachments": {
        "supported_mime_types": ["image/jpeg", "image/png", "video/webm", "video/mp4", "video/quicktime"],
        "description_limit": 1_500,
        "image_size_limit": 16_777_216,
        "image_matrix_limit": 33_177_600,
        "video_size_limit": 103_809_024,
        "video_frame_rate_limit": 120,
        "video_matrix_limit": 8_294_400,
    },
}
KEY_S: Final = 3_600.0
SOONEST_S: Final = 300.0
POLLS: Final = 1
"""How often a video is asked for before it is ready."""
_LINK: Final = re.compile(r"https?://\S+")
_VISIBILITIES: Final = frozenset({"public", "unlisted", "private", "direct"})


class Medium(Struct, frozen=True, kw_only=True):
    """A file that was uploaded; status: the id of the status, or scheduled status, that has it."""

    id: str
    account: str
    sha256: str
    size_bytes: int
    description: str = ""
    polls: int = 0
    status: str = ""


class KeyUse(Struct, frozen=True, kw_only=True):
    """An Idempotency-Key and what it made."""

    status: str
    at: float


class Waiting(Struct, frozen=True, kw_only=True):
    """A status that is made when its time comes."""

    id: str
    account: str
    at: float
    text: str
    visibility: str
    media: str
    language: str | None = None


class Accounts:
    """What accounts of the server do."""

    def __init__(self, stage: Stage, *, refusal: Refusal) -> None:
        self._stage = stage
        self._store = stage.sandbox.store
        self._refuse = refusal
        names = ("read", "write", "read:accounts", "read:statuses", "write:media", "write:statuses")
        Consent(
            stage,
            Style(
                title="Mastodon",
                authorize="/oauth/authorize",
                token="/oauth/token",  # noqa: S106 - a path
                revoke="/oauth/revoke",
                register="/api/v1/apps",
                scopes={name: f"May {name.replace(':', ' ')}" for name in names},
                refreshes=False,
                answer=_endless,
            ),
        )
        self._usual = People(stage.sandbox, stage.name)
        stage.people.access_life_s = 3650 * 86_400
        stage.get("/api/v2/instance", "instance", self._instance, refusal=refusal)
        stage.get("/api/v1/accounts/verify_credentials", "owner", self._owner, refusal=refusal)
        stage.get("/api/v1/accounts/{id}/statuses", "own_statuses", self._own, refusal=refusal)
        stage.upload("/api/v2/media", "upload", self._upload, refusal=refusal)
        stage.get("/api/v1/media/{id}", "media", self._medium, refusal=refusal)
        stage.post("/api/v1/statuses", "post", self._post, refusal=refusal)
        stage.get("/api/v1/statuses/{id}", "status", self._status, refusal=refusal)
        stage.get("/api/v1/scheduled_statuses", "scheduled", self._scheduled, refusal=refusal)
        stage.get("/@{account}/{id}", "page", self._page, refusal=refusal)

    def _account(self, request: web.Request) -> Grant:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        grant = self._holder(token) if scheme.casefold() == "bearer" else None
        if grant is None:
            raise Refused(self._refuse(401, "The access token is invalid"))
        left, _ = self._stage.take(f"account:{grant.account}", limit=300, window_s=300)
        if left < 0:
            raise Refused(self._refuse(429, ""))
        self._release(request)
        return grant

    def _holder(self, token: str) -> Grant | None:
        """Return whose token that is. One ends only by hand, which moves the end of the access token alone."""
        every = (one for one in self._store.all(Grant) if one.platform == self._stage.name and not one.revoked)
        given = next((one for one in every if one.access == token), None)
        usual_s = self._usual.refresh_life_s - self._usual.access_life_s
        untouched = given is not None and abs(given.refresh_ends_at - given.access_ends_at - usual_s) < 1
        return given if untouched else self._stage.people.holder(token)

    async def _page(self, request: web.Request) -> web.Response:
        post = self._stage.people.post(request.match_info["id"])
        if post is None or post.account != request.match_info["account"]:
            return pages.html(pages.notice("Not found", "There is no such post."), status=404)
        return pages.html(pages.notice(f"@{post.account} at a Mastodon of the sandbox", post.text, post.state))

    async def _instance(self, request: web.Request) -> web.Response:
        body = {"domain": request.host, "title": "Sandbox", "version": "4.5.0", "configuration": CONFIGURATION}
        return web.json_response(body)

    async def _owner(self, request: web.Request) -> web.Response:
        return web.json_response(self._owner_of(self._account(request).account, request))

    def _owner_of(self, account: str, request: web.Request) -> dict[str, Any]:
        page = f"{self._stage.home(request)}/@{account}"
        return {"id": account, "username": account, "acct": account, "url": page, "avatar_static": f"{page}.png"}

    # --- media

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        account = self._account(request).account
        number, cut = int(self._store.add("mastodon:uploads", 1)), fault_of(request, "drop_mid_body")
        name, receiver, description = f"media-{number}", self._stage.receiver, ""
        keep = None
        if cut is not None:
            keep = (request.content_length or 0) // 2 if cut.after_bytes is None else cut.after_bytes
        seen = ""
        try:
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    return self._refuse(422, "Validation failed")
                if part.name == "description":
                    description = await part.text()
                    continue
                seen = part.headers.get("Content-Type", "")
                while block := await part.read_chunk(BLOCK_BYTES):
                    receiver.add(name, block)
                    if keep is not None and receiver.size(name) >= keep:
                        return hang_up(request)
        finally:
            size_bytes, sha256 = receiver.size(name), receiver.sha256(name)
            receiver.forget(name)
        if cut is not None:
            return hang_up(request)
        if seen not in CONFIGURATION["media_attachments"]["supported_mime_types"] or not size_bytes:
            return self._refuse(422, "Validation failed: File content type is invalid")
        if size_bytes > CONFIGURATION["media_attachments"]["video_size_limit"]:
            return self._refuse(422, "Validation failed: File size must be less than 99 MB")
        medium = Medium(
            id=f"1{number:017}", account=account, sha256=sha256, size_bytes=size_bytes, description=description
        )
        self._store.put(medium.id, medium)
        return web.json_response(_shown(medium), status=202)

    async def _medium(self, request: web.Request) -> web.Response:
        account, medium = self._account(request).account, self._store.get(Medium, request.match_info["id"])
        if medium is None or medium.account != account or medium.status:
            return self._refuse(404, "")
        medium = replace(medium, polls=medium.polls + 1)
        self._store.put(medium.id, medium)
        return web.json_response(_shown(medium), status=200 if medium.polls > POLLS else 206)

    # --- statuses

    async def _post(self, request: web.Request) -> web.Response:
        account, asked = self._account(request).account, await request.json()
        key = request.headers.get("Idempotency-Key", "")
        used = self._store.get(KeyUse, f"{account} {key}") if key else None
        if used is not None and used.at + KEY_S > self._stage.sandbox.now():
            return self._shown_again(used.status, request)
        text, visibility = str(asked.get("status", "")), asked.get("visibility") or "public"
        names = asked.get("media_ids") or []
        media = [one for name in names if (one := self._store.get(Medium, str(name))) and one.account == account]
        if len(media) != len(names) or any(one.status for one in media):
            return self._refuse(422, "Validation failed: Media not found")
        if any(one.polls <= POLLS for one in media):
            return self._refuse(422, "Cannot attach files that have not finished processing. Try again in a moment!")
        if len(_LINK.sub("x" * 23, text)) > MAX_CHARS or visibility not in _VISIBILITIES or len(media) != 1:
            return self._refuse(422, "Validation failed: Text character limit of 500 exceeded")
        now, number = self._stage.sandbox.now(), int(self._store.add("mastodon:statuses", 1))
        at = asked.get("scheduled_at")
        due = datetime.fromisoformat(at).timestamp() if at else None
        if due is not None and due < now + SOONEST_S:
            return self._refuse(422, "Validation failed: Scheduled at must be at least 5 minutes in the future")
        name = f"{'7' if due is not None else '11'}{number:016}"
        self._store.put(media[0].id, replace(media[0], status=name))
        if key:
            self._store.put(f"{account} {key}", KeyUse(status=name, at=now))
        made = Waiting(
            id=name,
            account=account,
            at=now if due is None else due,
            text=text,
            visibility=visibility,
            media=media[0].id,
            language=asked.get("language"),
        )
        if due is None:
            self._add(made, media[0], request)
        else:
            self._store.put(name, made)
        return self._shown_again(name, request)

    def _add(self, one: Waiting, medium: Medium, request: web.Request) -> None:
        self._stage.people.add(
            Posted(
                id=one.id,
                platform="mastodon",
                account=one.account,
                text=one.text,
                created_at=one.at,
                url=f"{self._stage.home(request)}/@{one.account}/{one.id}",
                privacy=one.visibility,
                sha256=medium.sha256,
                size_bytes=medium.size_bytes,
                more={"media": medium.id, "description": medium.description, "language": one.language},
            )
        )

    def _release(self, request: web.Request) -> None:
        """Make statuses of the scheduled ones whose time has come."""
        now = self._stage.sandbox.now()
        for one in self._store.all(Waiting):
            if one.at <= now:
                name, medium = f"12{one.id[1:]}", self._store.get(Medium, one.media)
                assert medium is not None
                self._store.put(medium.id, replace(medium, status=name))
                self._add(replace(one, id=name), medium, request)
                self._store.drop(Waiting, one.id)

    async def _status(self, request: web.Request) -> web.Response:
        self._account(request)
        return self._shown_again(request.match_info["id"], request)

    async def _own(self, request: web.Request) -> web.Response:
        self._account(request)
        posts = [one for one in self._stage.people.posts(request.match_info["id"]) if one.state != "removed"]
        posts.reverse()
        before = request.query.get("max_id")
        posts = [one for one in posts if before is None or one.created_at < self._at(before)]
        size = min(40, int(request.query.get("limit", "20")))
        return web.json_response([self._view(one, request) for one in posts[:size]])

    def _at(self, name: str) -> float:
        post = self._stage.people.post(name)
        return 0.0 if post is None else post.created_at

    async def _scheduled(self, request: web.Request) -> web.Response:
        account = self._account(request).account
        mine = [self._shown_waiting(one) for one in self._store.all(Waiting) if one.account == account]
        return web.json_response(mine)

    def _shown_waiting(self, one: Waiting) -> dict[str, Any]:
        medium = self._store.get(Medium, one.media)
        return {
            "id": one.id,
            "scheduled_at": _moment(one.at),
            "params": {"text": one.text, "visibility": one.visibility, "media_ids": [one.media]},
            "media_attachments": [] if medium is None else [_shown(medium)],
        }

    def _shown_again(self, name: str, request: web.Request) -> web.Response:
        post = self._stage.people.post(name)
        if post is not None and post.state != "removed":
            return web.json_response(self._view(post, request))
        waiting = self._store.get(Waiting, name)
        return self._refuse(404, "") if waiting is None else web.json_response(self._shown_waiting(waiting))

    def _view(self, post: Posted, request: web.Request) -> dict[str, Any]:
        age_h = max(0.0, self._stage.sandbox.now() - post.created_at) / 3_600
        favourites = int(age_h * 5)
        medium = self._store.get(Medium, post.more["media"])
        return {
            "id": post.id,
            "uri": f"{self._stage.home(request)}/users/{post.account}/statuses/{post.id}",
            "url": post.url,
            "created_at": _moment(post.created_at),
            "content": f"<p>{post.text}</p>",
            "visibility": post.privacy,
            "language": post.more.get("language"),
            "account": self._owner_of(post.account, request),
            "media_attachments": [] if medium is None else [_shown(medium)],
            "replies_count": favourites // 8,
            "reblogs_count": favourites // 3,
            "favourites_count": favourites,
        }


def _shown(medium: Medium) -> dict[str, Any]:
    ready = medium.polls > POLLS
    url = f"https://files.sandbox.test/{medium.id}.mp4" if ready else None
    return {"id": medium.id, "type": "video", "url": url, "description": medium.description}


def _endless(answer: dict[str, Any], grant: Grant) -> dict[str, Any]:
    """Write a token answer as Mastodon does: nothing says when the token ends."""
    told = {name: value for name, value in answer.items() if name != "expires_in"}
    return told | {"token_type": "Bearer", "created_at": int(grant.access_ends_at) - 3650 * 86_400}


def _moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
