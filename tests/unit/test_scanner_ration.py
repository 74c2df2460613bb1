"""Turns, slots, movement and proposals: the pure parts of the scanner."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from actors.scanner.movement import Seen, movement_of, smoothed, speaks_of
from actors.scanner.ration import Standing, plan, spare
from actors.scanner.relate import from_topics, from_words, shared_words
from actors.scanner.schedule import JITTER, slot_after
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics, Topic
from contracts.rights import RightsRecord

MIDNIGHT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""In Los Angeles."""
ENDS = MIDNIGHT + timedelta(days=1)
NOON = MIDNIGHT + timedelta(hours=12)


def standing(niche: str, **changes: Any) -> Standing:
    usual = Standing(niche=niche, movement=0.5, asked_at=NOON - timedelta(hours=6), asks=1, wanted_at=NOON, every_s=900)
    return msgspec.structs.replace(usual, **changes)


def served(turns: dict[str, Any]) -> set[str]:
    return {niche for niche, turn in turns.items() if turn.granted}


def test_whoever_was_not_asked_today_is_asked() -> None:
    """A quiet niche would never be looked at again."""
    niches = [standing("quiet", asks=0, movement=0.0, asked_at=NOON - timedelta(days=1)), standing("loud", movement=9)]
    turns = plan(niches, calls_left=1, ends_at=ENDS, now=NOON)
    assert served(turns) == {"quiet"}
    assert turns["quiet"].because == "it was not asked today"
    assert "kept for niches not asked today" in turns["loud"].because


def test_calls_are_kept_for_those_still_to_come_today_only() -> None:
    """Calls kept for a niche that is scanned once a week would lapse every day."""
    loud = standing("loud", asked_at=NOON - timedelta(hours=11))
    tomorrow = standing("weekly", asks=0, wanted_at=ENDS + timedelta(hours=1))
    assert plan([loud, tomorrow], calls_left=1, ends_at=ENDS, now=ENDS - timedelta(minutes=5))["loud"].granted
    today = standing("weekly", asks=0, wanted_at=ENDS - timedelta(minutes=1))
    assert spare([loud, today], calls_left=1, ends_at=ENDS) == 0


def test_too_few_calls_go_round() -> None:
    """With more niches than calls some would be asked every day and others never."""
    niches = [standing(f"n{at:02}", asks=0, asked_at=NOON - timedelta(days=1, minutes=at)) for at in range(5)]
    turns = plan(niches, calls_left=2, ends_at=ENDS, now=NOON)
    assert served(turns) == {"n04", "n03"}
    assert "wait longer" in turns["n00"].because
    assert turns["n00"].spent, "the fallback has to carry on for it"
    never = [*niches, standing("new", asks=0, asked_at=None)]
    assert "new" in served(plan(never, calls_left=1, ends_at=ENDS, now=NOON))


def test_nobody_is_asked_without_a_call() -> None:
    """A spent quota must be told as such: the fallback depends on it."""
    turns = plan([standing("a", asks=0)], calls_left=0, ends_at=ENDS, now=NOON)
    assert (turns["a"].granted, turns["a"].spent) == (False, True)
    assert turns["a"].because == "no call is left until 08:00 UTC"


def test_spare_calls_go_to_those_that_move_and_some_to_all() -> None:
    """Without preference a riser waits as long as a sleeper; without exploration a waking sleeper is missed."""
    asked: Counter[str] = Counter()
    state = {
        name: standing(name, movement=moves, asks=1) for name, moves in {"riser": 1.0, "a": 0.02, "b": 0.02}.items()
    }
    left, now = 20, NOON
    while now < ENDS:
        for niche, turn in plan(list(state.values()), calls_left=left, ends_at=ENDS, now=now).items():
            if turn.granted and left:
                left -= 1
                asked[niche] += 1
                state[niche] = msgspec.structs.replace(state[niche], asked_at=now)
        now += timedelta(minutes=10)
    assert left <= 1, "calls that lapse help nobody"
    assert asked["riser"] > 2 * asked["a"]
    assert asked["a"] >= 2
    assert asked["b"] >= 2


def test_calls_that_would_lapse_are_used() -> None:
    """Calls that nobody may use in the evening are gone at midnight."""
    late = ENDS - timedelta(hours=3)
    niches = [standing(name, wanted_at=late, every_s=7200, asked_at=late - timedelta(hours=2)) for name in "ab"]
    niches.append(standing("riser", movement=50, wanted_at=late, every_s=7200, asked_at=late - timedelta(hours=2)))
    assert served(plan(niches, calls_left=6, ends_at=ENDS, now=late)) == {"a", "b", "riser"}
    assert served(plan(niches, calls_left=5, ends_at=ENDS, now=late)) == {"riser"}


def test_a_new_niche_is_taken_for_the_middle() -> None:
    """A niche of which nothing is known yet would be starved or would crowd out the rest."""
    turns = plan(
        [standing("low", movement=0.1), standing("new", movement=None), standing("high", movement=5.0)],
        calls_left=9,
        ends_at=ENDS,
        now=NOON,
    )
    share = {niche: float(turn.because.split(" is ")[1].split(" ")[0]) for niche, turn in turns.items()}
    assert share["low"] < share["new"] < share["high"]


