"""How work can fail. The class says what happens next; the text says what is wrong and what to do.

Adapters translate library errors into these at the boundary; `actors.runtime.outcome` turns them into
ack, nak or term. Anything else that is raised is a bug: retried a few times, then a dead letter.
"""

from __future__ import annotations

from datetime import datetime

__all__ = [
    "AuthExpired",
    "EttamettaError",
    "LeaseLost",
    "RateLimited",
    "Reject",
    "Retry",
    "Snooze",
    "Unconfirmed",
]


class EttamettaError(Exception):
    """Base of every failure that has a name."""


class Retry(EttamettaError):
    """The same work may succeed later. Spends one attempt.

    Args: reason: for people; delay_s: least time to wait, seconds (None: the backoff decides).
    """

    def __init__(self, reason: str, *, delay_s: float | None = None) -> None:
        super().__init__(reason)
        self.delay_s = delay_s


class Snooze(EttamettaError):
    """Nothing failed, it is only too early (another replica holds the lease, say). Spends no attempt."""

    def __init__(self, reason: str, *, delay_s: float) -> None:
        super().__init__(reason)
        self.delay_s = delay_s


class RateLimited(EttamettaError):
    """The platform said when to come back (aware UTC). Spends no attempt."""

    def __init__(self, reason: str, *, until: datetime) -> None:
        super().__init__(reason)
        self.until = until


class AuthExpired(EttamettaError):
    """An account's permission is gone; a person must connect it again."""

    def __init__(self, account: str, reason: str) -> None:
        super().__init__(f"{account}: {reason}")
        self.account = account
        self.reason = reason


class Reject(EttamettaError):
    """This input can never succeed. Recorded with its reason and ended.

    Args: reason: what is wrong; mend: what a person can do about it.
    """

    def __init__(self, reason: str, *, mend: str = "") -> None:
        super().__init__(f"{reason.rstrip('.')}. {mend}" if mend else reason)
        self.reason = reason
        self.mend = mend


class Unconfirmed(EttamettaError):
    """An outside effect may or may not have happened and asking did not tell. Never silently retried."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class LeaseLost(EttamettaError):
    """Another holder took the lease with a newer fence; what this one did is thrown away."""
