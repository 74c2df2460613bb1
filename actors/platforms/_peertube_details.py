"""What a PeerTube server says of one video: its licence, whether it is public, its files.

Docs: https://docs.joinpeertube.org/api-rest-reference.html and PeerTube's own list of licences, read 2026-11-23.
The index repeats what servers told it once; the server that holds the video has the last word on its licence.
Units: `size` bytes; a resolution is lines, px.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.platforms._api import count
from actors.platforms._reading import address
from actors.platforms._renditions import Rendition, best
from actors.platforms._text import clean
from contracts.platform import Candidate
from contracts.rights import RightsRecord, parse_licence

__all__ = ["Label", "Told", "confirmed", "doubted", "parse_details", "parse_file", "parse_rights"]

CC_VERSION: Final = "4.0"
_LICENCES: Final = {
    1: ("CC-BY", "Attribution"),
    2: ("CC-BY-SA", "Attribution - Share Alike"),
    3: ("CC-BY-ND", "Attribution - No Derivatives"),
    4: ("CC-BY-NC", "Attribution - Non Commercial"),
    5: ("CC-BY-NC-SA", "Attribution - Non Commercial - Share Alike"),
    6: ("CC-BY-NC-ND", "Attribution - Non Commercial - No Derivatives"),
    7: ("CC0", "Public Domain Dedication"),
    8: ("PDM", "Public Domain Mark"),
}
"""Flavour and PeerTube's own label by licence id; a server may add and rename licences, which the label shows."""
_VERSIONLESS: Final = {"CC0": "CC0-1.0", "PDM": "PDM-1.0"}


class Label(Struct):
    """A number with its words."""

    id: int | str | None = None
    label: str | None = None


class _File(Struct, rename="camel"):
    file_download_url: str | None = None
    resolution: Label | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    has_audio: bool | None = None
    has_video: bool | None = None


class Told(Struct, frozen=True):
    """What the server that holds a video says of it."""

    public: bool
    rights: RightsRecord
    file: Rendition | None


def parse_details(answer: Any, *, of: Candidate, at: datetime) -> Told:
    """Read a video's details; what cannot be read of licence and privacy counts as not stated."""
    told = answer if isinstance(answer, dict) else {}
    licence, privacy = _label(told.get("licence")), _label(told.get("privacy"))
    return Told(
        public=privacy is not None and privacy.id == 1,
        rights=parse_rights(licence, title=of.title, author=of.creator, page=of.url, at=at),
        file=parse_file(answer),
    )


def confirmed(candidate: Candidate, told: Told) -> Candidate:
    """Return the candidate with its server's licence and file; without both where they do not bear the index out."""
    if not told.public:
        return doubted(candidate, "its server does not call the video public")
    if told.rights.licence == "unknown":
        return doubted(candidate, f"its server does not confirm the licence of the index: {told.rights.note}")
    if told.rights.licence != candidate.rights.licence:
        return doubted(candidate, f"its server states another licence than the index: {told.rights.licence}")
    candidate = msgspec.structs.replace(candidate, rights=told.rights)
    if told.file is None:
        return candidate
    return msgspec.structs.replace(
        candidate,
        media_url=told.file.url,
        media_bytes=told.file.size_bytes,
        width_px=told.file.width_px,
        height_px=told.file.height_px,
    )


def doubted(candidate: Candidate, note: str) -> Candidate:
    """Return the candidate without a licence, and why."""
    rights = msgspec.structs.replace(candidate.rights, licence="unknown", note=note)
    return msgspec.structs.replace(candidate, rights=rights)


def parse_file(answer: Any) -> Rendition | None:
    """Return the file to fetch from a video's details; None: its owner offers none, or none that is whole."""
    if not isinstance(answer, dict) or answer.get("downloadEnabled") is not True:
        return None
    files = answer.get("files")
    if not files:
        lists = answer.get("streamingPlaylists")
        files = [
            file
            for one in (lists if isinstance(lists, list) else ())
            if isinstance(one, dict) and isinstance(one.get("files"), list)
            for file in one["files"]
        ]
    renditions = []
    for told in files if isinstance(files, list) else ():
        try:
            file = msgspec.convert(told, _File)
        except msgspec.ValidationError:
            continue
        url, lines = address(file.file_download_url), count(file.resolution.id) if file.resolution else None
        whole = file.has_audio is not False and file.has_video is not False
        if url is not None and whole and lines != 0:
            known = bool(file.width and file.height)
            renditions.append(
                Rendition(
                    url=url,
                    width_px=count(file.width) or None if known else None,
                    height_px=count(file.height) or None if known else lines,
                    size_bytes=count(file.size) or None,
                )
            )
    return best(renditions)


def parse_rights(told: Label | None, *, title: str, author: str | None, page: str, at: datetime) -> RightsRecord:
    """Read the licence from its number, which the server's label for it must not contradict."""
    number = count(told.id) if told else None
    label = clean(told.label or "", max_chars=200) if told else ""
    flavour, usual = _LICENCES.get(number or 0, ("", ""))
    named = parse_licence(label) if label else "unknown"
    licence, note = "unknown", ""
    if number is None:
        note = "the video states no licence"
    elif not flavour:
        note = "the stated licence is none that allows re-use, or none that is known here"
    elif named != "unknown":
        licence = named if _flavour_of(named) == flavour else "unknown"
        note = "" if licence != "unknown" else "the number and the label of the licence contradict each other"
    elif not label.casefold().startswith(usual.casefold()) or (
        flavour != "PDM" and label.casefold() != usual.casefold()
    ):
        note = "the server gives this licence a label of its own that is not known here"
    elif flavour in _VERSIONLESS:
        licence = _VERSIONLESS[flavour]
    else:
        licence = f"{flavour}-{CC_VERSION}"
        note = f"PeerTube names the licence without a version; {CC_VERSION}, the present one, is taken"
    return RightsRecord(
        licence=licence,
        title=title,
        author=author,
        source_url=page,
        read_at=at,
        proof=f"licence: {number} {label}".rstrip() if number is not None else "",
        note=note,
    )


def _flavour_of(licence: str) -> str:
    return "PDM" if licence == "PDM-1.0" else licence.rpartition("-")[0]


def _label(told: Any) -> Label | None:
    try:
        return msgspec.convert(told, Label) if told is not None else None
    except msgspec.ValidationError:
        return None
