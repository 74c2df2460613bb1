"""Scans and watched niches on the command line."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from msgspec import Struct
from nats.errors import TimeoutError as NatsTimeout

from actors import platforms
from actors.runtime.app import connect
from actors.runtime.settings import Settings
from actors.scanner.niches import Niche, Niches, OpenProposal, normal
from actors.scanner.sources import caps_of, choose
from actors.scanner.trends import KnownTopic
from contracts.codec import decode, subject_of
from contracts.errors import Reject
from contracts.events import Destination, ScanCompleted, ScanRequested
from contracts.flow import OUTSIDE
from deploy.ask import page_of
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import located, own_database, send

__all__ = ["niches", "scan"]

T = TypeVar("T")

PATIENCE_S: Final = 120.0
"""Longer than the slowest platform may take."""
_SPAN: Final = re.compile(r"(\d{1,4})\s*([mhd])")
_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400}

_platform_option = click.option(
    "--platform",
    "sources",
    multiple=True,
    metavar="P",
    help="Only this platform, or a part of it as in youtube:shorts; may be repeated [every one whose needs are met].",
)


class Scanned(Struct, frozen=True, kw_only=True):
    """What a scan came to. ended False: it still runs, and nothing is known yet."""

    scan_id: str
    niche: str
    ended: bool
    found: dict[str, int] = {}
    failed: dict[str, str] = {}
    skipped: dict[str, str] = {}


@click.command()
@click.argument("niche")
@_platform_option
@click.option(
    "--limit",
    default=25,
    show_default=True,
    type=click.IntRange(1, 500),
    help="Candidates per platform. Where calls are rationed, more than a page (YouTube: 50) only with --platform.",
)
@click.option("--no-wait", is_flag=True, help="Return at once, without what was found.")
@json_option
@data_option
def scan(
    niche: str, sources: tuple[str, ...], limit: int, *, no_wait: bool, as_json: bool, data_dir: Path | None
) -> None:
    """Look for candidates once, and tell what was asked, found, left out, and why. Fails if no platform answered."""
    settings = settings_in(data_dir)
    event = ScanRequested(niche=normal(niche), platform=",".join(sources) if sources else None, limit=limit)
    choose(event.platform, settings)
    try:
        done = complete(_scan(settings, event, patience_s=0.0 if no_wait else PATIENCE_S))
    except SystemExit:
        say("stopped waiting; the scan goes on. `ettametta status` shows what comes of it", err=True)
        raise
    if as_json:
        print_json(done)
    else:
        say(render_scan(done, settings, waited_s=0.0 if no_wait else PATIENCE_S))
    if done.failed and not done.found:
        sys.exit(1)


async def _scan(settings: Settings, event: ScanRequested, *, patience_s: float) -> Scanned:
    """Ask for a scan and wait for its end."""
    where = settings if settings.nats_url else located(settings, OUTSIDE.name)
    async with connect(where, OUTSIDE) as bus:
        ends = await bus.client.subscribe(subject_of(ScanCompleted))
        sent = await send(bus, event)
        try:
            async with asyncio.timeout(patience_s or None):
                while patience_s:
                    end = decode((await ends.next_msg(timeout=patience_s)).data, ScanCompleted)
                    if end.causation_id == sent.event_id:
                        return Scanned(
                            scan_id=sent.event_id,
                            niche=event.niche,
                            ended=True,
                            found=end.found,
                            failed=end.failed,
                            skipped=end.skipped,
                        )
        except (TimeoutError, NatsTimeout):
            pass
    return Scanned(scan_id=sent.event_id, niche=event.niche, ended=False)


def render_scan(done: Scanned, settings: Settings, *, waited_s: float = 0.0) -> str:
    """Say in lines what a scan came to. waited_s: how long its end was waited for, seconds."""
    where = f"`ettametta status` or {page_of(settings)}"
    if not done.ended and waited_s:
        why = "no scanner runs, or no platform answers and it is tried again"
        return f"scan {done.scan_id} has not ended within {waited_s:g} s: {why}. Watch it with {where}"
    if not done.ended:
        return f"scan requested: {done.scan_id}. Watch it with {where}"
    width = max((len(name) for name in (*done.found, *done.failed, *done.skipped)), default=0)
    lines = [f"scan of '{done.niche}': {sum(done.found.values())} works found. What becomes of them: {where}"]
    for title, told in (("found", done.found), ("no answer", done.failed), ("not asked", done.skipped)):
        lines += [f"  {title:<9}  {name:<{width}}  {what}" for name, what in sorted(told.items())]
    return "\n".join(lines)


@click.group()
def niches() -> None:
    """Niches that are scanned on a schedule, and proposals for more of them."""


@niches.command("list")
@click.option("--proposed", is_flag=True, help="Show what might be worth watching and what rises.")
@json_option
@data_option
def niches_list(*, proposed: bool, as_json: bool, data_dir: Path | None) -> None:
    """List the watched niches. Movement: growth of views a day, new works and topics; more gets more rationed calls."""
    if proposed:
        now = datetime.now(UTC)

        async def both(known: Niches) -> tuple[tuple[OpenProposal, ...], tuple[KnownTopic, ...]]:
            return await known.proposals(now), await known.topics(now)

        proposals, topics = _with_niches(data_dir, both)
        if as_json:
            print_json({"proposals": proposals, "topics": topics})
        else:
            say(render_proposals(proposals, topics))
        return
    found = _with_niches(data_dir, lambda known: known.listed())
    if as_json:
        print_json(found)
    else:
        say(render_niches(found))


@niches.command("add")
@click.argument("name")
@click.option("--every", default="6h", show_default=True, metavar="SPAN", help="As in 90m, 6h, 2d; 15m at least.")
@_platform_option
@click.option(
    "--limit",
    default=25,
    show_default=True,
    type=click.IntRange(1, 500),
    help="Candidates per platform; a page at most where calls are rationed (YouTube: 50).",
)
@click.option("--to", metavar="PLATFORM", help="Where its winners are posted [DESTINATION].")
@click.option("--why", default="", metavar="TEXT", help="A note for people.")
@data_option
def niches_add(name: str, data_dir: Path | None, *, every: str, to: str | None, **options: Any) -> None:
    """Watch NAME, from now on; this also accepts a proposal of that name."""
    every_s = _span_s(every)
    destination = _destination(settings_in(data_dir), to)
    added = _with_niches(
        data_dir,
        lambda known: known.add(
            name,
            now=datetime.now(UTC),
            every_s=every_s,
            platforms=options["sources"],
            candidates=options["limit"],
            destination=destination,
            why=options["why"],
        ),
    )
    say(f"{added}, every {_span(every_s)}")


@niches.command("pause")
@click.argument("name")
@click.option("--off", is_flag=True, help="End the pause.")
@data_option
def niches_pause(name: str, *, off: bool, data_dir: Path | None) -> None:
    """Stop scanning NAME until `pause NAME --off`."""
    say(_with_niches(data_dir, lambda known: known.pause(name, now=datetime.now(UTC), paused=not off)))


@niches.command("drop")
@click.argument("name")
@data_option
def niches_drop(name: str, data_dir: Path | None) -> None:
    """Watch NAME no more, or refuse a proposal for good. What was found stays."""
    say(_with_niches(data_dir, lambda known: known.drop(name, now=datetime.now(UTC))))


def render_niches(found: tuple[Niche, ...]) -> str:
    """Say in lines what is watched."""
    if not found:
        return "no niche is watched. Add one: ettametta niches add volcano"
    width = max(len(one.name) for one in found)
    lines = []
    for one in found:
        state = "paused" if one.paused else f"next {one.next_at:%Y-%m-%d %H:%M} UTC"
        moves = "unknown" if one.movement is None else f"{one.movement:.2f}"
        where = ", ".join(one.platforms) or "every platform whose needs are met"
        lines.append(f"{one.name:<{width}}  every {_span(one.every_s)}, {state}; movement {moves}; {where}")
        notes = [one.movement_because, f"proposed by {one.proposed_by}" if one.proposed_by else "", one.why]
        if told := "; ".join(note for note in notes if note):
            lines.append(f"{'':<{width}}  {told}")
    return "\n".join(lines)


def render_proposals(proposals: tuple[OpenProposal, ...], topics: tuple[KnownTopic, ...]) -> str:
    """Say in lines what might be watched, and what rises."""
    lines = [
        f"{one.name}  (near '{one.near}', from {one.proposed_by}, {one.created_at:%Y-%m-%d}): {one.reason}"
        for one in proposals
    ]
    lines = lines or ["no niche is proposed"]
    if proposals:
        lines.append('None of these is scanned. Accept one with `ettametta niches add "NAME"`, refuse it with `drop`.')
    if topics:
        lines += ["", "rising topics of the last day:"]
    for one in topics:
        told = [
            one.region or "",
            f"{one.volume:,} {one.unit}" if one.volume is not None else "",
            f"{one.growth:+.0%}" if one.growth is not None else "",
            f"since {one.first_seen_at:%Y-%m-%d}",
        ]
        lines.append(f"  {one.name}  ({', '.join([one.platform, *(part for part in told if part)])})")
    return "\n".join(lines)


def _destination(settings: Settings, to: str | None) -> Destination | None:
    if to is None:
        return None
    able = [name for name in platforms.names() if (caps := caps_of(name)) is not None and caps.publish]
    if to not in able:
        told = to.encode("utf-8", "backslashreplace").decode()
        raise Reject(f"'{told}' is no platform that can be posted to", mend=f"known: {', '.join(able)}")
    return Destination(platform=to, privacy=settings.privacy)


def _span_s(told: str) -> int:
    found = _SPAN.fullmatch(told.strip().lower())
    if found is None:
        shown = told.encode("utf-8", "backslashreplace").decode()
        raise Reject(f"'{shown}' is no span of time", mend="Write it as 90m, 6h or 2d")
    return int(found[1]) * _UNITS_S[found[2]]


def _span(seconds: int) -> str:
    return str(timedelta(seconds=seconds)) if seconds % 60 else _units(seconds)


def _units(seconds: int) -> str:
    unit = next(name for name in ("d", "h", "m") if seconds % _UNITS_S[name] == 0)
    return f"{seconds // _UNITS_S[unit]}{unit}"


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Niches]:
    """Open the niches of the system that runs, or of DATABASE_URL. Raises: Reject."""
    async with own_database(settings, name="niches") as db:
        yield Niches(db, settings)


def _with_niches(data_dir: Path | None, work: Callable[[Niches], Coroutine[Any, Any, T]]) -> T:
    async def go() -> T:
        async with _opened(settings_in(data_dir)) as known:
            return await work(known)

    return complete(go())
