"""A video pin: its body, how it is known again on its board, its counts and Pinterest's errors.

Docs: developers.pinterest.com/docs/api/v5: pins-create, boards-list_pins, pins-analytics, OpenAPI 5.23.0, read
2026-11-23. Analytics reach back 90 days and want both dates; comments and reactions are told for the whole life alone.
The description names no unit of watch times. `created_at` is UTC without saying so.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec

from actors.platforms._api import absent, count
from actors.platforms._posts import as_dict, web_address
from actors.platforms._text import clean, parse_moment
from actors.runtime.http import Response, retry_after
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Draft, PostMetrics, RemotePost

__all__ = [
    "DESCRIPTION_CHARS",
    "METRICS",
    "TITLE_CHARS",
    "body_of",
    "described",
    "fault",
    "is_it",
    "parse_metrics",
    "parse_pin",
    "window_of",
]

TITLE_CHARS: Final = 100
DESCRIPTION_CHARS: Final = 800
BUSY: Final = timedelta(seconds=60)
BACK: Final = timedelta(days=89)
METRICS: Final = (
    "IMPRESSION", "OUTBOUND_CLICK", "SAVE", "TOTAL_COMMENTS", "TOTAL_REACTIONS", "USER_FOLLOW", "VIDEO_MRC_VIEW",
)  # fmt: skip
_NAMES: Final = {
    "views": "VIDEO_MRC_VIEW",
    "likes": "TOTAL_REACTIONS",
    "comments": "TOTAL_COMMENTS",
    "saves": "SAVE",
    "impressions": "IMPRESSION",
    "clicks": "OUTBOUND_CLICK",
    "followers": "USER_FOLLOW",
}
_LIFETIME: Final = {"impressions": "impression", "clicks": "clickthrough", "likes": "reaction", "comments": "comment"}
"""Counts of the whole life of a pin, as `pin_metrics` calls them."""
_UNTOLD: Final = {
    "shares": "Pinterest does not count shares; saves are told apart",
    "reach": "Pinterest does not tell different people of one pin",
    "watched_us": "Pinterest's description names no unit of its watch times",
    "average_watched_us": "Pinterest's description names no unit of its watch times",
    "retention": "Pinterest gives no curve",
}


def described(draft: Draft) -> str:
    """Return the description with the hashtags, as far as these fit."""
    tags = " ".join(f"#{''.join(tag.split())}" for tag in draft.tags)
    whole = f"{draft.description}\n\n{tags}".strip()
    return whole if tags and len(whole) <= DESCRIPTION_CHARS else draft.description


def body_of(draft: Draft, *, board: str, media_id: str) -> dict[str, Any]:
    """Return the body of POST /pins. Raises: Reject if an option cannot be read."""
    source = {"source_type": "video_id", "media_id": media_id, "cover_image_key_frame_time": _cover_s(draft)}
    body: dict[str, Any] = {"board_id": board, "title": draft.title, "media_source": source}
    if words := described(draft):
        body["description"] = words
    if section := draft.options.get("board_section_id"):
        body["board_section_id"] = section
    if link := draft.options.get("link"):
        if web_address(link) is None:
            raise Reject("the option link is no web address", mend="Give one of http or https, or leave it out")
        body["link"] = link
    return body


def _cover_s(draft: Draft) -> float:
    """Return the time of the frame that covers the pin, seconds: the option `cover_at_s`, else an early one."""
    told = draft.options.get("cover_at_s")
    length_s = None if draft.probe is None else draft.probe.duration_us / 1_000_000
    try:
        at = round(min(1.0, (length_s or 0.0) / 2) if told is None else float(told), 3)
    except ValueError:
        at = -1.0
    if not 0 <= at <= (length_s or 86_400.0):
        raise Reject(f"the option cover_at_s is {told}", mend="Give seconds within the video")
    return at


def parse_pin(pin: Any) -> RemotePost:
    """Read a pin that was made or found. Raises: Retry if it has no id."""
    told = as_dict(pin)
    name = told.get("id")
    if not isinstance(name, str) or not name.isalnum():
        raise Retry("Pinterest answered without a pin's id")
    page = f"https://www.pinterest.com/pin/{name}/"
    return RemotePost(platform_post_id=name, url=page, published_at=parse_moment(told.get("created_at")))


def is_it(pin: Any, draft: Draft, *, since: datetime | None) -> bool:
    """Say whether `pin` is the one that was sent: the same title and description, and no older than `since`."""
    told = as_dict(pin)
    made = parse_moment(told.get("created_at"))
    if since is not None and (made is None or made < since):
        return False
    return _same(told.get("title"), draft.title) and _same(told.get("description"), described(draft))


def _same(told: Any, sent: str) -> bool:
    return (told if isinstance(told, str) else "").split() == sent.split()


def window_of(pin: dict[str, Any], today: date) -> tuple[date, bool]:
    """Return the first day to ask analytics for, and whether a pin's whole life lies after it."""
    made = parse_moment(pin.get("created_at"))
    earliest = today - BACK
    return (earliest, False) if made is None or made.date() < earliest else (made.date(), True)


def parse_metrics(pin: dict[str, Any], analytics: Any, *, whole: bool, because: str = "") -> PostMetrics:
    """Read a pin's counts. whole: the analytics cover its life; because: why there are no analytics."""
    every = as_dict(as_dict(analytics).get("all"))
    summary, lifetime = as_dict(every.get("summary_metrics")), as_dict(every.get("lifetime_metrics"))
    ever = as_dict(as_dict(pin.get("pin_metrics")).get("lifetime_metrics"))
    found: dict[str, int | None] = {}
    for name, wanted in _NAMES.items():
        told = _whole(ever.get(_LIFETIME.get(name, "")))
        told = _whole(lifetime.get(wanted)) if told is None else told
        found[name] = _whole(summary.get(wanted)) if told is None and whole else told
    late = "Pinterest tells the last 90 days alone, and the pin is older"
    why = dict.fromkeys(_NAMES, because or ("the answer has no such count" if whole else late)) | _UNTOLD
    return PostMetrics(**found, absent=absent({name: found.get(name) for name in (*_NAMES, *_UNTOLD)}, why))  # type: ignore[arg-type]  # only counts


def _whole(told: Any) -> int | None:
    """Return a count, which Pinterest may write with a decimal point."""
    return count(int(told)) if isinstance(told, float) and told.is_integer() else count(told)


def fault(answer: Response, now: datetime) -> Exception | None:
    """Read `{"code", "message"}` of what is asked in the name of an account; None: the status says enough."""
    if answer.status < 400 or answer.status >= 500 or answer.status == 408:
        return None
    try:
        told = as_dict(msgspec.json.decode(answer.body))
    except msgspec.DecodeError:
        told = {}
    words = clean(str(told.get("message") or ""), max_chars=200).rstrip(".")
    text = f"Pinterest answered {answer.status}{f': {words}' if words else ''}"
    if answer.status == 429:
        return RateLimited(text, until=retry_after(answer.headers, now=now) or now + BUSY)
    if answer.status == 403:
        return Reject(text, mend="Check that the board is the account's, and what access Pinterest gave the app")
    return Reject(text)
