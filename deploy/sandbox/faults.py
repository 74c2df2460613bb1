"""The fault switchboard: every way a platform can misbehave, set by a test or by a person.

A fault waits at a place (`youtube.upload`, `archive.*`) and strikes the next `times` calls that pass it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, get_args

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from deploy.sandbox.context import MediaFile, Refused, Sandbox

__all__ = [
    "Fault",
    "FaultKind",
    "Handler",
    "Switchboard",
    "drain",
    "fault_of",
    "hang_up",
    "known_kinds",
    "parse_fault",
]

FaultKind = Literal[
    "accept_then_timeout",
    "drop_mid_body",
    "status",
    "slow",
    "truncate",
    "quota",
    "session_expired",
    "stuck_processing",
    "malformed",
    "cut_off",
]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refusal = Callable[[int, str], web.Response]
"""Writes an error (status, reason; "" for the usual reason) in a platform's own shape."""

ANYWHERE: frozenset[FaultKind] = frozenset({"accept_then_timeout", "drop_mid_body", "status", "slow", "truncate"})
RESEND_WINDOW_S = 1.0
"""HTTP clients (aiohttp among them) silently resend an idempotent call once when its connection drops; so that the
caller sees the drop, the first identical call within this time is dropped too."""
_BLOCK_BYTES = 1 << 18


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. Lengths of time in seconds."""

    where: str
    kind: FaultKind
    id: int = 0
    times: Annotated[int, Meta(ge=1)] | None = 1
    """How many calls it strikes; null: until cleared."""
    skip: Annotated[int, Meta(ge=0)] = 0
    """How many calls pass unharmed first."""
    status: Annotated[int, Meta(ge=200, le=599)] = 503
    reason: str = ""
    retry_after_s: int | None = None
    delay_s: Annotated[float, Meta(ge=0, le=600)] = 0.5
    after_bytes: Annotated[int, Meta(ge=0)] | None = None
    """Where a body is cut; null: in the middle."""


_STRUCK_BY = web.RequestKey("sandbox.fault", Fault)


def fault_of(request: web.Request, *kinds: FaultKind) -> Fault | None:
    """Return the fault that struck this request if it is one of `kinds`."""
    fault = request.get(_STRUCK_BY)
    return fault if fault is not None and fault.kind in kinds else None


async def drain(request: web.Request) -> None:
    """Read and forget the rest of the request, so that the client gets an answer and no reset."""
    async for _ in request.content.iter_chunked(_BLOCK_BYTES):
        pass


def hang_up(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


class Switchboard:
    """Faults that are set, the places they can be set at, and how often each place was called."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.places: dict[str, frozenset[FaultKind]] = {}
        self._dropped: dict[tuple[str, ...], float] = {}

    def faults(self) -> list[Fault]:
        return self._sandbox.store.all(Fault)

    def set(self, fault: Fault) -> Fault:
        """Add a fault. Raises: ValueError if no place has that name or can fail like that."""
        places = [place for place in self.places if fnmatchcase(place, fault.where)]
        if not places:
            raise ValueError(f"no place is called '{fault.where}'; the places are {', '.join(sorted(self.places))}")
        if not any(fault.kind in self.places[place] for place in places):
            kinds = sorted({kind for place in places for kind in self.places[place]})
            raise ValueError(f"'{fault.where}' cannot fail with '{fault.kind}'; it can with {', '.join(kinds)}")
        fault = msgspec.structs.replace(fault, id=int(self._sandbox.store.add("fault_id", 1)))
        self._sandbox.store.put(str(fault.id), fault)
        return fault

    def clear(self, fault_id: str | None = None) -> None:
        if fault_id is None:
            self._sandbox.store.drop_all(Fault)
        else:
            self._sandbox.store.drop(Fault, fault_id)

    def take(self, place: str) -> Fault | None:
        """Return the fault that strikes this call, and count it down."""
        store = self._sandbox.store
        for fault in self.faults():
            if not fnmatchcase(place, fault.where) or fault.kind not in self.places[place]:
                continue
            if fault.skip:
                store.put(str(fault.id), msgspec.structs.replace(fault, skip=fault.skip - 1))
                continue
            if fault.times == 1:
                store.drop(Fault, str(fault.id))
            elif fault.times is not None:
                store.put(str(fault.id), msgspec.structs.replace(fault, times=fault.times - 1))
            return fault
        return None

    def _drop(self, request: web.Request) -> None:
        self._dropped[_call(request)] = asyncio.get_running_loop().time()

    def _is_resend(self, request: web.Request) -> bool:
        at = self._dropped.pop(_call(request), None)
        return at is not None and asyncio.get_running_loop().time() - at <= RESEND_WINDOW_S

    def guard(
        self,
        place: str,
        handler: Handler,
        *,
        refusal: Refusal,
        own: frozenset[FaultKind] = frozenset(),
        quota: bool = False,
    ) -> Handler:
        """Put a place in front of `handler`. It sees the kinds in `own` itself, through `fault_of`."""
        self.places[place] = ANYWHERE | own | (frozenset({"quota"}) if quota else frozenset())

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except Refused as refused:
                return refused.response

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._is_resend(request):
                return hang_up(request)
            self._sandbox.store.add(f"calls:{place}", 1)
            fault = self.take(place)
            if fault is None:
                return await answer(request)
            self._sandbox.store.add(f"faults:{place}:{fault.kind}", 1)
            if fault.kind in own:
                request[_STRUCK_BY] = fault
                response = await answer(request)
                if fault.kind == "drop_mid_body":
                    self._drop(request)
                return response
            if fault.kind in {"status", "quota"}:
                await drain(request)
                refused = (
                    refusal(403, "quotaExceeded") if fault.kind == "quota" else refusal(fault.status, fault.reason)
                )
                if fault.retry_after_s is not None:
                    refused.headers["Retry-After"] = str(fault.retry_after_s)
                return refused
            if fault.kind == "slow":
                await asyncio.sleep(fault.delay_s)
                return await answer(request)
            response = await answer(request)
            if fault.kind == "accept_then_timeout":
                await asyncio.sleep(fault.delay_s)
                self._drop(request)
                return hang_up(request)
            return await _cut(request, response, fault)

        return guarded


