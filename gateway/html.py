"""HTML from Python values. Everything that is not already `Html` is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

__all__ = ["Child", "Html", "document", "el", "fragment"]


class Html(str):
    """Markup that needs no more escaping."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]
Attribute = str | int | float | bool | None

VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta"})


def fragment(*children: Child) -> Html:
    """Join children; None is nothing."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child))
        elif isinstance(child, int):
            parts.append(str(child))
        else:
            parts.append(fragment(*child))
    return Html("".join(parts))


def el(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """Make one element. `class_` is class, `_` in other names is `-`; None and False leave an attribute out."""
    shown = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        written = name.rstrip("_").replace("_", "-")
        shown.append(f" {written}" if value is True else f' {written}="{escape(str(value))}"')
    opening = f"<{tag}{''.join(shown)}>"
    return Html(opening) if tag in VOID else Html(f"{opening}{fragment(*children)}</{tag}>")


def document(title: str, *body: Child, **body_attributes: Attribute) -> Html:
    """Make a whole page with the product's style and script."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        el("link", rel="stylesheet", href="/static/style.css"),
        el("script", src="/static/script.js", defer=True),
    )
    return Html("<!doctype html>" + el("html", head, el("body", *body, **body_attributes), lang="en"))