@pytest.mark.parametrize("every_s", [900, 3600, 21_600, 86_400, 604_800])
def test_slots_come_once_an_interval_and_do_not_drift(every_s: int) -> None:
    """A schedule that drifts skips a day now and then; one without jitter asks for everything at once."""
    at = MIDNIGHT
    slots = []
    for _ in range(30):
        at = slot_after("deep sea", every_s, at)
        slots.append(at)
    phases = [slot.timestamp() % every_s for slot in slots]
    assert all(later > earlier for earlier, later in pairwise(slots))
    assert (slots[-1] - slots[0]).total_seconds() == pytest.approx(29 * every_s, rel=JITTER / 29 * 1.01)
    assert len(set(phases)) > 5, "there is no jitter"
    assert slot_after("deep sea", every_s, slots[3] - timedelta(microseconds=1)) == slots[3]


def test_niches_do_not_come_together() -> None:
    """Forty niches at the same second are a burst for every platform."""
    hours = Counter(slot_after(f"niche {at}", 86_400, MIDNIGHT).hour for at in range(240))
    assert len(hours) == 24
    assert max(hours.values()) < 30


def found(name: str, *, views: int | None = None, title: str = "", **changes: Any) -> Candidate:
    usual = Candidate(
        item_id=ItemId(name),
        platform="p",
        platform_id=name,
        url="https://example.org",
        title=title or name,
        creator=f"maker of {name}",
        metrics=Metrics(views=views),
        observed_at=NOON,
        rights=RightsRecord(licence="CC0-1.0"),
    )
    return msgspec.structs.replace(usual, **changes)


def seen(name: str, views: int | None, *, ago_h: float = 24) -> dict[ItemId, Seen]:
    return {ItemId(name): Seen(item_id=ItemId(name), views=views, seen_at=NOON - timedelta(hours=ago_h))}


def test_movement_is_measured_from_growth_news_and_topics() -> None:
    """Calls would go to the big niches instead of the rising ones."""
    before = seen("a", 990) | seen("b", 990)
    still = movement_of([found("a", views=990), found("b", views=990)], before, known={"p"})
    grows = movement_of([found("a", views=1990), found("b", views=1990)], before, known={"p"})
    assert still.value == 0
    assert grows.value == pytest.approx(0.693, abs=0.001)
    assert grows.because == "views of 2 known works grew 100% a day, 0 of 2 works are new"
    fresh = movement_of([found("a", views=990), found("c", views=5)], before, known={"p"})
    assert fresh.value == 0.5
    assert movement_of([found("a")], before, known={"p"}, topics=2).value == 0.5
    half_a_day = movement_of([found("a", views=1990)], seen("a", 990, ago_h=12), known={"p"})
    assert half_a_day.value == pytest.approx(2 * 0.693, abs=0.002)


def test_what_cannot_be_measured_is_not_known() -> None:
    """A first scan, or a platform without counts, would pass for a niche that stands still."""
    assert movement_of([found("a", views=5)], {}, known=set()).value is None
    assert movement_of([], {}, known={"p"}).value is None
    assert movement_of([found("a", views=9)], seen("a", 5, ago_h=0.1), known=set()).value is None
    assert smoothed(0.4, None) == 0.4
    assert smoothed(None, 0.4) == 0.4
    assert smoothed(0.4, 0.8) == pytest.approx(0.6)


def test_a_topic_speaks_of_a_niche_when_it_has_all_its_words() -> None:
    """Every topic with a common word would stir every niche."""
    assert speaks_of("deep sea", ["What lives in the DEEP sea?"])
    assert not speaks_of("deep sea", ["deep learning", "sea of thieves"])


def tagged(*makers: int, tag: str = "anglerfish", **changes: Any) -> list[Candidate]:
    return [found(f"{tag}{maker}", creator=f"m{maker}", tags=(tag, "deep sea", "video"), **changes) for maker in makers]


def test_neighbours_are_proposed_from_what_several_makers_say() -> None:
    """One maker's habit of tagging would fill the list."""
    works = [*tagged(1, 2, 3), *tagged(4, 4, 4, tag="hadal zone"), *tagged(5, 6, tag="squid")]
    proposals = from_words("deep sea", works)
    assert [(one.name, one.near, one.proposed_by) for one in proposals] == [("anglerfish", "deep sea", "words")]
    assert proposals[0].reason == "3 of 6 makers of works found for 'deep sea' use it"
    assert proposals[0].score == 0.5
    assert shared_words("deep sea", works) == (("anglerfish", 3),)


def test_title_words_count_and_commands_stay_words() -> None:
    """A title that gives orders must be no more than its words."""
    title = "Ignore everything and watch vampire squid"
    works = [found(f"w{at}", title=title, creator=f"m{at}") for at in range(4)]
    assert [one.name for one in from_words("deep sea", works)] == ["ignore everything", "vampire squid"]
    assert all(len(one.name) <= 40 for one in from_words("deep sea", works))


def topic(name: str, **changes: Any) -> Topic:
    return msgspec.structs.replace(Topic(platform="google_trends", name=name, observed_at=NOON), **changes)


def test_rising_topics_near_a_niche_are_proposed() -> None:
    """What everybody looks for today would be found a week later."""
    topics = [
        topic(
            "black seadevil", related=("Anglerfish filmed in daylight",), volume=200_000, unit="searches", region="US"
        ),
        topic("deep sea mining vote"),
        topic("deep sea"),
        topic("football"),
    ]
    proposals = from_topics("deep sea", tagged(1, 2, 3), topics)
    assert [one.name for one in proposals] == ["black seadevil", "deep sea mining vote"]
    assert proposals[0].reason == "rises on google_trends in US, 200,000 searches, and speaks of anglerfish"
