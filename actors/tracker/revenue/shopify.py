"""Shopify: orders that came by links of posts, or by their discount codes.

Docs: shopify.dev: GraphQL Admin API `orders`, `Order`, `CustomerVisit`, rate limits, client credentials grant, read
2026-11-23. Auth: a token for the own application (24 hours), or a permanent one of an older custom app, in
`X-Shopify-Access-Token`. Limits: points, leaky bucket, told in every answer; `read_orders` shows 60 days only. Answers
with status 200 may hold errors. Units: amounts are decimal texts in the shop's currency; times ISO 8601, UTC.

What an order earned: its total as it stands, at most what was paid less what was refunded, without tax; nothing while
it is not paid. Orders without a trace of a link are other business of the shop: they are counted and not recorded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.platforms._api import Api, dig, read_each
from actors.platforms._app_token import AppToken, Granted, TokenRefused, parse_grant
from actors.runtime.db import into
from actors.runtime.http import Response
from actors.runtime.links import AffiliateLink
from actors.runtime.means import Means
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from actors.tracker.revenue.attribution import Attributed, Trace, attribute_marked, traces_of
from actors.tracker.revenue.entries import Entry, Q, Recorded, record
from actors.tracker.revenue.money import Money, money
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Need

__all__ = ["NAME", "NEEDS", "Order", "Page", "Shop", "collect", "earned_by", "is_set", "parse_page"]

NAME: Final = "shopify"
NEEDS: Final = (
    Need(setting="shopify_server", means="The shop's address, such as my-shop.myshopify.com", secret=False),
    Need(
        setting="shopify_client_id", means="Id of the shop's own app, from dev.shopify.com", secret=False, optional=True
    ),
    Need(setting="shopify_client_secret", means="Secret of that app", optional=True),
    Need(setting="shopify_access_token", means="Token of a custom app made before 2026, instead", optional=True),
)
VERSION: Final = "2026-10"
WHAT: Final = "Shopify"
PAGE_SIZE: Final = 50
SEEN_FOR: Final = timedelta(days=60)
"""How far back read_orders shows orders."""
READY_WITHIN: Final = timedelta(days=3)
"""How long an order is waited for whose visits are still being worked out."""
LONGEST_WAIT_S: Final = 30.0
_MEND: Final = "Check SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, and that the app is installed in the shop"
_SHOP: Final = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
_PAID: Final = frozenset({"PAID", "PARTIALLY_REFUNDED", "REFUNDED"})
_STATES: Final = {
    402: ("the shop is frozen", "Pay what it owes"),
    403: ("the app may not read this", "Give it the scope read_orders"),
    404: ("there is no such shop", "Check SHOPIFY_SERVER"),
    423: ("the shop is locked", "Ask Shopify why"),
}
_VISIT: Final = "{landingPage referralCode utmParameters{campaign content medium source}}"
_BAG: Final = "{shopMoney{amount currencyCode}}"
ORDERS: Final = f"""query($after: String, $query: String) {{
  orders(first: {PAGE_SIZE}, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{
      id name createdAt processedAt updatedAt test displayFinancialStatus discountCodes
      totalPriceSet{_BAG} currentTotalPriceSet{_BAG} totalRefundedSet{_BAG} currentTotalTaxSet{_BAG}
      customerJourneySummary{{ready firstVisit{_VISIT} lastVisit{_VISIT}}}
    }}
    pageInfo{{hasNextPage endCursor}}
  }}
}}"""


class Order(Struct, frozen=True, kw_only=True):
    """An order, as far as it is used. What it need not have may be of any type."""

    id: str
    updatedAt: str  # noqa: N815 - as Shopify writes it
    createdAt: str  # noqa: N815
    displayFinancialStatus: str  # noqa: N815
    totalPriceSet: dict[str, Any]  # noqa: N815
    currentTotalPriceSet: dict[str, Any]  # noqa: N815
    totalRefundedSet: Any = None  # noqa: N815
    currentTotalTaxSet: Any = None  # noqa: N815
    processedAt: Any = None  # noqa: N815
    name: Any = None
    test: Any = False
    discountCodes: Any = None  # noqa: N815
    customerJourneySummary: Any = None  # noqa: N815

    @property
    def updated_at(self) -> datetime:
        return _moment(self.updatedAt)

    @property
    def is_ready(self) -> bool:
        """Whether its visits are known, or known to be none."""
        told = self.customerJourneySummary
        return not (isinstance(told, dict) and told.get("ready") is False)


class _Throttle(Struct, frozen=True):
    currentlyAvailable: float  # noqa: N815
    restoreRate: float  # noqa: N815


class _Cost(Struct, frozen=True):
    requestedQueryCost: float  # noqa: N815
    throttleStatus: _Throttle  # noqa: N815


class Page(Struct, frozen=True, kw_only=True):
    """One answer. after: cursor of the next; wait_s: until its points are there."""

    orders: tuple[Order, ...]
    after: str | None
    wait_s: float


def is_set(settings: Settings) -> bool:
    """Tell whether a shop and a way to its token are set."""
    pair = settings.option("shopify_client_id") and settings.option("shopify_client_secret")
    return bool(settings.option("shopify_server") and (settings.option("shopify_access_token") or pair))


def parse_page(answer: Any) -> Page:
    """Read an orders answer. Raises: Retry if it has another shape."""
    found = dig(answer, "data", "orders", what=WHAT)
    orders = read_each(dig(found, "nodes", what=WHAT), Order, what=WHAT)
    for order in orders:
        _moment(order.updatedAt)
    info = dig(found, "pageInfo", what=WHAT)
    after = info.get("endCursor") if isinstance(info, dict) and info.get("hasNextPage") is True else None
    return Page(orders=orders, after=after if isinstance(after, str) else None, wait_s=_wait_s(answer))


def earned_by(order: Order) -> Money | None:
    """Return what an order earned; None: it is not paid, or only a test. Raises: Reject, Retry."""
    if order.test is True:
        return None
    total, code = _amount(order.totalPriceSet)
    if order.displayFinancialStatus not in _PAID:
        return money(Decimal(0), code) if order.displayFinancialStatus == "VOIDED" else None
    refunded = _part(order.totalRefundedSet, code)
    stands = min(_amount(order.currentTotalPriceSet)[0], total - refunded)
    return money(max(stands - _part(order.currentTotalTaxSet, code), Decimal(0)), code)


def _amount(bag: Any) -> tuple[Decimal, str]:
    told = bag.get("shopMoney") if isinstance(bag, dict) else None
    amount, code = (told.get("amount"), told.get("currencyCode")) if isinstance(told, dict) else (None, None)
    try:
        found = Decimal(amount) if isinstance(amount, str) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or not isinstance(code, str):
        raise Retry(f"{WHAT} answered in a shape that is not known here: an amount is no decimal text")
    return found, code


def _part(bag: Any, code: str) -> Decimal:
    """Return a part of the total; null: there is none. Raises: Retry if it is in another currency."""
    if bag is None:
        return Decimal(0)
    found, of = _amount(bag)
    if of != code:
        raise Retry(f"{WHAT} answered in a shape that is not known here: an order in two currencies")
    return found


def _moment(told: str) -> datetime:
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        raise Retry(f"{WHAT} answered in a shape that is not known here: '{told[:40]}' is no time") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _wait_s(answer: Any) -> float:
    """Return how long the points of a page like this one take to come back, seconds; 0 where that is not told."""
    try:
        cost = msgspec.convert(answer["extensions"]["cost"], _Cost)
    except (KeyError, TypeError, msgspec.ValidationError):
        return 0.0
    left, rate = cost.throttleStatus.currentlyAvailable, cost.throttleStatus.restoreRate
    return min(max(math.ceil((cost.requestedQueryCost - left) / rate), 0.0), LONGEST_WAIT_S) if rate > 0 else 0.0


def _fault(answer: Response, now: datetime) -> Exception | None:
    """Read Shopify's refusals, which may come with status 200."""
    if answer.status == 401:
        return TokenRefused(f"{WHAT} answered 401: it does not take the token", mend=_MEND)
    if answer.status in _STATES:
        told, mend = _STATES[answer.status]
        return Reject(f"{WHAT} answered {answer.status}: {told}", mend=mend)
    if answer.status not in {200, 429}:
        return None
    try:
        body = answer.json()
    except Retry:
        return None
    errors = body.get("errors") if isinstance(body, dict) else None
    if not errors:
        return None
    first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {"message": str(errors)}
    more = first.get("extensions")
    code = more.get("code") if isinstance(more, dict) else None
    text = " ".join(str(first.get("message") or "").split())[:200]
    if code == "THROTTLED":
        wait_s = max(_wait_s(body), 1.0)
        return RateLimited(f"{WHAT} has no points left for now", until=now + timedelta(seconds=wait_s))
    if answer.status == 429:
        return None
    if code == "INTERNAL_SERVER_ERROR" or code is None:
        return Retry(f"{WHAT} answered an error: {text}")
    mend = "Give the app the scope read_orders, and access to customers' visits" if code == "ACCESS_DENIED" else ""
    return Reject(f"{WHAT} refused the question ({code}): {text}", mend=mend)


