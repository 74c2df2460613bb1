"""No secret leaves its place: a whole run, with errors, whose traces are searched for every secret that was in it."""

from __future__ import annotations

import dataclasses
import io
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from actors import platforms
from actors.platforms import youtube
from actors.platforms._youtube.upload import CHUNK_UNIT_BYTES
from actors.runtime import telemetry
from actors.runtime.db import Database
from actors.runtime.keys import KEY_FILE
from actors.runtime.log import setup_logging
from actors.runtime.settings import Settings
from actors.runtime.tokens import open_tokens
from actors.tracker.measure import measure_due
from contracts.errors import EttamettaError
from contracts.events import Destination, PostPublished, PostRequested
from contracts.ids import AccountId, ItemId
from contracts.rights import RightsRecord
from deploy.accounts import way_of
from deploy.sandbox import SandboxSettings, credentials
from deploy.sandbox.feeds._consent import FeedClient, FeedCode
from deploy.sandbox.google_oauth import AccessToken, AuthCode, RefreshToken
from deploy.sandbox.posted import Grant
from deploy.sandbox.store import Store
from deploy.sandbox.youtube_upload import Session
from tests.channel import Channel, connected_channel, stamped
from tests.integration.test_gateway_http import Gateway, gateway_on

BY_CONSENT = {"google": "youtube", "tiktok": "tiktok", "x": "x", "mastodon": "mastodon"}
PASSWORD = "wrong-pass-word-typed"
PUBLIC = frozenset({"sandbox-client", "sandbox-tiktok-key", "sandbox-x-client", "sandbox.test"})
"""Client ids and names: shown to everybody in addresses."""


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    """Everything that is logged, on the most talkative level, as the lines that processes write."""
    lines = io.BytesIO()
    setup_logging(actor="test", level="debug", terminal=False)
    factory = structlog.BytesLoggerFactory(lines)
    structlog.configure(logger_factory=factory, cache_logger_on_first_use=False)
    yield lines
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a collector of traces receives, as it comes over the wire; all of it is there once telemetry stops."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named so in the base
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        telemetry.start("ettametta-test")
        try:
            yield received
        finally:
            telemetry.stop()
            server.shutdown()
            serving.join()


@pytest.fixture
async def channel(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Channel]:
    monkeypatch.setattr(youtube.YouTube, "chunk_bytes", CHUNK_UNIT_BYTES)
    async with connected_channel(database, tmp_path) as found:
        services = found.services
        known = credentials()
        settings = msgspec.structs.replace(
            services.settings,
            tiktok_client_key=known["tiktok_client_key"],
            tiktok_client_secret=known["tiktok_client_secret"],
        )
        tokens = open_tokens(settings, services.db, services.http, services.clock)
        services = dataclasses.replace(services, settings=settings, tokens=tokens)
        yield msgspec.structs.replace(found, services=services)


@pytest.fixture
async def gateway(channel: Channel, settings_of: Callable[[str], Settings]) -> AsyncIterator[Gateway]:
    own, bus = channel.services.settings, settings_of("gateway")
    settings = msgspec.structs.replace(own, nats_url=bus.nats_url, database_url=bus.database_url)
    async with gateway_on(settings) as found:
        yield found


