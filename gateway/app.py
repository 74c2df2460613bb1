"""The gateway: an aiohttp application for people and programs, on one process's services and bus."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from actors.runtime import telemetry
from actors.runtime.app import Bus, connect, open_services
from actors.runtime.log import get_logger, setup_logging
from actors.runtime.relay import Relay
from actors.runtime.settings import Settings
from actors.runtime.tasks import end_tasks
from actors.runtime.work import Services
from contracts.errors import Reject
from contracts.flow import GATEWAY
from gateway.api import LONGEST_BODY_BYTES, Api
from gateway.connect import Connect, connectors, credentials_missing, redirect_uri
from gateway.live import Hub
from gateway.overview import Q, Reader
from gateway.page import page
from gateway.page_accounts import Connectable
from gateway.queues import Queues
from gateway.views import GROUPS
from gateway.web import add_headers, guard_host, secure, show_problems, whole_number

__all__ = ["create_app", "run"]

STATIC: Final = Path(__file__).with_name("static")
SHOWN: Final = 50
MOST_SHOWN: Final = 200
KEEPALIVE_S: Final = 75.0
SHUTDOWN_S: Final = 5.0


class _Home:
    """The status page."""

    def __init__(self, services: Services, reader: Reader) -> None:
        self._services = services
        self._reader = reader

    async def show(self, request: web.Request) -> web.Response:
        view = request.query.get("view", "videos")
        view = view if view in GROUPS else "videos"
        limit = min(whole_number(request.query.get("limit", "")) or SHOWN, MOST_SHOWN)
        connected = None
        if account := request.query.get("connected"):
            connected = await self._services.db.fetchval(Q["account_title"], account)
        text = page(
            await self._reader.overview(stages=GROUPS[view], limit=limit),
            view=view,
            connectables=self._connectables(),
            connected=connected,
            limit=limit,
        )
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"})

    def _connectables(self) -> tuple[Connectable, ...]:
        return tuple(
            Connectable(
                platform=connector.platform,
                title=connector.client.title,
                href=f"/connect/{name}",
                redirect_uri=redirect_uri(self._services, name),
                missing=credentials_missing(connector.client, self._services),
            )
            for name, connector in connectors().items()
        )


def create_app(services: Services, bus: Bus) -> web.Application:
    """Make the application. It listens to the bus from start-up to clean-up; the caller runs the relay."""
    app = web.Application(
        middlewares=[secure, show_problems, guard_host(services.settings)], client_max_size=LONGEST_BODY_BYTES
    )
    reader = Reader(services.db, Queues(bus.client, bus.js), services.clock)
    api, connecting, hub = Api(services, reader), Connect(services), Hub()
    app.router.add_get("/", _Home(services, reader).show, name="home")
    app.router.add_get("/healthz", api.healthz)
    app.router.add_get("/readyz", api.readyz)
    app.router.add_get("/metrics", api.metrics)
    app.router.add_get("/api/v1/status", api.status)
    app.router.add_get("/api/v1/items/{item_id:.+}", api.item)
    app.router.add_get("/api/v1/events", hub.serve)
    app.router.add_post("/api/v1/scans", api.scan)
    app.router.add_get("/media/{key:.+}", api.media)
    app.router.add_get("/accounts/{account_id}/picture", connecting.picture)
    app.router.add_get("/connect/{name}", connecting.begin)
    app.router.add_post("/connect/{name}", connecting.submit)
    app.router.add_get("/oauth/{name}/callback", connecting.finish)
    app.router.add_static("/static", STATIC)
    app.on_response_prepare.append(add_headers)

    async def listen(_: web.Application) -> AsyncIterator[None]:
        watching = asyncio.create_task(reader.watch(), name="watch queues")
        try:
            async with hub.listening(bus.client):
                yield
        finally:
            await end_tasks([watching])

    async def let_go(_: web.Application) -> None:
        hub.close()

    app.cleanup_ctx.append(listen)
    app.on_shutdown.append(let_go)
    return app


async def run(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told the address that is listened on. Raises: Reject."""
    setup_logging(actor=GATEWAY.name, level=settings.log_level)
    telemetry.start("ettametta-gateway", metrics=True)
    log = get_logger()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with connect(settings, GATEWAY) as bus, open_services(settings, GATEWAY.name, bus) as services:
        runner = web.AppRunner(
            create_app(services, bus),
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=SHUTDOWN_S,
            handler_cancellation=True,
        )
        await runner.setup()
        try:
            address = await _listen(runner, settings)
            relay = Relay(services.db, bus.js, sender=GATEWAY.name, clock=services.clock)
            async with asyncio.TaskGroup() as group:
                relaying = group.create_task(relay.run(), name="relay")
                log.info("gateway.ready", address=address, public_url=settings.public_url)
                if ready is not None:
                    ready(address)
                await stop.wait()
                log.info("gateway.stopping")
                await end_tasks([relaying])
        finally:
            await runner.cleanup()
            telemetry.stop()


async def _listen(runner: web.AppRunner, settings: Settings) -> str:
    site = web.TCPSite(runner, settings.gateway_host, settings.gateway_port)
    try:
        await site.start()
    except OSError as error:
        raise Reject(
            f"the gateway cannot listen on {settings.gateway_host}:{settings.gateway_port} ({error.strerror})",
            mend="Free that port, or set GATEWAY_HOST and GATEWAY_PORT",
        ) from error
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
