"""Lists of the YouTube Data API v3: filters, pages, the envelope.

Docs: "Implementation: Pagination" (developers.google.com/youtube/v3/guides/implementation/pagination, read 2026-11).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypeVar

from aiohttp import web

from deploy.sandbox.youtube_errors import refuse
from deploy.sandbox.youtube_resource import etag

__all__ = ["listing", "one_filter", "page_of"]

Item = TypeVar("Item")


def one_filter(request: web.Request, names: tuple[str, ...]) -> str:
    given = [name for name in names if name in request.query]
    if not given:
        words = f"No filter selected. Expected one of: {', '.join(names)}"
        raise refuse("missingRequiredParameter", words, location="parameters.", location_type="other")
    if len(given) > 1:
        words = f"Incompatible parameters specified in the request: {', '.join(given)}"
        raise refuse("incompatibleParameters", words, location="parameters.", location_type="other")
    return given[0]


def page_of(
    request: web.Request, everything: Sequence[Item], *, least: int = 0
) -> tuple[list[Item], dict[str, object]]:
    """Cut one page out; the tokens hold the offset."""
    given = request.query.get("maxResults", "5")
    size = int(given) if given.isdecimal() else -1
    if not least <= size <= 50:
        words = f"Invalid value '{given}'. Values must be within the range: [{least}, 50]"
        raise refuse("badRequest", words, location="maxResults")
    first = 0
    if token := request.query.get("pageToken"):
        try:
            plain = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
            first = int(plain.removeprefix("at:"))
        except ValueError as wrong:
            raise refuse("invalidPageToken", location="pageToken") from wrong
        if not plain.startswith("at:") or first < 0:
            raise refuse("invalidPageToken", location="pageToken")
    page: dict[str, object] = {}
    if first + size < len(everything) and size:
        page["nextPageToken"] = _token(first + size)
    if first:
        page["prevPageToken"] = _token(max(0, first - size))
    page["pageInfo"] = {"totalResults": len(everything), "resultsPerPage": size}
    return list(everything[first : first + size]), page


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"at:{offset}".encode()).rstrip(b"=").decode()


def listing(kind: str, items: Sequence[object], page: dict[str, object]) -> web.Response:
    body = {"kind": kind, "etag": etag([items, page]), **page, "items": items}
    return web.json_response(body, headers={"Cache-Control": "private"})
