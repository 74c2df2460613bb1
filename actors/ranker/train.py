"""Learn from observations what the forecast leaves over: early signals against later growth.

The days are split: what came before is fitted, the last days judge, and no work is on both sides. A model is offered
for promotion only where it is ahead of the forecast on those days, by more than chance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from actors.ranker.examples import Examples, Past, days_of, examples_of, only
from actors.ranker.features import INPUTS, Counts, inputs_of
from actors.ranker.model import Judgement, Model, Q, Report, promote, store, version_of
from actors.ranker.signals import MOST_LEARNED, Column, parts_of
from actors.ranker.yardstick import interval, ndcg, precision, spearman
from actors.runtime.db import Connection, Record
from actors.runtime.extras import install
from contracts.errors import Reject

__all__ = ["Trained", "fitted", "forecasts", "read_history", "retrain", "train"]

JUDGED_DAYS: Final = 0.3
"""Part of the days, the last ones, that judge."""
LEAST_FIT: Final = 500
"""Examples without which nothing is fitted."""
LEAST_DAYS: Final = 5
"""Days without which nothing is judged."""
HISTORY: Final = timedelta(days=120)
MOST_WORKS: Final = 50_000
READING_TIMEOUT_S: Final = 600.0

TREES: Final = 120
PARAMETERS: Final = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.8,
    "monotone_constraints": [{"likes": 1}.get(name, 0) for name in INPUTS],
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbose": -1,
}
LEAST_GROWTH: Final = 1e-4


class Trained(NamedTuple):
    """What a training gave; no file: nothing could be fitted, the report says why."""

    onnx: bytes | None
    report: Report


def train(works: Sequence[Past], *, made_at: datetime) -> Trained:
    """Fit on the earlier days, judge on the later ones. Deterministic. Needs the extra `learn`."""
    examples = examples_of(works)
    days = np.array([examples.day[rows[0]] for rows in days_of(examples.day)], dtype=np.int64)
    split = int(days[int(len(days) * (1 - JUDGED_DAYS))]) if len(days) else 0
    judges = np.isin(examples.day, days) & (examples.day >= split)
    seen_later = np.isin(examples.work, examples.work[examples.day >= split])
    fits = ~seen_later & (examples.until < split)
    early, late = only(examples, fits), only(examples, judges)
    report = Report(
        made_at=made_at,
        works=len(works),
        fit_examples=len(early.day),
        fit_days=len(np.unique(early.day)),
        validation_examples=len(late.day),
        validation_days=len(np.unique(late.day)),
    )
    if report.fit_examples < LEAST_FIT or report.validation_days < LEAST_DAYS:
        return Trained(None, _lacking(report))
    onnx = fitted(early)
    model = Model(onnx, version=version_of(onnx, made_at))
    plain, learned = forecasts(late), forecasts(late, model)
    before, after = _per_day(late, plain), _per_day(late, learned)
    lead = interval(after[:, 0] - before[:, 0])
    steady = float((after[:, 1] - before[:, 1]).mean())
    better = lead.low > 0 and steady >= 0
    calibration = _calibrated(early)
    because = (
        f"NDCG@20 on growth {lead.mean:+.4f} (95 %: {lead.low:+.4f} to {lead.high:+.4f}), Spearman {steady:+.4f} "
        f"against the forecast on {report.validation_days} later days"
    )
    return Trained(
        onnx,
        replace(
            report,
            forecast=_mean(before),
            model=_mean(after),
            lead_low=lead.low,
            lead_high=lead.high,
            calibration=calibration,
            fifths=_fifths(calibration[0] + calibration[1] * learned, late.growth),
            better=better,
            because=because if better else f"not surely better: {because}",
        ),
    )


async def retrain(conn: Connection, *, now: datetime) -> Report:
    """Train on what the database holds, keep the model, and put it to use where it is better."""
    works = await read_history(conn, now=now)
    trained = await asyncio.to_thread(train, works, made_at=now)
    if trained.onnx is not None:
        version = await store(conn, trained.onnx, trained.report)
        if trained.report.better:
            await promote(conn, version, at=now)
    return trained.report


async def read_history(conn: Connection, *, now: datetime) -> list[Past]:
    """Read the works of the last months with their observations."""
    rows = await conn.fetch(Q["history"], now - HISTORY, MOST_WORKS, timeout=READING_TIMEOUT_S)
    return await asyncio.to_thread(_pasts, rows)


def _pasts(rows: Iterable[Record]) -> list[Past]:
    """Return the works that the rows tell of. The rows of each come together, oldest first."""
    return [_past(list(mine)) for _, mine in groupby(rows, key=itemgetter("item_id"))]


def _past(rows: Sequence[Record]) -> Past:
    one, nan = rows[0], float("nan")
    observations = tuple(
        Counts(at.timestamp() / 86_400, *(nan if count is None else float(count) for count in counts))
        for at, *counts in map(itemgetter("observed_at", "views", "likes", "comments"), rows)
    )
    published = nan if one["published_at"] is None else one["published_at"].timestamp() / 86_400
    return Past(one["item_id"], one["platform"], one["channel"], one["title"], published, observations)


def fitted(examples: Examples) -> bytes:
    """Fit what is left over, and return the model as ONNX. Examples without a known age teach that case too."""
    try:
        import lightgbm  # noqa: PLC0415
        from onnxmltools import convert_lightgbm  # type: ignore[import-untyped]  # noqa: PLC0415
        from onnxmltools.convert.common.data_types import (  # type: ignore[import-untyped]  # noqa: PLC0415
            FloatTensorType,
        )
    except ImportError as error:
        raise Reject(
            "a model cannot be trained here: lightgbm or onnxmltools is not installed",
            mend=f"{install('learn')}; ranking works without",
        ) from error
    inputs, rest, weights = _lessons(examples)
    booster = lightgbm.train(PARAMETERS, lightgbm.Dataset(inputs, rest, weight=weights), TREES)
    shape: Any = FloatTensorType([None, len(INPUTS)])
    # Without a name of its own each file would carry a random one.
    made = convert_lightgbm(booster, name="forecast", initial_types=[("inputs", shape)], target_opset=15)
    onnx: bytes = made.SerializeToString()
    return onnx


def forecasts(examples: Examples, model: Model | None = None) -> Column:
    """Return the log of expected growth per day of each example."""
    parts = parts_of(examples.columns)
    plain = parts.forecast()
    return plain if model is None else plain + model.residuals(inputs_of(examples.columns, parts))


def _lessons(examples: Examples) -> tuple[NDArray[np.float32], Column, Column]:
    """Return inputs, what the forecast left over, and weights: what grows counts more, as it does at the top."""
    ages = examples.columns.age_days
    sets = [examples.columns]
    if not np.isnan(ages).all():
        sets.append(examples.columns._replace(age_days=np.full_like(ages, np.nan)))
    growth = np.log(np.maximum(examples.growth, LEAST_GROWTH))
    inputs, rest, weights = [], [], []
    for columns in sets:
        parts = parts_of(columns)
        plain = parts.forecast()
        inputs.append(inputs_of(columns, parts))
        rest.append(np.clip(growth - plain, -2 * MOST_LEARNED, 2 * MOST_LEARNED))
        weights.append(np.exp(plain / 2))
    return np.vstack(inputs), np.concatenate(rest), np.concatenate(weights)


def _calibrated(examples: Examples) -> tuple[float, float]:
    """Return (a, b) so that exp(a + b x forecast) is the mean growth, from works that the model did not learn from.

    Two halves by work, each judged by a model of the other; Poisson regression with a logarithmic link.
    """
    half = examples.work % 2 == 0
    told, grown = [], []
    for mine in (half, ~half):
        if mine.sum() < LEAST_FIT / 4 or (~mine).sum() < LEAST_FIT / 4:
            return 0.0, 1.0
        onnx = fitted(only(examples, ~mine))
        told.append(forecasts(only(examples, mine), Model(onnx, version="calibration")))
        grown.append(np.clip(examples.growth[mine], 0.0, None))
    x, y = np.concatenate(told), np.concatenate(grown)
    a, b = 0.0, 1.0
    for _ in range(50):
        mean = np.exp(np.clip(a + b * x, -12.0, 4.0))
        left = y - mean
        hessian = np.array([[mean.sum(), (mean * x).sum()], [(mean * x).sum(), (mean * x * x).sum()]])
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), np.array([left.sum(), (left * x).sum()]))
        a, b = a + float(step[0]), b + float(step[1])
        if float(np.abs(step).max()) < 1e-9:
            break
    return a, b


def _fifths(forecast: Column, growth: Column) -> tuple[tuple[float, float], ...]:
    """Return what was told and what came, mean growth per day, by fifths of the forecast."""
    parts = np.array_split(np.argsort(forecast, kind="stable"), 5)
    return tuple((float(np.exp(forecast[rows]).mean()), float(growth[rows].mean())) for rows in parts)


def _per_day(examples: Examples, forecast: Column) -> NDArray[np.float64]:
    """Return for each day: NDCG, Spearman and precision on growth, NDCG on further views."""
    reach = np.log(examples.columns.views + 1.0)
    return np.array(
        [
            (
                ndcg(forecast[rows], examples.growth[rows]),
                spearman(forecast[rows], examples.growth[rows]),
                precision(forecast[rows], examples.growth[rows]),
                ndcg((forecast + reach)[rows], examples.further[rows]),
            )
            for rows in days_of(examples.day)
        ]
    )


def _mean(days: NDArray[np.float64]) -> Judgement:
    growth, order, first, views = (float(value) for value in np.nanmean(days, axis=0))
    return Judgement(ndcg_growth=growth, spearman_growth=order, precision_growth=first, ndcg_views=views)


def _lacking(report: Report) -> Report:
    because = (
        f"too little to learn from: {report.fit_examples} examples of {LEAST_FIT}, "
        f"{report.validation_days} days to judge by of {LEAST_DAYS}"
    )
    return replace(report, because=because)
