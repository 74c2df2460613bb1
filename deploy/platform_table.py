"""What each platform can and cannot be asked, from its module's own words: for docs/platforms.md and for `doctor`.

`python -m deploy.platform_table` prints the table; `--write` puts it into the page; `--check` fails if the page is old.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from actors import platforms

__all__ = ["Row", "main", "row_of", "rows", "table"]

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "platforms.md"
BEGIN: Final = "<!-- platforms: begin; made by `just platforms` -->"
END: Final = "<!-- platforms: end -->"
_UNITS: Final = {
    "characters": "characters",
    "utf16": "UTF-16 units",
    "graphemes": "characters as seen",
    "x": "by X's weights",
}


class Row(Struct, frozen=True, kw_only=True):
    """One platform. Texts for people; empty: nothing to say."""

    platform: str
    finds: str
    asked: str
    needs: str
    sees: str
    costs: str
    licence: str
    cannot: str
    posts: bool
    measures: bool


def row_of(name: str) -> Row:
    """Return what the module of platform `name` says of itself."""
    caps = platforms.module(name).CAPS
    finds = " and ".join(word for word, can in (("works", caps.discover), ("topics", caps.trends)) if can)
    needs = [
        f"{need.setting.upper()}{' (optional)' if need.optional else ''}"
        for need in sorted(platforms.needs_of(name), key=lambda need: need.optional)
    ]
    if caps.account:
        needs.append("a connected account")
    elif caps.through_account:
        needs.append("or instead a connected account")
    asked = "by itself"
    if caps.by_name_only:
        asked = "only when it is named"
    elif caps.fallback:
        asked = "where the others' quota is spent"
    return Row(
        platform=name,
        finds=finds or "nothing",
        asked=asked if finds else "",
        needs=(", ".join(needs) or "nothing") if finds else "",
        sees=caps.sees,
        costs=caps.costs,
        licence=("stated" if caps.licence_known else "not stated: a signal only") if caps.discover else "",
        cannot=caps.cannot,
        posts=caps.publish,
        measures=caps.measure,
    )


def rows() -> tuple[Row, ...]:
    """Return every platform, in alphabetical order."""
    return tuple(row_of(name) for name in platforms.names())


def table() -> str:
    """Return the three tables of the page: what is read, what is not possible, and how posts are taken."""
    lines = [
        "| platform | finds | asked | needs | sees | costs | licence of what it finds |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        _line(one.platform, one.finds, one.asked, one.needs, one.sees, one.costs, one.licence)
        for one in rows()
        if one.finds != "nothing"
    ]
    lines += ["", "| platform | what it does not give, and why |", "|---|---|"]
    lines += [_line(one.platform, one.cannot) for one in rows() if one.cannot]
    lines += [
        "",
        "| platform | posting | who may see it | time | file | text | and |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(*_posting(name)) for name in platforms.names() if platforms.module(name).CAPS.publish]
    return "\n".join(lines) + "\n"


def _posting(name: str) -> tuple[str, ...]:
    """Return the cells of what posting to a platform needs, takes and tells."""
    caps, limits = platforms.module(name).CAPS, platforms.module(name).LIMITS
    longest = limits.max_duration_us and f"at most {limits.max_duration_us / 60e6:g} min"
    largest = limits.max_bytes and f"{limits.max_bytes / 2**20:,.0f} MiB"
    daily = limits.posts_per_day and f"{limits.posts_per_day} a day"
    title = limits.title_chars and f"title {limits.title_chars}"
    words = limits.caption and f"{limits.caption:,} {_UNITS[limits.unit]} in all"
    body = limits.description_bytes and f"description {limits.description_bytes:,} bytes"
    also = (
        ("thumbnail or subtitles afterwards", caps.dresses),
        ("words changed afterwards", caps.revises),
        ("counts", caps.measure),
        ("tells of removals", caps.looks),
    )
    return (
        name,
        caps.posting,
        ", ".join(caps.hides),
        "kept there" if caps.schedules else "kept here",
        ", ".join(part for part in (longest, largest, daily) if part),
        ", ".join(part for part in (title, body, words) if part),
        ", ".join(word for word, can in also if can),
    )


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _page() -> str:
    text = PAGE.read_text("utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.name} has no marks for the table")
    return f"{head}{BEGIN}\n\n{table()}\n{END}{tail}"


def main(arguments: list[str]) -> int:
    """Print, write or check. Returns the exit code."""
    if "--write" in arguments:
        PAGE.write_text(_page(), "utf-8")
    elif "--check" in arguments:
        if PAGE.read_text("utf-8") != _page():
            sys.stderr.write("docs/platforms.md is old: run `just platforms`\n")
            return 1
    else:
        sys.stdout.write(table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
