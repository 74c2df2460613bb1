"""The gateway over real HTTP, on a real database, a real NATS and the sandbox's Google."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import nats
import pytest
from aiohttp import web
from nats.aio.client import Client
from yarl import URL

from actors.platforms import youtube
from actors.runtime import telemetry
from actors.runtime.app import Bus, connect, open_services
from actors.runtime.db import Database
from actors.runtime.relay import Relay
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from contracts.events import AccountConnected, ScanRequested
from contracts.flow import GATEWAY, STREAM
from contracts.ids import ObjectKey
from deploy.sandbox.server import running
from deploy.sandbox.settings import SandboxSettings
from gateway.app import create_app
from gateway.connect import COOKIE

DEADLINE_S = 15.0
SCOPES = set(youtube.OAUTH.scopes)


@dataclass(frozen=True)
class Gateway:
    """A running gateway, and a browser that keeps cookies."""

    url: str
    services: Services
    bus: Bus
    browser: aiohttp.ClientSession

    async def get(self, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, str]:
        async with self.browser.get(self.url + path, **options) as answer:
            return answer, await answer.text()


@asynccontextmanager
async def gateway_on(settings: Settings) -> AsyncIterator[Gateway]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = msgspec.structs.replace(settings, public_url=url)
        async with connect(settings, GATEWAY) as bus, open_services(settings, GATEWAY.name, bus) as services:
            runner = web.AppRunner(create_app(services, bus), handler_cancellation=True, shutdown_timeout=1.0)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            jar = aiohttp.CookieJar(unsafe=True)
            try:
                async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(DEADLINE_S)) as browser:
                    yield Gateway(url, services, bus, browser)
            finally:
                await runner.cleanup()


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[URL]:
    """The sandbox platforms."""
    async with running(tmp_path / "sandbox") as url:
        yield url


@pytest.fixture
def google(settings_of: Callable[[str], Settings], sandbox: URL) -> Settings:
    """Settings of a gateway whose Google is the sandbox."""
    plain = SandboxSettings()
    base = str(sandbox).rstrip("/")
    return msgspec.structs.replace(
        settings_of("gateway"),
        google_client_id=plain.client_id,
        google_client_secret=plain.client_secret,
        api_urls=dict.fromkeys(("google_accounts", "google_oauth", "youtube"), base),
    )


@pytest.fixture
async def gateway(google: Settings) -> AsyncIterator[Gateway]:
    async with gateway_on(google) as running_gateway:
        yield running_gateway


async def eventually(check: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until the answer is true. Raises: TimeoutError."""
    async with asyncio.timeout(DEADLINE_S):
        while not (found := await check()):
            await asyncio.sleep(0.02)
    return found


async def stored(admin: Client, kind: str) -> list[dict[str, Any]]:
    """Return the events of one type that are in the stream."""
    found = []
    subscription = await admin.jetstream().subscribe(f"ett.{kind}", stream=STREAM.name, ordered_consumer=True)
    while True:
        try:
            found.append(json.loads((await subscription.next_msg(timeout=0.2)).data))
        except nats.errors.TimeoutError:
            await subscription.unsubscribe()
            return found


async def add_item(database: Database, item_id: str, **columns: Any) -> None:
    rights = {"licence": "CC0-1.0", "title": item_id}
    values = {"item_id": item_id, "correlation_id": "c", "origin": "scan", "title": item_id, "rights": rights}
    values |= {"decision": "selected"} | columns
    names = ", ".join(values)
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await database.execute(f"insert into items ({names}) values ({marks})", *values.values())


# Probes ---------------------------------------------------------------------------------------------


async def test_a_healthy_gateway_is_alive_and_ready(gateway: Gateway) -> None:
    """An orchestrator must see a fresh gateway as up, or it never sends people to it."""
    alive, _ = await gateway.get("/healthz")
    ready, text = await gateway.get("/readyz")
    assert alive.status == 200
    assert (ready.status, json.loads(text)["ready"]) == (200, True)


