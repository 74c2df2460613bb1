"""Copying a predecessor's database: what each of its tables becomes here. docs/data-model.md describes its schema."""

from __future__ import annotations

from actors.runtime.settings import Settings
from deploy.legacy.run import Tally, copy_legacy, render
from deploy.system import own_database

__all__ = ["Tally", "copy_legacy", "render", "run_legacy"]


async def run_legacy(settings: Settings, url: str, *, currency: str | None = None) -> list[str]:
    """Copy into the system that runs, or into DATABASE_URL; return what to tell, a line each. Raises: Reject."""
    async with own_database(settings, name="ettametta-legacy") as db:
        return render(await copy_legacy(db, url, currency=currency))
