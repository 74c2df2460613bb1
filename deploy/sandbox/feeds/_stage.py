"""What an imitation of a platform is given: routes below its own path, the catalogue, people and posts, counters."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from deploy.sandbox.catalogue import Catalogue, Listed
from deploy.sandbox.context import MediaFile, Sandbox, origin
from deploy.sandbox.faults import FaultKind, Handler, Refusal, Switchboard
from deploy.sandbox.posted import People, Receiver

__all__ = ["Stage"]


class Stage:
    """One platform's place in the sandbox. Fault places are called `<name>.<place>`."""

    def __init__(
        self, name: str, path: str, sandbox: Sandbox, switchboard: Switchboard, router: web.UrlDispatcher
    ) -> None:
        self.name = name
        self.path = path
        self.sandbox = sandbox
        self.catalogue = Catalogue(sandbox)
        self._switchboard = switchboard
        self._router = router
        self.people = People(sandbox, name)
        self.receiver = Receiver()

    def get(self, path: str, place: str, handler: Handler, *, refusal: Refusal, quota: bool = False) -> None:
        """Answer GET `path` (below the platform's own) with `handler`; `refusal` writes errors in its shape."""
        self._add("GET", path, place, handler, refusal=refusal, quota=quota)

    def post(
        self,
        path: str,
        place: str,
        handler: Handler,
        *,
        refusal: Refusal,
        quota: bool = False,
        own: frozenset[FaultKind] = frozenset(),
    ) -> None:
        self._add("POST", path, place, handler, refusal=refusal, quota=quota, own=own)

    def put(
        self, path: str, place: str, handler: Handler, *, refusal: Refusal, own: frozenset[FaultKind] = frozenset()
    ) -> None:
        """Answer PUT. own: faults that the handler plays itself, see `faults.fault_of`."""
        self._add("PUT", path, place, handler, refusal=refusal, quota=False, own=own)

    def upload(self, path: str, place: str, handler: Handler, *, refusal: Refusal) -> None:
        """Answer POST with a large body; the handler plays `drop_mid_body` itself."""
        self._add("POST", path, place, handler, refusal=refusal, quota=False, own=frozenset({"drop_mid_body"}))

    def delete(self, path: str, place: str, handler: Handler, *, refusal: Refusal) -> None:
        self._add("DELETE", path, place, handler, refusal=refusal, quota=False)

    def _add(
        self,
        method: str,
        path: str,
        place: str,
        handler: Handler,
        *,
        refusal: Refusal,
        quota: bool,
        own: frozenset[FaultKind] = frozenset(),
    ) -> None:
        guarded = self._switchboard.guard(f"{self.name}.{place}", handler, refusal=refusal, own=own, quota=quota)
        self._router.add_route(method, f"{self.path}{path}", guarded)

    def serve_media(self) -> None:
        """Serve the works' files below `/media/`."""

        async def answer(request: web.Request) -> web.StreamResponse:
            work = self.catalogue.find(self.name, request.match_info["id"])
            if work is None:
                raise web.HTTPNotFound(text="no such file")
            file: Path = await self.catalogue.media(work)
            return MediaFile(file, content_type="video/mp4")

        self._router.add_get(f"{self.path}/media/{{id}}.mp4", answer)

    def media_url(self, request: web.Request, work: Listed) -> str:
        """Return the address of a work's file, see serve_media."""
        return f"{self.home(request)}/media/{work.id}.mp4"

    def home(self, request: web.Request) -> str:
        """Return the platform's base address as the client sees it."""
        return f"{origin(request)}{self.path}"

    def take(self, counter: str, *, limit: int, window_s: int) -> tuple[int, float]:
        """Count a call; return how many are left (below 0: refuse it) and when the window ends, Unix seconds."""
        now = self.sandbox.now()
        begins = int(now // window_s * window_s)
        used = int(self.sandbox.store.add(f"window:{self.name}:{counter}:{begins}", 1))
        return limit - used, begins + window_s
