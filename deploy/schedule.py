"""Timetables and planned posts on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from actors import platforms
from actors.publisher.advice import Advice
from actors.publisher.agenda import AccountTimes, Agenda, Planned
from actors.publisher.schedule import span
from actors.publisher.timetable import Openings, Timetable, parse_blackout, parse_slots, wall_of, zone_of
from contracts.errors import Reject
from contracts.ids import AccountId
from deploy.ask import page_of
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import own_database
from deploy.times import IN_WALL_TIME, read_time

__all__ = ["schedule"]

T = TypeVar("T")

SHOWN_SLOTS: Final = 10
MOST_SLOTS: Final = 200
_SPAN: Final = re.compile(r"(\d{1,5})\s*(s|m|min|h|d)?")
_UNITS_S: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "": 1}


@click.group()
def schedule() -> None:
    """When accounts post: timetables, planned posts, what is late."""


@schedule.command("set")
@click.argument("account")
@click.option("--zone", metavar="Z", help="Time zone that its wall times are in, as Europe/Berlin [UTC].")
@click.option("--slot", "slots", multiple=True, metavar="S", help='As "mon,thu 18:00" or "daily 12:00"; all anew.')
@click.option("--spacing", metavar="SPAN", help="Least time between two posts, as 90m or 2h; 0: none.")
@click.option("--per-day", type=click.IntRange(0, 1000), help="Most posts on a day of its zone; 0: no bound.")
@click.option(
    "--blackout",
    "blackouts",
    multiple=True,
    metavar="B",
    help='When nothing is posted, as "2026-12-24..2026-12-26", "22:00-07:00", "sat,sun 00:00-10:00"; all anew.',
)
@click.option("--no-slots", is_flag=True, help="Take all slots away.")
@click.option("--no-blackouts", is_flag=True, help="Take all blackouts away.")
@data_option
def schedule_set(account: str, data_dir: Path | None, **told: Any) -> None:
    """Set ACCOUNT's timetable. What is not named stays as it is."""
    changes: dict[str, Any] = {}
    if told["zone"] is not None:
        changes["zone"] = zone_of(told["zone"]).key
    if told["slots"] or told["no_slots"]:
        changes["slots"] = tuple(sorted({slot for words in told["slots"] for slot in parse_slots(words)}))
    if told["spacing"] is not None:
        changes["spacing_s"] = _span_s(told["spacing"])
    if told["per_day"] is not None:
        changes["per_day"] = told["per_day"] or None
    if told["blackouts"] or told["no_blackouts"]:
        changes["blackouts"] = tuple(parse_blackout(words) for words in told["blackouts"])
    if not changes:
        raise Reject("nothing was named to set", mend="See `ettametta schedule set --help`")

    async def put(agenda: Agenda) -> tuple[Timetable, tuple[tuple[Planned, str], ...]]:
        await _refuse_unless_posted_to(agenda, AccountId(account))
        return await agenda.set_timetable(AccountId(account), changes)

    table, breaking = _with_agenda(data_dir, put)
    say(f"{account}: {render_timetable(table)}")
    for post, against in breaking:
        say(f"  no longer fits, and stays where it is: {post.post_id} ({against})")
        say(f"    move it: ettametta schedule move {post.post_id} --slot")


@schedule.command("drop")
@click.argument("account")
@data_option
def schedule_drop(account: str, data_dir: Path | None) -> None:
    """Take ACCOUNT's timetable away. What is planned stays planned."""
    _with_agenda(data_dir, lambda agenda: agenda.drop_timetable(AccountId(account)))
    say(f"{account} has no timetable: what has no time of its own is posted at once")


@schedule.command("show")
@click.argument("account", required=False)
@json_option
@data_option
def schedule_show(account: str | None, *, as_json: bool, data_dir: Path | None) -> None:
    """Show timetables, the next slots and what is planned, in the account's wall time and in UTC.

    Accounts of platforms that are only read from are left out.
    """

    async def read(agenda: Agenda) -> tuple[AccountTimes, ...]:
        if account is None:
            return await _posted_to(agenda, slots=SHOWN_SLOTS)
        await _refuse_unless_posted_to(agenda, AccountId(account))
        return await agenda.shown(AccountId(account), slots=SHOWN_SLOTS)

    found = _with_agenda(data_dir, read)
    if as_json:
        print_json(found)
        return
    for each in found:
        say(render_account(each))
    if not found:
        say(f"no account to post to is connected; connect one at {page_of(settings_in(data_dir))}")


