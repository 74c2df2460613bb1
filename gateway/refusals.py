"""What a person is told when an account was not connected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.runtime.oauth import GrantGone, OAuthClient
from actors.runtime.tokens import Way
from contracts.errors import Reject, Retry
from gateway.web import Problem

__all__ = ["again", "not_exchanged", "refused", "sentence", "without"]

MOST_WORDS: Final = 300
DENIED: Final = frozenset({"access_denied", "user_cancelled_login", "user_cancelled_authorize"})
"""What platforms say when the person said no; the last two are LinkedIn's."""
AWAY: Final = frozenset({"server_error", "temporarily_unavailable"})


def again(client: Way) -> tuple[str, str]:
    """Return the next step: its label and its address."""
    return f"Connect {client.title} again", f"/connect/{client.name}"


def refused(client: OAuthClient, error: str, description: str) -> Problem:
    """Tell of the error that the platform put into the address. Source: RFC 6749, section 4.1.2.1."""
    told = f"{error} ({description})" if description else error
    words = f"{client.title} says: {' '.join(told.split())[:MOST_WORDS]}."
    if error in DENIED:
        return Problem(
            403,
            "Permission was not given",
            detail=words,
            mend="Nothing was connected. Begin again whenever you want to.",
            action=again(client),
        )
    away = error in AWAY
    return Problem(
        502 if away else 400,
        f"{client.title} could not finish the authorisation",
        detail=words,
        mend="Nothing was connected. Try again in a while."
        if away
        else "Nothing was connected. Check the OAuth client's settings there, then begin again.",
        action=again(client),
    )


def not_exchanged(client: OAuthClient, error: GrantGone | Reject | Retry) -> Problem:
    """Tell of a code that gave no tokens: refused, or the platform is out of order."""
    what = "did not accept the authorisation"
    mend = "Begin again; if it happens again, check the client's id and secret."
    if isinstance(error, Reject):
        mend = "Begin again once that is corrected."
    elif isinstance(error, Retry):
        what, mend = "could not finish the authorisation", "Try again in a while."
    return Problem(
        502,
        f"{client.title} {what}",
        detail=sentence(str(error)),
        mend=f"Nothing was connected. {mend}",
        action=again(client),
    )


def sentence(text: str) -> str:
    """End with a full stop."""
    return text if text.endswith(".") else f"{text}."


def without(text: str, hidden: Sequence[str]) -> str:
    """Leave out what a person typed in secret, or a token."""
    for secret in hidden:
        text = text.replace(secret, "…") if secret else text
    return text
