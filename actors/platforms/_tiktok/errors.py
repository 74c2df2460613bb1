"""TikTok's errors: envelopes of data endpoints, flat ones of the token endpoint, reasons of failed uploads.

Docs: developers.tiktok.com/doc: tiktok-api-v2-error-handling, oauth-error-handling, content-posting-api-reference:
direct-post, upload-video, get-video-status, query-creator-info, read 2026-11-23.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.platforms._account import Denied
from actors.platforms._app_token import TokenRefused
from actors.platforms._text import clean
from actors.runtime.http import Response, retry_after
from actors.runtime.quota import Bucket, window_of
from contracts.errors import RateLimited, Reject, Retry

__all__ = ["FAILURES", "RESEARCHES", "Failure", "code_of", "denied_of", "fault_of", "post_fault_of"]

RESEARCHES: Final = Bucket(name="research", limit=1_000)
BUSY: Final = timedelta(seconds=60)
CAP_PAUSE: Final = timedelta(hours=3)
"""After a cap of 24 hours: nobody tells when its oldest post leaves the window, so it is asked again now and then."""
_AWAY: Final = frozenset({"server_error", "temporarily_unavailable"})
_SCOPES: Final = frozenset({"scope_not_authorized", "scope_permission_missed"})
_CAPS: Final = {
    "spam_risk_too_many_posts": "the account's posts of 24 hours through apps are used up",
    "reached_active_user_cap": "the app's accounts of 24 hours are used up",
    "spam_risk_too_many_pending_share": "five drafts wait in the inbox: post or delete them in the TikTok app",
}
_MENDS: Final = {
    "spam_risk_user_banned_from_posting": "Ask TikTok about the ban, in the app, or connect another account",
    "unaudited_client_can_only_post_to_private_accounts": "Until TikTok has audited the app: make the account private "
    "in the TikTok app and use privacy private, or use the option mode=inbox",
    "privacy_level_option_mismatch": "Choose a privacy that the account allows",
    "url_ownership_unverified": "Verify the address at developers.tiktok.com, or let the file be uploaded",
    "app_version_check_failed": "Update the TikTok app on the phone",
    "invalid_file_upload": "Render the video again: MP4 with H.264, 23 to 60 frames a second, at most 4 GB",
}
_GRANT: Final = "Connect the account again and leave all permissions ticked"
_FILE: Final = "Render the video again: MP4 with H.264, 23 to 60 frames a second, sides of 360 to 4096 px"


class Failure(Struct, frozen=True):
    """Why an upload failed. then: what comes next; mend: what a person does."""

    then: str
    mend: str


FAILURES: Final = {
    "file_format_check_failed": Failure("reject", _FILE),
    "duration_check_failed": Failure("reject", "Cut the video to the length that the account may post"),
    "frame_rate_check_failed": Failure("reject", _FILE),
    "picture_size_check_failed": Failure("reject", _FILE),
    "internal": Failure("anew", ""),
    "video_pull_failed": Failure("anew", ""),
    "photo_pull_failed": Failure("anew", ""),
    "publish_cancelled": Failure("reject", "Ask for the post again if it is still wanted"),
    "auth_removed": Failure("reject", "Connect the account again: it withdrew the permission during the upload"),
    "spam_risk_too_many_posts": Failure("later", ""),
    "spam_risk_user_banned_from_posting": Failure("reject", _MENDS["spam_risk_user_banned_from_posting"]),
    "spam_risk_text": Failure("reject", "Change the caption: TikTok takes it for spam"),
    "spam_risk": Failure("reject", "TikTok takes the post for spam: look into the account's notices in the app"),
}
"""`fail_reason` of status/fetch; reject: never again as it is, anew: a new upload may do, later: on another day."""


def code_of(answer: Response) -> tuple[str, str]:
    """Return code and message of a data endpoint's envelope, whatever the status; empty where there is none."""
    error = _error(answer)
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return "", ""
    return error["code"][:100], clean(str(error.get("message") or ""), max_chars=200).rstrip(".")


def denied_of(answer: Response) -> Denied | None:
    """Read that the token is not accepted."""
    code, told = code_of(answer)
    if code == "access_token_invalid" or (answer.status == 401 and code not in _SCOPES):
        return Denied(because=_text(code or str(answer.status), told))
    return None


def post_fault_of(answer: Response, now: datetime) -> Exception | None:
    """Read the envelope of calls in the name of an account; refusals of creator_info come with status 200."""
    code, told = code_of(answer)
    if not code or (code == "ok" and answer.status < 400):
        return None
    text = _text(code, told)
    if code in _CAPS:
        return RateLimited(f"{text}: {_CAPS[code]}", until=retry_after(answer.headers, now=now) or now + CAP_PAUSE)
    if code == "rate_limit_exceeded" or answer.status == 429:
        return RateLimited(text, until=retry_after(answer.headers, now=now) or now + BUSY)
    if code in _SCOPES:
        return Reject(text, mend=_GRANT)
    if code == "internal_error" or answer.status >= 500:
        return Retry(text)
    return Reject(text, mend=_MENDS.get(code, ""))


def fault_of(answer: Response, now: datetime, *, mend: str = "") -> Exception | None:
    """Read the envelope of calls with a set token, and the flat errors of the token endpoint, whatever the status."""
    error = _error(answer)
    if isinstance(error, str) and answer.status != 429 and answer.status < 500:
        body = msgspec.json.decode(answer.body)
        told = clean(str(body.get("error_description") or ""), max_chars=200).rstrip(".")
        text = f"TikTok gives no token: {error[:100]}{f': {told}' if told else ''}"
        return Retry(text) if error in _AWAY else Reject(text, mend=mend)
    code, told = code_of(answer)
    if not code or (code == "ok" and answer.status < 400):
        return None
    text = _text(code, told)
    if code == "daily_quota_limit_exceeded":
        return RateLimited(text, until=window_of(RESEARCHES, now)[1])
    if code == "rate_limit_exceeded" or answer.status == 429:
        return RateLimited(text, until=retry_after(answer.headers, now=now) or now + BUSY)
    if code == "access_token_invalid":
        return TokenRefused(text, mend=mend)
    if code in _SCOPES:
        return Reject(text, mend="The token needs video.list, and for research research.data.basic")
    if code == "internal_error" or answer.status >= 500:
        return Retry(text)
    return Reject(text, mend=mend if answer.status in {401, 403} else "")


def _error(answer: Response) -> Any:
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return None
    return body.get("error") if isinstance(body, dict) else None


def _text(code: str, told: str) -> str:
    return f"TikTok answered {code}{f': {told}' if told else ''}"
