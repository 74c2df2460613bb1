"""`ettametta patterns`: which forms grew in a niche, and how niches move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from actors.ranker.findings import Pattern, patterns_of, refresh, trends_of
from actors.ranker.trends import Trend
from actors.runtime.settings import Settings
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import own_database

__all__ = ["Findings", "findings", "patterns", "render"]

ORIGINS: Final = {"seen": "works seen", "own": "own posts"}


class Findings(Struct, frozen=True, kw_only=True):
    """What is known of one niche, or of all."""

    patterns: tuple[Pattern, ...]
    trends: tuple[Trend, ...]


@click.command()
@click.option("--niche", help="Only this niche [all].")
@click.option("--refresh", "anew", is_flag=True, help="Work them out anew first.")
@json_option
@data_option
def patterns(*, niche: str | None, anew: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show how niches move, and which forms of title, hook, length, pacing and captions grew in them."""
    settings = settings_in(data_dir)
    found = complete(findings(settings, niche, refresh_at=datetime.now(UTC) if anew else None))
    if as_json:
        print_json(found)
    else:
        say(render(found, niche))


async def findings(settings: Settings, niche: str | None = None, *, refresh_at: datetime | None = None) -> Findings:
    """Read what was found, of the system that runs or of DATABASE_URL.

    Args: refresh_at: work everything out as of then first; None: read what is there. Raises: Reject.
    """
    async with own_database(settings, name="ettametta-patterns") as db:
        if refresh_at is not None:
            async with db.transaction() as conn:
                await refresh(conn, refresh_at)
        return Findings(patterns=await patterns_of(db, niche), trends=await trends_of(db, niche))


def render(found: Findings, niche: str | None = None) -> str:
    """Return the findings for people: a paragraph for each niche on each platform."""
    if not (found.patterns or found.trends):
        about = f" for '{niche}'" if niche else ""
        return f"nothing is known yet{about}: scan a niche twice, hours apart, then ask with --refresh"
    places = {(one.niche, one.platform) for one in found.trends} | {(one.niche, one.platform) for one in found.patterns}
    return "\n\n".join(_place(found, *place) for place in sorted(places))


def _place(found: Findings, niche: str, platform: str) -> str:
    trends = [trend for trend in found.trends if (trend.niche, trend.platform) == (niche, platform)]
    lines = [f"{niche} on {platform}"]
    lines += [f"  {trend.window_days:>2} days  {trend.verdict}: {trend.because}" for trend in trends]
    lines += _kinds([one for one in found.patterns if (one.niche, one.platform) == (niche, platform)])
    return "\n".join(lines)


def _kinds(found: Sequence[Pattern]) -> list[str]:
    lines = []
    for (origin, kind), group in groupby(found, key=lambda one: (one.origin, one.kind)):
        lines.append(f"  {kind}, {ORIGINS[origin]}")
        lines += [f"    {one.value or '-':<20}  {one.because}" for one in group]
    return lines
