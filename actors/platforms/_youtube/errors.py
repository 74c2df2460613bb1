"""YouTube's error answers, and when its quota days begin.

Docs: "YouTube Data API - Errors" and "Quota Calculator", developers.google.com/youtube/v3, and the reasons of
`google.rpc.ErrorInfo` in google/api/error_reason.proto, read 2026-11-23. What is wrong with a key or a project stands
in `errors[].reason` in older answers, in `details[].reason` in newer ones, whose first reason is then only `forbidden`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from actors.platforms._posts import as_dict, as_list
from actors.runtime.http import Response, raise_for_status, retry_after
from actors.runtime.oauth import ClientRefused
from contracts.errors import RateLimited, Reject, Retry

__all__ = [
    "MENDS",
    "PERMISSION_REASONS",
    "QuotaSpent",
    "client_refused_in",
    "fault_of",
    "next_quota_day",
    "parse_reason",
    "raise_for_answer",
]

PACIFIC: Final = ZoneInfo("America/Los_Angeles")
SOON: Final = timedelta(seconds=60)
CHANNEL_PAUSE: Final = timedelta(hours=24)

_QUOTA_REASONS: Final = {"quotaExceeded", "dailyLimitExceeded"}
_BUSY_REASONS: Final = {"rateLimitExceeded", "userRateLimitExceeded", "uploadRateLimitExceeded"}
_CLIENT_REASONS: Final = frozenset(
    {
        "keyInvalid",
        "keyExpired",
        "accessNotConfigured",
        "ipRefererBlocked",
        "SERVICE_DISABLED",
        "BILLING_DISABLED",
        "CONSUMER_SUSPENDED",
        "CONSUMER_INVALID",
        "API_KEY_INVALID",
        "API_KEY_SERVICE_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
    }
)
"""Refusals of the project, its key or its client, whoever's channel is asked about."""
PERMISSION_REASONS: Final = {"insufficientPermissions", "youtubeSignupRequired"}
MENDS: Final = {
    "invalidTitle": "Give a title of 1 to 100 characters without < and >",
    "invalidDescription": "Give a description of at most 5000 bytes without < and >",
    "invalidTags": "Give fewer or shorter tags: 500 characters together",
    "invalidPublishAt": "Give a time in the future, and privacy private",
    "forbiddenPrivacySetting": "Choose another privacy; this channel may not use the one asked for",
    "authenticatedUserAccountClosed": "Connect an account that is open",
    "authenticatedUserAccountSuspended": "Ask YouTube about the suspension, or connect another account",
    "authenticatedUserNotChannel": "Make a channel for the account at https://www.youtube.com/create_channel",
    "mediaBodyRequired": "Render the video again",
}


class QuotaSpent(RateLimited):
    """YouTube says that the project's quota of the day is spent, whatever was counted here."""


def parse_reason(answer: Response) -> tuple[str, str]:
    """Return reason and message of an error envelope; empty where the body is none."""
    try:
        error = msgspec.json.decode(answer.body)["error"]
        message = str(error.get("message", ""))
        first = (error.get("errors") or [{}])[0]
        return str(first.get("reason", "")), str(first.get("message") or message)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return "", ""


def client_refused_in(answer: Response) -> str | None:
    """Return the reason if an answer refuses the project, its key or its client; None: it refuses something else."""
    try:
        error = as_dict(as_dict(msgspec.json.decode(answer.body)).get("error"))
    except msgspec.DecodeError:
        return None
    told = map(as_dict, (*as_list(error.get("errors")), *as_list(error.get("details"))))
    reasons = (str(one.get("reason")) for one in told)
    return next((reason for reason in reasons if reason in _CLIENT_REASONS), None)


def next_quota_day(now: datetime) -> datetime:
    """Return the next midnight in Los Angeles, where quota days begin, as UTC."""
    tomorrow = now.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=PACIFIC).astimezone(UTC)


def raise_for_answer(answer: Response, *, what: str, now: datetime) -> None:
    """Raise unless the answer is 2xx, with YouTube's own words: RateLimited, Retry, Reject, of which ClientRefused."""
    if 200 <= answer.status < 300:
        return
    reason, message = parse_reason(answer)
    text = f"{what}: YouTube says {reason or answer.status}: {message}" if message else f"{what}: HTTP {answer.status}"
    if refused := client_refused_in(answer):
        mend = "Check the project of GOOGLE_CLIENT_ID at https://console.cloud.google.com: its APIs and its limits"
        raise ClientRefused(f"{what}: Google refuses this project, not the channel ({refused}: {message})", mend=mend)
    if reason in _QUOTA_REASONS:
        raise QuotaSpent(f"{what}: the API project's quota of the day is spent", until=next_quota_day(now))
    if reason == "uploadLimitExceeded":
        raise RateLimited(f"{what}: the channel's upload limit of the day is reached", until=now + CHANNEL_PAUSE)
    if reason in _BUSY_REASONS:
        raise RateLimited(text, until=retry_after(answer.headers, now=now) or now + SOON)
    if 400 <= answer.status < 500 and answer.status not in {408, 429}:
        raise Reject(text, mend=MENDS.get(reason, ""))
    raise_for_status(answer, what=what, now=now)
    raise Retry(text)


def fault_of(answer: Response, now: datetime) -> RateLimited | Reject | None:
    """Read YouTube's own reason in an error answer to a search; None: the status alone tells."""
    reason, message = parse_reason(answer)
    if answer.status < 400 or not reason:
        return None
    if reason in _QUOTA_REASONS:
        return QuotaSpent("YouTube's search: the API project's quota of the day is spent", until=next_quota_day(now))
    if reason in _BUSY_REASONS:
        until = retry_after(answer.headers, now=now) or now + SOON
        return RateLimited(f"YouTube's search: YouTube says {reason}", until=until)
    if client_refused_in(answer) or "API key" in message:
        mend = "Check YOUTUBE_API_KEY, and that the YouTube Data API v3 is switched on for its project"
        return ClientRefused("YouTube does not take the API key", mend=mend)
    return None