@schedule.command("list")
@click.option("--days", default=7, show_default=True, type=click.IntRange(0, 3650), help="Also posted so long ago.")
@json_option
@data_option
def schedule_list(days: int, *, as_json: bool, data_dir: Path | None) -> None:
    """List what is planned, what is asked about, and how late the last posts were."""
    found = _with_agenda(data_dir, lambda agenda: agenda.planned(since=timedelta(days=days)))
    if as_json:
        print_json(found)
        return
    for post in found:
        say(render_post(post))
    if not found:
        say("nothing is planned")


@schedule.command("move")
@click.argument("post")
@click.option("--at", metavar="TIME", help="As 2026-12-01T18:00 in the account's wall time, or with an offset or Z.")
@click.option("--slot", is_flag=True, help="To the next free slot, not before --at.")
@data_option
def schedule_move(post: str, data_dir: Path | None, *, at: str | None, slot: bool) -> None:
    """Give POST another time. It must not have begun."""
    if at is None and not slot:
        raise Reject("no new time was named", mend="Add --at TIME or --slot")
    moment = None if at is None else read_time(at, mend=IN_WALL_TIME)
    say(_with_agenda(data_dir, lambda agenda: agenda.move(post, at=moment, by_slot=slot)))


@schedule.command("queue")
@click.argument("account")
@click.argument("posts", metavar="[POST]...", nargs=-1)
@json_option
@data_option
def schedule_queue(account: str, posts: tuple[str, ...], *, as_json: bool, data_dir: Path | None) -> None:
    """Put POSTs into ACCOUNT's next free slots, in their order, and show the queue and how long it lasts.

    A new video joins it with `ettametta post VIDEO --to PLATFORM --account ACCOUNT --slot`.
    """

    async def fill(agenda: Agenda) -> AccountTimes:
        await _refuse_unless_posted_to(agenda, AccountId(account))
        for post in posts:
            await agenda.move(post, at=None, by_slot=True, only=AccountId(account))
        return (await agenda.shown(AccountId(account), slots=MOST_SLOTS))[0]

    found = _with_agenda(data_dir, fill)
    if as_json:
        print_json(found)
    else:
        say(render_queue(found))


@schedule.command("go")
@click.argument("post")
@data_option
def schedule_go(post: str, data_dir: Path | None) -> None:
    """Post POST now, whatever its time was and whatever the timetable says."""
    say(_with_agenda(data_dir, lambda agenda: agenda.go(post)))


@schedule.command("skip")
@click.argument("post")
@data_option
def schedule_skip(post: str, data_dir: Path | None) -> None:
    """Do not post POST."""
    say(_with_agenda(data_dir, lambda agenda: agenda.skip(post)))


@schedule.command("advice")
@click.argument("account")
@json_option
@data_option
def schedule_advice(account: str, *, as_json: bool, data_dir: Path | None) -> None:
    """Say when ACCOUNT's posts did best, if its own measurements can tell."""

    async def ask(agenda: Agenda) -> Advice:
        await _refuse_unless_posted_to(agenda, AccountId(account))
        return await agenda.advice(AccountId(account))

    found = _with_agenda(data_dir, ask)
    if as_json:
        print_json(found)
    else:
        say(render_advice(found))


async def _posted_to(agenda: Agenda, *, slots: int = 0) -> tuple[AccountTimes, ...]:
    return tuple(one for one in await agenda.shown(None, slots=slots) if _takes_posts(one.platform))


def _takes_posts(platform: str) -> bool:
    return platform in platforms.names() and platforms.module(platform).CAPS.publish


async def _refuse_unless_posted_to(agenda: Agenda, account: AccountId) -> None:
    """Raises: Reject if there is no such account, or its platform takes no posts."""
    (found,) = await agenda.shown(account, slots=0)
    if _takes_posts(found.platform):
        return
    able = ", ".join(one.account_id for one in await _posted_to(agenda))
    raise Reject(
        f"{account} has no times: {found.platform} cannot be posted to, it is only read from",
        mend=f"Accounts that can be posted to: {able or 'none is connected yet'}",
    )


# In words -----------------------------------------------------------------------------------------


def render_timetable(table: Timetable) -> str:
    """Say in a line what a timetable holds."""
    parts = [f"zone {table.zone}", f"slots {', '.join(map(str, table.slots))}" if table.slots else "no slots"]
    if table.spacing_s:
        parts.append(f"at least {_spelled(table.spacing_s)} between posts")
    if table.per_day is not None:
        parts.append(f"at most {table.per_day} a day")
    parts += [f"nothing at {blackout}" for blackout in table.blackouts]
    return "; ".join(parts)