async def test_readiness_names_what_is_late(gateway: Gateway, database: Database) -> None:
    """Late work that is not reported is noticed only when a channel has been silent for days."""
    now = datetime.now(UTC)
    await database.execute(
        "insert into outbox (sender, message_id, subject, payload, created_at) values ('editor', 'm', 's', '', $1)",
        now - timedelta(seconds=40),
    )
    await add_item(database, "a")
    await database.execute(
        "insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id, request)"
        " values ('p', 'a', 'youtube', 'published', '{}', 'k', 1, 'c', '{}')"
    )
    await database.execute("insert into measure_schedule values ('p', 0, $1)", now - timedelta(minutes=10))
    answer, text = await gateway.get("/readyz")
    reasons = {each["what"]: each["because"] for each in json.loads(text)["reasons"]}
    assert answer.status == 503
    assert set(reasons) == {"outbox", "measurements"}
    assert "10 min" in reasons["measurements"]


async def test_a_missing_stream_is_not_ready(gateway: Gateway, nats_admin: Client) -> None:
    """Without the stream every event waits in the outbox; that must be said before it is half a minute old."""
    await nats_admin.jetstream().delete_stream(STREAM.name)
    answer, text = await gateway.get("/readyz")
    assert answer.status == 503
    assert "the stream ETT" in json.loads(text)["reasons"][0]["because"]


async def test_a_lost_database_is_told_with_the_right_code(gateway: Gateway) -> None:
    """A database outage must give 503 with a reason everywhere but in the liveness probe."""
    await gateway.services.db.pool.close()
    alive, _ = await gateway.get("/healthz")
    ready, reasons = await gateway.get("/readyz")
    page, told = await gateway.get("/")
    status, problem = await gateway.get("/api/v1/status")
    assert [alive.status, ready.status, page.status, status.status] == [200, 503, 503, 503]
    assert json.loads(reasons)["reasons"][0]["what"] == "database"
    assert "The database cannot be used" in told
    assert status.content_type == "application/problem+json"
    assert json.loads(problem)["status"] == 503


async def test_metrics_show_the_loop_or_how_to_get_them(gateway: Gateway, database: Database) -> None:
    """Dashboards need the numbers; someone without the extra needs to know which one."""
    without, text = await gateway.get("/metrics")
    assert (without.status, text) == (404, telemetry.how_to_get() + "\n")
    await add_item(database, "a", decision="found")
    telemetry.start("gateway", {}, metrics=True)
    try:
        await gateway.get("/healthz")
        answer, text = await gateway.get("/metrics")
    finally:
        telemetry.stop()
    assert answer.status == 200
    assert 'ettametta_items{stage="found"} 1.0' in text
    assert 'ettametta_items{stage="measured"} 0.0' in text
    assert "ettametta_ready 1.0" in text
    assert 'ettametta_requests_total{route="/healthz",status="200"} 1.0' in text


# Safety ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/nowhere", "/static/style.css", "/api/v1/status", "/api/v1/items/none", "/connect/none"]
)
async def test_every_answer_is_guarded(gateway: Gateway, path: str) -> None:
    """One answer without the headers is the one that another site frames or sniffs."""
    answer, _ = await gateway.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_another_name_for_this_server_is_refused(gateway: Gateway) -> None:
    """A web page could point its own name at the loopback address and read everything (DNS rebinding)."""
    answer, _ = await gateway.get("/api/v1/status", headers={"Host": "evil.example"})
    assert answer.status == 421
    probe, _ = await gateway.get("/healthz", headers={"Host": "pod-7.cluster"})
    assert probe.status == 200


