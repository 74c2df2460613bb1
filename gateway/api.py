"""The addresses for programs: state, items, scans, probes and media."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from msgspec import Meta, Struct

from actors import platforms
from actors.runtime import telemetry
from actors.runtime.telemetry import how_to_get
from actors.runtime.work import Services
from contracts.errors import Reject
from contracts.events import Destination, ScanRequested
from contracts.ids import CorrelationId, ObjectKey, derived
from gateway.media import video_type
from gateway.overview import Reader, samples
from gateway.views import GROUPS, STAGES, Item, Measurement, Stage
from gateway.web import Problem, answer, same_origin, whole_number

__all__ = ["Api"]

LIMIT: Final = 50
LARGEST_LIMIT: Final = 200
LONGEST_BODY_BYTES: Final = 16 * 1024


class Scan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /api/v1/scans: the fields of `scan.requested`."""

    niche: Annotated[str, Meta(min_length=1, max_length=200)]
    platform: str | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 25
    destination: Destination | None = None


class Accepted(Struct, frozen=True, kw_only=True):
    """The scan was accepted. Everything that follows from it carries the correlation id."""

    correlation_id: str


class ItemAnswer(Struct, frozen=True, kw_only=True):
    """One item with every measurement of its post."""

    item: Item
    measurements: tuple[Measurement, ...]


class _Video(web.FileResponse):
    """A file that is sent while its path is still good; aiohttp prepares a returned answer once more."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None if self.prepared else await super().prepare(request)


class Api:
    """Handlers of /api/v1, the probes and /media."""

    def __init__(self, services: Services, reader: Reader) -> None:
        self._services = services
        self._reader = reader

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer that the process lives; nothing else is asked."""
        return web.Response(text="alive\n", headers={"Cache-Control": "no-store"})

    async def readyz(self, _: web.Request) -> web.Response:
        readiness = await self._reader.readiness()
        return answer(readiness, status=200 if readiness.ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        if telemetry.exposition() is None:
            return web.Response(text=f"{how_to_get()}\n", status=404)
        shown = telemetry.exposition(samples(await self._reader.overview(limit=0)))
        assert shown is not None
        text, content_type = shown
        return web.Response(body=text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def status(self, request: web.Request) -> web.Response:
        """GET /api/v1/status?stage=STAGE-or-group&limit=N."""
        stages = _stages(request.query.get("stage"))
        told = request.query.get("limit", str(LIMIT))
        limit = whole_number(told)
        if limit is None or limit > LARGEST_LIMIT:
            raise Problem(400, f"limit: '{told[:40]}' is not a number from 0 to {LARGEST_LIMIT}")
        return answer(await self._reader.overview(stages=stages, limit=limit))

    async def item(self, request: web.Request) -> web.Response:
        item_id = request.match_info["item_id"]
        found = await self._reader.item(item_id)
        if found is None:
            raise Problem(404, f"There is no item '{item_id}'", mend="GET /api/v1/status lists the latest.")
        item, measurements = found
        return answer(ItemAnswer(item=item, measurements=measurements))

    async def scan(self, request: web.Request) -> web.Response:
        """POST /api/v1/scans. A repeated Idempotency-Key asks for the same scan once."""
        same_origin(request, self._services.settings)
        if request.content_type != "application/json":
            raise Problem(415, "The body must be JSON", mend="Send Content-Type: application/json.")
        try:
            asked = msgspec.json.decode(await request.read(), type=Scan)
        except msgspec.ValidationError as error:
            raise Problem(
                422,
                "The scan is not valid",
                detail=f"{error}.",
                mend="Send niche, and if wanted platform, limit, destination.",
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(400, "The body is not JSON", detail=f"{error}.") from error
        niche = asked.niche.strip()
        if not niche:
            raise Problem(422, "The scan is not valid", detail="niche is blank.", mend="Say what the channel is about.")
        _check_platforms(asked)
        key = request.headers.get("Idempotency-Key")
        seed = f"scan {key}" if key else f"scan {derived('scan', niche, self._services.clock.now().isoformat())}"
        async with self._services.unit(seed=seed, correlation_id=CorrelationId(""), causation_id=None) as tx:
            tx.emit(
                ScanRequested(niche=niche, platform=asked.platform, limit=asked.limit, destination=asked.destination)
            )
        return answer(Accepted(correlation_id=derived("unit", seed)), status=202)

    async def media(self, request: web.Request) -> web.StreamResponse:
        """Serve a video, in ranges where asked. Nothing but what `video_type` allows can be reached."""
        key = request.match_info["key"]
        if (content_type := video_type(key)) is None:
            raise Problem(404, "There is no such video")
        try:
            async with self._services.objects.local(ObjectKey(key)) as path:
                response = _Video(
                    path,
                    headers={"Content-Type": content_type, "Cache-Control": "private, max-age=86400, immutable"},
                )
                await response.prepare(request)
                await response.write_eof()
                return response
        except Reject as error:
            raise Problem(404, "There is no such video", detail=f"{error.reason}.", mend=error.mend) from error


def _check_platforms(asked: Scan) -> None:
    """Raises: Problem 422 for platforms that are unknown, or a destination that takes no posts."""
    to = None if asked.destination is None else asked.destination.platform
    try:
        able = {name: platforms.module(name).CAPS.publish for name in (asked.platform, to) if name is not None}
    except Reject as error:
        raise Problem(422, "The scan is not valid", detail=f"{error.reason}.", mend=error.mend) from error
    if to is not None and not able[to]:
        detail = f"{to} cannot be posted to."
        raise Problem(422, "The scan is not valid", detail=detail, mend="Choose another destination.")


def _stages(name: str | None) -> tuple[Stage, ...] | None:
    """Read a stage or the name of a group. Raises: Problem 400."""
    if name is None:
        return None
    if name in GROUPS:
        return GROUPS[name]
    for stage in STAGES:
        if stage == name:
            return (stage,)
    raise Problem(400, f"stage: '{name}' is not known", mend=f"Known: {', '.join([*GROUPS, *STAGES])}.")
