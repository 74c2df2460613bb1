"""How search.list matches: words, lengths, moments.

Docs: "Search: list" (developers.google.com/youtube/v3/docs/search/list, read 2026-11).
"""

from __future__ import annotations

import re
from datetime import datetime

from aiohttp import web

from deploy.sandbox.youtube_errors import refuse
from deploy.sandbox.youtube_resource import Video

__all__ = ["hits_of", "length_class", "moment_of"]


def moment_of(request: web.Request, name: str) -> float | None:
    given = request.query.get(name)
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as wrong:
        raise refuse("badRequest", f"Invalid value for parameter: {name}", location=name) from wrong
    if moment.tzinfo is None:
        raise refuse("badRequest", f"Invalid value for parameter: {name}", location=name)
    return moment.timestamp()


def hits_of(query: str, video: Video) -> float | None:
    """Score a query (words; `|` or, `-` not) against a video; None: no match."""
    meta = video.meta
    words = re.findall(r"\w+", " ".join((meta.title, meta.title, meta.description, *meta.tags)).casefold())
    score = 0.0
    for term in re.sub(r"\s*\|\s*", "|", query.casefold()).split():
        forbidden = term.startswith("-")
        hits = sum(words.count(word) for choice in term.split("|") for word in re.findall(r"\w+", choice))
        if (hits == 0) != forbidden:
            return None
        score += 0 if forbidden else hits
    return score


def length_class(video: Video) -> str:
    minutes = (video.probe.duration_s or 0) / 60
    return "short" if minutes < 4 else "medium" if minutes <= 20 else "long"
