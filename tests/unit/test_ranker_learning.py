"""Yardsticks, what is learned from, and when a model may take over."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from actors.ranker.examples import Past, examples_of
from actors.ranker.features import INPUTS, Counts, inputs_of
from actors.ranker.model import Model
from actors.ranker.signals import MOST_LEARNED, Coefficients, parts_of
from actors.ranker.train import LEAST_FIT, Trained, train
from actors.ranker.yardstick import interval, judged, ndcg, precision, ranks_of, spearman
from benchmarks.backtest import by_time, judge, left_out, main, rules
from benchmarks.coefficients import fit_coefficients
from benchmarks.trending import Table, read_table

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_ndcg_by_hand() -> None:
    """Every figure in docs/ranking.md rests on it."""
    gains = column(3, 0, 1, -5)
    assert ndcg(gains, gains) == 1
    found = ndcg(column(1, 2, 3, 4), gains)
    assert found == pytest.approx((0 + 1 / np.log2(3) + 0 + 3 / np.log2(5)) / (3 + 1 / np.log2(3)))
    assert ndcg(column(1, 9, 8, 0), gains, first=1) == 0
    assert np.isnan(ndcg(column(1, 2), column(0, 0)))


def test_spearman_and_precision_by_hand() -> None:
    """The same."""
    assert spearman(column(1, 2, 3), column(10, 20, 90)) == pytest.approx(1)
    assert spearman(column(1, 2, 3), column(9, 5, 1)) == pytest.approx(-1)
    assert spearman(column(1, 1, 1), column(9, 5, 1)) == 0
    assert ranks_of(column(5, 1, 5)).tolist() == [1.5, 0, 1.5]
    assert precision(column(4, 3, 2, 1), column(9, 1, 8, 2), first=2) == 0.5
    assert len(judged(column(1, 2), column(1, 2))) == 4


def test_interval_holds_the_mean_and_narrows() -> None:
    """A lead by chance would be taken for one."""
    rng = np.random.default_rng(1)
    few, many = interval(rng.normal(1, 1, 10)), interval(rng.normal(1, 1, 1000))
    assert few.low < few.mean < few.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert interval(column(np.nan, 2.0)) == (2, 2, 2)


def channel(*, days: int = 30, a_day: int = 40, secret: float = 1.0, seed: int = 0) -> list[Past]:
    """Works that grow by the law of age, times what only their comments tell: `secret` log units for many of them."""
    rng = np.random.default_rng(seed)
    works = []
    for number in range(days * a_day):
        begin = 20_000.3 + number // a_day
        published = begin - rng.uniform(0.1, 2.0)
        loved = rng.random() < 0.5
        power = 0.3 * np.exp(secret * (loved - 0.5) + rng.normal(0, 0.2))
        start, counts = rng.lognormal(8, 1), []
        for later in range(4):
            views = start * ((begin + later - published) / (begin - published)) ** power
            counts.append(
                Counts(begin + later, float(round(views)), round(views * 0.03), views * (0.02 if loved else 0.002))
            )
        works.append(Past(f"v{number}", "youtube", None, "A title", published, tuple(counts)))
    return works


@pytest.fixture(scope="module")
def learned() -> Trained:
    return train(channel(), made_at=AT)


def test_a_model_that_found_something_may_take_over(learned: Trained) -> None:
    """What the forecast does not know would never be learned."""
    report = learned.report
    assert report.better, report.because
    assert report.forecast is not None
    assert report.model is not None
    assert report.lead_low is not None
    assert report.model.ndcg_growth > report.forecast.ndcg_growth + 0.02
    assert 0 < report.lead_low < report.model.ndcg_growth
    for told, came in report.fifths:
        assert told == pytest.approx(came, rel=0.35)


def test_a_model_that_found_nothing_may_not_take_over() -> None:
    """A model no better than the forecast would be put to use on every schedule."""
    rng = np.random.default_rng(4)
    chance = []
    for work in channel():
        views = np.round(1e5 * np.exp(np.cumsum(rng.exponential(0.2, 4))))
        seen = zip(work.observations, views.tolist(), strict=True)
        chance.append(work._replace(observations=tuple(Counts(one.at, at, at * 0.03) for one, at in seen)))
    report = train(chance, made_at=AT).report
    assert report.validation_days >= 5
    assert report.model is not None
    assert not report.better
    assert report.because.startswith("not surely better")


def test_a_model_learned_on_other_signs_is_refused(learned: Trained) -> None:
    """What held before the split does not hold after it: the model is worse, and must not be promoted."""
    early = channel(days=21)
    turned = [
        work._replace(
            observations=tuple(
                one._replace(comments=one.views * (0.002 if one.comments > one.views * 0.01 else 0.02))
                for one in work.observations
            )
        )
        for work in channel()[len(early) :]
    ]
    report = train([*early, *turned], made_at=AT).report
    assert report.model is not None
    assert report.forecast is not None
    assert report.model.ndcg_growth < report.forecast.ndcg_growth
    assert not report.better


def test_too_little_is_said() -> None:
    """A newcomer's first training would end in an error, or in a model of nothing."""
    trained = train(channel(days=2), made_at=AT)
    assert trained.onnx is None
    assert f"of {LEAST_FIT}" in trained.report.because
    assert train([], made_at=AT).onnx is None


