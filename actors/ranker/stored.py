"""A candidate as its row holds it: what has its default is left out, which is half of it."""

from __future__ import annotations

import msgspec

from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord

__all__ = ["StoredCandidate", "StoredMetrics", "StoredRights", "stored"]


class StoredMetrics(Metrics, frozen=True, kw_only=True, omit_defaults=True):
    """Counts as stored."""


class StoredRights(RightsRecord, frozen=True, kw_only=True, omit_defaults=True):
    """Rights as stored."""


class StoredCandidate(Candidate, frozen=True, kw_only=True, omit_defaults=True):
    """A candidate as stored; reads as any other."""

    metrics: StoredMetrics = StoredMetrics()
    rights: StoredRights


def stored(candidate: Candidate) -> StoredCandidate:
    """Return a candidate in the form that is stored."""
    if isinstance(candidate, StoredCandidate):
        return candidate
    return msgspec.convert(candidate, StoredCandidate, from_attributes=True)
