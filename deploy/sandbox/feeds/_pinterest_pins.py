"""Boards, videos and pins of connected accounts on Pinterest as the sandbox plays them, with the store of files.

Docs: developers.pinterest.com/docs/api/v5: media-create, pins-create, boards-list, pins-analytics, OpenAPI 5.23.0, read
2026-11-23; Amazon S3 "Browser-Based Uploads Using POST" for the store. The app has standard access. Pins with the same
words are taken as often as they come: Pinterest states no rule against them.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec
from aiohttp import BodyPartReader, web
from msgspec import Struct

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import Refusal, drain, fault_of, hang_up
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import Posted

__all__ = ["FORM_LIFE_S", "PinterestPins"]

FORM_LIFE_S: Final = 3600.0
CALLS_A_MINUTE: Final = 1_000
MOST_BYTES: Final = 2 * 1024**3
BACK_DAYS: Final = 90
METRICS: Final = {
    "IMPRESSION": 4.0, "OUTBOUND_CLICK": 0.05, "PIN_CLICK": 0.2, "SAVE": 0.08, "SAVE_RATE": 0.0, "TOTAL_COMMENTS": 0.01,
    "TOTAL_REACTIONS": 0.06, "USER_FOLLOW": 0.002, "PROFILE_VISIT": 0.02, "VIDEO_MRC_VIEW": 1.0, "VIDEO_10S_VIEW": 0.4,
    "QUARTILE_95_PERCENT_VIEW": 0.2, "VIDEO_V50_WATCH_TIME": 5000.0, "VIDEO_START": 1.8, "VIDEO_AVG_WATCH_TIME": 0.0,
}  # fmt: skip
_FOR_LIFE: Final = {"TOTAL_COMMENTS", "TOTAL_REACTIONS"}
_PIN: Final = {
    "alt_text", "board_id", "board_section_id", "description", "dominant_color", "link", "media_source", "note",
    "parent_pin_id", "title",
}  # fmt: skip
_LENGTHS: Final = {"title": 100, "description": 800, "link": 2048, "alt_text": 500}
_COVERS: Final = {"cover_image_url", "cover_image_data", "cover_image_key_frame_time"}


class PinterestBoard(Struct, frozen=True, kw_only=True):
    """One board."""

    id: str
    account: str
    name: str


class PinterestMedia(Struct, frozen=True, kw_only=True):
    """One registered video. state: as in `status`."""

    id: str
    account: str
    key: str
    form: dict[str, str]
    form_ends_at: float
    state: str = "registered"
    polls: int = 0
    sha256: str = ""
    size_bytes: int = 0
    is_video: bool = True


class PinterestPins:
    """The data host and the store."""

    def __init__(self, stage: Stage, *, refusal: Refusal) -> None:
        self._stage = stage
        self._store = stage.sandbox.store
        self._refusal = refusal
        stage.people.access_life_s = 30 * 86_400
        stage.people.refresh_life_s = 60 * 86_400
        stage.get("/user_account", "me", self._me, refusal=refusal)
        stage.get("/boards", "boards", self._boards, refusal=refusal)
        stage.post("/boards", "new_board", self._new_board, refusal=refusal)
        stage.get("/boards/{id}/pins", "board_pins", self._board_pins, refusal=refusal)
        stage.post("/media", "media", self._register, refusal=refusal)
        stage.upload("/store", "store", self._take, refusal=_store_refusal)
        stage.get("/media/{id}", "status", self._status, refusal=refusal)
        stage.post("/pins", "post", self._pin, refusal=refusal)
        stage.get("/pins/{id}", "look", self._one, refusal=refusal)
        stage.get("/pins/{id}/analytics", "analytics", self._analytics, refusal=refusal)

    def asker(self, request: web.Request, *scopes: str) -> str:
        """Return whose the request is. Raises: Refused."""
        grant = self._stage.people.holder(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if grant is None:
            raise Refused(self._refusal(401, ""))
        if not set(scopes) <= set(grant.scopes):
            raise Refused(self._refusal(403, ""))
        if self._stage.take(f"calls:{grant.account}", limit=CALLS_A_MINUTE, window_s=60)[0] < 0:
            raise Refused(self._refusal(429, ""))
        return grant.account

    async def _me(self, request: web.Request) -> web.Response:
        account = self.asker(request, "user_accounts:read")
        told = {"username": account, "account_type": "BUSINESS", "profile_image": "https://i.pinimg.com/s.jpg"}
        return web.json_response({"id": account, **told})

    # --- boards

    def _of(self, account: str) -> list[PinterestBoard]:
        """Return an account's boards; the first is there from the beginning."""
        found = [one for one in self._store.all(PinterestBoard) if one.account == account]
        return found or [self._add_board(account, "Sandbox board")]

    def _add_board(self, account: str, name: str) -> PinterestBoard:
        board = PinterestBoard(
            id=str(549_755_000_000 + int(self._store.add("pinterest:ids", 1))), account=account, name=name
        )
        self._store.put(board.id, board)
        return board

    async def _boards(self, request: web.Request) -> web.Response:
        boards = self._of(self.asker(request, "boards:read"))
        return self._page(request, [{"id": one.id, "name": one.name, "privacy": "PUBLIC"} for one in boards])

    async def _new_board(self, request: web.Request) -> web.Response:
        account = self.asker(request, "boards:read", "boards:write")
        name = (await request.json()).get("name")
        if not isinstance(name, str) or not name:
            raise Refused(self._refusal(400, "The board needs a name."))
        self._of(account)
        board = self._add_board(account, name)
        return web.json_response({"id": board.id, "name": board.name}, status=201)

    async def _board_pins(self, request: web.Request) -> web.Response:
        account = self.asker(request, "boards:read", "pins:read")
        board = self._store.get(PinterestBoard, request.match_info["id"])
        if board is None or board.account != account:
            raise Refused(self._refusal(404, "Board not found."))
        every = [one for one in self._stage.people.posts(account) if one.more["board_id"] == board.id]
        return self._page(request, [_told(one) for one in reversed(every) if one.state != "removed"])

    def _page(self, request: web.Request, items: list[dict[str, Any]]) -> web.Response:
        size = request.query.get("page_size", "25")
        if not size.isdigit() or not 1 <= int(size) <= 250:
            raise Refused(self._refusal(400, "page_size must be from 1 to 250"))
        start = int(request.query.get("bookmark", "0"))
        ends = start + int(size)
        return web.json_response({"items": items[start:ends], "bookmark": str(ends) if ends < len(items) else None})

    # --- the video

    async def _register(self, request: web.Request) -> web.Response:
        account = self.asker(request, "pins:read", "pins:write")
        if (await request.json()).get("media_type") != "video":
            raise Refused(self._refusal(400, "media_type must be video"))
        number = str(545_000_000_000 + int(self._store.add("pinterest:ids", 1)))
        key = f"uploads/{secrets.token_hex(8)}/{number}"
        form = {
            "x-amz-date": datetime.fromtimestamp(self._stage.sandbox.now(), UTC).strftime("%Y%m%dT%H%M%SZ"),
            "x-amz-signature": secrets.token_hex(32),
            "x-amz-security-token": f"sandbox-{secrets.token_hex(8)}",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "key": key,
            "policy": base64.b64encode(key.encode()).decode(),
            "x-amz-credential": "sandbox/20261123/us-east-1/s3/aws4_request",
            "Content-Type": "multipart/form-data",
        }
        ends = self._stage.sandbox.now() + FORM_LIFE_S
        self._store.put(number, PinterestMedia(id=number, account=account, key=key, form=form, form_ends_at=ends))
        told = {"media_id": number, "media_type": "video", "upload_url": f"{self._stage.home(request)}/store"}
        return web.json_response({**told, "upload_parameters": form}, status=201)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        """Take the form, as a store does: every field before the file, the policy good, and nobody's token."""
        if "Authorization" in request.headers or request.content_type != "multipart/form-data":
            await drain(request)
            return _store_refusal(400, "InvalidArgument")
        if cut := fault_of(request, "drop_mid_body"):
            await request.content.read(
                (request.content_length or 0) // 2 if cut.after_bytes is None else cut.after_bytes
            )
            return hang_up(request)
        fields: dict[str, str] = {}
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                break
            if part.name != "file":
                fields[part.name or ""] = await part.text()
                continue
            media = next((one for one in self._store.all(PinterestMedia) if one.key == fields.get("key")), None)
            if media is None or fields != media.form or media.form_ends_at <= self._stage.sandbox.now():
                await drain(request)
                return _store_refusal(403, "AccessDenied")
            await self._keep(media, part)
            return web.Response(status=204)
        return _store_refusal(400, "MissingFile")

    async def _keep(self, media: PinterestMedia, part: BodyPartReader) -> None:
        receiver = self._stage.receiver
        receiver.forget(media.id)
        begins = b""
        while block := await part.read_chunk(1 << 18):
            begins = begins or bytes(block[:12])
            receiver.add(media.id, block)
        polls = self._stage.sandbox.settings.processing_polls
        media = msgspec.structs.replace(
            media,
            state="processing" if polls else "succeeded",
            polls=polls,
            sha256=receiver.sha256(media.id),
            size_bytes=receiver.size(media.id),
            is_video=begins[4:8] == b"ftyp",
        )
        receiver.forget(media.id)
        self._store.put(media.id, media)

    async def _status(self, request: web.Request) -> web.Response:
        account = self.asker(request, "pins:read")
        media = self._store.get(PinterestMedia, request.match_info["id"])
        if media is None or media.account != account:
            raise Refused(self._refusal(404, "Media upload not found."))
        told = {"media_id": media.id, "media_type": "video", "status": media.state}
        if media.state == "processing":
            decodes = media.is_video or not self._stage.sandbox.settings.check_media
            state = "processing" if media.polls > 1 else "succeeded" if decodes else "failed"
            self._store.put(media.id, msgspec.structs.replace(media, polls=media.polls - 1, state=state))
        return web.json_response(told)

    # --- pins

    async def _pin(self, request: web.Request) -> web.Response:
        account = self.asker(request, "boards:read", "boards:write", "pins:read", "pins:write")
        body = await request.json()
        source = dict(body.get("media_source") or {})
        board = self._store.get(PinterestBoard, str(body.get("board_id")))
        media = self._store.get(PinterestMedia, str(source.get("media_id")))
        long = next((name for name, most in _LENGTHS.items() if len(str(body.get(name) or "")) > most), None)
        if set(body) - _PIN or long or source.get("source_type") != "video_id" or len(_COVERS & set(source)) != 1:
            raise Refused(self._refusal(400, f"Invalid request: {long or 'media_source'}"))
        if board is None or board.account != account:
            raise Refused(self._refusal(403, "You are not permitted to access that board."))
        if media is None or media.account != account or media.state != "succeeded":
            raise Refused(self._refusal(400, "Sorry, this media has not been processed."))
        name = str(813_744_000_000_000 + int(self._store.add("pinterest:ids", 1)))
        more = {key: body[key] for key in ("board_id", "link", "board_section_id") if body.get(key)}
        pin = Posted(
            id=name,
            platform="pinterest",
            account=account,
            text=str(body.get("description") or ""),
            title=str(body.get("title") or ""),
            created_at=self._stage.sandbox.now(),
            url=f"https://www.pinterest.com/pin/{name}/",
            sha256=media.sha256,
            size_bytes=media.size_bytes,
            more={**more, "cover": source.get("cover_image_key_frame_time")},
        )
        self._stage.people.add(pin)
        return web.json_response(_told(pin), status=201)

    def _known(self, request: web.Request) -> Posted:
        account = self.asker(request, "boards:read", "pins:read")
        pin = self._stage.people.post(request.match_info["id"])
        if pin is None or pin.account != account or pin.state == "removed":
            raise Refused(self._refusal(404, "Pin not found."))
        if pin.state in {"blocked", "private"}:
            raise Refused(self._refusal(403, "Not authorized to access board or Pin."))
        return pin

    async def _one(self, request: web.Request) -> web.Response:
        pin = self._known(request)
        told = _told(pin)
        if request.query.get("pin_metrics") == "true":
            views = self._views(pin)
            told["pin_metrics"] = {
                "lifetime_metrics": {
                    "impression": views * 4,
                    "pin_click": views // 5,
                    "clickthrough": views // 20,
                    "reaction": int(views * METRICS["TOTAL_REACTIONS"]),
                    "comment": int(views * METRICS["TOTAL_COMMENTS"]),
                }
            }
        return web.json_response(told)

    def _views(self, pin: Posted) -> int:
        hours = (self._stage.sandbox.now() - pin.created_at) * self._stage.sandbox.settings.time_scale / 3600.0
        return int(hours * (15 + int(pin.id) % 60))

    async def _analytics(self, request: web.Request) -> web.Response:
        pin = self._known(request)
        query = request.query
        today = datetime.fromtimestamp(self._stage.sandbox.now(), UTC).date()
        try:
            first, last = (date.fromisoformat(query[name]) for name in ("start_date", "end_date"))
            wanted = query["metric_types"].split(",")
        except (KeyError, ValueError):
            raise Refused(self._refusal(400, "Invalid pins analytics parameters.")) from None
        if not today - timedelta(days=BACK_DAYS) <= first <= last <= today or set(wanted) - set(METRICS):
            raise Refused(self._refusal(400, "Invalid pins analytics parameters."))
        views = self._views(pin)
        totals = {name: int(views * METRICS[name]) for name in wanted}
        told = {
            "summary_metrics": {name: total for name, total in totals.items() if name not in _FOR_LIFE},
            "lifetime_metrics": {name: total for name, total in totals.items() if name in _FOR_LIFE},
            "daily_metrics": [{"date": f"{last}", "data_status": "READY", "metrics": totals}],
        }
        return web.json_response({"all": told})


def _told(pin: Posted) -> dict[str, Any]:
    return {
        "id": pin.id,
        "title": pin.title,
        "description": pin.text,
        "link": pin.more.get("link"),
        "board_id": pin.more["board_id"],
        "created_at": datetime.fromtimestamp(pin.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "is_owner": True,
        "is_standard": True,
        "media": {"media_type": "video", "duration": None, "height": None, "width": None},
    }


def _store_refusal(status: int, reason: str = "") -> web.Response:
    """Write an error as S3 does."""
    code = reason or "InternalError"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return web.Response(status=status, text=body, content_type="application/xml")
