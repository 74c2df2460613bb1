"""Which platforms a scan asks, and why it leaves others out.

A source is a platform, or a part of one that its module names in `SOURCES`, as `youtube:shorts`. A module that has
`RATION` (settings -> Bucket) names the quota that scans on a schedule share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, cast

from msgspec import Struct

from actors import platforms
from actors.runtime.log import get_logger
from actors.runtime.quota import Bucket
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from contracts.errors import Reject
from contracts.platform import Caps, Discovers

__all__ = ["Chosen", "caps_of", "choose", "discoverer", "page_size_of", "platform_of", "ration_of", "sources"]


class Chosen(Struct, frozen=True, kw_only=True):
    """What a scan asks. fallback: asked only where a quota is spent; skipped: reason, by platform."""

    asked: tuple[str, ...]
    fallback: tuple[str, ...] = ()
    skipped: dict[str, str] = {}


def sources() -> tuple[str, ...]:
    """Return everything that can be scanned by name, in alphabetical order."""
    able = [name for name in platforms.names() if (caps := caps_of(name)) is not None and caps.discover]
    return tuple(source for name in able for source in (name, *(f"{name}:{part}" for part in _parts_of(name))))


def platform_of(source: str) -> str:
    """Return the platform that a source belongs to."""
    return source.partition(":")[0]


def choose(wanted: str | None, settings: Settings, *, connected: Collection[str] = ()) -> Chosen:
    """Choose the sources of a scan.

    Args: wanted: names of sources, commas between them; None: every platform whose needs are met.
    connected: platforms with a connected account.
    Raises: Reject, naming what can be scanned.
    """
    if wanted is not None:
        names = tuple(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
        for name in names or ("",):
            _check(name)
        return Chosen(asked=_together(names))
    asked, fallback, skipped = [], [], {}
    for name in platforms.names():
        caps = caps_of(name)
        if caps is None:
            skipped[name] = "its file cannot be loaded; the log has the trace"
            continue
        if not caps.discover:
            continue
        lacking = () if caps.through_account and name in connected else platforms.lacking(name, settings)
        if lacking:
            unset = " and ".join(need.setting.upper() for need in lacking)
            skipped[name] = f"{unset} {'is' if len(lacking) == 1 else 'are'} not set"
        elif caps.account and name not in connected:
            skipped[name] = "no account is connected"
        elif caps.by_name_only:
            skipped[name] = f"it is asked only when it is named: --platform {name}"
        elif caps.fallback:
            fallback.append(name)
            skipped[name] = "it is asked only where the quota of another is spent"
        else:
            asked.append(name)
    return Chosen(asked=tuple(asked), fallback=tuple(fallback), skipped=skipped)


def discoverer(source: str, services: Services) -> Discovers:
    """Return what discovers in a source."""
    name, _, part = source.partition(":")
    adapter = platforms.build(name, services)
    return cast("Discovers", adapter.source(part) if part else adapter)


def ration_of(source: str, settings: Settings) -> Bucket | None:
    """Return the quota that scheduled scans of a source share; None: there is none that must last for a day."""
    found: Any = getattr(platforms.module(platform_of(source)), "RATION", None)
    return None if found is None else cast("Bucket", found(settings))


def page_size_of(source: str) -> int | None:
    """Return how many results one call gives; None: it is not stated."""
    return platforms.module(platform_of(source)).LIMITS.page_size


def _together(names: tuple[str, ...]) -> tuple[str, ...]:
    """Put a platform for all of its parts, and for parts beside it: one request gives both."""
    whole = {
        name
        for name in {platform_of(source) for source in names}
        if name in names or (_parts_of(name) and all(f"{name}:{part}" in names for part in _parts_of(name)))
    }
    found = (platform_of(source) if platform_of(source) in whole else source for source in names)
    return tuple(dict.fromkeys(found))


def caps_of(name: str) -> Caps | None:
    """Return what a platform can do; None: its file is broken, which must not stop the others."""
    try:
        return platforms.module(name).CAPS
    except Exception as error:  # noqa: BLE001 - whatever is wrong in the file of one
        _tell_broken(name, repr(error))
        return None


@cache
def _tell_broken(name: str, because: str) -> None:
    """Log a file that cannot be loaded, once: timers come by every minute."""
    get_logger().exception("platform.not_loaded", platform=name, because=because)


def _parts_of(name: str) -> Mapping[str, str]:
    return cast("Mapping[str, str]", getattr(platforms.module(name), "SOURCES", {}))


def _check(source: str) -> None:
    name, _, part = source.partition(":")
    known = f"known: {', '.join(sources())}"
    told = source.encode("utf-8", "backslashreplace").decode()
    if name not in platforms.names():
        raise Reject(f"'{told}' is no platform that can be scanned", mend=known)
    caps = caps_of(name)
    if caps is None:
        raise Reject(f"'{told}' cannot be scanned: its file cannot be loaded", mend="the log has the trace")
    if not caps.discover:
        raise Reject(f"'{told}' is no platform that can be scanned: {caps.cannot or 'it only publishes'}", mend=known)
    if ":" in source and part not in _parts_of(name):
        raise Reject(f"'{told}' is no part of {name} that can be scanned", mend=known)
