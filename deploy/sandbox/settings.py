"""How the sandbox behaves: credentials it accepts, quotas, the speed of its clock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from contracts.errors import Reject

__all__ = ["SandboxSettings", "changed", "load_sandbox_settings"]

PREFIX = "SANDBOX_"


class SandboxSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every knob. Each is also an environment variable `SANDBOX_<NAME>`."""

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-word"  # noqa: S105 - a made-up word, known to everybody
    api_key: str = "sandbox-reader"
    groq_api_key: str = "sandbox-groq"
    redirect_uris: tuple[str, ...] = ()
    """Registered redirect addresses; empty: any that Google's rules allow (HTTPS, or loopback)."""
    account: str = "creator@sandbox.test"
    channel_title: str = "Sandbox channel"
    has_channel: bool = True
    access_token_expires_in_s: int = 3599
    refresh_token_expires_in_s: int | None = None
    """Life of refresh tokens; a project in "Testing" has 7 days (604800). None: no end."""

    processing_polls: int = 2
    """How many videos.list answers show a new video as still being processed."""
    processing_s: float = 0.0
    check_media: bool = True
    """Open uploads with PyAV, so that a file that is no video ends as `failed`, as on the real platform."""
    audit_locked: bool = False
    """Lock uploads private, as for API projects without an audit."""
    session_lifetime_s: float = 7 * 86_400.0
    channel_daily_uploads: int | None = None

    groq_said: str = ""
    """What the language model answers, whatever it is asked; empty: made up in the shape that was asked for."""
    groq_obeys: str = ""
    """What the language model takes for an order when it votes on works, a regular expression; empty: nothing."""
    groq_heard: str = "These words were never said, the sandbox cannot hear."
    """What is heard in every sound, spread over its length."""

    time_scale: float = 3600.0
    """Seconds of a video's life per real second, for views and likes only."""
    private_views: bool = True
    """Count views of private videos too: private is the safe default and a demo has to show growth."""

    quota_units: int = 10_000
    quota_searches: int = 100
    quota_uploads: int = 100
    quota_stats: int = 10_000


def load_sandbox_settings(
    env: Mapping[str, str] = os.environ, *, changes: Mapping[str, Any] | None = None
) -> SandboxSettings:
    """Read `SANDBOX_*` variables, then apply `changes`. Raises: Reject, naming the wrong setting."""
    names = SandboxSettings.__struct_fields__
    found = {name: env[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in env}
    return changed(SandboxSettings(), {**found, **(changes or {})})


def changed(settings: SandboxSettings, changes: Mapping[str, Any]) -> SandboxSettings:
    """Return the settings with `changes` applied; lists may be written with commas. Raises: Reject."""
    values = {**msgspec.to_builtins(settings), **changes}
    if isinstance(values["redirect_uris"], str):
        values["redirect_uris"] = [uri.strip() for uri in values["redirect_uris"].split(",") if uri.strip()]
    try:
        return msgspec.convert(values, SandboxSettings, strict=False)
    except msgspec.ValidationError as wrong:
        known = ", ".join(SandboxSettings.__struct_fields__)
        raise Reject(f"a sandbox setting is wrong: {wrong}", mend=f"The settings are {known}") from wrong
