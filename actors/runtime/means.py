"""What an adapter works with: one argument, made alike in actors, in commands and in tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.runtime.cache import Cache
from actors.runtime.clock import Clock
from actors.runtime.http import Http
from actors.runtime.pace import Pace
from actors.runtime.quota import Quota
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens

__all__ = ["Means"]


@dataclass(frozen=True, kw_only=True)
class Means:
    """Everything outside that an adapter may use."""

    http: Http
    settings: Settings
    tokens: Tokens
    clock: Clock
    quota: Quota
    cache: Cache
    pace: Pace = field(default_factory=lambda: Pace(0, Clock()))
    """How fast uploads may go; shared by all of a process."""
