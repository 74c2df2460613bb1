"""One loopback server that plays several platforms, told apart by path."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from contracts.errors import Reject
from deploy.sandbox import feeds
from deploy.sandbox.admin import Admin
from deploy.sandbox.context import Refused, Sandbox
from deploy.sandbox.faults import Switchboard
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.google_oauth import GoogleOauth
from deploy.sandbox.groq import Groq
from deploy.sandbox.internet_archive import InternetArchive
from deploy.sandbox.samples import seed_samples
from deploy.sandbox.settings import SandboxSettings, load_sandbox_settings
from deploy.sandbox.wikimedia_commons import WikimediaCommons
from deploy.sandbox.youtube import Youtube
from deploy.sandbox.youtube_access import YoutubeAccess

__all__ = ["api_urls", "build_app", "credentials", "running", "serve"]

_AT_THE_ROOT = (
    "google_accounts",
    "google_oauth",
    "groq",
    "internet_archive",
    "wikimedia_commons",
    "youtube",
    "youtube_www",
)

MOST_JSON_BYTES = 4 * 1024 * 1024


def api_urls(address: str) -> dict[str, str]:
    """Return the base addresses (`<NAME>_API_URL`, by lower-case name) that point every platform at the sandbox."""
    address = address.rstrip("/")
    return {
        **dict.fromkeys(_AT_THE_ROOT, address),
        **{name: f"{address}{feeds.path_of(name)}" for name in feeds.names()},
    }


def credentials() -> dict[str, str]:
    """Return the settings, by lower-case name, that the imitated platforms accept as credentials."""
    found = {key: value for name in feeds.names() for key, value in feeds.module(name).CREDENTIALS.items()}
    return found | {"youtube_api_key": SandboxSettings().api_key}


def build_app(
    folder: Path,
    settings: SandboxSettings | None = None,
    *,
    samples: bool = False,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """Wire one sandbox on a folder. `clock` gives Unix seconds."""
    sandbox = Sandbox(folder, load_sandbox_settings() if settings is None else settings, clock)
    switchboard = Switchboard(sandbox)
    oauth = GoogleOauth(sandbox, switchboard)
    access = YoutubeAccess(sandbox, oauth)
    archive = InternetArchive(sandbox, switchboard)
    commons = WikimediaCommons(sandbox, switchboard)
    admin = Admin(sandbox, switchboard, oauth=oauth, access=access, archive=archive, commons=commons)
    app = web.Application(client_max_size=MOST_JSON_BYTES, middlewares=[_only_from_this_machine])
    groq = Groq(sandbox, switchboard)
    for platform in (oauth, Youtube(sandbox, switchboard, access), archive, commons, groq, admin):
        platform.add_routes(app.router)
    for name in feeds.names():
        feeds.module(name).FEED(Stage(name, feeds.path_of(name), sandbox, switchboard, app.router))

    async def start(_: web.Application) -> None:
        if samples:
            await seed_samples(sandbox, archive, commons)

    async def stop(_: web.Application) -> None:
        sandbox.store.close()

    app.on_startup.append(start)
    app.on_cleanup.append(stop)
    return app


@asynccontextmanager
async def running(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    settings: SandboxSettings | None = None,
    samples: bool = False,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[URL]:
    """Run a sandbox and give its address.

    Args: folder: state and uploaded files; port: 0 for any free one; settings: None reads `SANDBOX_*`;
        samples: list a few items at the start; clock: Unix seconds.
    Raises: Reject if the host is not loopback or the port is taken.
    """
    if not _is_loopback(host):
        raise Reject(
            f"the sandbox does not listen on {host}: it has no real sign-in and must stay on this machine",
            mend="Use 127.0.0.1 or localhost",
        )
    app = build_app(folder, settings, samples=samples, clock=clock)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as taken:
            words = f"port {port} on {host} cannot be used: {taken.strerror}"
            raise Reject(words, mend="Choose another port") from taken
        yield URL.build(scheme="http", host=host, port=int(runner.addresses[0][1]))
    finally:
        await runner.cleanup()


async def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    ready: Callable[[int], None] | None = None,
    settings: SandboxSettings | None = None,
    samples: bool = False,
) -> None:
    """Serve until cancelled; `ready` gets the port once it answers. Arguments and errors are those of `running`."""
    async with running(folder, host, port, settings=settings, samples=samples) as address:
        if ready is not None:
            ready(address.port or 0)
        await asyncio.Event().wait()


def _is_loopback(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@web.middleware
async def _only_from_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse names that are not this machine's (DNS rebinding) and posts from pages of other sites."""
    name = urlsplit(f"//{request.host}").hostname or ""
    if not _is_loopback(name):
        words = f"The sandbox answers to 127.0.0.1 and localhost only, not to '{name}'."
        return web.Response(status=421, text=words)
    came_from = request.headers.get("Origin")
    if request.method not in {"GET", "HEAD"} and came_from is not None and urlsplit(came_from).netloc != request.host:
        return web.Response(status=403, text=f"The sandbox takes no changes from pages of '{came_from}'.")
    try:
        return await handler(request)
    except Refused as refused:
        return refused.response
