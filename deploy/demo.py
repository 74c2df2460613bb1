"""`ettametta demo`: the whole loop on one file, on this machine, against sandbox platforms.

The file is listed in the sandbox archive; then everything happens as it would with the real platforms, through
the same clients: scan, rank, edit, render, publish, measure.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import click
import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from actors.runtime.app import connect
from actors.runtime.db import Database, load_queries, open_database
from actors.runtime.log import setup_logging
from actors.runtime.settings import Settings, load_settings
from contracts.codec import SUBJECT_PREFIX
from contracts.errors import Reject
from contracts.events import Reason, ScanRequested
from contracts.flow import OUTSIDE
from contracts.ids import ItemId, item_id
from contracts.rights import LICENCES, RightsRecord
from deploy.embedded import free_port
from deploy.sample import make_sample
from deploy.sandbox import api_urls
from deploy.supervisor import Stack
from deploy.system import sandbox_child, send, system_children

__all__ = ["connect_account", "demo_environment", "list_in_archive", "run_demo"]

Q: Final = load_queries(Path(__file__).with_name("demo.sql"))
POLL_S: Final = 0.2
DEADLINE_S: Final = 900.0
CLIENT: Final = ("sandbox-client", "sandbox-word")
SUBTITLES: Final = (".srt", ".vtt")


class Source(Struct, frozen=True, kw_only=True):
    """The file that was given."""

    file: str
    sha256: str
    size_bytes: int


class ScoreOf(Struct, frozen=True, kw_only=True):
    """How the candidate was judged."""

    item_id: str
    title: str
    score: float | None
    reasons: tuple[Reason, ...]
    decision: str
    because: str


class RenditionOf(Struct, frozen=True, kw_only=True):
    """The finished video."""

    key: str
    path: str
    width: int
    height: int
    duration_s: float
    has_audio: bool
    sha256: str


class PostOf(Struct, frozen=True, kw_only=True):
    """The post in the sandbox."""

    platform: str
    id: str | None
    url: str | None
    state: str
    because: str = ""


class MeasurementOf(Struct, frozen=True, kw_only=True):
    """The first numbers."""

    measured_at: datetime
    age_s: int
    views: int | None
    likes: int | None
    comments: int | None
    shares: int | None
    absent: dict[str, str]


class EventOf(Struct, frozen=True, kw_only=True):
    """One event of the item's flow."""

    id: str
    type: str


class Summary(Struct, frozen=True, kw_only=True):
    """What `--once --json` prints."""

    source: Source
    rights: RightsRecord | None
    candidate: ScoreOf | None
    rendition: RenditionOf | None
    post: PostOf | None
    measurement: MeasurementOf | None
    events: tuple[EventOf, ...]
    posted_before: bool
    rejected: str | None


async def run_demo(media: Path | None, *, folder: Path, licence: str, once: bool, as_json: bool) -> int:
    """Run the demo; return the exit code: 0 when the post was measured, 1 when the file was refused."""
    setup_logging(actor="demo", level="warning")
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    say = Teller(quiet=as_json)
    gateway_port, sandbox_port = free_port(), _usual_port(folder / "sandbox.port")
    sandbox_url = f"http://127.0.0.1:{sandbox_port}"
    gateway_url = f"http://127.0.0.1:{gateway_port}"
    env = demo_environment(folder, gateway_url=gateway_url, sandbox_url=sandbox_url)
    settings = load_settings(env={**env}, folder=folder)
    logs = folder / "logs"
    children = (
        sandbox_child(folder / "sandbox", port=sandbox_port, env=env, log_dir=logs),
        *system_children(settings, env=env, log_dir=logs),
    )
    say("starting NATS, PostgreSQL, the sandbox platforms, the gateway and six actors …")
    stack = Stack(
        folder,
        children=children,
        urls={"gateway": gateway_url, "sandbox": sandbox_url},
        ack_wait_s=settings.ack_wait_s,
        handle_signals=True,
    )
    async with stack:
        say(f"  status page   {gateway_url}")
        say(f"  sandbox       {sandbox_url}")
        if media is None:
            media = await make_sample(folder / "sample")
            say(f"  made a sample {media}")
        assert stack.database_url is not None
        settings = msgspec.structs.replace(
            settings, nats_url=stack.nats_urls[OUTSIDE.name], database_url=stack.database_url
        )
        async with open_database(stack.database_url, max_size=2, name="ettametta-demo") as db:
            summary = await _one_round(settings, db, media, licence=licence, urls=stack.urls, say=say)
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode())
        else:
            _tell(summary, say)
        if not once:
            say("The system goes on running, and measures again as the post ages. Ctrl-C stops it.")
            await stack.wait()
    return 0 if summary.measurement is not None else 1


