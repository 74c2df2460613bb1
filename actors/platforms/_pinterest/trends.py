"""Pinterest's trends: keywords that rise in its search.

Docs: developers.pinterest.com/docs/api/v5/trending_keywords-list, OpenAPI 5.23.0, read 2026-11-23.
Auth: a user token with user_accounts:read, pasted or of a connected account.
Limits: per-category rates of the app, told by 429 alone; 50 keywords an answer. Units: growth in whole percent of
search volume, at most 10000 either way, 10001 for more; `time_series` is normalised to 0..100 for each keyword by
itself, so it is no volume.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from actors.platforms._api import Api, dig, mark_of, read_each
from actors.platforms._text import clean
from actors.runtime.http import Response, retry_after
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from actors.runtime.tokens import Tokens
from contracts.errors import AuthExpired, RateLimited, Reject
from contracts.ids import AccountId
from contracts.platform import Need, Topic

__all__ = ["BASE_URL", "NAME", "REGION", "REGIONS", "TOKEN", "Trends", "parse_trends", "region_for"]

NAME: Final = "pinterest"
PAGE_SIZE: Final = 50
TOKEN: Final = Need(
    setting="pinterest_access_token",
    means="Token of a Pinterest business account with user_accounts:read, from an app at developers.pinterest.com",
)
REGION: Final = Need(
    setting="pinterest_region",
    means="Region of the trends where none is asked for, as US or DE+AT+CH; unset: US",
    secret=False,
    optional=True,
)

BASE_URL: Final = "https://api.pinterest.com/v5"
REGIONS: Final = (
    "US", "CA", "DE", "FR", "ES", "IT", "AR", "BR", "CO", "MX", "DE+AT+CH", "GB+IE", "AU+NZ", "NL+BE+LU",
    "SE+DK+FI+NO", "IT+ES+PT+GR+MT", "PL+RO+HU+SK+CZ", "MX+AR+CO+CL",
)  # fmt: skip
"""What the API knows. A country that is none by itself is asked for as part of its group."""
USUAL_REGION: Final = "US"
MOST_PERCENT: Final = 10_000
BUSY: Final = timedelta(seconds=60)
FRESH_S: Final = 3600.0


class Keyword(Struct, frozen=True, kw_only=True):
    """One keyword of an answer. pct_growth_wow: percent."""

    keyword: Annotated[str, Meta(min_length=1)]
    pct_growth_wow: int | None = None


def region_for(country: str) -> str:
    """Return the API's region for a country, or for a region as the API writes it. Raises: Reject."""
    wanted = country.strip().upper()
    found = next((region for region in REGIONS if region == wanted), None) or next(
        (region for region in REGIONS if wanted in region.split("+")), None
    )
    if found is None:
        raise Reject(f"Pinterest has no trends for '{wanted}'", mend=f"Its regions are {', '.join(REGIONS)}")
    return found


def parse_trends(answer: Any, *, region: str, at: datetime) -> tuple[Topic, ...]:
    """Read an answer, in its order. Raises: Retry on an unknown shape."""
    keywords = read_each(dig(answer, "trends", what="Pinterest"), Keyword, what="Pinterest's trends")
    return tuple(
        Topic(platform=NAME, name=name, region=region, growth=_growth(one.pct_growth_wow), observed_at=at)
        for one in keywords
        if (name := clean(one.keyword, max_chars=200))
    )


def _growth(percent: int | None) -> float | None:
    """Return a ratio; what the API cuts off ("more than 10000 %") stays at the bound that it names."""
    return None if percent is None else min(percent, MOST_PERCENT) / 100


def _fault(answer: Response, now: datetime) -> Exception | None:
    """Read `{"code", "message"}`; None: the status says enough."""
    if answer.status < 400 or answer.status >= 500:
        return None
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        body = None
    told = clean(str(body.get("message") or ""), max_chars=200).rstrip(".") if isinstance(body, dict) else ""
    text = f"Pinterest answered {answer.status}{f': {told}' if told else ''}"
    if answer.status == 429:
        return RateLimited(text, until=retry_after(answer.headers, now=now) or now + BUSY)
    if answer.status == 401:
        return TokenRefused(text, mend=f"Renew the token in {TOKEN.setting.upper()}: it lives 30 days")
    if answer.status == 403:
        return Reject(text, mend="The token needs user_accounts:read, and the app access to trends")
    return None


class TokenRefused(Reject):
    """The token is not accepted."""


class Trends:
    """Names the keywords that grow. client: how accounts are connected, for where no token is pasted."""

    def __init__(self, means: Means, client: OAuthClient) -> None:
        self._settings = means.settings
        self._tokens: Tokens | None = means.tokens
        self._client = client
        self._api = Api(means, name=NAME, base=BASE_URL, what="Pinterest", fault=_fault)

    async def trends(self, *, region: str | None, limit: int) -> tuple[Topic, ...]:
        """Return at most `limit` keywords, the strongest first; without a region those of the setting.

        Raises: Retry, RateLimited, AuthExpired, Reject (also for a region that Pinterest does not have).
        """
        wanted = region or self._settings.option(REGION.setting) or USUAL_REGION
        known = region_for(wanted)
        if pasted := self._settings.option(TOKEN.setting):
            return (await self._top(known, wanted, pasted))[:limit]
        tokens, account = self._tokens, await self._account()
        if tokens is None or account is None:
            raise Reject(
                f"{TOKEN.setting.upper()} is not set, and no Pinterest account is connected",
                mend=f"Connect an account, or set it: {TOKEN.means}",
            )
        token = await tokens.access_token(account, self._client)
        try:
            return (await self._top(known, wanted, token))[:limit]
        except TokenRefused:
            await tokens.refused(account, token)
        token = await tokens.access_token(account, self._client)
        try:
            return (await self._top(known, wanted, token))[:limit]
        except TokenRefused as refused:
            await tokens.lost(account, token, refused.reason)
            raise AuthExpired(account, refused.reason) from refused

    async def _account(self) -> AccountId | None:
        """Return the account that was connected first and may be asked with; None: there is none."""
        accounts = await self._tokens.accounts(NAME) if self._tokens is not None else ()
        return next((one.account_id for one in accounts if "user_accounts:read" in one.scopes), None)

    async def _top(self, region: str, wanted: str, token: str) -> tuple[Topic, ...]:
        return await self._api.read_json(
            f"/trends/keywords/{quote(region, safe='')}/top/growing",
            lambda answer, at: parse_trends(answer, region=wanted.strip().upper(), at=at),
            params={"limit": str(PAGE_SIZE)},
            headers={"Authorization": f"Bearer {token}"},
            fresh_s=FRESH_S,
            keyed_by=mark_of(token),
        )
