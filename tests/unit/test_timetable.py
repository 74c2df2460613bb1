"""When an account posts: wall times that people expect, once, over every change of the clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.publisher.schedule import Rules, Time, decide
from actors.publisher.timetable import (
    WEEKDAYS,
    Blackout,
    Openings,
    Slot,
    Timetable,
    instant_of,
    parse_blackout,
    parse_slots,
    wall_of,
    zone_of,
)
from contracts.errors import Reject
from contracts.events import Destination
from contracts.ids import AccountId, CorrelationId, PostId

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu", "UTC")
CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
}
"""Days on which the clocks go forward, and back. Source: IANA time zone database 2026."""

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)

times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
walls = st.builds(datetime.combine, st.dates(date(2025, 1, 1), date(2028, 1, 1)), st.times())
moments = walls.map(lambda wall: wall.replace(tzinfo=UTC))
slots = st.lists(st.builds(Slot, st.integers(0, 6), times), min_size=1, max_size=12).map(tuple)
blackouts = st.lists(
    st.builds(
        Blackout,
        weekdays=st.lists(st.integers(0, 6), max_size=3, unique=True).map(tuple),
        first=st.none() | st.dates(date(2025, 6, 1), date(2026, 6, 1)),
        last=st.none() | st.dates(date(2026, 6, 2), date(2027, 6, 1)),
        begins=times,
        ends=times,
    ),
    max_size=2,
).map(tuple)
tables = st.builds(
    Timetable,
    zone=st.sampled_from(ZONES),
    slots=slots,
    spacing_s=st.sampled_from((0, 60, 3600, 7200, 86_400, 3 * 86_400)),
    per_day=st.none() | st.integers(1, 3),
    blackouts=blackouts,
)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("minute", [0, 10, 30, 59])
def test_daily_slots_keep_their_wall_time_over_both_changes(name: str, hour: int, minute: int) -> None:
    """A daily post comes an hour early after a change, twice in one night, or not at all."""
    zone, at, found = zone_of(name), time(hour, minute), list[datetime]()
    openings = Openings(Timetable(zone=name, slots=parse_slots(f"daily {at:%H:%M}"), spacing_s=86_400))
    for change, forward in zip(CHANGES[name], (True, False), strict=True):
        found.clear()
        after = instant_of(datetime.combine(change - timedelta(days=3), time()), zone)
        for _ in range(7):
            slot = Openings(openings.table, found).slot(after)
            assert slot is not None
            found.append(slot)
        assert [wall_of(one, zone).date() for one in found] == [change + timedelta(days=n) for n in range(-3, 4)]
        for one in found:
            wall = wall_of(one, zone)
            if wall.time() != at:  # only what does not exist is moved: to the first moment after the gap
                assert forward
                assert wall.date() == change
                before = wall_of(one - timedelta(seconds=1), zone)
                assert before.time() < at < wall.time()
            else:  # what comes twice is taken the first time
                assert one.astimezone(zone).fold == 0


@given(
    st.sampled_from(ZONES),
    walls.map(lambda at: at.replace(microsecond=0)),
)
def test_a_wall_time_is_the_first_moment_that_shows_it_or_a_later_one(name: str, wall: datetime) -> None:
    """A slot is at a moment whose wall clock shows something else, or the second of two that show it."""
    zone = zone_of(name)
    found = instant_of(wall, zone)
    assert wall_of(found, zone) >= wall
    assert all(wall_of(found - timedelta(seconds=back), zone) < wall for back in (1, 1799, 3599, 7200))


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
    [
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Pacific/Apia", "2011-12-30T18:00", "2011-12-30T10:00"),
    ],
)
def test_gaps_and_folds_by_hand(zone: str, wall: str, expected: str) -> None:
    """Worked out by hand: half-hour changes and a day that never was are where offsets are guessed."""
    found = instant_of(datetime.fromisoformat(wall), ZoneInfo(zone))
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_slots_of_one_gap_are_one_slot() -> None:
    """Two posts go out in the same minute because both of their wall times fell into the gap."""
    table = Timetable(zone="Europe/Berlin", slots=parse_slots("daily 02:10,02:50,03:00"))
    after = datetime(2026, 3, 28, 12, tzinfo=UTC)
    found = [at for at in Openings(table).slots(after) if at < after + timedelta(days=1)]
    assert found == [datetime(2026, 3, 29, 1, tzinfo=UTC)]


def offset_of(at: datetime, zone: ZoneInfo) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def keeps_to(table: Timetable, posts: list[datetime]) -> None:
    """Check every rule the slow way, on the list of all posts."""
    zone = zone_of(table.zone)
    ordered = sorted(posts)
    assert len(set(ordered)) == len(ordered)
    for first, second in pairwise(ordered):
        span = timedelta(seconds=table.spacing_s)
        if span >= timedelta(days=1):
            forward = offset_of(first + span, zone) - offset_of(first - timedelta(days=1), zone)
            span -= max(forward, timedelta())
        assert second - first >= span
    for day in {wall_of(at, zone).date() for at in ordered}:
        assert table.per_day is None or sum(wall_of(at, zone).date() == day for at in ordered) <= table.per_day
    for at in ordered:
        wall = wall_of(at, zone)
        for one in table.blackouts:
            for day in (wall.date(), wall.date() - timedelta(days=1)):
                begins = datetime.combine(day, one.begins)
                ends = datetime.combine(day + timedelta(days=one.ends <= one.begins), one.ends)
                named = (
                    (one.first is None or one.first <= day)
                    and (one.last is None or day <= one.last)
                    and (not one.weekdays or day.weekday() in one.weekdays)
                )
                assert not (named and begins <= wall < ends)


@given(tables, moments)
def test_a_queue_that_fills_slots_keeps_every_rule(table: Timetable, after: datetime) -> None:
    """Filled slot by slot, the timetable breaks its own spacing, cap or blackout, or gives a moment twice."""
    found: list[datetime] = []
    for _ in range(6):
        slot = Openings(table, found).slot(after)
        if slot is None:
            break
        assert slot >= after
        found.append(slot)
    assert found == sorted(found)
    keeps_to(table, found)
    every = list(Openings(table).slots(after))
    assert set(found) <= set(every)


@given(tables, moments, st.lists(st.integers(0, 20 * 1440), max_size=8))
def test_the_next_free_moment_is_free_and_none_before_it_is(
    table: Timetable, after: datetime, minutes: list[int]
) -> None:
    """The mend of a refused time is refused too, or an earlier free moment was passed by."""
    taken: list[datetime] = []
    for minute in minutes:
        moment = Openings(table, taken).moment(after + timedelta(minutes=minute))
        if moment is not None:
            taken.append(moment)
    openings = Openings(table, taken)
    found = openings.moment(after)
    if found is None:
        return
    assert openings.conflict(found) == ""
    if table.spacing_s:
        keeps_to(table, [*taken, found])
    step = (found - after) / 50
    assert all(openings.conflict(after + number * step) for number in range(50) if step)


@given(tables, moments)
def test_no_free_slot_is_passed_by(table: Timetable, after: datetime) -> None:
    """The next free slot is not the next one."""
    openings = Openings(table)
    slot = openings.slot(after)
    for at in openings.slots(after):
        if slot is not None and at >= slot:
            break
        assert openings.conflict(at)


def test_a_spacing_of_a_day_holds_on_the_wall_clock() -> None:
    """A daily slot is skipped once a year, because the day of the change is an hour short."""
    table = Timetable(zone="Europe/Berlin", slots=parse_slots("daily 18:00"), spacing_s=86_400)
    first = datetime(2026, 3, 28, 17, tzinfo=UTC)
    assert Openings(table, [first]).slot(first) == datetime(2026, 3, 29, 16, tzinfo=UTC)
    short = Timetable(zone="Europe/Berlin", spacing_s=3600)
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert Openings(short, [night]).moment(night) == night + timedelta(hours=1)


def test_the_next_free_moment_can_be_asked_for() -> None:
    """Told to the second, the moment after a post that went out at 12:00:00.7 is refused when it is asked for."""
    openings = Openings(Timetable(spacing_s=3600), [NOW.replace(microsecond=734_512)])
    assert openings.moment(NOW) == NOW + timedelta(hours=1, microseconds=734_512)
    found = openings.told_moment(NOW)
    assert found == NOW + timedelta(hours=1, seconds=1)
    assert openings.conflict(found) == ""
    with pytest.raises(Reject, match="nearer than 1:00:00") as error:
        decide(None, FRESH, destination(NOW + timedelta(minutes=9)), openings, ASK, now=NOW)
    assert "--at 2026-11-23T13:00:01Z" in error.value.mend


def test_the_cap_counts_the_accounts_own_days() -> None:
    """A cap by the days of UTC lets twice as many posts out in one evening of the account."""
    table = Timetable(zone="America/New_York", per_day=1)
    evening = datetime(2026, 11, 23, 23, tzinfo=UTC)
    later = datetime(2026, 11, 24, 1, tzinfo=UTC)
    openings = Openings(table, [evening])
    assert "the most of a day" in openings.conflict(later)
    assert openings.moment(later) == datetime(2026, 11, 24, 5, tzinfo=UTC)


def test_a_blackout_over_midnight_belongs_to_the_day_it_begins() -> None:
    """A night that begins on Saturday is open on Sunday morning."""
    openings = Openings(Timetable(blackouts=(parse_blackout("sat 22:00-07:00"),)))
    saturday = MONDAY + timedelta(days=5)
    assert openings.conflict(saturday + timedelta(hours=23))
    assert openings.conflict(saturday + timedelta(hours=30, minutes=59))
    assert openings.conflict(saturday + timedelta(hours=31)) == ""
    assert openings.conflict(saturday + timedelta(hours=2)) == ""


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("mon 18:00", ["mon 18:00"]),
        ("Mon,Thursday 18:00", ["mon 18:00", "thu 18:00"]),
        ("sat-mon 7:30,18:05", ["mon 07:30", "mon 18:05", "sat 07:30", "sat 18:05", "sun 07:30", "sun 18:05"]),
        ("daily 00:00", [f"{day} 00:00" for day in WEEKDAYS]),
    ],
)
def test_slots_are_read_as_people_write_them(told: str, expected: list[str]) -> None:
    """A slot is on another day than the one that was written."""
    assert [str(slot) for slot in sorted(parse_slots(told))] == expected


@pytest.mark.parametrize(
    "told", ["mon", "18:00", "moon 18:00", "mon 25:00", "mon 18", "mon 18:00,", "", "mon-mon-tue 1:00"]
)
def test_what_is_no_slot_is_refused_with_an_example(told: str) -> None:
    """A mistyped slot is taken for another, or ends in a traceback."""
    with pytest.raises(Reject, match='"mon,thu 18:00"'):
        parse_slots(told)


@pytest.mark.parametrize("told", ["2026-12-24..2026-12-26", "22:00-07:00", "sat,sun 00:00-10:00", "2026-12-31", "fri"])
def test_a_blackout_reads_as_it_is_written(told: str) -> None:
    """What `schedule show` tells cannot be given to `schedule set`."""
    found = parse_blackout(told)
    assert str(found) == told
    assert parse_blackout(str(found)) == found


@pytest.mark.parametrize("told", ["", "2026-12-26..2026-12-24", "22:00", "22:00-07:00-08:00", "never", "2026-13-01"])
def test_what_is_no_blackout_is_refused(told: str) -> None:
    """A mistyped blackout blocks for ever, or nothing."""
    with pytest.raises(Reject, match="is no blackout"):
        parse_blackout(told)


# What happens to one asking ------------------------------------------------------------------------

FRESH = Time(
    post_id=PostId("p"), account_id=AccountId("x:a"), correlation_id=CorrelationId("c"), due_at=NOW, timed=False
)
ASK = Rules(if_late="ask", grace=timedelta(hours=1))
TABLE = Timetable(zone="Europe/Berlin", slots=parse_slots("mon,thu 18:00"), spacing_s=7200)


def destination(at: datetime | None = None, *, slot: bool = False) -> Destination:
    return Destination(platform="x", publish_at=at, at_slot=slot)


def placed(known: Time | None, to: Destination, *, taken: tuple[datetime, ...] = (), now: datetime = NOW) -> Time:
    found = decide(known, FRESH, to, Openings(TABLE, taken), ASK, now=now)
    assert found.what == "wait"
    assert found.time is not None
    assert found.time.wakes_at == found.time.due_at
    return found.time


def test_what_was_placed_stays_where_it_is_however_often_it_is_delivered() -> None:
    """A redelivery takes another slot, and the first stands empty."""
    first = placed(None, destination(slot=True))
    assert first.due_at == datetime(2026, 11, 23, 17, tzinfo=UTC)
    assert placed(first, destination(slot=True), taken=(first.due_at + timedelta(days=1),)) == first
    claimed = Time(**{**{name: getattr(first, name) for name in first.__struct_fields__}, "wakes_at": None})
    again = decide(claimed, FRESH, destination(slot=True), Openings(TABLE), ASK, now=first.due_at)
    assert (again.what, again.time) == ("go", claimed)


def test_an_asking_of_its_own_is_placed_anew() -> None:
    """Asked again for another day, the post still goes at the old time."""
    first = placed(None, destination(slot=True))
    other = Time(**{**{name: getattr(first, name) for name in first.__struct_fields__}, "correlation_id": "another"})
    at = NOW + timedelta(days=4)
    assert placed(other, destination(at)).due_at == at


def test_a_time_without_room_is_refused_with_the_next_that_has() -> None:
    """Two posts stand on one moment, or a person must guess when there is room."""
    at = NOW + timedelta(days=1)
    with pytest.raises(Reject, match="nearer than 2:00:00") as error:
        decide(None, FRESH, destination(at), Openings(TABLE, [at]), ASK, now=NOW)
    assert "move p --at 2026-11-24T14:00:00Z" in error.value.mend


def test_at_once_means_as_soon_as_there_is_room() -> None:
    """A post without a time breaks the spacing, or is refused because of it."""
    near = NOW - timedelta(minutes=30)
    assert placed(None, destination(), taken=(near,)).due_at == near + timedelta(hours=2)
    found = decide(None, FRESH, destination(), Openings(Timetable()), ASK, now=NOW)
    assert (found.what, found.time) == ("go", None)


@pytest.mark.parametrize(
    ("rule", "check"),
    [
        ("ask", lambda found: found.what == "ask" and "passed by 5 h" in found.because),
        ("post", lambda found: found.what == "go" and found.time.due_at == NOW),
    ],
)
def test_a_late_post_is_asked_about_or_goes(rule: str, check: Callable[[object], bool]) -> None:
    """After a stop, everything goes at once, or nothing ever does."""
    late = Time(**{**{n: getattr(FRESH, n) for n in FRESH.__struct_fields__}, "timed": True})
    late = Time(**{**{n: getattr(late, n) for n in late.__struct_fields__}, "due_at": NOW - timedelta(hours=5)})
    rules = Rules(if_late=rule, grace=timedelta(hours=1))  # type: ignore[arg-type]
    assert check(decide(late, FRESH, destination(), Openings(TABLE), rules, now=NOW))
    with pytest.raises(Reject, match="passed by 5 h"):
        decide(late, FRESH, destination(), Openings(TABLE), Rules(if_late="skip", grace=timedelta(hours=1)), now=NOW)


def test_late_posts_that_are_posted_keep_their_distance() -> None:
    """A day without power ends in ten posts within a minute."""
    taken: list[datetime] = []
    rules = Rules(if_late="post", grace=timedelta(hours=1))
    for _ in range(4):
        found = decide(None, FRESH, destination(NOW - timedelta(days=1)), Openings(TABLE, taken), rules, now=NOW)
        assert found.time is not None
        taken.append(found.time.due_at)
    assert taken == [NOW + n * timedelta(hours=2) for n in range(4)]
