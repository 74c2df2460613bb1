"""The platforms. One module is one platform; a module that is here is a platform, there is no list.

A module or folder whose name begins with an underscore belongs to one or several of them and is none itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from actors.runtime.means import Means
from actors.runtime.slots import PostsPerDay
from contracts.errors import Reject
from contracts.platform import Caps, Limits, Need

if TYPE_CHECKING:
    from actors.runtime.settings import Settings
    from actors.runtime.work import Services

__all__ = ["PlatformModule", "build", "lacking", "module", "names", "needs_of", "posts_per_day"]


class PlatformModule(Protocol):
    """What every platform module has."""

    NAME: str
    CAPS: Caps
    LIMITS: Limits

    def ADAPTER(self, means: Means) -> Any:  # noqa: N802 - a class
        """Make the adapter; it has the methods that `CAPS` promise."""
        ...


@cache
def names() -> tuple[str, ...]:
    """Return the name of every platform, in alphabetical order."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_")))


def module(name: str) -> PlatformModule:
    """Return the module of platform `name`. Raises: Reject, listing the known ones."""
    if name not in names():
        raise Reject(f"there is no platform '{name}'", mend=f"known: {', '.join(names())}")
    return cast("PlatformModule", importlib.import_module(f"{__name__}.{name}"))


def build(name: str, services: Services) -> Any:
    """Make the adapter of platform `name`. Raises: Reject, listing the known ones."""
    return module(name).ADAPTER(services.means)


def needs_of(name: str) -> tuple[Need, ...]:
    """Return the settings that platform `name` declares as `NEEDS`; none is the usual case."""
    return tuple(getattr(module(name), "NEEDS", ()))


def lacking(name: str, settings: Settings) -> tuple[Need, ...]:
    """Return the settings that platform `name` cannot discover without and that are not set.

    A platform that can be asked in more than one way says it itself, with a function `lacking`.
    """
    own: Callable[[Settings], tuple[Need, ...]] | None = getattr(module(name), "lacking", None)
    if own is not None:
        return own(settings)
    return tuple(need for need in needs_of(name) if not need.optional and not settings.option(need.setting))


def posts_per_day(name: str, settings: Settings) -> PostsPerDay:
    """Return the most posts of a day on platform `name`.

    Where one project's uploads are limited as well, the module says it with a function `uploads_per_day`.
    """
    per_project: Callable[[Settings], int] | None = getattr(module(name), "uploads_per_day", None)
    return PostsPerDay(
        account=module(name).LIMITS.posts_per_day, project=None if per_project is None else per_project(settings)
    )