def _usual_port(file: Path) -> int:
    """Return the port that this folder's sandbox had before, so that addresses of its posts go on to work."""
    try:
        port = int(file.read_text("ascii"))
        with socket.socket() as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trying.bind(("127.0.0.1", port))
    except (OSError, OverflowError, ValueError):
        port = free_port()
        file.write_text(str(port), "ascii")
    return port


def demo_environment(folder: Path, *, gateway_url: str, sandbox_url: str) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder),
        "MEDIA_URL": str(folder / "media"),
        "PUBLIC_URL": gateway_url,
        "GATEWAY_PORT": gateway_url.rsplit(":", 1)[1],
        "GOOGLE_CLIENT_ID": CLIENT[0],
        "GOOGLE_CLIENT_SECRET": CLIENT[1],
        "DESTINATION": "youtube",
        "PRIVACY": "private",
        "CONTACT": "demo on one machine",
        "SANDBOX_TIME_SCALE": "60",
        **{f"{name.upper()}_API_URL": url for name, url in api_urls(sandbox_url).items()},
    }


class Teller:
    """Prints lines for people, unless JSON is wanted."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._on_line = False

    def __call__(self, line: str) -> None:
        if not self._quiet:
            click.echo(f"\n{line}" if self._on_line else line)
            self._on_line = False

    async def event(self, message: Msg) -> None:
        """Print one event as it passes."""
        event = msgspec.json.decode(message.data)
        kind = event["type"]
        if kind == "render.progressed":
            if not self._quiet and sys.stdout.isatty():
                click.echo(f"\r  {kind:<19} {event['frames_done']}/{event['frames_total']} frames", nl=False)
                self._on_line = True
            return
        about = (event.get("candidate") or {}).get("title") or event.get("url") or event.get("reason") or ""
        if kind == "post.measured":
            about = ", ".join(f"{name} {value}" for name, value in event["metrics"].items() if isinstance(value, int))
        self(f"  {kind:<19} {about or event.get('item_id') or event.get('niche') or ''}")


async def _one_round(
    settings: Settings, db: Database, media: Path, *, licence: str, urls: dict[str, str], say: Teller
) -> Summary:
    source = await asyncio.to_thread(_read, media)
    identifier = f"demo-{source.sha256[:16]}"
    item = item_id("internet_archive", identifier)
    before = await _post_state(db, item)
    query = " ".join([*_words(media)[:5], source.sha256[:8]])
    await list_in_archive(urls["sandbox"], identifier, media, licence=licence, niche=query)
    await connect_account(urls["gateway"])
    say("  connected the sandbox's YouTube account")
    async with connect(settings, OUTSIDE) as bus, _watching(bus.client, say):
        scan = await send(bus, ScanRequested(niche=query, platform="internet_archive", limit=5))
        try:
            async with asyncio.timeout(DEADLINE_S):
                await _until_ended(db, item, scan.event_id)
        except TimeoutError:
            raise Reject(
                f"nothing came of it in {DEADLINE_S:.0f} s", mend="see the page and the logs in the data folder"
            ) from None
    return await _summary(settings, db, source, item, posted_before=before == "published")


def _read(media: Path) -> Source:
    with media.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return Source(file=str(media), sha256=digest, size_bytes=media.stat().st_size)


def _words(media: Path) -> list[str]:
    return re.findall(r"\w+", media.stem.replace("_", " "))[:12] or ["untitled"]


async def list_in_archive(sandbox_url: str, identifier: str, media: Path, *, licence: str, niche: str) -> None:
    """List a file in the sandbox archive, with the subtitles that lie beside it. Raises: Reject."""
    subtitles = next((found for end in SUBTITLES if (found := media.with_suffix(end)).is_file()), None)
    words = " ".join(_words(media))
    listing = {
        "identifier": identifier,
        "title": words[:1].upper() + words[1:],
        "creator": "Demo creator",
        "description": f"Listed in the sandbox archive. {niche}",
        "subject": [niche, *words.lower().split()[:6]],
        "licenseurl": LICENCES[licence].url,
        "rights": "Stated by the demo for the sandbox; it says nothing about the real file.",
        "file": str(media.absolute()),
        "subtitles": str(subtitles.absolute()) if subtitles else None,
        "downloads": 1200,
        "publicdate": datetime.now(UTC).replace(microsecond=0).isoformat(),
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{sandbox_url}/sandbox/archive/items", json=listing) as answer,
    ):
        if answer.status >= 400:
            raise Reject(f"the sandbox archive refused the file: {(await answer.text())[:200]}")


async def connect_account(gateway_url: str) -> None:
    """Go through the OAuth consent as a browser would: the sandbox's page has one button to press."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(f"{gateway_url}/connect/google") as consent:
            page = str(consent.url)
            if consent.status != 200:
                raise Reject(f"the consent page answered {consent.status}: {(await consent.text())[:200]}")
        async with browser.post(page, data={"decision": "allow"}) as done:
            if done.status != 200:
                raise Reject(f"connecting the sandbox account failed: {(await done.text())[:300]}")


