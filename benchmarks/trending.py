"""Read tables of trending videos: whatever columns they have."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta, timezone
from math import isnan
from pathlib import Path
from typing import Final, NamedTuple

from actors.ranker.examples import Past
from actors.ranker.features import Counts

__all__ = ["Table", "read_table"]

COLUMNS: Final = {
    "id": ("video_id", "id"),
    "at": ("trending_date", "observed_at", "observed_at_jst", "collected_at", "date", "at"),
    "title": ("title", "video_title"),
    "channel": ("channel_id", "channelid", "channel_title", "channeltitle", "channel"),
    "published": ("publish_time", "published_at", "publishedat", "publish_date"),
    "views": ("views", "view_count"),
    "likes": ("likes", "like_count"),
    "comments": ("comments", "comment_count"),
}
NEEDED: Final = ("id", "at", "views")
JAPAN: Final = timezone(timedelta(hours=9))
NAN: Final = float("nan")
csv.field_size_limit(10_000_000)


class Table(NamedTuple):
    """A table's works in the order of its rows, and what it lacks."""

    name: str
    works: list[Past]
    lacks: tuple[str, ...]


def read_table(path: Path) -> Table:
    """Read a CSV file, one row per video and sighting. Of two rows of a video and time the one with more views counts.

    A publication without a date is none. Times without a zone are UTC, but for a column named `..._jst`.
    """
    works: dict[str, Past] = {}
    counts: dict[str, dict[float, Counts]] = {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        names = {name.strip().lower(): name for name in reader.fieldnames or ()}
        found = {key: next((names[one] for one in given if one in names), "") for key, given in COLUMNS.items()}
        if absent := [key for key in NEEDED if not found[key]]:
            raise SystemExit(f"{path}: no column for {', '.join(absent)} among {', '.join(names)}")
        zone = JAPAN if found["at"].lower().endswith("jst") else UTC
        for row in reader:
            at, views = _time(row[found["at"]], zone), _count(row.get(found["views"]))
            name = row[found["id"]]
            if isnan(at) or isnan(views) or name.startswith("#"):
                continue
            if name not in works:
                channel = row.get(found["channel"]) or None
                published = _time(row.get(found["published"]) or "", UTC)
                works[name] = Past(name, "youtube", channel, row.get(found["title"]) or "", published, ())
            one = Counts(at, views, _count(row.get(found["likes"])), _count(row.get(found["comments"])))
            seen = counts.setdefault(name, {})
            if at not in seen or seen[at].views < views:
                seen[at] = one
    past = [
        work._replace(observations=tuple(sorted(counts[name].values(), key=lambda one: one.at)))
        for name, work in works.items()
    ]
    lacks = [key for key, column in found.items() if not column]
    if "published" not in lacks and all(isnan(work.published) for work in past):
        lacks.append("published")
    return Table(path.stem, past, tuple(lacks))


def _time(text: str, zone: timezone) -> float:
    """Return days since 1970, UTC; NaN: no date can be read. yy.dd.mm is the form of one widely copied set."""
    text = text.strip()
    parts = text.split(".")
    if len(parts) == 3 and all(part.isdigit() and len(part) <= 2 for part in parts):
        text = f"20{parts[0]}-{parts[2]:0>2}-{parts[1]:0>2}"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return NAN
    return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() / 86_400


def _count(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return NAN
