"""What a snapshot's numbers tell of earlier ones: late, or corrected by the platform. Pure.

Counts of what happened only grow. Where a platform tells fewer views than before, it took some back: that is noted
with its time beside the earlier snapshot, which stays as it was told. Likes, comments, shares and saves are taken back
by people, so a fall of those is no correction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from contracts.clock import Utc
from contracts.platform import PostMetrics

__all__ = ["CORRECTABLE", "FIELDS", "Change", "Known", "changes_of", "nothing_known", "revised", "values_of"]

FIELDS: Final = tuple(name for name in PostMetrics.__struct_fields__ if name != "absent")
CORRECTABLE: Final = ("views", "reach", "impressions", "clicks", "watched_us")


class Change(Struct, frozen=True, kw_only=True):
    """What is told now of an earlier snapshot."""

    bucket: int
    field: str
    kind: Literal["late", "corrected"]
    was: Any
    value: Any


class Known(Struct, frozen=True, kw_only=True):
    """A snapshot with what was told of it since: `revised` says when, by field; revision: how often."""

    bucket: int
    measured_at: Utc
    age_s: int
    metrics: PostMetrics
    revision: int = 0
    revised: dict[str, Utc] = {}


def nothing_known(because: str) -> PostMetrics:
    """Return numbers that are all null, for one reason."""
    return PostMetrics(absent=dict.fromkeys(FIELDS, because))


def values_of(metrics: PostMetrics) -> tuple[Any, ...]:
    """Return the numbers in the order of `FIELDS`."""
    return tuple(getattr(metrics, name) for name in FIELDS)


def changes_of(earlier: Iterable[Mapping[str, Any]], now: PostMetrics) -> tuple[Change, ...]:
    """Compare with earlier snapshots, as they are known by now; each has `bucket` and every field."""
    found = []
    for one in earlier:
        for name in FIELDS:
            was, value = one[name], getattr(now, name)
            if value is None:
                continue
            if was is None:
                found.append(Change(bucket=one["bucket"], field=name, kind="late", was=None, value=value))
            elif name in CORRECTABLE and value < was:
                found.append(Change(bucket=one["bucket"], field=name, kind="corrected", was=was, value=value))
    return tuple(found)


def revised(known: Known, changes: Sequence[Change], at: datetime) -> Known:
    """Return a snapshot with what is told of it at that moment. A number that came has no reason for its absence."""
    told = {change.field: change.value for change in changes if change.bucket == known.bucket}
    absent = {name: why for name, why in known.metrics.absent.items() if getattr(known.metrics, name, None) is None}
    return replace(
        known,
        metrics=replace(known.metrics, **told, absent={name: why for name, why in absent.items() if name not in told}),
        revision=known.revision + 1,
        revised={**known.revised, **dict.fromkeys(told, at)},
    )
