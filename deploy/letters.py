"""`ettametta dead`: events that ended without success."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.dead import DeadLetters, opened
from deploy.say import say

__all__ = ["dead"]

T = TypeVar("T")


@click.group()
def dead() -> None:
    """Events that ended without success: read them, try them again, or drop them."""


def _dead(data_dir: Path | None, work: Callable[[DeadLetters], Awaitable[T]]) -> T:
    async def go() -> T:
        async with opened(settings_in(data_dir)) as letters:
            return await work(letters)

    return complete(go())


@dead.command("list")
@click.option("--all", "every", is_flag=True, help="Also those already retried or dropped.")
@json_option
@data_option
def dead_list(*, every: bool, as_json: bool, data_dir: Path | None) -> None:
    """List dead letters, newest first."""
    letters = _dead(data_dir, lambda found: found.listed(every=every))
    if as_json:
        print_json(letters)
        return
    for letter in letters:
        when = f"{letter.created_at:%Y-%m-%d %H:%M}"
        say(f"{letter.id:>5}  {when}  {letter.kind:<8}  {letter.state:<7}  {letter.consumer}")
        say(f"       {letter.error}")
    if not letters:
        say("no dead letters")


@dead.command("show")
@click.argument("number", type=int)
@data_option
def dead_show(number: int, data_dir: Path | None) -> None:
    """Show one dead letter whole: event, error, trace."""
    print_json(_dead(data_dir, lambda found: found.shown(number)))


@dead.command("retry")
@click.argument("number", type=int)
@data_option
def dead_retry(number: int, data_dir: Path | None) -> None:
    """Give the event to its consumer again."""
    say(_dead(data_dir, lambda found: found.retried(number)))


@dead.command("drop")
@click.argument("number", type=int)
@data_option
def dead_drop(number: int, data_dir: Path | None) -> None:
    """Close a dead letter for good; it stays readable."""
    say(_dead(data_dir, lambda found: found.dropped(number)))
