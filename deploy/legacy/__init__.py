"""Copying a predecessor's database: what each of its tables becomes here. docs/data-model.md describes its schema."""

from __future__ import annotations

from actors.runtime.settings import Settings
from actors.tracker.revenue.money import currency_code
from deploy.legacy.run import Tally, columns_of, copy_legacy, render
from deploy.legacy.source import opened
from deploy.system import own_database

__all__ = ["Tally", "check_legacy", "copy_legacy", "render", "run_legacy"]


async def check_legacy(url: str, *, currency: str | None = None) -> None:
    """Open a predecessor's database and look at its tables. Raises: Reject if it cannot be copied."""
    if currency is not None:
        currency_code(currency)
    async with opened(url) as source:
        await columns_of(source)


async def run_legacy(settings: Settings, url: str, *, currency: str | None = None) -> list[str]:
    """Copy into the system that runs, or into DATABASE_URL; return what to tell, a line each. Raises: Reject."""
    async with own_database(settings, name="ettametta-legacy") as db:
        return render(await copy_legacy(db, url, currency=currency))