@pytest.mark.parametrize(
    "path", ["/?connected=x%00y", "/oauth/youtube/callback?state=a%00b&code=x", "/media/renditions/a%00.mp4"]
)
async def test_an_address_with_nul_is_refused(gateway: Gateway, path: str) -> None:
    """The database and the file system fail at the character, which was told as a fault of the server."""
    answer, text = await gateway.get(path)
    assert answer.status == 400
    assert "NUL" in text


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /?limit=%s HTTP/1.1\r\nHost: localhost\r\n" % (b"9" * 5_000), 200),
        (b"GET /api/v1/status?limit=%s HTTP/1.1\r\nHost: localhost\r\n" % (b"9" * 5_000), 400),
        (b"GET / HTTP/1.1\r\nHost: [\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: \xff\r\n", 400),
        (b"GET /connect/google HTTP/1.1\r\nHost: localhost\r\nCookie: ett_session=\xff\r\n", 400),
        (
            (
                b"POST /api/v1/scans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b'Content-Length: 13\r\nIdempotency-Key: \xff\r\n\r\n{"niche":"x"}'
            ),
            400,
        ),
        (b"GET /static/%s HTTP/1.1\r\nHost: localhost\r\n" % (b"a" * 300), 404),
        (b"GET /media/renditions/%s.mp4 HTTP/1.1\r\nHost: localhost\r\n" % (b"a" * 300), 404),
        (
            (
                b"POST /connect/bluesky HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
                b"Content-Type: application/x-www-form-urlencoded; charset=nonsense\r\n\r\na=b"
            ),
            400,
        ),
        (
            (
                b"POST /connect/bluesky HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n\r\na=\xff"
            ),
            400,
        ),
        (
            (
                b"POST /connect/bluesky HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\n\r\na=b"
            ),
            400,
        ),
        (
            (
                b"POST /connect/bluesky HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
                b"Content-Type: multipart/form-data\r\n\r\na=b"
            ),
            400,
        ),
    ],
)
async def test_what_cannot_be_read_is_the_askers_fault(gateway: Gateway, sent: bytes, status: int) -> None:
    """A typing error is told as a fault of the gateway, or as a lost database, and somebody looks for it."""
    where = URL(gateway.url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    try:
        ends = b"" if b"\r\n\r\n" in sent else b"\r\n"
        writer.write(sent + ends)
        async with asyncio.timeout(DEADLINE_S):
            line = await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()
    assert int(line.split()[1]) == status, line


async def test_errors_suit_the_asker(gateway: Gateway) -> None:
    """Programs cannot read pages, and people should not have to read JSON."""
    program, text = await gateway.get("/api/v1/nowhere")
    assert (program.status, program.content_type) == (404, "application/problem+json")
    assert json.loads(text)["title"] == "Not Found"
    person, page = await gateway.get("/nowhere")
    assert (person.status, person.content_type) == (404, "text/html")
    assert "There is nothing at this address." in page
    async with gateway.browser.post(f"{gateway.url}/api/v1/status") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


# Scans and state ------------------------------------------------------------------------------------


async def test_a_scan_becomes_one_event_on_the_bus(gateway: Gateway, nats_admin: Client) -> None:
    """The scan button must start exactly one scan, also when the browser sends it twice."""
    body = {"niche": " deep sea ", "platform": "internet_archive", "limit": 3}
    answers = []
    for _ in range(2):
        async with gateway.browser.post(
            f"{gateway.url}/api/v1/scans", json=body, headers={"Idempotency-Key": "k1", "Origin": gateway.url}
        ) as answer:
            assert answer.status == 202, await answer.text()
            answers.append((await answer.json())["correlation_id"])
    relay = Relay(gateway.services.db, gateway.bus.js, sender="gateway", clock=gateway.services.clock)
    assert await relay.publish_waiting() == 1
    (event,) = await stored(nats_admin, "scan.requested")
    scan = msgspec.convert(event, ScanRequested)
    assert (scan.niche, scan.platform, scan.limit) == ("deep sea", "internet_archive", 3)
    assert answers == [scan.correlation_id] * 2


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (415, b'{"niche":"x"}', {"Content-Type": "text/plain"}),
        (415, b"niche=x", {"Content-Type": "application/x-www-form-urlencoded"}),
        (403, b'{"niche":"x"}', {"Origin": "https://evil.example"}),
        (403, b'{"niche":"x"}', {"Sec-Fetch-Site": "cross-site"}),
        (400, b'{"niche":', {}),
        (422, b'{"niche":""}', {}),
        (422, b'{"niche":"  "}', {}),
        (422, b'{"niche":"x","limit":0}', {}),
        (422, b'{"niche":"x","colour":"red"}', {}),
        (422, b'{"niche":"x","platform":"myspace"}', {}),
        (422, b'{"niche":"x","destination":{"platform":"myspace"}}', {}),
        (422, b'{"niche":"x","destination":{"platform":"reddit"}}', {}),
        (400, b'{"niche":"\xff"}', {}),
        (400, b'{"niche":"x","destination":{"platform":"youtube","x":' + b"[" * 8_000, {}),
        (413, b'{"niche":"' + b"x" * 20_000 + b'"}', {}),
    ],
)
async def test_wrong_scans_are_refused(
    gateway: Gateway, database: Database, status: int, body: bytes, headers: dict[str, str]
) -> None:
    """Another site's page, or a typing error, must not start work."""
    sent = {"Content-Type": "application/json"} | headers
    async with gateway.browser.post(f"{gateway.url}/api/v1/scans", data=body, headers=sent) as answer:
        assert answer.status == status, await answer.text()
        assert (await answer.json())["title"]
    assert await database.fetchval("select count(*) from outbox") == 0


