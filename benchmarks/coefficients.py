"""Fit the forecast's coefficients to examples: how those that ship were found, and how they are judged fairly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from actors.ranker.examples import Examples
from actors.ranker.signals import Coefficients, Column, Columns, terms_of

__all__ = ["fit_coefficients"]

MOST_GROWTH: Final = 3.0
"""Per day; a single leap beyond does not decide the fit."""
ROUNDS: Final = 40
RIDGE: Final = 10.0
"""Per coefficient but the first four, which all of the examples speak of."""


def fit_coefficients(tables: Sequence[Examples]) -> Coefficients:
    """Fit to all tables, each of the same weight, with a logarithmic link and variance between mean and its square.

    A table with times of publication is also fitted without them, so that both cases are learned.
    """
    designs, offsets, growths, weights = [], [], [], []
    for table in tables:
        ages = table.columns.age_days
        cases = [table.columns]
        if not np.isnan(ages).all():
            cases.append(table.columns._replace(age_days=np.full_like(ages, np.nan)))
        for columns in cases:
            design, offset = _design(columns)
            designs.append(design)
            offsets.append(offset)
            growths.append(np.clip(table.growth, 0.0, MOST_GROWTH))
            weights.append(np.full(len(offset), 3000.0 / len(offset)))
    x, o, y, w = np.vstack(designs), np.concatenate(offsets), np.concatenate(growths), np.concatenate(weights)
    b = np.zeros(x.shape[1])
    b[:2] = -0.5
    ridge = np.diag([1.0] * 4 + [RIDGE] * (x.shape[1] - 4))
    for _ in range(ROUNDS):
        mean = np.exp(np.clip(o + x @ b, -9.0, 1.5))
        weight = np.sqrt(mean) * w
        working = x @ b + np.clip((y - mean) / mean, -1.0, 5.0)
        b = np.linalg.solve((x * weight[:, None]).T @ x + ridge, (x * weight[:, None]).T @ working)
    unmeasured, measured, growth, change = (float(one) for one in b[:4])
    likes, likes_then, comments_then, official, official_then, shouts, shouts_then, question = (
        float(one) for one in b[4:]
    )
    return Coefficients(
        typical_power=float(np.exp((unmeasured - measured) / growth)),
        growth=growth,
        change=change,
        likes=(likes, likes_then),
        comments=(0.0, comments_then),
        official=(official, official_then),
        shouts=(shouts, shouts_then),
        question=(question, question),
    )


def _design(columns: Columns) -> tuple[Column, Column]:
    """Return the columns of the regression, and its offset: growth by age alone."""
    terms = terms_of(columns)
    then = terms.measured.astype(np.float64)
    now = 1.0 - then
    # Without a velocity: law + constant. With one: law + constant + growth x (log growth - law then).
    power = np.nan_to_num(np.where(terms.measured, terms.growth - terms.law_then, 0.0))
    likes, comments = np.nan_to_num(terms.likes), np.nan_to_num(terms.comments)
    design = np.column_stack(
        [
            now,
            then,
            then * power,
            then * np.nan_to_num(terms.change),
            now * likes,
            then * likes,
            then * comments,
            now * columns.official,
            then * columns.official,
            now * columns.shouts,
            then * columns.shouts,
            columns.question,
        ]
    )
    return design, terms.law
