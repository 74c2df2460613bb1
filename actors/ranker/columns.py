"""The freshest items of the database as columns, all of them at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.ranker.features import DAY, LEAST_GAP_DAYS, LONGEST_GAP_DAYS, base_rates
from actors.ranker.recent import Freshest
from actors.ranker.signals import TYPICAL_PER_VIEW, Column, Columns

__all__ = ["columns_of"]

_DAY_S = 86_400.0


def columns_of(found: Freshest, *, now_s: float | None = None) -> Columns:
    """Choose the observations that count, as `features.history_of` does. Titles and texts are not known here.

    Args: now_s: the time of ranking, seconds since 1970; None: the newest observation of all.
    """
    count = len(found.item_ids)
    at, rows = found.at_s / _DAY_S, np.arange(count)
    viewed = ~np.isnan(found.views) & ~np.isnan(at)
    newest = _last(viewed)
    # Where no views are known the newest observation of any kind is where the work stands.
    newest = np.where(viewed.any(axis=1), newest, _last(~np.isnan(at)))
    stands = at[rows, newest] if count else np.empty(0)
    before, before_gap, before_views = _a_day_before(at, found.views, viewed, stands)
    _, earlier_gap, earlier_views = _a_day_before(at, found.views, viewed, before)
    views, likes, comments = (
        each[rows, newest] if count else np.empty(0) for each in (found.views, found.likes, found.comments)
    )
    first = np.nanmin(np.where(np.isnan(at), np.inf, at), axis=1, initial=np.inf)
    now = np.nanmax(stands, initial=-np.inf) if now_s is None else now_s / _DAY_S
    nobody = [None] * count
    return Columns.empty(count)._replace(
        views=views,
        likes=likes,
        comments=comments,
        age_days=np.where(np.isnan(stands), now, stands) - found.published_s / _DAY_S,
        seen_days=stands - first,
        stale_days=now - stands,
        before_views=before_views,
        before_gap_days=before_gap,
        earlier_views=earlier_views,
        earlier_gap_days=earlier_gap,
        base_likes=base_rates(likes, views, found.platforms, nobody, typical=TYPICAL_PER_VIEW["likes"]),
        base_comments=base_rates(comments, views, found.platforms, nobody, typical=TYPICAL_PER_VIEW["comments"]),
    )


def _last(known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the last column that holds in each row; the last of all where none does."""
    last: NDArray[np.intp] = known.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return last


def _a_day_before(
    at: Column, views: Column, viewed: NDArray[np.bool_], stands: Column
) -> tuple[Column, Column, Column]:
    """Return time, gap and views of the observation nearest to a day before; NaN: there is none."""
    with np.errstate(invalid="ignore"):
        gap = stands[:, None] - at
        usable = viewed & (gap >= LEAST_GAP_DAYS) & (gap <= LONGEST_GAP_DAYS)
    far = np.where(usable, np.abs(gap - DAY), np.inf)[:, ::-1]
    column = at.shape[1] - 1 - np.argmin(far, axis=1)
    rows, found = np.arange(len(at)), usable.any(axis=1)
    return tuple(np.where(found, each[rows, column], np.nan) for each in (at, gap, views))  # type: ignore[return-value]
