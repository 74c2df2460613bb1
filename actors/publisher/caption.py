"""One text for platforms that have one: title, description, hashtags and credit, in the platform's own count. Pure.

Source of X's weights: twitter-text 3.1, config v3 (code points below 4352 and a few dashes and quotes weigh one, others
two, an emoji two, a link 23), read 2026-11-23. Graphemes: Unicode Standard Annex 29, by ICU.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from typing import Final

from icu4py.breakers import CharacterBreaker

from contracts.platform import Limits, TextUnit

__all__ = ["length", "make_caption", "shortened"]

LEAST_WORDS: Final = 24
"""A description of which less would be left is left out."""
_LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
_LINK: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_HOST: Final = re.compile(r"(?<![\w@./-])(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
"""What platforms make a link of although no scheme is written."""


def length(text: str, unit: TextUnit, *, link_weight: int | None = None) -> int:
    """Count a text as the platform does; a host without a scheme counts at least as much as a link."""
    if link_weight is None:
        return _count(text, unit)
    links = 0
    rest, at = [], 0
    for found in re.finditer(f"{_LINK.pattern}|{_HOST.pattern}", text, re.IGNORECASE):
        rest.append(text[at : found.start()])
        at = found.end()
        schemed = found[0].lower().startswith("http")
        links += link_weight if schemed else max(link_weight, _count(found[0], unit))
    return links + _count("".join([*rest, text[at:]]), unit)


def _count(text: str, unit: TextUnit) -> int:
    if unit == "utf16":
        return len(text.encode("utf-16-le")) // 2
    if unit == "graphemes":
        return len(_clusters(text))
    if unit == "x":
        return sum(_weight(cluster) for cluster in _clusters(unicodedata.normalize("NFC", text)))
    return len(text)


def _clusters(text: str) -> list[str]:
    """Return what a reader sees as one character each."""
    if text.isascii():
        return [*text.replace("\r\n", "\n")]
    return [*CharacterBreaker(text, "en")]


def _weight(cluster: str) -> int:
    if any(char in "\ufe0f\u20e3" or ord(char) >= 0x1F000 for char in cluster):
        return 2
    return sum(1 if any(low <= ord(char) <= high for low, high in _LIGHT) else 2 for char in cluster)


def shortened(text: str, room: int, unit: TextUnit, *, link_weight: int | None = None) -> str:
    """Cut a text so that it counts at most `room`: at a word if that keeps more than half, never within a link."""
    if length(text, unit, link_weight=link_weight) <= room:
        return text
    clusters = _clusters(text)

    def kept(count: int) -> str:
        return "".join(clusters[:count]).rstrip(" ,;:.-\n") + "…"

    fitting = bisect.bisect_right(
        range(1, len(clusters)), room, key=lambda count: length(kept(count), unit, link_weight=link_weight)
    )
    cut = "".join(clusters[:fitting])
    words = re.sub(r"\s*\S*$", "", cut)
    if len(words) > len(cut) // 2 or _LINK.match(cut[len(words) :].strip()):
        cut = words
    cut = cut.rstrip(" ,;:.-\n")
    return f"{cut}…" if cut else ""


def make_caption(*, title: str, description: str, credit: str, hashtags: tuple[str, ...], limits: Limits) -> str | None:
    """Return one text that fits. The credit stays whole; then the title, hashtags and description as there is room.

    None: the credit alone does not fit.
    """

    def count(text: str) -> int:
        return length(text, limits.unit, link_weight=limits.link_weight)

    room = limits.caption
    credit = credit.strip()
    body = (description.replace(credit, "") if credit else description).strip()
    title = "" if body.startswith(title) else title
    tags = [f"#{tag}" for tag in hashtags][: limits.max_hashtags]
    parts = [title, body, " ".join(tags), credit]
    if room is None or count(_joined(*parts)) <= room:
        return _joined(*parts)
    if credit and count(credit) > room:
        return None

    def left(*others: str) -> int:
        """Return the room that is left for one more part beside `others`."""
        return room - count(_joined(*others)) - (2 if any(others) else 0)

    def cut(text: str, most: int) -> str:
        return shortened(text, most, limits.unit, link_weight=limits.link_weight)

    title = cut(title or body.split("\n", 1)[0], max(left(credit), 0))
    while tags and left(title, credit) < count(" ".join(tags)):
        tags.pop()
    body_room = left(title, " ".join(tags), credit)
    body = "" if body.startswith(title.rstrip("…")) else body
    words = cut(body, body_room) if body_room >= LEAST_WORDS else ""
    return _joined(title, words, " ".join(tags), credit)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
