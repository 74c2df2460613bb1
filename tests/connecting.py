"""A gateway at which an account of every platform can be connected: the sandbox plays them all."""

from __future__ import annotations

import msgspec
from yarl import URL

from actors.runtime.settings import Settings
from deploy.sandbox import SandboxSettings, api_urls, credentials

__all__ = ["at_sandbox"]


def at_sandbox(settings: Settings, sandbox: URL) -> Settings:
    """Return the settings with every platform's address and credentials those of a running sandbox."""
    known, plain = credentials(), SandboxSettings()
    return msgspec.structs.replace(
        settings,
        google_client_id=plain.client_id,
        google_client_secret=plain.client_secret,
        tiktok_client_key=known["tiktok_client_key"],
        tiktok_client_secret=known["tiktok_client_secret"],
        options=known,
        api_urls=api_urls(str(sandbox)),
    )