async def test_status_shows_each_item_once_at_its_stage(gateway: Gateway, database: Database) -> None:
    """The page is only as honest as this: each item at the stage that its rows prove."""
    await add_item(database, "found", decision="found")
    await add_item(database, "passed", decision="passed")
    await add_item(database, "editing")
    await add_item(database, "stopped")
    await add_item(database, "ünï", decision="found")
    for item, event in (("stopped", "e1"), ("ünï", "e2")):
        payload = json.dumps({"type": "candidate.selected", "item_id": item}, ensure_ascii=False).encode()
        await database.execute(
            "insert into dead_letters (kind, consumer, event_id, subject, payload, error, failures, item_id)"
            " values ('rejected', 'editor-candidate-selected', $1, 'ett.candidate.selected', $2, 'no video', 1, $3)",
            event,
            payload,
            item,
        )
    await database.execute(
        "insert into dead_letters (kind, consumer, event_id, subject, payload, error, failures)"
        " values ('rejected', 'scanner-scan-requested', 'e3', 'ett.scan.requested', $1, 'not JSON', 1)",
        b"\xff\x00 not json",
    )
    await add_item(database, "rendering")
    await add_item(database, "kept", origin="import", decision="imported")
    await database.execute(
        "insert into renditions (plan_id, item_id, plan, rendition) values ('p1', 'rendering', '{}', null),"
        " ('p2', 'kept', '{}', $1)",
        {
            "item_id": "kept",
            "plan_id": "p2",
            "key": "renditions/ab/x.mp4",
            "sha256": "ab",
            "size_bytes": 5,
            "width_px": 1080,
            "height_px": 1920,
            "duration_us": 1,
            "frames": 1,
            "has_audio": True,
            "engine": "cpu",
        },
    )
    await add_item(database, "measured", destination={"platform": "youtube"})
    await add_item(database, "unconfirmed", destination={"platform": "youtube"})
    for item, state in (("measured", "published"), ("unconfirmed", "unconfirmed")):
        await database.execute(
            "insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id,"
            " request) values ($1, $1, 'youtube', $2, '{}', 'k', 1, 'c', '{}')",
            item,
            state,
        )
    for bucket, views in ((0, None), (1, 7)):
        await database.execute(
            "insert into measurements (post_id, bucket, measured_at, age_s, views, absent)"
            " values ('measured', $1, now(), 600, $2, $3)",
            bucket,
            views,
            {"likes": "hidden"},
        )
    _, text = await gateway.get("/api/v1/status")
    state = json.loads(text)
    stages = {item["item_id"]: item["stage"] for item in state["items"]}
    assert stages == {name: name for name in stages if name != "ünï"} | {"ünï": "stopped"}
    assert len(stages) == 9
    assert state["stages"]["stopped"] == 2
    assert state["dead_letter_counts"] == {"rejected": 3}
    assert {letter["item_id"] for letter in state["dead_letters"]} == {"stopped", "ünï", None}
    assert state["progress"] == {"seen": 9, "chosen": 6, "planned": 2, "rendered": 1, "posted": 1, "measured": 1}
    _, text = await gateway.get("/api/v1/items/measured")
    detail = json.loads(text)
    assert [each["metrics"]["views"] for each in detail["measurements"]] == [None, 7]
    assert detail["item"]["post"]["measurement"]["metrics"]["absent"] == {"likes": "hidden"}
    _, text = await gateway.get("/api/v1/status?stage=attention&limit=1")
    assert json.loads(text)["items"][0]["stage"] in {"stopped", "unconfirmed"}
    for wrong in ("stage=red", "limit=-1", "limit=201", "limit=x"):
        answer, _ = await gateway.get(f"/api/v1/status?{wrong}")
        assert answer.status == 400, wrong
    answer, page = await gateway.get("/")
    assert answer.status == 200
    assert page.count("<article") == 7


