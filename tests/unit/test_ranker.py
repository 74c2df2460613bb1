"""Scores, their reasons, and the choice."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ranker.policy import MIN_SCORE, Contender, Decision, choose, summary
from actors.ranker.rank_file import rank_lines
from actors.ranker.score import POINTS, Observation, Scored, relevance_of, score, uses_for
from contracts.errors import Reject
from contracts.events import CandidateFound
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import LICENCES, RightsRecord

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
USES = uses_for(monetised=True)


def candidate(**given: Any) -> Candidate:
    fields: dict[str, Any] = {
        "item_id": ItemId("archive:1"),
        "platform": "archive",
        "platform_id": "1",
        "url": "https://example.org/1",
        "title": "Creatures of the deep sea",
        "published_at": AT - timedelta(days=10),
        "media_url": "https://example.org/1.mp4",
        "metrics": Metrics(views=1000, likes=35, comments=3, shares=2),
        "observed_at": AT,
        "rights": RightsRecord(licence="CC0-1.0"),
    }
    return Candidate(**(fields | given))


def scored(one: Candidate | None = None, *, niche: str = "deep sea", **given: Any) -> Scored:
    return score(one or candidate(**given), niche=niche, uses=USES)


def points(of: Scored, signal: str) -> float:
    return next(reason.points for reason in of.reasons if reason.signal == signal)


def because(of: Scored, signal: str) -> str:
    return next(reason.because for reason in of.reasons if reason.signal == signal)


counts = st.none() | st.integers(min_value=0, max_value=10**12)
moments = st.none() | st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2030, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(
    views=counts,
    likes=counts,
    comments=counts,
    shares=counts,
    published_at=moments,
    title=st.text(max_size=40),
    niche=st.text(max_size=40),
    licence=st.sampled_from(sorted(LICENCES)),
    earlier=st.lists(st.builds(Observation, observed_at=moments.filter(bool), views=counts), max_size=3),
)
def test_reasons_always_add_up(niche: str, earlier: list[Observation], **given: Any) -> None:
    """A score that its reasons do not explain cannot be trusted or mended."""
    metrics = Metrics(**{name: given.pop(name) for name in ("views", "likes", "comments", "shares")})
    one = candidate(metrics=metrics, rights=RightsRecord(licence=given.pop("licence")), **given)
    result = score(one, niche=niche, earlier=earlier, uses=USES)
    assert {reason.signal for reason in result.reasons} == set(POINTS)
    assert result.score == pytest.approx(sum(reason.points for reason in result.reasons), abs=1e-9)
    assert 0 <= result.score <= 100
    for reason in result.reasons:
        assert 0 <= reason.points <= POINTS[reason.signal]
        assert reason.because
    assert result == score(one, niche=niche, earlier=earlier, uses=USES)


def test_points_make_a_hundred() -> None:
    """The score is told as points of 100."""
    assert sum(POINTS.values()) == 100


def test_unknown_numbers_are_middling_and_said() -> None:
    """A platform that tells no views would always lose, or win, by what is not known."""
    unknown = scored(metrics=Metrics(absent={"views": "the platform does not tell"}), published_at=None)
    assert points(unknown, "velocity") == POINTS["velocity"] / 2
    assert points(unknown, "engagement") == POINTS["engagement"] / 2
    assert points(unknown, "recency") == POINTS["recency"] / 2
    assert "not available (the platform does not tell)" in because(unknown, "velocity")
    zero = scored(metrics=Metrics(views=0, likes=0))
    assert points(zero, "velocity") == 0
    assert "0 views in 10 days" in because(zero, "velocity")


def test_velocity_is_corrected_for_age() -> None:
    """Old works with many views would bury what is rising now."""
    old = scored(metrics=Metrics(views=10_000), published_at=AT - timedelta(days=1000))
    young = scored(metrics=Metrics(views=1_000), published_at=AT - timedelta(days=2))
    assert points(young, "velocity") > points(old, "velocity")
    assert "500 views a day: 1000 views in 2 days since publication" in because(young, "velocity")


def test_first_hours_are_not_blown_up() -> None:
    """Ten views in the first minute are not 14,400 views a day."""
    minute = scored(metrics=Metrics(views=10), published_at=AT - timedelta(minutes=1))
    day = scored(metrics=Metrics(views=10), published_at=AT - timedelta(days=1))
    assert points(minute, "velocity") == points(day, "velocity")


def test_measured_velocity_replaces_the_average() -> None:
    """A work that nobody watches any more, or that just took off, shows only in what was measured."""
    one = candidate(metrics=Metrics(views=2000), published_at=AT - timedelta(days=100))
    average = score(one, niche="deep sea", uses=USES)
    seen = [Observation(observed_at=AT - timedelta(days=2), views=1000), Observation(observed_at=AT, views=2000)]
    rising = score(one, niche="deep sea", earlier=seen, uses=USES)
    assert points(rising, "velocity") > points(average, "velocity")
    assert "500 views a day: measured, from 1000 to 2000 in 2 days" in because(rising, "velocity")
    stale = [
        Observation(observed_at=AT - timedelta(hours=1), views=1),
        Observation(observed_at=AT - timedelta(days=60), views=1),
        Observation(observed_at=AT - timedelta(days=3), views=None),
        Observation(observed_at=AT + timedelta(days=3), views=1),
    ]
    assert score(one, niche="deep sea", earlier=stale, uses=USES) == average
    shrunk = score(one, niche="", earlier=[Observation(observed_at=AT - timedelta(days=2), views=9999)], uses=USES)
    assert points(shrunk, "velocity") == 0


def test_engagement_is_shrunk_towards_what_is_typical() -> None:
    """Three likes on four views would beat a thousand on ten thousand."""
    lucky = scored(metrics=Metrics(views=4, likes=3))
    loved = scored(metrics=Metrics(views=10_000, likes=1_000))
    typical = scored(metrics=Metrics(views=10_000, likes=350))
    assert points(loved, "engagement") > points(lucky, "engagement") > points(typical, "engagement")
    assert points(typical, "engagement") == pytest.approx(POINTS["engagement"] / 2, abs=0.01)


@pytest.mark.parametrize(
    ("niche", "given", "value"),
    [
        ("deep sea", {"title": "The Deep SEAS"}, 1.0),
        ("deep sea", {"title": "Reef", "tags": ("Deep-sea fish",)}, 0.8),
        ("deep sea", {"title": "Reef", "description": "in the deep"}, 0.25),
        ("deep sea", {"title": "Reef"}, 0.0),
        ("deep sea", {"title": "A seal in deepest winter"}, 0.0),
        ("volcanoes", {"title": "A volcano"}, 1.0),
        ("city life", {"title": "Cities: their life"}, 1.0),
        ("深海", {"title": "日本の深海魚"}, 1.0),
        ("CAFÉ", {"title": "Cafe\u0301 au lait"}, 1.0),
        ("!!!", {"title": "Reef"}, None),
    ],
)
def test_relevance_counts_the_words_of_the_niche(niche: str, given: dict[str, Any], value: float | None) -> None:
    """A channel about the deep sea would post whatever is popular."""
    got, why = relevance_of(candidate(**given), niche)
    assert got == (None if value is None else pytest.approx(value))
    assert why


def test_recency_halves() -> None:
    """A work of last year is no trend."""
    assert points(scored(published_at=AT - timedelta(days=30)), "recency") == POINTS["recency"] / 2
    assert points(scored(published_at=AT + timedelta(days=1)), "recency") == POINTS["recency"]


@pytest.mark.parametrize(
    ("licence", "monetised", "share"),
    [
        ("CC0-1.0", True, 1.0),
        ("CC-BY-4.0", True, 0.9),
        ("CC-BY-SA-4.0", True, 0.7),
        ("CC-BY-NC-4.0", True, 0.0),
        ("CC-BY-NC-4.0", False, 0.9),
        ("CC-BY-ND-4.0", False, 0.0),
        ("unknown", False, 0.0),
    ],
)
def test_licence_points_follow_what_is_allowed(licence: str, monetised: bool, share: float) -> None:  # noqa: FBT001
    """A work that may not be used must not lead the list."""
    one = candidate(rights=RightsRecord(licence=licence))
    result = score(one, niche="deep sea", uses=uses_for(monetised=monetised))
    assert points(result, "licence") == pytest.approx(POINTS["licence"] * share)


def contender(name: str, number: float = 60.0, **given: Any) -> Contender:
    fields: dict[str, Any] = {
        "item_id": ItemId(name),
        "score": number,
        "decision": "found",
        "rights": RightsRecord(licence="CC0-1.0"),
        "has_media": True,
    }
    return Contender(**(fields | given))


def outcomes(*contenders: Contender, **given: Any) -> dict[str, str]:
    fields: dict[str, Any] = {"uses": USES, "at": AT}
    return {choice.item_id: choice.outcome for choice in choose(contenders, **(fields | given))}


def test_best_usable_is_selected() -> None:
    """The whole loop works on what is chosen here."""
    refused = contender("a", 99, rights=RightsRecord(licence="unknown"))
    assert outcomes(refused, contender("b", 50), contender("c", 60)) == {"a": "refused", "b": "passed", "c": "selected"}
    assert outcomes(contender("b", 50), contender("c", 60), most=2) == {"b": "selected", "c": "selected"}


@pytest.mark.parametrize("licence", ["unknown", "CC-BY-ND-4.0", "CC-BY-NC-4.0", "owned", "permission", "nonsense"])
def test_what_the_rights_refuse_is_never_selected(licence: str) -> None:
    """Somebody else's work would be posted without the right to it."""
    assert outcomes(contender("a", 100, rights=RightsRecord(licence=licence))) == {"a": "refused"}


