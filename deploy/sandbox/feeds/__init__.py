"""Platforms that are only read: one module imitates one, below `/at/<name>`; there is no list of them.

A module has `CREDENTIALS` (the settings that its imitation accepts) and `FEED`, made with a `Stage`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any, Protocol, cast

from deploy.sandbox.feeds._stage import Stage

__all__ = ["FeedModule", "module", "names", "path_of"]


class FeedModule(Protocol):
    """What every module here has."""

    CREDENTIALS: dict[str, str]

    def FEED(self, stage: Stage) -> Any:  # noqa: N802 - a class
        """Make the imitation and give it its routes."""
        ...


@cache
def names() -> tuple[str, ...]:
    """Return the name of every imitated platform, in alphabetical order."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_")))


def module(name: str) -> FeedModule:
    return cast("FeedModule", importlib.import_module(f"{__name__}.{name}"))


def path_of(name: str) -> str:
    """Return the path below which platform `name` is imitated."""
    return f"/at/{name}"