def test_training_twice_gives_the_same_file(learned: Trained) -> None:
    """A version would not say what the model is."""
    again = train(channel(), made_at=AT)
    assert again == learned


def test_a_file_answers_with_bounds_and_takes_what_is_not_known(learned: Trained) -> None:
    """NaN is what most candidates have somewhere."""
    assert learned.onnx is not None
    model = Model(learned.onnx, version="x")
    inputs = np.full((3, len(INPUTS)), np.nan, dtype=np.float32)
    found = model.residuals(inputs)
    assert found.shape == (3,)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= MOST_LEARNED).all()


def test_examples_know_nothing_of_later() -> None:
    """The backtest would be won by looking ahead."""
    works = channel(days=4)
    cut = 20_002.5
    before = [work._replace(observations=tuple(one for one in work.observations if one.at < cut)) for work in works]
    whole, short = examples_of(works), examples_of([work for work in before if work.observations])
    rows = whole.until < cut
    assert rows.any()
    assert not rows.all()
    inputs = inputs_of(whole.columns, parts_of(whole.columns))[rows]
    assert np.allclose(inputs, inputs_of(short.columns, parts_of(short.columns)), equal_nan=True, rtol=1e-4)
    assert np.allclose(whole.growth[rows], short.growth)


def test_labels_are_what_they_are_called() -> None:
    """The same."""
    counts = (Counts(20_000.0, 100.0), Counts(20_002.0, 400.0))
    examples = examples_of([Past("a", "p", None, "", float("nan"), counts)])
    assert examples.growth.tolist() == [pytest.approx(np.log(4) / 2)]
    assert examples.further.tolist() == [150]


def test_no_video_is_on_both_sides() -> None:
    """A model would know the videos that it is judged on."""
    works = channel(days=6)
    examples = examples_of(works)
    early, late = by_time(examples)
    assert len(early.day)
    assert not set(early.work.tolist()) & set(late.work.tolist())
    assert early.until.max() < late.day.min()
    same, other = Table("same", works, ()), Table("other", [one._replace(id=f"o{one.id}") for one in works], ())
    tables = [(table, examples_of(table.works)) for table in (same, same, other)]
    assert [len(one.day) for one in left_out(tables, 0)] == [len(examples.day)]


def test_coefficients_are_found_again() -> None:
    """Those that ship would be numbers of nowhere."""
    given = Coefficients(typical_power=0.5, growth=0.6, change=-0.25, comments=(0.0, 0.2))
    nowhere = float("nan")
    examples = examples_of([work._replace(published=nowhere) for work in channel(days=10, secret=0.5)])
    grown = np.exp(parts_of(examples.columns, by=given).forecast() - 1.0)
    found = fit_coefficients([examples._replace(growth=grown)])
    assert found.typical_power == pytest.approx(0.5, rel=0.1)
    assert found.growth == pytest.approx(0.6, abs=0.03)
    assert found.change == pytest.approx(-0.25, abs=0.03)
    assert found.comments[1] == pytest.approx(0.2, abs=0.05)


def test_rules_hold_equals_for_equal() -> None:
    """A rule would be credited with the order in which a table happens to stand."""
    examples = examples_of(channel(days=6))
    same = np.zeros(len(examples.day))
    tied = judge(examples, same, "growth")
    chance = judge(examples, np.random.default_rng(3).random(len(same)), "growth")
    assert tied.ndcg.mean == pytest.approx(chance.ndcg.mean, abs=0.1)
    assert tied.spearman.mean == 0
    assert set(rules(examples)) >= {"random", "view count", "youngest first", "the predecessor's score"}


CSV = """video_id,trending_date,title,publish_time,views,likes
a,17.14.11,A,2017-11-13T17:13:01.000Z,100,5
a,17.15.11,A,2017-11-13T17:13:01.000Z,300,9
a,17.15.11,A,2017-11-13T17:13:01.000Z,200,9
b,17.14.11,B,12:30:00,7,
c,never,C,,7,1
#NAME?,17.14.11,C,,7,1
"""


def test_tables_are_read_whatever_columns_they_have(tmp_path: Path) -> None:
    """A table of another source would be read wrongly, or not at all."""
    path = tmp_path / "t.csv"
    path.write_text(CSV, encoding="utf-8")
    table = read_table(path)
    assert table.lacks == ("channel", "comments")
    first, second = table.works
    assert [one.views for one in first.observations] == [100, 300]
    assert first.observations[0].at == datetime(2017, 11, 14, tzinfo=UTC).timestamp() / 86_400
    assert first.published == pytest.approx(datetime(2017, 11, 13, 17, 13, 1, tzinfo=UTC).timestamp() / 86_400)
    assert np.isnan(second.published)
    assert np.isnan(second.observations[0].likes)


def test_backtest_takes_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one command that shows how good the ranker is would work on four files only."""
    path = tmp_path / "mine.csv"
    rows = ["video_id,date,views"]
    for work in channel(days=8, a_day=12):
        rows += [
            f"{work.id},{datetime.fromtimestamp(one.at * 86_400, tz=UTC).isoformat()},{one.views:.0f}"
            for one in work.observations
        ]
    path.write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["backtest", str(path)])
    main()
    told = capsys.readouterr().out
    assert "### mine" in told
    assert "No title, no channel, no published, no likes, no comments." in told
    assert "| youngest first |" in told
    assert "| **`--objective growth`** |" in told