def test_ended_permission_is_refused() -> None:
    """A permission that ran out is none."""
    ended = RightsRecord(licence="CC-BY-4.0", expires_at=AT - timedelta(seconds=1))
    assert outcomes(contender("a", 100, rights=ended)) == {"a": "refused"}


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [("selected", "known"), ("imported", "known"), ("passed", "selected"), ("found", "selected")],
)
def test_a_decided_work_is_not_chosen_again(decision: Decision, outcome: str) -> None:
    """The same work would be posted with every scan."""
    assert outcomes(contender("a", 100, decision=decision)) == {"a": outcome}


def test_no_media_and_low_scores_are_not_selected() -> None:
    """The editor would have nothing to fetch; the channel would fill with what nobody wants."""
    assert outcomes(contender("a", 100, has_media=False)) == {"a": "refused"}
    assert outcomes(contender("a", MIN_SCORE - 0.01)) == {"a": "passed"}
    assert outcomes(contender("a", MIN_SCORE)) == {"a": "selected"}


def test_choice_does_not_depend_on_order() -> None:
    """Two replicas that read the rows in another order would choose differently."""
    contenders = [contender(f"item{number}", 50 + number % 3) for number in range(9)]
    expected = choose(contenders, uses=USES, at=AT)
    shuffled = contenders[:]
    random.Random(7).shuffle(shuffled)
    assert choose(shuffled, uses=USES, at=AT) == expected
    assert expected[0].item_id == "item2"
    assert "item2 came first: 52 against 52" in expected[1].because