async def test_live_events_reach_the_browser_and_resume(gateway: Gateway, nats_urls: dict[str, str]) -> None:
    """The page moves only if an event on the bus comes out of the stream, once, also after a reconnect."""
    url = f"{gateway.url}/api/v1/events"
    outside = await nats.connect(nats_urls["outside"], inbox_prefix="_INBOX_outside")
    try:
        async with gateway.browser.get(url) as stream:
            assert stream.content_type == "text/event-stream"
            assert await stream.content.readline() == b"retry: 2000\n"
            await outside.publish("ett.scan.requested", b'{"niche":"one"}')
            await outside.publish("ett.scan.requested", b'{"niche":"two"}')
            first, _ = await next_event(stream), await next_event(stream)
        assert (first["event"], first["data"]) == ("scan.requested", '{"niche":"one"}')
        async with gateway.browser.get(url, headers={"Last-Event-ID": first["id"]}) as stream:
            assert (await next_event(stream))["data"] == '{"niche":"two"}'
    finally:
        await outside.close()


async def next_event(stream: aiohttp.ClientResponse) -> dict[str, str]:
    fields: dict[str, str] = {}
    while line := (await stream.content.readline()).decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if name in {"id", "event", "data"}:
            fields[name] = value
        if not name and "data" in fields:
            break
    return fields


