"""What people read on a terminal: strangers' titles among it, so nothing in it may steer the terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

import click

__all__ = ["plain", "say"]

_KEPT: Final = frozenset("\n\u200c\u200d")
"""Line ends, and the joiners that scripts and emoji are written with."""


def plain(text: str) -> str:
    """Return the text without controls, escape sequences' beginnings and turns of direction."""
    return "".join(
        " " if char == "\t" else char
        for char in text
        if char in _KEPT or char == "\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
    )


def say(text: str = "", *, err: bool = False) -> None:
    """Print a line for people, on stdout or stderr."""
    click.echo(plain(text), err=err)