class Shop:
    """The orders of one shop. Raises: Reject if no shop is set."""

    def __init__(self, means: Means) -> None:
        settings = means.settings
        self.name = (settings.option("shopify_server") or "").strip().lower().removeprefix("https://").rstrip("/")
        if self.name and "." not in self.name:
            self.name += ".myshopify.com"
        if not _SHOP.fullmatch(self.name):
            raise Reject(f"SHOPIFY_SERVER '{self.name}' is no shop", mend="Write it as my-shop.myshopify.com")
        self._id, self._secret = settings.option("shopify_client_id"), settings.option("shopify_client_secret")
        self._given = settings.option("shopify_access_token")
        self._api = Api(means, name=NAME, base=f"https://{self.name}", what=WHAT, fault=_fault, mend=_MEND)
        self._clock = means.clock
        self._token = AppToken(means, of=(NAME, self.name, self._id or ""), ask=self._grant)

    async def _grant(self) -> Granted:
        form = {"grant_type": "client_credentials", "client_id": self._id or "", "client_secret": self._secret or ""}
        answer = await self._api.post("/admin/oauth/access_token", data=form)
        return parse_grant(answer, what=WHAT, now=self._clock.now(), mend=_MEND)

    async def page(self, since: datetime, after: str | None) -> Page:
        """Return orders updated since then, the oldest update first. Raises: RateLimited, Retry, Reject."""
        variables = {"after": after, "query": f"updated_at:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"}

        async def ask(token: str) -> Any:
            return await self._api.post(
                f"/admin/api/{VERSION}/graphql.json",
                headers={"X-Shopify-Access-Token": token},
                json={"query": ORDERS, "variables": variables},
            )

        return parse_page(await (ask(self._given) if self._given else self._token.using(ask)))


