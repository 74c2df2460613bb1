"""Scores, their reasons, and the choice."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from numpy.typing import NDArray

from actors.ranker.policy import MIN_SCORE, Contender, Decision, Precedent, choose, summary
from actors.ranker.score import Context, Observation, Scored, relevance_of, score, uses_for
from actors.ranker.signals import OBJECTIVES, VOTE_POINTS, Objective, weights_of
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


def value(of: Scored, signal: str) -> float:
    found = next(reason.value for reason in of.reasons if reason.signal == signal)
    assert found is not None
    return found


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
    objective=st.sampled_from(OBJECTIVES),
)
def test_reasons_always_add_up(niche: str, earlier: list[Observation], objective: Objective, **given: Any) -> None:
    """A score that its reasons do not explain cannot be trusted or mended."""
    metrics = Metrics(**{name: given.pop(name) for name in ("views", "likes", "comments", "shares")})
    one = candidate(metrics=metrics, rights=RightsRecord(licence=given.pop("licence")), **given)
    result = score(one, niche=niche, earlier=earlier, uses=USES, objective=objective)
    assert [reason.signal for reason in result.reasons] == list(weights_of(objective))
    assert result.score == pytest.approx(sum(reason.points for reason in result.reasons), abs=1e-9)
    assert 0 <= result.score <= 100
    for reason in result.reasons:
        assert reason.value is not None
        assert reason.weight is not None
        assert 0 <= reason.value <= 1
        assert reason.points == pytest.approx(reason.value * reason.weight, abs=0.006)
        assert reason.because
    assert result == score(one, niche=niche, earlier=earlier, uses=USES, objective=objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_points_make_a_hundred(objective: Objective) -> None:
    """The score is told as points of 100."""
    assert sum(weights_of(objective).values()) == pytest.approx(100)


def test_unknown_numbers_are_middling_or_typical_and_said() -> None:
    """A platform that tells no views would always lose, or win, by what is not known."""
    unknown = scored(metrics=Metrics(absent={"views": "the platform does not tell"}), published_at=None)
    assert value(unknown, "reach") == value(unknown, "engagement") == value(unknown, "acceleration") == 0.5
    assert "not available (the platform does not tell); taken as typical of its age" in because(unknown, "velocity")
    assert "counted as middling" in because(unknown, "reach")
    assert "no date of publication; taken as 1 days old" in because(unknown, "recency")
    known = scored(metrics=Metrics(views=10_000_000_000))
    assert value(scored(metrics=Metrics(views=0)), "reach") < 0.5 < value(known, "reach")


def test_velocity_that_is_not_measured_is_that_of_its_age() -> None:
    """Old works would be taken to grow like new ones until they are seen twice."""
    old = scored(published_at=AT - timedelta(days=10))
    young = scored(published_at=AT - timedelta(days=1))
    assert value(young, "velocity") > value(old, "velocity")
    assert value(young, "recency") > value(old, "recency")
    assert "no earlier observation" in because(young, "velocity")


def test_first_hours_are_not_blown_up() -> None:
    """A work that seems seen before its publication, where dates are days, would have an age below nothing."""
    assert scored(published_at=AT + timedelta(hours=5)).score < scored(published_at=AT + timedelta(hours=9)).score < 100
    minute, hour = (scored(published_at=AT - timedelta(minutes=minutes)) for minutes in (1, 60))
    assert value(minute, "velocity") - value(hour, "velocity") < 0.02


def test_small_counts_are_shrunk() -> None:
    """Three views that became nine would beat a million that became two."""

    def grown(before: int, after: int) -> float:
        seen = [Observation(observed_at=AT - timedelta(days=1), views=before)]
        return value(score(candidate(metrics=Metrics(views=after)), niche="", earlier=seen, uses=USES), "velocity")

    assert grown(3, 9) < grown(1_000_000, 1_200_000) < grown(1_000_000, 2_000_000)


def test_measured_velocity_replaces_the_typical_one() -> None:
    """A work that nobody watches any more, or that just took off, shows only in what was measured."""
    one = candidate(metrics=Metrics(views=2000), published_at=AT - timedelta(days=100))
    typical = score(one, niche="deep sea", uses=USES)
    seen = [Observation(observed_at=AT - timedelta(days=2), views=1000), Observation(observed_at=AT, views=2000)]
    rising = score(one, niche="deep sea", earlier=seen, uses=USES)
    assert value(rising, "velocity") > value(typical, "velocity")
    assert "500 views a day: measured, from 1000 to 2000 in 2 days" in because(rising, "velocity")
    stale = [
        Observation(observed_at=AT - timedelta(hours=1), views=1),
        Observation(observed_at=AT - timedelta(days=60), views=1),
        Observation(observed_at=AT - timedelta(days=3), views=None),
        Observation(observed_at=AT + timedelta(days=3), views=1),
    ]
    assert score(one, niche="deep sea", earlier=stale, uses=USES) == typical
    shrunk = score(one, niche="", earlier=[Observation(observed_at=AT - timedelta(days=2), views=9999)], uses=USES)
    assert value(shrunk, "velocity") < value(typical, "velocity")


def test_a_work_that_speeds_up_is_ahead() -> None:
    """Of two works with the same growth since yesterday the one that slows down would come first."""

    def after(first: int) -> Scored:
        seen = [
            Observation(observed_at=AT - timedelta(days=2), views=first),
            Observation(observed_at=AT - timedelta(days=1), views=10_000),
        ]
        return score(candidate(metrics=Metrics(views=15_000)), niche="", earlier=seen, uses=USES)

    faster, slower = after(9_000), after(3_000)
    assert value(faster, "acceleration") > 0.5 > value(slower, "acceleration")
    assert because(faster, "acceleration").startswith("faster")
    assert because(slower, "acceleration").startswith("slower")


def test_engagement_is_shrunk_towards_what_is_usual() -> None:
    """Three likes on four views would beat a thousand on ten thousand."""
    lucky = scored(metrics=Metrics(views=4, likes=3))
    loved = scored(metrics=Metrics(views=10_000, likes=1_000))
    typical = scored(metrics=Metrics(views=10_000, likes=300))
    assert value(loved, "engagement") > value(lucky, "engagement") > value(typical, "engagement")
    assert value(typical, "engagement") == pytest.approx(0.5, abs=1e-6)


def test_engagement_is_against_the_base_rate_of_its_platform() -> None:
    """Where everybody gives likes, likes say nothing."""
    one = candidate(metrics=Metrics(views=10_000, likes=1_000))
    usual = score(one, niche="", uses=USES, context=Context(likes_per_view=0.1))
    rare = score(one, niche="", uses=USES, context=Context(likes_per_view=0.01))
    assert value(usual, "engagement") == pytest.approx(0.5, abs=1e-6)
    assert value(rare, "engagement") > 0.5


def test_titles_count() -> None:
    """Shouting and asking went with slower growth, an official release with faster, on every table of the backtest."""
    plain, shouting = scored(title="A reef at night"), scored(title="A REEF AT NIGHT")
    assert value(scored(title="Official Trailer: a reef"), "title") > value(plain, "title") > value(shouting, "title")
    assert value(scored(title="A reef at night?"), "title") < value(plain, "title")
    assert "shouts" in because(shouting, "title")


class Said(Struct):
    value: float
    because: str = "it says so"


def test_a_vote_moves_a_candidate_no_further_than_its_cap() -> None:
    """A title that talks a language model round would lead the list."""
    none, best, worst = (
        score(candidate(), niche="deep sea", uses=USES, vote=vote) for vote in (None, Said(99), Said(-99))
    )
    assert best.score - worst.score == pytest.approx(VOTE_POINTS, abs=0.02)
    assert best.score - none.score == pytest.approx(VOTE_POINTS / 2, abs=0.02)
    assert "it says so" in because(best, "vote")
    assert "no language model voted" in because(none, "vote")


class Wild:
    version = "wild"

    def residuals(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.full(len(inputs), 1e9)


def test_a_model_moves_a_candidate_no_further_than_its_cap() -> None:
    """A model gone wrong would outweigh everything that was measured."""
    plain = scored()
    learned = score(candidate(), niche="deep sea", uses=USES, model=Wild())
    assert value(learned, "learned") == 1.0
    assert learned.score - plain.score == pytest.approx(weights_of("balanced")["learned"] / 2, abs=0.02)
    assert "model wild" in because(learned, "learned")


def test_objectives_differ_in_what_views_are_worth() -> None:
    """The head for further views would not put what many see before what few do."""
    many, few = candidate(metrics=Metrics(views=1_000_000)), candidate(metrics=Metrics(views=10_000))
    ahead = {
        objective: score(many, niche="", uses=USES, objective=objective).score
        - score(few, niche="", uses=USES, objective=objective).score
        for objective in OBJECTIVES
    }
    assert ahead["views"] > ahead["balanced"] > ahead["growth"] >= 0
    assert ahead["growth"] < 0.1


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
    assert value(result, "licence") == pytest.approx(share)


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


@pytest.mark.parametrize(
    ("licence", "outcome"), [("unknown", "refused"), ("CC-BY-NC-4.0", "refused"), ("CC-BY-4.0", "selected")]
)
def test_a_repost_lends_its_licence_to_nobody(licence: str, outcome: str) -> None:
    """A copy of another's film, put up under a free licence, would be all that it takes to post it."""
    before = Precedent(item_id=ItemId("youtube:x"), rights=RightsRecord(licence=licence), certain=True)
    doubtful = msgspec.structs.replace(before, certain=False)
    for one, was in ((before, "was published"), (doubtful, "may have been published")):
        (choice,) = choose([contender("a", precedents=(one,))], uses=USES, at=AT)
        assert choice.outcome == outcome
        if outcome == "refused":
            assert f"the same work {was} before by another, under {LICENCES[licence].title}" in choice.because


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


def test_the_bar_lies_between_what_nobody_wants_and_what_some_do() -> None:
    """A scan that found nothing fitting would make a video of the least bad."""
    stale = [Observation(observed_at=AT - timedelta(days=1), views=1000)]
    unwanted = score(candidate(), niche="zebra", earlier=stale, uses=USES)
    unseen = scored(metrics=Metrics(views=0), published_at=AT - timedelta(days=1000), title="x")
    assert max(unwanted.score, unseen.score) < MIN_SCORE < scored().score


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
