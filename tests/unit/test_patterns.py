"""Forms of works, what they brought, and how niches move: small examples, worked out by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ranker.forms import KINDS, Shape, forms, hook, title_forms
from actors.ranker.patterns import MIN_OF_FORM, MIN_WORKS, Effect, Work, effects, growth_of
from actors.ranker.trends import MIN_MEASURED, Middle, Span, Trend, middle, trend

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DOUBLED = math.log(2)


def work(title: str = "Waves at the coast", first: int = 50, last: int = 150, **given: Any) -> Work:
    """By default a work whose views, with the prior of 50, double in a day: 100 to 200."""
    name = given.pop("item_id", "w")
    age = given.pop("age_days", None)
    hours = given.pop("hours", 24)
    return Work(
        item_id=name,
        shape=Shape(title=title, **given),
        age_days=age,
        first_at=AT,
        first_views=first,
        last_at=AT + timedelta(hours=hours),
        last_views=last,
    )


def of(found: tuple[Effect, ...], kind: str) -> dict[str, Effect]:
    return {one.value: one for one in found if one.kind == kind}


# Forms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Why do waves break?", {"question"}),
        ("¿Por qué rompen las olas?", {"question"}),
        ("なぜ波は砕けるのか？", {"question"}),
        ("10 creatures of the deep sea", {"list"}),
        ("The top 5 volcanoes", {"list"}),
        ("Top 10 openings ever", {"list", "superlative"}),
        ("2024 eruption", {"plain"}),
        ("4k footage of waves", {"plain"}),
        ("1st move", {"plain"}),
        ("How to cook ramen", {"how-to"}),
        ("how I found it", {"how-to", "first person"}),
        ("The deepest hole", {"superlative"}),
        ("A forest in the west", {"plain"}),
        ("My day with us", {"first person"}),
        ("THE SEA IS RISING fast", {"capitals"}),
        ("NASA looks at the sea", {"plain"}),
        ("NASA", {"plain"}),
        ("Waves 🌊", {"emoji"}),
        ("Waves", {"plain"}),
    ],
)
def test_title_forms(title: str, found: set[str]) -> None:
    """If it fails, works are counted under a form that they do not have."""
    assert title_forms(title) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Have you ever seen this? Look at it.", "question"),
        ("Why the sea is salt", "question"),
        ("3 things nobody tells you", "number"),
        ("How to boil an egg", "how-to"),
        ("Stop doing this now", "command"),
        ("Don’t touch it", "command"),
        ("«Watch this", "command"),
        ("I lost everything", "story"),
        ("This is how your heart works", "address"),
        ("The sea is deep. Do you know why?", "statement"),
        ("Whales sing", "statement"),
        ("", None),
        ("!!!", None),
    ],
)
def test_hooks(text: str, found: str | None) -> None:
    """If it fails, works are counted under a hook that they do not have."""
    assert hook(text) == found


def test_the_first_words_spoken_are_the_hook_where_they_are_known() -> None:
    """If it fails, the hook is read from a title that nobody hears."""
    assert forms(Shape(title="Whales", spoken="Look at this"))["hook"].forms == {"command"}
    assert forms(Shape(title="Whales"))["hook"].forms == {"statement"}


@pytest.mark.parametrize(
    ("given", "kind", "name"),
    [
        ({"duration_s": 14.9}, "length", "under 15 s"),
        ({"duration_s": 15}, "length", "15-30 s"),
        ({"duration_s": 600}, "length", "over 10 min"),
        ({"cuts_per_min": 0.0}, "pacing", "no cut"),
        ({"cuts_per_min": 6.0}, "pacing", "6-20 cuts a min"),
        ({"caption_words_per_s": 0.0}, "caption density", "no captions"),
        ({"caption_words_per_s": 2.5}, "caption density", "over 2.5 words a s"),
    ],
)
def test_lengths_cuts_and_captions_fall_into_one_bucket(given: dict[str, float], kind: str, name: str) -> None:
    """If it fails, a work lies in two buckets or in none."""
    assert forms(Shape(title="Waves", **given))[kind].forms == {name}  # type: ignore[arg-type]  # all are numbers


def test_what_is_not_known_has_no_form_but_a_reason() -> None:
    """If it fails, cuts and captions of strangers' works are made up."""
    found = forms(Shape(title=""))
    assert [kind for kind, known in found.items() if known.forms] == ["title length"]
    assert all(known.because for kind, known in found.items() if kind != "title length")
    assert found["pacing"].because == "cuts are known of own renders only"


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_has_a_form(title: str, spoken: str) -> None:
    """If it fails, one strange title ends the whole refresh."""
    assert set(forms(Shape(title=title, spoken=spoken))) == set(KINDS)


