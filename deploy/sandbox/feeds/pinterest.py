"""Pinterest as the sandbox plays it: consent and trending keywords here, boards and pins in _pinterest_pins.

Docs: developers.pinterest.com/docs/api/v5/trending_keywords-list, OpenAPI 5.23.0.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._consent import Consent, Style
from deploy.sandbox.feeds._pinterest_pins import PinterestPins
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS = {
    "pinterest_access_token": "sandbox-pinterest",
    "pinterest_client_id": "sandbox-pinterest-client",
    "pinterest_client_secret": "sandbox-pinterest-word",
}
SCOPES = {
    "boards:read": "See your boards",
    "boards:write": "Change your boards",
    "pins:read": "See your pins",
    "pins:write": "Make pins for you",
    "user_accounts:read": "See your account",
}

REGIONS = {
    "AR", "AU+NZ", "BR", "CA", "CO", "DE", "DE+AT+CH", "ES", "FR", "GB+IE", "IT", "IT+ES+PT+GR+MT", "MX",
    "MX+AR+CO+CL", "NL+BE+LU", "PL+RO+HU+SK+CZ", "SE+DK+FI+NO", "US",
}  # fmt: skip
KINDS = {"growing", "monthly", "yearly", "seasonal"}
MORE_THAN_TELLABLE = 10_001
CALLS_A_MINUTE = 100
_WORDS = {
    400: (1, "Invalid trending keywords request parameters"),
    401: (2, "Authentication failed."),
    403: (29, "You are not permitted to access that resource."),
    429: (8, "This request exceeded a rate limit. Please wait and retry."),
}


def refusal(status: int, reason: str) -> web.Response:
    code, words = _WORDS.get(status, (12, "Something went wrong on our end. Sorry about that."))
    return web.json_response({"code": code, "message": reason or words}, status=status)


def token_refusal(status: int, reason: str = "") -> web.Response:
    """Write an error of the token endpoint, which has numbers of its own."""
    codes = {"invalid_grant": (283, "The authorization grant is invalid."), "invalid_client": (2, _WORDS[401][1])}
    code, words = codes.get(reason, _WORDS.get(status, (1, "Invalid request.")))
    return web.json_response({"code": code, "message": words}, status=status)


class Pinterest:
    """The trends of every region; all have the same ones."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        Consent(
            stage,
            Style(
                title="Pinterest",
                authorize="/oauth/",
                token="/oauth/token",  # noqa: S106 - a path
                client_id=CREDENTIALS["pinterest_client_id"],
                client_secret=CREDENTIALS["pinterest_client_secret"],
                authentication="basic",
                scopes=SCOPES,
                separator=",",
                pkce="none",
                refusal=token_refusal,
            ),
        )
        self._pins = PinterestPins(stage, refusal=refusal)
        path = "/trends/keywords/{region}/top/{kind}"
        stage.get(path, "search", self._top, refusal=refusal)

    async def _top(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {CREDENTIALS['pinterest_access_token']}":
            self._pins.asker(request, "user_accounts:read")
        left, _ = self._stage.take("trends", limit=CALLS_A_MINUTE, window_s=60)
        if left < 0:
            raise Refused(refusal(429, ""))
        limit = request.query.get("limit", "50")
        good = limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 50
        if request.match_info["region"] not in REGIONS or request.match_info["kind"] not in KINDS or not good:
            raise Refused(refusal(400, ""))
        works = sorted(self._stage.catalogue.search("sandbox"), key=lambda work: (-self._growth(work, 7), work.id))
        return web.json_response({"trends": [self._keyword(work) for work in works[: int(limit)]]})

    def _keyword(self, work: Listed) -> dict[str, Any]:
        today = datetime.fromtimestamp(self._stage.sandbox.now(), UTC).date()
        weeks = {f"{today - timedelta(weeks=back)}": self._share(work, 7.0 * back) for back in range(51, -1, -1)}
        top = max(weeks.values()) or 1.0
        return {
            "keyword": work.title.lower().rstrip("?"),
            "pct_growth_wow": self._growth(work, 7),
            "pct_growth_mom": self._growth(work, 30),
            "pct_growth_yoy": self._growth(work, 365),
            "time_series": {day: round(100 * share / top) for day, share in weeks.items()},
        }

    def _share(self, work: Listed, days_ago: float) -> float:
        """Return the part of all its views that a work had so long ago."""
        now = self._stage.sandbox.now()
        days = max(0.0, (now - self._stage.catalogue.published_s(work)) / 86_400.0 - days_ago)
        return 1 - math.pow(0.5, days / work.halves_days)

    def _growth(self, work: Listed, days: int) -> int:
        before = self._share(work, days)
        return round((self._share(work, 0.0) / before - 1) * 100) if before > 0 else MORE_THAN_TELLABLE


FEED = Pinterest