class Walk:
    """A person in a browser; every answer of the gateway is kept: its lines, its addresses, its page."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.seen = bytearray()

    async def ask(self, method: str, url: str, **more: Any) -> tuple[int, str, str]:
        """Send one request; return status, page and where it leads."""
        whole = url if url.startswith("http") else f"{self._gateway.url}{url}"
        async with self._gateway.browser.request(method, whole, allow_redirects=False, **more) as answer:
            body = await answer.read()
            if whole.startswith(self._gateway.url):
                headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
                cookie_free = re.sub(r"(?m)^Set-Cookie: .*$", "", headers)
                self.seen += cookie_free.encode() + body
            return answer.status, body.decode(errors="replace"), answer.headers.get("Location", "")

    async def consent_of(self, name: str) -> str:
        """Go to the consent page; return its address."""
        if name == "mastodon":
            status, page, _ = await self.ask("POST", f"/connect/{name}", data={"server": "mastodon.example"})
            assert status == 200, page
            found = re.search(r'href="(http[^"]+)"', page)
            assert found is not None
            return found[1].replace("&amp;", "&")
        status, page, place = await self.ask("GET", f"/connect/{name}")
        assert status == 303, page
        return place

    async def connect(self, name: str) -> None:
        _, page, back = await self.ask("POST", await self.consent_of(name), data={"decision": "allow"})
        assert back, page
        status, page, home = await self.ask("GET", back)
        assert status == 303, page
        status, page, _ = await self.ask("GET", home)
        assert (status, "is connected" in page) == (200, True)


async def post_to(channel: Channel, platform: str, account: AccountId, number: int) -> Any:
    hides = platforms.module(platform).CAPS.hides
    request = PostRequested(
        item_id=ItemId(f"run:{platform}-{number}"),
        key=await channel.put_video(f"{platform} {number}".encode() + bytes(2 * CHUNK_UNIT_BYTES)),
        rights=RightsRecord(licence="CC0-1.0", title="Reef"),
        destination=Destination(
            platform=platform, account_id=account, privacy="public" if "public" in hides else hides[0]
        ),
        title=f"Reef {number}",
        description="Words.",
    )
    return await channel.settle(stamped(request))


async def a_whole_run(channel: Channel, walk: Walk) -> int:
    """Connect, post and measure, with errors on every step. Returns how many posts were made."""
    for name in BY_CONSENT:
        await walk.ask("GET", f"/oauth/{name}/callback?code=forged&state=forged")
        await walk.ask("POST", await walk.consent_of(name), data={"decision": "deny"})
        place = "oauth.token" if name == "google" else f"{name}.token"
        for fault in ({"status": 401, "reason": "invalid_client"}, {"status": 503}, {"status": 400}):
            await channel.fault(place, "status", **fault)
            _, _, back = await walk.ask("POST", await walk.consent_of(name), data={"decision": "allow"})
            await walk.ask("GET", back)
        await walk.connect(name)
    app_password = credentials()["bluesky_app_password"]
    typed = {"handle": credentials()["bluesky_handle"], "password": PASSWORD, "server": ""}
    status, page, _ = await walk.ask("POST", "/connect/bluesky", data=typed)
    assert status == 403, page
    status, page, _ = await walk.ask("POST", "/connect/bluesky", data={**typed, "password": app_password})
    assert status == 303, page

    posts = 0
    rows = await channel.db.fetch("select account_id, platform from accounts order by platform")
    assert {row["platform"] for row in rows} == {*BY_CONSENT.values(), "bluesky"}
    for row in rows:
        platform, account = row["platform"], AccountId(row["account_id"])
        places = [place for place in (await channel.ask("GET", "/sandbox/faults"))["places"] if "groq" not in place]
        for number, fault in enumerate(({}, {"status": 500}, {"status": 401}, {"status": 403})):
            channel.clock.turn(90_000)
            await channel.ask("DELETE", "/sandbox/faults")
            if fault:
                where = "youtube.upload" if platform == "youtube" else f"{platform}.*"
                assert any(place.startswith(where.rstrip("*")) for place in places)
                await channel.fault(where, "status", **fault)
            with suppress(AssertionError):  # a fault may leave the post waiting for a person
                posts += await post_to(channel, platform, account, number) == "ack"
    await channel.ask("DELETE", "/sandbox/faults")
    for event in await channel.given("post.published"):
        told = msgspec.convert(event, PostPublished)
        await channel.db.execute(
            "insert into measure_schedule (post_id, bucket, due_at) values ($1, 1, $2) on conflict do nothing",
            told.post_id,
            channel.clock.now(),
        )
    await channel.fault("youtube.videos", "status", status=401)
    for _ in range(3):  # the first meets the fault, and puts off what it did not see
        await measure_due(dataclasses.replace(channel.services, actor="tracker"))
        channel.clock.turn(7200)
    return posts


async def disconnect(channel: Channel) -> None:
    for row in await channel.db.fetch("select account_id, platform from accounts"):
        with suppress(EttamettaError):
            await channel.services.tokens.forget(AccountId(row["account_id"]), way_of(row["platform"]))


def secrets_of(channel: Channel, folder: Path) -> dict[str, bytes]:
    """Return every secret of the run, by what it is."""
    store = Store(folder / "sandbox" / "sandbox.sqlite3")
    found: dict[str, str] = {}
    for grant in store.all(Grant):
        found |= {f"access {grant.id}": grant.access, f"refresh {grant.id}": grant.refresh}
    for kind in (AccessToken, RefreshToken, AuthCode, FeedCode):
        rows = store._sql.execute("select id from documents where kind = ?", (kind.__name__,))
        found |= {f"{kind.__name__} {number}": key for number, (key,) in enumerate(rows)}
    for number, client in enumerate(store.all(FeedClient)):
        found[f"secret of a registered client {number}"] = client.secret
    for session in store.all(Session):
        found[f"session {session.id}"] = session.id
    known = {**credentials(), "google": SandboxSettings().client_secret, "typed": PASSWORD}
    found |= {f"setting {name}": value for name, value in known.items() if name.endswith(("secret", "password"))}
    found |= {name: known[name] for name in ("google", "typed")}
    found["key"] = (channel.services.settings.data_dir / KEY_FILE).read_text()
    store.close()
    return {what: value.encode() for what, value in found.items() if value not in PUBLIC}


async def dump(db: Database) -> bytes:
    """Return every value of every column of every table."""
    text = bytearray()
    for table in await db.fetch("select tablename from pg_tables where schemaname = 'public'"):
        for row in await db.fetch(f'select * from "{table["tablename"]}"'):
            for value in row.values():
                text += value if isinstance(value, bytes) else msgspec.json.encode(value, enc_hook=str)
    return bytes(text)


def spans_in(body: bytes) -> list[Any]:
    told = ExportTraceServiceRequest.FromString(body)
    return [span for resource in told.resource_spans for scope in resource.scope_spans for span in scope.spans]


async def test_no_secret_of_a_whole_run_is_anywhere_else(
    channel: Channel, gateway: Gateway, log: io.BytesIO, spans: list[bytes], tmp_path: Path
) -> None:
    """If it fails, whoever reads a log, an event, a page or a backup can post to the channel."""
    walk = Walk(gateway)
    posts = await a_whole_run(channel, walk)
    assert posts >= len(BY_CONSENT) + 1
    made = await channel.db.fetch("select platform, count(*) as n from posts where state = 'published' group by 1")
    assert {row["platform"]: row["n"] >= 2 for row in made} == dict.fromkeys((*BY_CONSENT.values(), "bluesky"), True)
    assert len(await channel.posted("bluesky")) >= 2, "its posts wait, and with them the secrets of an upload"
    assert await channel.db.fetchval("select count(*) from measurements") >= 3
    assert all(word in log.getvalue() for word in (b"account.exchange_failed", b"account.connected", b"post.published"))
    secrets = secrets_of(channel, tmp_path)
    connected = await dump(channel.db)
    await disconnect(channel)
    kinds = {what.split(" ")[0] for what in secrets}
    assert {"access", "refresh", "AccessToken", "RefreshToken", "AuthCode", "FeedCode", "session", "secret"} <= kinds
    events = b"".join(row["payload"] for row in await channel.db.fetch("select payload from outbox"))
    telemetry.stop()
    traced = [span for body in spans for span in spans_in(body)]
    assert len(traced) >= posts
    assert "publisher-post-requested" in {span.name for span in traced}
    assert any(event.name == "exception" for span in traced for event in span.events), "no error was traced"
    places = {
        "the log": log.getvalue(),
        "an event": events,
        "a page": bytes(walk.seen),
        "a trace": b"".join(spans),
        "the database": connected + await dump(channel.db),
    }
    assert all(len(text) > 1000 for text in places.values()), {where: len(text) for where, text in places.items()}
    leaks = sorted(
        {f"{what} in {where}" for where, text in places.items() for what, one in secrets.items() if one in text}
    )
    assert leaks == []


async def test_what_is_kept_is_sealed(channel: Channel, gateway: Gateway) -> None:
    """If it fails, the search above would find nothing because nothing was kept."""
    walk = Walk(gateway)
    for name in BY_CONSENT:
        await walk.connect(name)
    rows = await channel.db.fetch("select platform, tokens from accounts")
    opened = {row["platform"]: channel.services.tokens.secrets.decrypt(row["tokens"]) for row in rows}
    assert set(opened) == set(BY_CONSENT.values())
    assert all(b'"access_token":"' in plain for plain in opened.values())
    assert b"sandbox-app-word-" in opened["mastodon"]