@asynccontextmanager
async def _watching(client: Any, say: Teller) -> AsyncIterator[None]:
    subscription = await client.subscribe(f"{SUBJECT_PREFIX}>", cb=say.event)
    try:
        yield
    finally:
        with suppress(Exception):
            await subscription.unsubscribe()


async def _post_state(db: Database, item: ItemId) -> str | None:
    state: str | None = await db.fetchval(Q["post_state"], item)
    return state


async def _until_ended(db: Database, item: ItemId, scan_id: str) -> None:
    """Wait until the item is measured, ended for a reason, or the scan ended without it."""
    while not await db.fetchval(Q["is_ended"], item, scan_id):
        await asyncio.sleep(POLL_S)


async def _summary(settings: Settings, db: Database, source: Source, item: ItemId, *, posted_before: bool) -> Summary:
    row = await db.fetchrow(Q["item"], item)
    rendition = await db.fetchval(Q["rendition"], item)
    post = await db.fetchrow(Q["post"], item)
    measured = await db.fetchrow(Q["first_measurement"], item)
    correlation = row["correlation_id"] if row else ""
    flow = await db.fetch(Q["flow"], correlation)
    rejected = await db.fetchval(Q["rejection"], item, correlation)
    if row is None:
        rejected = rejected or "the scan did not find the file"
    unchosen = row["decided_because"] if row is not None and row["decision"] != "selected" else None
    media = Path(settings.media_url)
    return Summary(
        source=source,
        rights=msgspec.convert(row["rights"], RightsRecord) if row else None,
        candidate=ScoreOf(
            item_id=item,
            title=row["title"],
            score=row["score"],
            reasons=msgspec.convert(row["reasons"] or [], tuple[Reason, ...]),
            decision=row["decision"],
            because=row["decided_because"],
        )
        if row
        else None,
        rendition=RenditionOf(
            key=rendition["key"],
            path=str(media / rendition["key"]),
            width=rendition["width_px"],
            height=rendition["height_px"],
            duration_s=rendition["duration_us"] / 1e6,
            has_audio=rendition["has_audio"],
            sha256=rendition["sha256"],
        )
        if rendition
        else None,
        post=PostOf(
            platform=post["platform"],
            id=post["platform_post_id"],
            url=post["url"],
            state=post["state"],
            because=post["because"],
        )
        if post
        else None,
        measurement=msgspec.convert(dict(measured), MeasurementOf) if measured else None,
        events=(
            *((EventOf(id=correlation, type="scan.requested"),) if correlation else ()),
            *(EventOf(id=each["message_id"], type=each["type"]) for each in flow),
        ),
        posted_before=posted_before,
        rejected=(rejected or unchosen) if measured is None else None,
    )


def _tell(found: Summary, say: Teller) -> None:
    say("")
    if found.rejected:
        say(f"refused: {found.rejected}")
        return
    if found.posted_before:
        say("This file was posted before; nothing was posted again.")
    if found.candidate:
        say(f"candidate    {found.candidate.title}: score {found.candidate.score}")
        for reason in found.candidate.reasons:
            say(f"             {reason.points:+6.1f}  {reason.signal}: {reason.because}")
    if found.rights:
        say(f"rights       {found.rights.licence}, read at {found.rights.source_url}")
    if found.rendition:
        size = f"{found.rendition.width}x{found.rendition.height}, {found.rendition.duration_s:.2f} s"
        say(f"rendition    {found.rendition.path} ({size})")
    if found.post:
        say(f"post         {found.post.platform} {found.post.state} {found.post.url or found.post.because}")
    if found.measurement:
        counts = {"views": found.measurement.views, "likes": found.measurement.likes}
        told = [f"{name} {'not available' if value is None else value}" for name, value in counts.items()]
        say(f"measured     {', '.join(told)} at the age of {found.measurement.age_s} s")
    say("")