async def test_videos_are_served_in_ranges_and_nothing_else_is(
    gateway: Gateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A player seeks by ranges; sources and secrets in the same store must stay out of reach."""
    file = tmp_path / "v.mp4"
    file.write_bytes(bytes(range(100)))
    for folder in ("renditions", "sources", "posts"):
        await gateway.services.objects.put_file(ObjectKey(f"{folder}/ab/abcd.mp4"), file)
    for suffix in ("mov", "jpg", "srt"):
        await gateway.services.objects.put_file(ObjectKey(f"posts/ab/abcd.{suffix}"), file)
    for suffix, content_type in (("mp4", "video/mp4"), ("mov", "video/quicktime")):
        async with gateway.browser.get(f"{gateway.url}/media/posts/ab/abcd.{suffix}") as own:
            assert (own.status, own.content_type, await own.read()) == (200, content_type, bytes(range(100)))
    async with gateway.browser.get(
        f"{gateway.url}/media/renditions/ab/abcd.mp4", headers={"Range": "bytes=10-19"}
    ) as part:
        assert (part.status, await part.read()) == (206, bytes(range(10, 20)))
        assert part.headers["Content-Range"] == "bytes 10-19/100"
        assert part.content_type == "video/mp4"
    async with gateway.browser.get(
        f"{gateway.url}/media/renditions/ab/abcd.mp4", headers={"Range": "bytes=200-"}
    ) as beyond:
        assert beyond.status == 416
    for path in (
        "/media/sources/ab/abcd.mp4",
        "/media/posts/ab/abcd.jpg",
        "/media/posts/ab/abcd.srt",
        "/media/posts/../sources/ab/abcd.mp4",
        "/media/renditions/../sources/ab/abcd.mp4",
        "/media/renditions/%2e%2e/sources/ab/abcd.mp4",
        "/media/renditions%2F..%2F..%2Fsecret.key",
        "/media/renditions/none.mp4",
    ):
        async with gateway.browser.get(URL(gateway.url + path, encoded=True)) as answer:
            assert answer.status == 404, path
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_the_process_serves_relays_and_stops(
    settings_of: Callable[[str], Settings], nats_admin: Client, tmp_path: Path
) -> None:
    """`python -m gateway` is what people run: it must answer, pass scans on, and leave when told to."""
    settings = settings_of("gateway")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = os.environ | {
        "DATA_DIR": str(tmp_path),
        "NATS_URL": settings.nats_url or "",
        "DATABASE_URL": settings.database_url or "",
        "GATEWAY_PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", cwd=tmp_path, env=env, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with aiohttp.ClientSession() as browser:

            async def asked() -> bool:
                try:
                    async with browser.post(f"{env['PUBLIC_URL']}/api/v1/scans", json={"niche": "reefs"}) as answer:
                        return answer.status == 202
                except aiohttp.ClientConnectionError:
                    return False

            await eventually(asked)
            (event,) = await eventually(lambda: stored(nats_admin, "scan.requested"))
            assert event["niche"] == "reefs"
            async with browser.get(f"{env['PUBLIC_URL']}/api/v1/events") as stream:
                assert stream.status == 200
                process.terminate()
                async with asyncio.timeout(DEADLINE_S):
                    _, log = await process.communicate()
        assert process.returncode == 0, log.decode()
        assert b"gateway.ready" in log
        assert b"Traceback" not in log, log.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# Connecting an account ------------------------------------------------------------------------------


async def consent(
    gateway: Gateway, *, decision: str = "allow", granted: set[str] | None = None
) -> tuple[int, URL, str]:
    """Walk from the connect button through the consent page; return where the browser ends up."""
    async with gateway.browser.get(f"{gateway.url}/connect/google") as page:
        assert page.status == 200, await page.text()
        address = page.url
    form = aiohttp.FormData({"decision": decision})
    if granted is not None:
        form.add_field("granular", "true")
        for scope in granted:
            form.add_field("granted", scope)
    async with gateway.browser.post(address, data=form) as end:
        return end.status, end.url, await end.text()


async def test_an_account_is_connected(gateway: Gateway, database: Database, nats_admin: Client) -> None:
    """Without this no video is ever posted: tokens are kept encrypted, and waiting posts are told."""
    status, url, page = await consent(gateway)
    assert (status, url.path) == (200, "/"), page
    assert "Sandbox channel is connected." in page
    row = await database.fetchrow("select * from accounts")
    assert row is not None
    assert (row["platform"], row["title"], row["state"]) == ("youtube", "Sandbox channel", "connected")
    assert set(row["scopes"]) == SCOPES
    assert b"sandbox-" not in row["tokens"]
    assert b"sandbox-refresh-" in gateway.services.tokens.secrets.decrypt(row["tokens"])
    assert await database.fetchval("select count(*) from oauth_states") == 0
    relay = Relay(gateway.services.db, gateway.bus.js, sender="gateway", clock=gateway.services.clock)
    await relay.publish_waiting()
    (event,) = await stored(nats_admin, "account.connected")
    assert msgspec.convert(event, AccountConnected).account_id == row["account_id"]


async def test_refused_consent_connects_nothing(gateway: Gateway, database: Database) -> None:
    """A person who says no must be told so in plain words, and nothing may be stored."""
    status, _, page = await consent(gateway, decision="deny")
    assert status == 403
    assert "Permission was not given" in page
    assert "Google says: access_denied" in page
    assert await database.fetchval("select count(*) from accounts") == 0


async def test_missing_permissions_are_named(gateway: Gateway, database: Database) -> None:
    """With the upload box unticked every later post would fail; better to say it now."""
    status, _, page = await consent(gateway, granted={"https://www.googleapis.com/auth/youtube.readonly"})
    assert status == 403
    assert "Google did not grant: https://www.googleapis.com/auth/youtube.upload." in page
    assert await database.fetchval("select count(*) from accounts") == 0


async def begin(gateway: Gateway) -> tuple[URL, str]:
    """Begin an authorisation; return the consent address and the session cookie."""
    async with gateway.browser.get(f"{gateway.url}/connect/google", allow_redirects=False) as answer:
        assert answer.status == 303
        cookie = answer.cookies.get(COOKIE)
        return URL(answer.headers["Location"]), cookie.OutputString() if cookie else ""


async def test_the_authorisation_is_tied_to_the_browser(gateway: Gateway) -> None:
    """An attacker's own authorisation, opened by the operator, must not connect the attacker's channel."""
    address, cookie = await begin(gateway)
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert address.query["code_challenge_method"] == "S256"
    assert address.query["redirect_uri"] == f"{gateway.url}/oauth/google/callback"
    async with (
        aiohttp.ClientSession() as other,
        other.get(
            f"{gateway.url}/oauth/google/callback", params={"code": "x", "state": address.query["state"]}
        ) as answer,
    ):
        page = await answer.text()
    assert answer.status == 400
    assert "begun in another browser" in page


@pytest.mark.parametrize("state", ["", "made-up"])
async def test_a_wrong_state_is_refused(gateway: Gateway, state: str) -> None:
    """A forged way back must end here."""
    await begin(gateway)
    answer, page = await gateway.get(f"/oauth/google/callback?code=x&state={state}")
    assert answer.status == 400
    assert "This authorisation is not known here" in page


async def test_a_state_is_good_once_and_for_ten_minutes(gateway: Gateway, database: Database) -> None:
    """Old or repeated ways back are how codes get stolen."""
    address, _ = await begin(gateway)
    await database.execute("update oauth_states set created_at = created_at - interval '11 minutes'")
    callback = f"/oauth/google/callback?code=x&state={address.query['state']}"
    late, page = await gateway.get(callback)
    assert (late.status, "took too long" in page) == (400, True)
    again, page = await gateway.get(callback)
    assert (again.status, "not known here" in page) == (400, True)


async def test_a_refused_code_is_told_in_googles_words(gateway: Gateway, database: Database) -> None:
    """The operator can mend a wrong secret or a stale code only if Google's own words are shown."""
    address, _ = await begin(gateway)
    answer, page = await gateway.get(f"/oauth/google/callback?code=wrong&state={address.query['state']}")
    assert answer.status == 502
    assert "invalid_grant: Malformed auth code." in page
    assert await database.fetchval("select count(*) from accounts") == 0


async def test_missing_credentials_are_named(settings_of: Callable[[str], Settings]) -> None:
    """A newcomer must learn which settings to fill and which redirect address to register."""
    async with gateway_on(settings_of("gateway")) as plain:
        answer, page = await plain.get("/connect/google")
        assert answer.status == 503
        assert "GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET" in page
        assert f"{plain.url}/oauth/google/callback" in page
        unknown, page = await plain.get("/connect/myspace")
        assert unknown.status == 404
