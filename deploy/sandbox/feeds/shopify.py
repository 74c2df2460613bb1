"""Shopify as the sandbox plays it: tokens for an app, orders by the GraphQL Admin API, points that run out.

Docs: shopify.dev: client credentials grant, `orders`, rate limits of the GraphQL Admin API, read 2026-11-23. A question
is not parsed as GraphQL: what it names must be fields of an order, and arguments come as variables. Orders are arranged
by POST /sandbox/orders (no shop has that): a list of orders as Shopify shows them; what is left out is made up.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from deploy.sandbox.context import Refused, rfc3339
from deploy.sandbox.feeds._app_grant import Grants
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "ShopOrder", "ShopPoints", "Shopify"]

CREDENTIALS: dict[str, str] = {
    "shopify_server": "sandbox-shop.myshopify.com",
    "shopify_client_id": "sandbox-shopify",
    "shopify_client_secret": "sandbox-shopify-word",
}
LIFE_S: Final = 86_399
MOST_POINTS: Final = 2_000.0
RESTORED_PER_S: Final = 100.0
MOST_OF_ONE: Final = 1_000
SHOWN_FOR: Final = timedelta(days=60)
_FIELDS: Final = frozenset(
    re.findall(
        r"\w+",
        "query after String orders first sortKey UPDATED_AT nodes id name createdAt processedAt updatedAt test "
        "displayFinancialStatus discountCodes totalPriceSet currentTotalPriceSet totalRefundedSet currentTotalTaxSet "
        "shopMoney amount currencyCode customerJourneySummary ready firstVisit lastVisit landingPage referralCode "
        "utmParameters campaign content medium source pageInfo hasNextPage endCursor",
    )
)
_SEARCH: Final = re.compile(r"updated_at:>='([^']+)'")
_STATUS: Final = {401: "[API] Invalid API key or access token (unrecognized login or wrong password)", 404: "Not Found"}


class ShopOrder(Struct, kw_only=True):
    """An order of the shop."""

    order: dict[str, Any]


class ShopPoints(Struct, kw_only=True):
    """The app's points as they were at a moment, Unix seconds."""

    points: float = MOST_POINTS
    at_s: float = 0.0


def refusal(status: int, reason: str = "") -> web.Response:
    return web.json_response({"errors": reason or _STATUS.get(status, "Internal Server Error")}, status=status)


class Shopify:
    """One shop."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._grants = Grants(stage, life_s=LIFE_S)
        stage.post("/admin/oauth/access_token", "token", self._token, refusal=refusal)
        stage.post("/admin/api/{version}/graphql.json", "orders", self._graphql, refusal=refusal)
        stage.post("/sandbox/orders", "arrange", self._arrange, refusal=refusal)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        named = ("shopify_client_id", "shopify_client_secret")
        if any(form.get(name.removeprefix("shopify_")) != CREDENTIALS[name] for name in named):
            return web.json_response({"error": "invalid_client"}, status=400)
        granted = {"access_token": self._grants.new(), "scope": "read_orders", "expires_in": LIFE_S}
        return web.json_response(granted)

    async def _arrange(self, request: web.Request) -> web.Response:
        for given in msgspec.json.decode(await request.read(), type=list[dict[str, Any]]):
            now = rfc3339(self._stage.sandbox.now())
            order: dict[str, Any] = {"createdAt": now, "processedAt": None, "updatedAt": now, "test": False} | given
            order = {"name": f"#{order['id']}", "discountCodes": [], "customerJourneySummary": None} | order
            paid = order.setdefault("totalPriceSet", _bag("0.0", "EUR"))
            order.setdefault("currentTotalPriceSet", paid)
            order.setdefault("totalRefundedSet", _bag("0.0", paid["shopMoney"]["currencyCode"]))
            order.setdefault("currentTotalTaxSet", None)
            order.setdefault("displayFinancialStatus", "PAID")
            number = order["id"]
            self._stage.sandbox.store.put(str(number), ShopOrder(order=order | {"id": f"gid://shopify/Order/{number}"}))
        return web.json_response({}, status=201)

    async def _graphql(self, request: web.Request) -> web.Response:
        if not self._grants.valid(f"bearer {request.headers.get('X-Shopify-Access-Token', '')}"):
            raise Refused(refusal(401))
        asked = msgspec.json.decode(await request.read(), type=dict[str, Any])
        text, variables = str(asked.get("query", "")), asked.get("variables") or {}
        names = set(re.findall(r"[A-Za-z_]\w*", text))
        first = re.search(r"first:\s*(\d+)", text)
        if names - _FIELDS or first is None or not 1 <= int(first[1]) <= 250:
            strange = ", ".join(sorted(names - _FIELDS)) or "first"
            told = [
                {
                    "message": f"Field '{strange}' doesn't exist on type 'Order'",
                    "extensions": {"code": "undefinedField"},
                }
            ]
            return web.json_response({"errors": told})
        size = int(first[1])
        cost = 2 + size * 14
        if cost > MOST_OF_ONE:
            told = [{"message": f"Query cost is {cost}", "extensions": {"code": "MAX_COST_EXCEEDED"}}]
            return web.json_response({"errors": told})
        left = self._pour(cost)
        if left is None:
            told = [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
            return web.json_response({"errors": told, "extensions": self._cost(cost, None)})
        orders = self._orders(str(variables.get("query") or ""))
        start = int(variables.get("after") or 0)
        page = orders[start : start + size]
        more = start + size < len(orders)
        cursor = str(start + len(page)) if page else None
        found = {"nodes": page, "pageInfo": {"hasNextPage": more, "endCursor": cursor}}
        headers = {"X-Shopify-API-Version": request.match_info["version"]}
        answer = {"data": {"orders": found}, "extensions": self._cost(cost, 2 + len(page) * 14)}
        return web.json_response(answer, headers=headers)

    def _orders(self, query: str) -> list[dict[str, Any]]:
        """Return what read_orders shows: the last 60 days, the oldest update first."""
        found = _SEARCH.fullmatch(query)
        oldest = datetime.fromtimestamp(self._stage.sandbox.now(), UTC) - SHOWN_FOR
        since = _at(found[1]) if found else oldest
        orders = [kept.order for kept in self._stage.sandbox.store.all(ShopOrder)]
        shown = [one for one in orders if _at(one["createdAt"]) >= oldest and _at(one["updatedAt"]) >= since]
        return sorted(shown, key=lambda one: (one["updatedAt"], one["id"]))

    def _bucket(self) -> ShopPoints:
        now = self._stage.sandbox.now()
        kept = self._stage.sandbox.store.get(ShopPoints, "points") or ShopPoints(at_s=now)
        return ShopPoints(points=min(MOST_POINTS, kept.points + max(now - kept.at_s, 0.0) * RESTORED_PER_S), at_s=now)

    def _pour(self, cost: int) -> float | None:
        """Take points; None: there are too few."""
        bucket = self._bucket()
        if bucket.points < cost:
            return None
        bucket.points -= cost
        self._stage.sandbox.store.put("points", bucket)
        return bucket.points

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        status = {
            "maximumAvailable": MOST_POINTS,
            "currentlyAvailable": int(self._bucket().points),
            "restoreRate": RESTORED_PER_S,
        }
        return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


def _bag(amount: str, currency: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def _at(told: str) -> datetime:
    return datetime.fromisoformat(told)


FEED = Shopify
