"""Tokens for applications (client credentials), as platforms of the sandbox give and check them."""

from __future__ import annotations

import re
from typing import Final

from deploy.sandbox.feeds._stage import Stage

__all__ = ["Grants"]

_TOKEN: Final = re.compile(r"sandbox-token-(?P<name>[a-z_]+)-(?P<number>\d+)-(?P<ends>\d+)")


class Grants:
    """One platform's tokens: each says itself when it ends, by the sandbox's clock."""

    def __init__(self, stage: Stage, *, life_s: int) -> None:
        self._stage = stage
        self.life_s = life_s

    def new(self) -> str:
        number = int(self._stage.sandbox.store.add(f"grants:{self._stage.name}", 1))
        return f"sandbox-token-{self._stage.name}-{number}-{int(self._stage.sandbox.now()) + self.life_s}"

    def valid(self, authorization: str, *, scheme: str = "bearer") -> bool:
        """Tell whether the header carries a token that was given here and has not ended."""
        told, _, token = authorization.partition(" ")
        found = _TOKEN.fullmatch(token.strip())
        return (
            told.casefold() == scheme
            and found is not None
            and found["name"] == self._stage.name
            and int(found["number"]) <= self._stage.sandbox.store.counter(f"grants:{self._stage.name}")
            and int(found["ends"]) > self._stage.sandbox.now()
        )
