"""Subtitle files (.srt, .vtt) to cues. Pure; what people's files really hold is expected and put right."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterable
from typing import Final

import pysubs2
from pysubs2.exceptions import Pysubs2Error

from contracts.errors import Reject
from contracts.plan import Cue

__all__ = ["MAX_BYTES", "decode_text", "ordered", "parse_subtitles"]

MAX_BYTES: Final = 4 << 20
MAX_CUES: Final = 20_000
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_TAG: Final = re.compile(r"<[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")
_MEND: Final = "save it as .srt or .vtt in UTF-8"


def parse_subtitles(data: bytes) -> tuple[Cue, ...]:
    """Read a .srt or .vtt file. Times in the file's own clock.

    Raises: Reject if it is something else, holds no cue, or is too large.
    """
    if len(data) > MAX_BYTES:
        raise Reject(f"the subtitles are larger than {MAX_BYTES >> 20} MiB", mend="check that it is a subtitle file")
    text = decode_text(data).replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff \n")
    if "-->" not in text:
        raise Reject("the subtitles are neither .srt nor .vtt", mend=_MEND)
    try:
        # Tags stay in the text here: the library keeps some of them in a form that only ASS renderers read.
        file = pysubs2.SSAFile.from_string(
            text, format_="vtt" if text.startswith("WEBVTT") else "srt", keep_unknown_html_tags=True
        )
    except (Pysubs2Error, ValueError) as error:
        raise Reject(f"the subtitles cannot be read ({error})", mend=_MEND) from error
    if len(file) > MAX_CUES:
        raise Reject(f"the subtitles have more than {MAX_CUES} cues", mend="cut them to the video")
    cues = ordered((event.start * 1000, event.end * 1000, _plain(event.text)) for event in file)
    if not cues:
        raise Reject("the subtitles hold no text that is ever shown", mend=_MEND)
    return cues


def decode_text(data: bytes) -> str:
    """Return the text: by its byte order mark, else UTF-8, else UTF-16 where every other byte is 0, else Windows-1252.

    Windows-1252 with Latin-1 for its five holes reads any bytes, as browsers do (WHATWG Encoding Standard).
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    head = data[:400]
    if len(head) > 3 and head.count(0) > len(head) // 3:
        return data.decode("utf-16-le" if head[1] == 0 else "utf-16-be", errors="replace")
    for name in ("utf-8", "cp1252"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def ordered(raw: Iterable[tuple[int, int, str]]) -> tuple[Cue, ...]:
    """Sort (start_us, end_us, text), join what starts together, and end each cue where the next begins."""
    kept: list[tuple[int, int, str]] = []
    for start, end, text in sorted((max(0, start), end, text) for start, end, text in raw if text and end > start):
        if kept and kept[-1][0] == start:
            lines = [kept[-1][2]] if text in kept[-1][2].split("\n") else [kept[-1][2], text]
            kept[-1] = (start, max(end, kept[-1][1]), "\n".join(lines))
            continue
        if kept and kept[-1][1] > start:
            kept[-1] = (kept[-1][0], start, kept[-1][2])
        kept.append((start, end, text))
    return tuple(Cue(start_us=start, end_us=end, text=text) for start, end, text in kept if end > start)


def _plain(text: str) -> str:
    """Return the words alone: no tags, entities resolved, one space between words, empty lines gone."""
    bare = html.unescape(_TAG.sub("", text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")))
    lines = (" ".join(line.split()) for line in bare.split("\n"))
    return "\n".join(line for line in lines if line)