def render_account(found: AccountTimes) -> str:
    """Say in lines what an account's days look like."""
    name = f"{found.account_id} ({found.title})" if found.title else found.account_id
    if found.state != "connected":
        name += f", {found.state.replace('_', ' ')}"
    lines = [name]
    if found.timetable is None:
        lines.append(f'  no timetable. Give it one: ettametta schedule set {found.account_id} --slot "mon,thu 18:00"')
    else:
        lines.append(f"  {render_timetable(found.timetable)}")
    shown = Openings(found.timetable or Timetable())
    rows = [(post.due_at, render_post(post, brief=True)) for post in found.planned]
    planned = {post.due_at for post in found.planned}
    rows += [(slot.at, slot.taken or "free") for slot in found.slots if slot.at not in planned]
    lines += [f"  {shown.shown(at):<45}  {words}" for at, words in sorted(rows)]
    if not found.slots and found.timetable is not None and found.timetable.slots:
        lines.append("  no slot is free within a year")
    if found.late is not None:
        usual, worst = (span(timedelta(seconds=told)) for told in (found.late.usual_s, found.late.worst_s))
        lines.append(
            f"  the last {found.late.posts} timed posts were claimed {usual} after their time, at worst {worst}"
        )
    lines += [
        f"  asked since {post.asking_since:%Y-%m-%d %H:%M} UTC: {post.next_action}"
        for post in found.planned
        if post.asking_since
    ]
    return "\n".join(lines)


def render_queue(found: AccountTimes) -> str:
    """Say in lines what waits for its slot, and when slots stand empty."""
    shown = Openings(found.timetable or Timetable())
    queued = [post for post in found.planned if post.by_slot and post.due_at > post.read_at]
    lines = [f"{shown.shown(post.due_at):<45}  {render_post(post, brief=True)}" for post in queued]
    free = [slot.at for slot in found.slots if not slot.taken]
    lines.append("1 post is queued" if len(queued) == 1 else f"{len(queued)} posts are queued")
    if free:
        lines[-1] += f"; the next free slot is {shown.shown(free[0])}"
    elif not found.slots:
        lines[-1] += (
            f'; {found.account_id} has no slots: ettametta schedule set {found.account_id} --slot "mon,thu 18:00"'
        )
    return "\n".join(lines)


def render_post(post: Planned, *, brief: bool = False) -> str:
    """Say in a line how a planned post stands."""
    late = f", {span(timedelta(seconds=post.late_s))} late" if post.late_s is not None and post.late_s >= 1 else ""
    state = "kept by the platform" if post.kept_there and post.due_at > post.read_at else post.state
    words = f"{state}{late}  {post.post_id}  '{post.title}'"
    if brief:
        return words
    zone = zone_of(post.zone)
    wall = wall_of(post.due_at, zone)
    told = f"{post.due_at:%Y-%m-%d %H:%M} UTC  {wall:%a %H:%M} {post.zone}  {post.account_id}  {words}"
    if post.state in {"waiting", "failed", "unconfirmed"}:
        told += f"\n    {post.because}. Next: {post.next_action}"
    return told


def render_advice(found: Advice) -> str:
    """Say in lines what the measurements tell."""
    lines = [found.because]
    lines += [
        f"  {cell.name:<15} {cell.posts:>4} posts  {cell.ratio:.2f} x the views ({cell.low:.2f} to {cell.high:.2f})"
        for cell in found.cells
    ]
    return "\n".join(lines)


def _spelled(seconds: int) -> str:
    unit = next(name for name in ("d", "h", "min", "s") if seconds % _UNITS_S[name] == 0)
    return f"{seconds // _UNITS_S[unit]} {unit}"


def _span_s(told: str) -> int:
    found = _SPAN.fullmatch(told.strip().lower())
    if found is None or (not found[2] and int(found[1])):
        raise Reject(f"'{told}' is no span of time", mend="Write it as 90m, 2h or 1d; 0: none")
    return int(found[1]) * _UNITS_S[found[2] or ""]


def _with_agenda(data_dir: Path | None, work: Callable[[Agenda], Coroutine[Any, Any, T]]) -> T:
    settings = settings_in(data_dir)

    async def go() -> T:
        async with own_database(settings, name="schedule") as db:
            return await work(Agenda(db, now=datetime.now(UTC)))

    return complete(go())