@pytest.mark.parametrize(
    ("contenders", "found", "text"),
    [
        ([], 0, "nothing selected: no candidate was found"),
        ([contender("a")], 1, "selected a of 1 candidates"),
        (
            [contender("a", decision="selected"), contender("b", has_media=False)],
            3,
            (
                "nothing selected of 2 candidates: 1 already selected, 1 refused (the platform offers no media file); "
                "1 of 3 never arrived"
            ),
        ),
    ],
)
def test_summary_says_why_nothing_was_selected(contenders: list[Contender], found: int, text: str) -> None:
    """A scan that came to nothing must not look like one that is still running."""
    assert summary(choose(contenders, uses=USES, at=AT), found=found) == text


def test_summary_names_platforms_that_failed() -> None:
    """A platform that is down must not look like one that has nothing."""
    assert summary((), found=0, failed=("archive",)).endswith("no candidate was found; did not answer: archive")


def line(**given: Any) -> bytes:
    return msgspec.json.encode(candidate(**given))


def test_file_is_ranked_best_first() -> None:
    """`ettametta rank` must give the order and the choice that the ranker gives."""
    weak = candidate(item_id=ItemId("archive:2"), title="Something else")
    event = CandidateFound(candidate=weak, niche="deep sea")
    ranked = rank_lines([msgspec.json.encode(event), b"\n", line()], niche="deep sea", monetised=True)
    assert [(one.item_id, one.outcome) for one in ranked] == [("archive:1", "selected"), ("archive:2", "passed")]
    assert ranked[0].score == scored().score
    assert ranked[0].reasons == scored().reasons
    assert rank_lines([], niche=None, monetised=True) == ()


def test_repeated_lines_are_observations_of_one_work() -> None:
    """A file kept over days holds the measured velocity; counting a work twice would hide it."""
    lines = [
        line(metrics=Metrics(views=2000)),
        line(metrics=Metrics(views=1000), observed_at=AT - timedelta(days=2)),
    ]
    (only,) = rank_lines(lines, niche="deep sea", monetised=True)
    assert "measured, from 1000 to 2000" in only.reasons[0].because


def test_events_bring_their_niche_unless_one_is_given() -> None:
    """Ranking for another niche must use that niche's words."""
    event = msgspec.json.encode(CandidateFound(candidate=candidate(), niche="deep sea"))
    assert rank_lines([event], niche=None, monetised=True)[0].score == scored().score
    assert rank_lines([event], niche="desert", monetised=True)[0].score == scored(niche="desert").score


@pytest.mark.parametrize("bad", [b"{", b"[]", b'{"item_id": "x"}', b'{"type": "scan.requested", "niche": "x"}'])
def test_unreadable_line_is_named(bad: bytes) -> None:
    """In a file of thousands the wrong line must be found."""
    with pytest.raises(Reject, match="line 2 is no candidate"):
        rank_lines([line(), bad], niche="deep sea", monetised=True)
