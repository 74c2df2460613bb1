"""For which post money was earned: by the marker that the post's links carry, a post's id, or a link's code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from actors.runtime.db import Database
from actors.runtime.links import AffiliateLink
from actors.tracker.revenue.entries import Q
from contracts.ids import AccountId, ItemId, PostId

__all__ = ["MARKER", "Attributed", "Trace", "attribute_marked", "attribute_named", "traces_of"]

MARKER: Final = re.compile(r"ett[0-9a-f]{16}")


class Attributed(Struct, frozen=True, kw_only=True):
    """A post that earned, and how that is known."""

    post_id: PostId
    item_id: ItemId
    platform: str
    account_id: AccountId | None
    by: str


class Trace(Struct, frozen=True, kw_only=True):
    """What leads from an order to a link: a post's marker, or the code of a link alone."""

    marker: str | None
    code: str | None
    by: str


def traces_of(order: dict[str, Any], links: Sequence[AffiliateLink]) -> tuple[Trace, ...]:
    """Return what in a Shopify order leads here, the surest first: last visit, first visit, discount code."""
    journey = order.get("customerJourneySummary")
    found = []
    for name, words in (("lastVisit", "last visit"), ("firstVisit", "first visit")):
        visit = journey.get(name) if isinstance(journey, dict) else None
        if isinstance(visit, dict):
            found += _visit(visit, links, words)
    told = order.get("discountCodes")
    given = {code.casefold() for code in told if isinstance(code, str)} if isinstance(told, list) else set()
    found += [
        Trace(marker=None, code=link.code, by=f"discount code {link.discount_code}")
        for link in links
        if link.discount_code and link.discount_code.casefold() in given
    ]
    return tuple(found)


def _visit(visit: dict[str, Any], links: Sequence[AffiliateLink], words: str) -> list[Trace]:
    told = visit.get("utmParameters")
    utm = {name: value for name, value in told.items() if isinstance(value, str)} if isinstance(told, dict) else {}
    page = visit.get("landingPage")
    try:
        query = dict(parse_qsl(urlsplit(page).query)) if isinstance(page, str) else {}
    except ValueError:
        query = {}
    codes = {link.code for link in links}
    code = next((code for code in (utm.get("campaign"), query.get("utm_campaign")) if code in codes), None)
    referral = visit.get("referralCode")
    values = (utm.get("content"), *query.values(), referral if isinstance(referral, str) else None)
    marker = next((text for text in values if text and MARKER.fullmatch(text)), None)
    if marker is None and code is None:
        return []
    return [Trace(marker=marker, code=code, by=f"{words} carries {'its marker' if marker else f'the code {code}'}")]


async def attribute_marked(db: Database, markers: Iterable[str]) -> dict[str, Attributed]:
    """Return the posts of markers; two posts with one marker are none."""
    rows = await db.fetch(Q["marked_posts"], sorted(set(markers)))
    return _alone((row["marker"], row, "its marker") for row in rows)


async def attribute_named(db: Database, names: Iterable[str]) -> dict[str, Attributed]:
    """Return the posts that these texts name: by a marker in them, a post's id here or there, or its address."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    markers = {name: found[0] for name in wanted if (found := MARKER.search(name))}
    marked = await attribute_marked(db, markers.values()) if markers else {}
    rows = await db.fetch(Q["named_posts"], wanted)
    keys = (("post_id", "its id"), ("platform_post_id", "its id there"), ("url", "its address"))
    named = _alone((row[key], row, by) for row in rows for key, by in keys if row[key] in set(wanted))
    return named | {name: marked[marker] for name, marker in markers.items() if marker in marked}


def _alone(found: Iterable[tuple[str, Any, str]]) -> dict[str, Attributed]:
    """Return what each name leads to, where it leads to one post."""
    posts: dict[str, Attributed] = {}
    several: set[str] = set()
    for name, row, by in found:
        one = Attributed(
            post_id=row["post_id"],
            item_id=row["item_id"],
            platform=row["platform"],
            account_id=row["account_id"],
            by=by,
        )
        before = posts.setdefault(name, one)
        if before.post_id != one.post_id:
            several.add(name)
    return {name: one for name, one in posts.items() if name not in several}