def _call(request: web.Request) -> tuple[str, ...]:
    headers = (request.headers.get(name, "") for name in ("Content-Range", "Range", "Authorization"))
    return (request.method, request.path_qs, *headers)


async def _cut(request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    """Send the first part of an answer: then break the connection (drop), or end as if that were all (truncate)."""
    first, length, status = 0, 0, response.status
    headers = {name: value for name, value in response.headers.items() if name not in {"Content-Length", "Server"}}
    if isinstance(response, MediaFile):
        size = (await asyncio.to_thread(response.file.stat)).st_size
        wanted = request.http_range
        first, stop, _ = wanted.indices(size)
        length = stop - first
        if wanted.start is not None:
            status = 206
            headers["Content-Range"] = f"bytes {first}-{stop - 1}/{size}"
    else:
        body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
        length = len(body)
    kept = min(length, length // 2 if fault.after_bytes is None else fault.after_bytes)
    out = web.StreamResponse(status=status, headers=headers)
    out.content_length = kept if fault.kind == "truncate" else length
    await out.prepare(request)
    if isinstance(response, MediaFile):
        with response.file.open("rb") as source:
            source.seek(first)
            while kept > 0 and (block := source.read(min(_BLOCK_BYTES, kept))):
                await out.write(block)
                kept -= len(block)
    else:
        await out.write(body[:kept])
    if fault.kind == "drop_mid_body" and request.transport is not None:
        request.transport.close()
    return out


def known_kinds() -> tuple[str, ...]:
    """Return every kind of fault, for people to choose from."""
    return get_args(FaultKind)


def parse_fault(body: Any) -> Fault:
    """Read a fault from JSON or form values. Raises: msgspec.ValidationError."""
    values = {name: value for name, value in dict(body).items() if value != ""}
    return msgspec.convert(values, Fault, strict=False)