# Effects ------------------------------------------------------------------------------------------


def test_growth_is_a_logarithm_a_day() -> None:
    """If it fails, every figure below is wrong."""
    assert growth_of(work()) == pytest.approx(DOUBLED)
    assert growth_of(work(hours=48)) == pytest.approx(DOUBLED / 2)
    assert growth_of(work(first=150, last=50)) == pytest.approx(-DOUBLED)
    assert growth_of(work(first=0, last=10_000_000)) == pytest.approx(math.log(10))
    assert growth_of(work(hours=5.9)) is None


def halves(**given: Any) -> list[Work]:
    """Return ten questions that double in a day, and ten plain titles that do not move."""
    return [work("Why do waves break?", **given) for _ in range(10)] + [work(last=50, **given) for _ in range(10)]


def test_an_effect_worked_out_by_hand() -> None:
    """If it fails, lifts or their intervals are not what docs say they are.

    Mean ln2/2, each work ln2/2 off it: variance 20 (ln2/2)^2 / 19; noise of the form's mean is variance (1/10 - 1/20),
    the prior's variance is variance / 10, so two thirds of ln2/2 are left, which is ln2/3.
    """
    found = of(effects(halves()), "title form")
    assert list(found) == ["question", "plain"]
    question = found["question"]
    variance = 20 * (DOUBLED / 2) ** 2 / 19
    half = 1.959964 * math.sqrt(2 / 3 * variance / 20)
    assert (question.works, question.of_works) == (10, 20)
    assert question.lift == pytest.approx(2 ** (1 / 3) - 1)
    assert question.low == pytest.approx(0.10939, abs=1e-5)
    assert question.low == pytest.approx(2 ** (1 / 3) * math.exp(-half) - 1)
    assert question.high == pytest.approx(2 ** (1 / 3) * math.exp(half) - 1)
    assert question.because.startswith("+26.0% views a day (+10.9% to +43.1%): 10 of 20 works, against works of")
    assert found["plain"].lift == pytest.approx(2 ** (-1 / 3) - 1)


def test_few_works_are_no_data_and_say_how_few() -> None:
    """If it fails, a pattern is made of a handful of works."""
    (one,) = of(effects(halves()[: MIN_WORKS - 1]), "title form").values()
    assert (one.value, one.lift, one.because) == ("", None, f"not enough data: 19 of {MIN_WORKS} works")
    rare = [work("Why?") for _ in range(MIN_OF_FORM - 1)] + [work() for _ in range(MIN_WORKS)]
    found = of(effects(rare), "title form")
    assert found["question"].because == f"not enough data: 4 of {MIN_OF_FORM} works of this form"
    assert found["question"].lift is None
    assert found["plain"].lift is not None


def test_a_kind_that_nobody_knows_says_why() -> None:
    """If it fails, the lack of a figure looks like an effect of nothing."""
    found = effects(halves())
    (pacing,) = of(found, "pacing").values()
    assert pacing.because == "not enough data: 0 of 20 works; cuts are known of own renders only"
    (length,) = of(found, "length").values()
    assert (length.lift, length.because) == (None, "not enough data: 0 of 20 works; the platform gives no length")


def test_a_form_that_all_works_have_is_not_compared() -> None:
    """If it fails, the form of all works seems to bring nothing, which nobody knows."""
    found = of(effects([work(last=50 + 10 * n) for n in range(MIN_WORKS)]), "title form")
    assert (found["plain"].lift, found["plain"].because) == (
        None,
        "all 20 works have it: there is nothing to compare it with",
    )


def test_growth_that_comes_of_age_is_not_put_down_to_a_form() -> None:
    """If it fails, whatever young works look like seems to make works grow."""
    aged = [work("Why?", age_days=0.5) for _ in range(100)] + [work(last=50, age_days=20) for _ in range(100)]
    lift = of(effects(aged), "title form")["question"].lift
    assert lift is not None
    assert 0 < lift < 0.03  # without regard to age it is +39 %


