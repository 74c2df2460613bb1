"""When an account posts: weekly slots in wall time, spacing, most posts of a day, blackouts. Pure.

A wall time that does not exist is taken at the first moment after the gap; one that comes twice, at the first. Slots
that fall on one moment that way are one slot. docs/scheduling.md says it for people.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct
from msgspec.structs import replace

from contracts.errors import Reject

__all__ = [
    "HORIZON",
    "WEEKDAYS",
    "Blackout",
    "Openings",
    "Slot",
    "Timetable",
    "instant_of",
    "parse_blackout",
    "parse_slots",
    "wall_of",
    "zone_of",
]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON: Final = timedelta(days=366)
"""How far ahead a free moment is looked for."""
DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)
_MIDNIGHT: Final = time()
_WHOLE_NAMES: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Slot(Struct, frozen=True, order=True):
    """A weekly moment in wall time. weekday: 0 is Monday."""

    weekday: Annotated[int, Meta(ge=0, le=6)]
    at: time

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.weekday]} {self.at:%H:%M}"


class Blackout(Struct, frozen=True, kw_only=True):
    """Wall times at which nothing is posted, on each day that it names. It belongs to the day on which it begins.

    first, last: days, both within; None: no bound. weekdays: 0 is Monday; empty: every day. ends at or before
    begins: it ends on the day after, so that two equal times are a whole day.
    """

    first: date | None = None
    last: date | None = None
    weekdays: tuple[Annotated[int, Meta(ge=0, le=6)], ...] = ()
    begins: time = _MIDNIGHT
    ends: time = _MIDNIGHT

    def end(self, wall: datetime) -> datetime | None:
        """Return the wall time at which the window around `wall` ends; None: `wall` is outside of it."""
        for day in (wall.date() - DAY, wall.date()):
            if not self._holds(day):
                continue
            begins, ends = datetime.combine(day, self.begins), datetime.combine(day, self.ends)
            if ends <= begins:
                ends += DAY
            if begins <= wall < ends:
                return ends
        return None

    def _holds(self, day: date) -> bool:
        return (
            (self.first is None or day >= self.first)
            and (self.last is None or day <= self.last)
            and (not self.weekdays or day.weekday() in self.weekdays)
        )

    def __str__(self) -> str:
        days = f"{self.first or ''}..{self.last or ''}" if self.first != self.last else f"{self.first or ''}"
        names = ",".join(WEEKDAYS[number] for number in self.weekdays)
        hours = "" if self.begins == self.ends else f"{self.begins:%H:%M}-{self.ends:%H:%M}"
        return " ".join(part for part in (days, names, hours) if part) or "always"


class Timetable(Struct, frozen=True, kw_only=True):
    """What one account keeps to. spacing_s: least time between two posts, seconds; per_day: None is no bound."""

    zone: str = "UTC"
    slots: tuple[Slot, ...] = ()
    spacing_s: Annotated[int, Meta(ge=0, le=31 * 86_400)] = 0
    per_day: Annotated[int, Meta(ge=1)] | None = None
    blackouts: tuple[Blackout, ...] = ()


def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the IANA database. Raises: Reject if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:  # a folder's name is an OSError, an unknown one a KeyError
        raise Reject(f"'{name}' is no time zone", mend="Name one as Europe/Berlin or UTC") from error


def wall_of(at: datetime, zone: ZoneInfo) -> datetime:
    """Return what a clock on the wall shows, naive."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment, UTC, at which the wall clock first shows `wall`; in a gap, the first moment after it.

    Source: PEP 495: in a gap, fold 0 counts with the offset before it and fold 1 with the one after.
    """
    late, early = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if wall_of(late, zone) == wall:
        return late
    before, after = early.replace(microsecond=0), late.replace(microsecond=0)
    offset = after.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = (before + (after - before) // 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def parse_slots(told: str) -> tuple[Slot, ...]:
    """Read `mon 18:00`, `mon,thu 18:00`, `mon-fri 07:30,18:00` or `daily 12:00`. Raises: Reject."""
    days, _, hours = told.strip().lower().partition(" ")
    try:
        return tuple(Slot(day, _time(hour)) for day in _weekdays(days) for hour in hours.split(","))
    except ValueError as error:
        raise Reject(f"'{told}' is no slot ({error})", mend='Write it as "mon,thu 18:00" or "daily 12:00"') from error


def parse_blackout(told: str) -> Blackout:
    """Read days, weekdays and hours, as `2026-12-24..2026-12-26`, `sat,sun`, `22:00-07:00` or more of them together.

    Raises: Reject.
    """
    found = Blackout()
    try:
        for part in told.strip().lower().split():
            if ":" in part:
                begins, ends = part.split("-")
                found = replace(found, begins=_time(begins), ends=_time(ends))
            elif part[0].isdigit():
                first, _, last = part.partition("..")
                found = replace(found, first=date.fromisoformat(first), last=date.fromisoformat(last or first))
            else:
                found = replace(found, weekdays=_weekdays(part))
        _check(found)
    except ValueError as error:
        raise Reject(
            f"'{told}' is no blackout ({error})",
            mend='Write days and hours, as "2026-12-24..2026-12-26", "22:00-07:00" or "sat,sun 00:00-10:00"',
        ) from error
    return found


def _check(found: Blackout) -> None:
    if found == Blackout():
        raise ValueError("it names neither days nor hours")
    if found.first is not None and found.last is not None and found.last < found.first:
        raise ValueError("it ends before it begins")


def _weekdays(told: str) -> tuple[int, ...]:
    if told == "daily":
        return tuple(range(7))
    days: set[int] = set()
    for part in told.split(","):
        first, _, last = part.partition("-")
        begins, ends = _weekday(first), _weekday(last or first)
        days.update((begins + number) % 7 for number in range((ends - begins) % 7 + 1))
    return tuple(sorted(days))


def _weekday(told: str) -> int:
    for number, name in enumerate(WEEKDAYS):
        if told in {name, _WHOLE_NAMES[number]}:
            return number
    raise ValueError(f"'{told}' is no weekday")


def _time(told: str) -> time:
    hour, colon, minute = told.partition(":")
    if not (colon and hour.isdigit() and minute.isdigit() and len(hour) <= 2 and len(minute) == 2):
        raise ValueError(f"'{told}' is no time of day")
    return _MIDNIGHT if told == "24:00" else time(int(hour), int(minute))


@lru_cache(maxsize=4096)
def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    return instant_of(wall, zone)


class Openings:
    """A timetable, and what is taken of it already."""

    def __init__(self, table: Timetable, taken: Iterable[datetime] = ()) -> None:
        self.table = table
        self.zone = zone_of(table.zone)
        self.taken = sorted(at.astimezone(UTC) for at in taken)
        self._there = frozenset(self.taken)
        self._per_day = Counter(wall_of(at, self.zone).date() for at in self.taken)
        self._slots = sorted(set(table.slots))

    def slots(self, after: datetime) -> Iterator[datetime]:
        """Give every slot at `after` or later, taken or not, in order, up to the horizon."""
        begins = wall_of(after, self.zone).date() - DAY
        last = after - SECOND
        for number in range(HORIZON.days + 2):
            day = begins + number * DAY
            for slot in self._slots:
                if slot.weekday == day.weekday():
                    at = _instant(datetime.combine(day, slot.at), self.zone)
                    if at > last and at >= after:
                        yield at
                        last = at

    def slot(self, after: datetime) -> datetime | None:
        """Return the first free slot at `after` or later; None: there is none up to the horizon."""
        return next((at for at in self.slots(after) if at not in self._there and self._obstacle(at) is None), None)

    def moment(self, after: datetime) -> datetime | None:
        """Return the first moment at `after` or later to which nothing speaks; None: none up to the horizon."""
        at, horizon = after.astimezone(UTC), after + HORIZON
        while at <= horizon:
            obstacle = self._obstacle(at)
            if obstacle is None:
                return at
            at = max(obstacle[0], at + SECOND)
        return None

    def told_moment(self, after: datetime) -> datetime | None:
        """Return the first whole second as `moment` does: what people are told to the second can be asked for."""
        at = self.moment(after)
        while at is not None and at.microsecond:
            at = self.moment(at.replace(microsecond=0) + SECOND)
        return at

    def conflict(self, at: datetime) -> str:
        """Say why nothing can be posted at a moment; empty: it can."""
        found = self._obstacle(at.astimezone(UTC))
        return "" if found is None else found[1]

    def shown(self, at: datetime) -> str:
        """Write a moment in the account's wall time and in UTC."""
        if self.table.zone == "UTC":
            return f"{at:%a %Y-%m-%d %H:%M} UTC"
        return f"{wall_of(at, self.zone):%a %Y-%m-%d %H:%M} {self.table.zone} ({at.astimezone(UTC):%m-%d %H:%M} UTC)"

    def _obstacle(self, at: datetime) -> tuple[datetime, str] | None:
        """Return the moment up to which the first thing found speaks against `at`, and its words."""
        wall = wall_of(at, self.zone)
        ends = [(end, blackout) for blackout in self.table.blackouts if (end := blackout.end(wall)) is not None]
        if ends:
            end, blackout = max(ends, key=lambda found: found[0])
            return self._next(end, at), f"it lies in the blackout '{blackout}'"
        most = self.table.per_day
        if most is not None and self._per_day[wall.date()] >= most:
            posts = "post is" if most == 1 else "posts are"
            return (
                self._next(datetime.combine(wall.date() + DAY, _MIDNIGHT), at),
                f"{most} {posts} planned on {wall:%a %Y-%m-%d} already, the most of a day",
            )
        if self.table.spacing_s:
            place = bisect_left(self.taken, at)
            for near in self.taken[max(place - 1, 0) : place + 1]:
                if self._clear_after(min(near, at)) > max(near, at):
                    span = timedelta(seconds=self.table.spacing_s)
                    return self._clear_after(near), f"a post at {self.shown(near)} is nearer than {span}"
        return None

    def _next(self, wall: datetime, at: datetime) -> datetime:
        """Return the first moment after `at` at which the wall clock shows `wall`, or is past it."""
        found = _instant(wall, self.zone)
        return found if found > at else wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)

    def _clear_after(self, at: datetime) -> datetime:
        """Return when the next post may be. A day or more gives way by what the clocks go forward by meanwhile."""
        span = timedelta(seconds=self.table.spacing_s)
        if span < DAY:
            return at + span
        before, after = ((at + far).astimezone(self.zone).utcoffset() or timedelta() for far in (-DAY, span))
        return at + span - max(after - before, timedelta())
