"""Meta's insights: figures of an own post, by name, each with the reason where it is not there.

Docs: developers.facebook.com/docs/instagram-platform/reference/instagram-media/insights, .../docs/threads/insights,
.../docs/graph-api/reference/video/video_insights, read 2026-11-23. An empty answer is "not yet" and no zero. One name
that is not valid (any more) fails all that were asked with it, so they are then asked one by one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from actors.platforms._api import absent, count
from actors.platforms._meta.account import GraphAccount
from actors.platforms._meta.graph import GraphRefused
from actors.platforms._posts import as_dict, as_list
from contracts.ids import AccountId
from contracts.platform import PostMetrics

__all__ = ["FIELDS", "Figures", "ask_insights", "micros", "parse_insights", "post_metrics"]

FIELDS: Final = (
    "views", "likes", "comments", "shares", "saves", "reach", "impressions", "clicks", "followers",
    "watched_us", "average_watched_us", "retention",
)  # fmt: skip
_INVALID: Final = 100
_PERMISSION: Final = frozenset({3, 10, *range(200, 300)})


class Figures(Struct, frozen=True, kw_only=True):
    """Figures by the platform's names, and the reason of each that it refused."""

    values: dict[str, Any]
    refused: dict[str, str]

    def number(self, *names: str) -> int | None:
        """Return the first of these that is a count; None: none is."""
        return next((found for name in names if (found := count(_whole(self.values.get(name)))) is not None), None)

    def parts(self, name: str) -> dict[str, int]:
        """Return the counts that one figure consists of, by kind."""
        told = as_dict(self.values.get(name))
        return {kind.upper(): found for kind, value in told.items() if (found := count(_whole(value))) is not None}


def parse_insights(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the values by name, of either form in which they come; what cannot be read is left out."""
    found: dict[str, Any] = {}
    for told in map(as_dict, as_list(answer.get("data"))):
        name, values = told.get("name"), as_list(told.get("values"))
        total = as_dict(told.get("total_value"))
        value = as_dict(values[-1]).get("value") if values else total.get("value")
        if isinstance(name, str) and value is not None:
            found[name] = value
    return found


async def ask_insights(
    api: GraphAccount, account: AccountId, path: str, groups: Sequence[Sequence[str]], *, period: str = ""
) -> Figures:
    """Ask for figures, a group in one request; a group of which one name is refused is asked for one by one.

    A missing permission is the reason of every figure. Raises: GraphRefused (`gone`), Retry, RateLimited, AuthExpired.
    """
    values: dict[str, Any] = {}
    refused: dict[str, str] = {}
    todo = [tuple(group) for group in groups]
    while todo:
        group = todo.pop(0)
        params = {"metric": ",".join(group), **({"period": period} if period else {})}
        try:
            values |= parse_insights(await api.get(account, path, params=params))
        except GraphRefused as error:
            if error.gone:
                raise
            if error.code == _INVALID and len(group) > 1:
                todo = [(name,) for name in group] + todo
            elif error.code == _INVALID:
                refused[group[0]] = "the platform does not give this figure for this post"
            elif error.code in _PERMISSION:
                names = [name for one in (group, *todo) for name in one]
                return Figures(values=values, refused=refused | dict.fromkeys(names, error.mend or error.reason))
            else:
                raise
    return Figures(values=values, refused=refused)


def micros(milliseconds: int | None) -> int | None:
    """Return microseconds."""
    return None if milliseconds is None else milliseconds * 1000


def post_metrics(
    figures: Figures, sources: Mapping[str, str], why: Mapping[str, str], **found: int | None
) -> PostMetrics:
    """Return the figures, with the reason for each that is not known.

    Args: sources: the platform's name of a figure, by ours; why: reasons by our names, "" for those without one.
    """
    counts: dict[str, Any] = {name: found.get(name) for name in FIELDS}
    refused = {name: figures.refused[source] for name, source in sources.items() if source in figures.refused}
    because = dict.fromkeys(FIELDS, why[""]) | dict(why) | refused
    return PostMetrics(**counts, absent=absent(counts, because))


def _whole(told: Any) -> Any:
    """Return a number that is written with a point as a whole one; milliseconds come like that."""
    return round(told) if isinstance(told, float) and math.isfinite(told) else told