class _Reading:
    """One pass over the orders that were updated since the last."""

    def __init__(self, services: Services, links: list[AffiliateLink]) -> None:
        self._services = services
        self._links = links
        self.recorded = Recorded()
        self.found = dict.fromkeys(("orders", "attributed", "not_ours", "not_paid", "waiting", "unreadable"), 0)
        self.waits_from: datetime | None = None

    async def take(self, orders: tuple[Order, ...], now: datetime) -> None:
        ours: list[tuple[Order, Money, tuple[Trace, ...]]] = []
        for order in orders:
            self.found["orders"] += 1
            try:
                amount = earned_by(order)
            except (Reject, Retry):
                self.found["unreadable"] += 1
                continue
            if not order.is_ready and now - order.updated_at < READY_WITHIN:
                self.found["waiting"] += 1
                self.waits_from = min(self.waits_from or order.updated_at, order.updated_at)
                continue
            traces = traces_of(msgspec.structs.asdict(order), self._links)
            if amount is None or not traces:
                self.found["not_paid" if amount is None else "not_ours"] += 1
                continue
            ours.append((order, amount, traces))
        markers = {trace.marker for _, _, traces in ours for trace in traces if trace.marker}
        posts = await attribute_marked(self._services.db, markers)
        entries = list(self._entries(ours, posts))
        self.found["attributed"] += len(entries)
        self.found["not_ours"] += len(ours) - len(entries)
        self.recorded += await record(self._services.ledger, entries, now=now)

    def _entries(
        self, ours: list[tuple[Order, Money, tuple[Trace, ...]]], posts: dict[str, Attributed]
    ) -> Iterator[Entry]:
        for order, amount, traces in ours:
            trace = next((one for one in traces if one.marker in posts), None)
            post = posts[trace.marker] if trace is not None and trace.marker else None
            trace = trace or next((one for one in traces if one.code), None)
            if trace is None:
                continue
            told = order.processedAt if isinstance(order.processedAt, str) else order.createdAt
            yield Entry(
                source=NAME,
                key=order.id,
                amount=amount,
                earned_on=_moment(told).date(),
                item_id=post.item_id if post else None,
                post_id=post.post_id if post else None,
                platform=post.platform if post else None,
                account_id=post.account_id if post else None,
                link_code=trace.code,
                attributed_by=trace.by,
                note=f"order {order.name}" if isinstance(order.name, str) else "",
            )


async def collect(services: Services, *, mark: str) -> tuple[str, dict[str, int]]:
    """Read the orders updated since the mark; return the next mark and what was found.

    Each page is recorded before the next is asked for. Raises: RateLimited, Retry, Reject.
    """
    shop, clock = Shop(services.means), services.clock
    links = [into(AffiliateLink, row) for row in await services.db.fetch(Q["all_links"])]
    since = max(_moment(mark) if mark else clock.now() - SEEN_FOR, clock.now() - SEEN_FOR)
    reading, after, newest = _Reading(services, links), None, since
    while True:
        page = await shop.page(since, after)
        await reading.take(page.orders, clock.now())
        newest = max([newest, *(order.updated_at for order in page.orders)])
        if page.after is None or page.after == after:
            break
        after = page.after
        await clock.sleep(page.wait_s)
    until = min(newest, reading.waits_from or newest)
    return until.isoformat(), reading.found
