"""What every command shares: options, settings of the chosen folder, the loop, JSON on stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from actors.runtime.settings import Settings, load_settings

__all__ = ["complete", "data_option", "json_option", "media_settings", "print_json", "settings_in"]

T = TypeVar("T")

data_option = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of everything that is kept (DATA_DIR)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def settings_in(data_dir: Path | None) -> Settings:
    """Load the settings, kept in `data_dir` where it is given: its media lie there too, unless placed elsewhere."""
    settings = load_settings()
    if data_dir is None:
        return settings
    chosen = data_dir.expanduser().absolute()
    media = settings.media_url
    if media == str(settings.data_dir / "media"):
        media = str(chosen / "media")
    return msgspec.structs.replace(settings, data_dir=chosen, media_url=media)


def media_settings(data_dir: Path | None = None) -> Settings:
    """Load the settings, and leave those that bound media in the environment, for the processes that read them."""
    settings = settings_in(data_dir)
    os.environ.update(settings.media_environment)
    return settings


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; an interrupt ends the program without a trace, as a shell expects."""
    try:
        return asyncio.run(work)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
