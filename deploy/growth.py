"""`ettametta growth`: posts and views of each week, and how they grew, from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from msgspec import Struct

from actors import platforms
from actors.runtime.settings import Settings
from actors.tracker.growth import Group, Growth, Week, groups_of
from actors.tracker.history import history
from contracts.clock import Utc
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import own_database

__all__ = ["Told", "growth", "render", "told"]


class Told(Struct, frozen=True, kw_only=True):
    """What is known. Every number names its posts and the moments of its snapshots."""

    at: Utc
    groups: tuple[Group, ...]


@click.command()
@click.option("--account", help="Only this account [all].")
@click.option("--niche", help="Only works of this niche [all].")
@click.option("--platform", help="Only this platform [all].")
@json_option
@data_option
def growth(
    *, account: str | None, niche: str | None, platform: str | None, as_json: bool, data_dir: Path | None
) -> None:
    """Show posts and views of each week, and how accounts, niches and platforms grow from week to week.

    Views of a week lie between two bounds where no snapshot was taken at its very end. Growth compares posts of two
    weeks at the age of two days; it says how many days it still needs before it can be told.
    """
    if platform is not None:
        platforms.module(platform)
    found = complete(told(settings_in(data_dir), datetime.now(UTC), account=account, niche=niche, platform=platform))
    if as_json:
        print_json(found)
    else:
        say(render(found.groups))


async def told(
    settings: Settings,
    now: datetime,
    *,
    account: str | None = None,
    niche: str | None = None,
    platform: str | None = None,
) -> Told:
    """Read the history of the system that runs or of DATABASE_URL. Raises: Reject."""
    async with own_database(settings, name="ettametta-growth") as db:
        posts = await history(db, now, account=account, niche=niche, platform=platform)
        return Told(at=now, groups=groups_of(posts, now))


def render(groups: Sequence[Group]) -> str:
    """Return the findings for people: a table for each account, niche and platform.

    A platform with one account is left out: it would be the same table again.
    """
    if not groups:
        return "no post was published yet, or none is as asked for"
    of_accounts = {
        (group.name.partition(":")[0], group.weeks, group.growth) for group in groups if group.kind == "account"
    }
    shown = (
        group
        for group in groups
        if group.kind != "platform" or (group.name, group.weeks, group.growth) not in of_accounts
    )
    return "\n\n".join("\n".join(_lines(group)) for group in shown)


def _lines(group: Group) -> list[str]:
    head = f"  {'week from':<12}{'posts':>6}  {'views gained':>25}"
    return [f"{group.kind} {group.name}: {_growth(group.growth)}", head, *(_week(week) for week in group.weeks)]


def _growth(found: Growth) -> str:
    if found.change is not None and found.low is not None and found.high is not None:
        interval = f"{found.low:+.0%} to {found.high:+.0%}, 95 %"
        return f"views of a post at two days {found.change:+.0%} in a week ({interval}); {found.because}"
    if found.change is not None:
        return f"views of a post at two days {found.change:+.0%} in a week (no interval); {found.because}"
    needs = "" if found.needs_days is None else f"needs {found.needs_days} more days: "
    return f"no growth to tell yet; {needs}{found.because}"


def _week(week: Week) -> str:
    low, high = week.views_low, week.views_high
    if low is None:
        views = "not told"
    elif high is None:
        views = f"at least {low:,}"
    else:
        views = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"  {week.begins_at:%Y-%m-%d}  {week.posts:>6}  {views:>25}{'' if week.complete else '  (runs)'}"