def test_a_lucky_few_are_drawn_towards_nothing_more_than_many() -> None:
    """If it fails, five lucky works outshine a real pattern."""

    def lift(count: int) -> float:
        works = [work("Why?") for _ in range(count)] + [work(last=50) for _ in range(20 * count)]
        found = of(effects(works), "title form")["question"].lift
        assert found is not None
        return found

    assert lift(5) < lift(50) < 1.0


def test_the_same_works_in_any_order_give_the_same_effects() -> None:
    """If it fails, two refreshes of the same data differ."""
    works = halves() + [work("TOP 10 WAVES EVER", last=90, duration_s=20) for _ in range(9)]
    turned = effects(list(reversed(works)))
    for one, other in zip(effects(works), turned, strict=True):
        assert (one.kind, one.value, one.works) == (other.kind, other.value, other.works)
        assert one.lift == pytest.approx(other.lift)


def test_works_that_all_stand_still_have_no_effect_and_no_crash() -> None:
    """If it fails, a dead niche ends the refresh with a division by zero."""
    still = [work("Why?", last=50) for _ in range(10)] + [work(last=50) for _ in range(10)]
    found = of(effects(still), "title form")["question"]
    assert (found.lift, found.low, found.high) == (0.0, 0.0, 0.0)
    assert all(one.lift is None for one in effects([]))


# Trends -------------------------------------------------------------------------------------------


def test_the_interval_of_a_median() -> None:
    """If it fails, intervals are too narrow, or not what the table of the binomial says (n = 10: ranks 2 and 9)."""
    assert middle([n / 100 for n in range(10)]) == Middle(0.045, 0.01, 0.08)
    twenty = middle([float(n) for n in range(1, 21)])
    assert twenty == Middle(10.5, 6.0, 15.0)  # ranks 6 and 15
    assert middle([0.1] * (MIN_MEASURED - 1)) is None
    many = middle([float(n) for n in range(1, 2001)])
    assert many is not None
    assert (many.low, many.high) == (956.0, 1045.0)  # 1000 -+ 1.96 sqrt(2000) / 2


def spans(now: list[float], before: list[float]) -> Trend:
    return trend(
        "sea",
        "vimeo",
        days=7,
        begins_at=AT - timedelta(days=7),
        ends_at=AT,
        now=Span(works=30, new_works=4, growths=tuple(now)),
        before=Span(works=20, new_works=2, growths=tuple(before)),
    )


def test_a_trend_worked_out_by_hand() -> None:
    """If it fails, a niche is called rising that is not, or the other way round.

    Now 0.045 (0.01 to 0.08), before 0.0 (-0.01 to 0.01): the change is 0.045 -+ sqrt(0.035^2 + 0.01^2).
    """
    before = [-0.02, -0.01, *[0.0] * 6, 0.01, 0.02]
    found = spans([n / 100 for n in range(10)], before)
    half = math.hypot(0.035, 0.01)
    assert found.growth == pytest.approx(math.expm1(0.045))
    assert (found.growth_low, found.growth_high) == pytest.approx((math.expm1(0.01), math.expm1(0.08)))
    assert found.change == pytest.approx(math.expm1(0.045))
    assert (found.change_low, found.change_high) == pytest.approx((math.expm1(0.045 - half), math.expm1(0.045 + half)))
    assert (found.verdict, found.works, found.new_works, found.works_before) == ("rising", 30, 4, 20)
    assert found.because == (
        "views a day of the work in the middle: +4.6% (+1.0% to +8.3%), against before: +4.6% (+0.9% to +8.5%); "
        "30 works seen (4 new), 20 (2 new) in the 7 days before"
    )
    assert spans(before, [n / 100 for n in range(10)]).verdict == "falling"
    assert spans(before, before).verdict == "steady"


def test_too_little_data_is_said_and_not_called_steady() -> None:
    """If it fails, a niche that nobody measured twice passes for one that stands still."""
    few, enough = [0.1] * 9, [0.1] * 10
    none = spans(few, enough)
    assert (none.verdict, none.growth, none.change) == ("unknown", None, None)
    assert none.because.startswith("not enough data: 9 of 10 works counted twice; 30 works seen")
    half = spans(enough, few)
    assert (half.verdict, half.change) == ("unknown", None)
    assert half.growth == pytest.approx(math.expm1(0.1))
    assert "not enough data before: 9 of 10 works counted twice" in half.because
