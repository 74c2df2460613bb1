"""`ettametta observe`: a history of candidates from a file, into the database."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from actors.ranker.observe import Observed, observe
from actors.runtime.settings import Settings
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import own_database

__all__ = ["observe_file", "observed"]


@click.command("observe")
@click.argument("history", metavar="FILE.jsonl", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@data_option
def observe_file(*, history: Path, as_json: bool, data_dir: Path | None) -> None:
    """Store candidates and their observations from a file, lines as `rank` takes them. Nothing is made of them.

    Running again on the same file changes nothing. A line that cannot be read or stored is named, and the others are
    stored. Works without observations are stored without counts.
    """
    settings = settings_in(data_dir)
    found = complete(observed(settings, history))
    if as_json:
        print_json(found)
        return
    for bad in found.bad:
        say(f"line {bad.number}: {bad.because}", err=True)
    if found.bad_lines > len(found.bad):
        say(f"and {found.bad_lines - len(found.bad)} more lines that were left out", err=True)
    stored = found.stored
    say(
        f"{stored.items} candidates with {stored.observations} observations: {stored.new_items} new, "
        f"{stored.items - stored.new_items} known before. {stored.joined} of the new ones are copies of known works. "
        f"{found.bad_lines} lines left out"
    )
    if found.bad_lines and not stored.items:
        sys.exit(1)


async def observed(settings: Settings, history: Path) -> Observed:
    """Store a file in the system that runs or in DATABASE_URL. Raises: Reject."""
    async with own_database(settings, name="ettametta-observe") as db:
        with await asyncio.to_thread(history.open, "rb") as lines:
            return await observe(db, lines)
