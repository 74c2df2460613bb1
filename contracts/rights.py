"""Rights records and the one policy that decides what they allow.

Sources: Creative Commons licence deeds 4.0 and public domain tools (creativecommons.org, read 2026-11);
SPDX licence list identifiers where one exists.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.clock import Utc

__all__ = [
    "LICENCES",
    "Licence",
    "RightsRecord",
    "Use",
    "Verdict",
    "attribution_text",
    "licence_from_url",
    "may",
    "parse_licence",
]

Use = Literal["download", "derivative", "commercial"]


class Licence(Struct, frozen=True, kw_only=True):
    """What one licence allows, independent of any work."""

    id: Annotated[str, Meta(description="SPDX identifier, or `owned`, `permission`, `PDM-1.0`, `unknown`.")]
    title: Annotated[str, Meta(description="Name as people write it.")]
    url: Annotated[str | None, Meta(description="Canonical address of the licence; null where there is none.")] = None
    derivative: Annotated[bool, Meta(description="Edited versions may be shared.")] = True
    commercial: Annotated[bool, Meta(description="Money may be earned with it.")] = True
    attribution: Annotated[bool, Meta(description="The author must be named.")] = False
    share_alike: Annotated[bool, Meta(description="Edited versions must carry the same licence.")] = False
    attested: Annotated[bool, Meta(description="Valid only with a person's attestation.")] = False


def _cc(flavour: str, version: str) -> Licence:
    parts = flavour.split("-")
    return Licence(
        id=f"CC-{flavour.upper()}-{version}",
        title=f"CC {flavour.upper()} {version}",
        url=f"https://creativecommons.org/licenses/{flavour}/{version}/",
        derivative="nd" not in parts,
        commercial="nc" not in parts,
        attribution=True,
        share_alike="sa" in parts,
    )


_CC_FLAVOURS = ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
_CC_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")

LICENCES: dict[str, Licence] = {
    licence.id: licence
    for licence in (
        *(_cc(flavour, version) for flavour in _CC_FLAVOURS for version in _CC_VERSIONS),
        Licence(id="CC0-1.0", title="CC0 1.0", url="https://creativecommons.org/publicdomain/zero/1.0/"),
        Licence(
            id="PDM-1.0",
            title="Public Domain Mark 1.0",
            url="https://creativecommons.org/publicdomain/mark/1.0/",
        ),
        Licence(id="public-domain", title="Public domain"),
        Licence(id="owned", title="Own work", attested=True),
        Licence(id="permission", title="With permission", attested=True),
        Licence(id="unknown", title="Unknown", derivative=False, commercial=False),
    )
}
"""Every licence that the product understands, by id. What is not here is `unknown`."""


class RightsRecord(Struct, frozen=True, kw_only=True):
    """What may be done with one work, and how that is known."""

    licence: Annotated[str, Meta(description="Id of a licence in LICENCES; `unknown` where it could not be read.")]
    title: Annotated[str, Meta(description="Title of the work.")] = ""
    author: Annotated[str | None, Meta(description="Who made it; null where the source does not say.")] = None
    source_url: Annotated[str | None, Meta(description="Page of the work, where the licence was read.")] = None
    read_at: Annotated[Utc | None, Meta(description="When the licence was read, UTC.")] = None
    proof: Annotated[str, Meta(description="The words of the source that state the licence, as read.")] = ""
    attested_by: Annotated[str | None, Meta(description="Who attested ownership or permission; null: nobody.")] = None
    attested_at: Annotated[Utc | None, Meta(description="When it was attested, UTC.")] = None
    attestation: Annotated[str, Meta(description="The attestation in the person's own words.")] = ""
    expires_at: Annotated[Utc | None, Meta(description="End of the permission, UTC; null: none.")] = None
    note: Annotated[str, Meta(description="Anything a person should know when reading this record.")] = ""


class Verdict(Struct, frozen=True):
    """An answer of the policy."""

    allowed: Annotated[bool, Meta(description="Whether the use is allowed.")]
    because: Annotated[str, Meta(description="Why, in one sentence.")]


_CC_HOST = r"\s*(?:https?:)?//(?:www\.)?creativecommons\.org"
_CC_URL = re.compile(_CC_HOST + r"/licenses/([a-z-]+)/(\d\.\d)\b", re.IGNORECASE)
_PD_URL = re.compile(_CC_HOST + r"/publicdomain/(zero|mark)/1\.0\b", re.IGNORECASE)
_CC_WORDS = re.compile(r"^cc[ -](by(?:-(?:sa|nc-sa|nc-nd|nc|nd))?)[ -](\d\.\d)\b", re.IGNORECASE)
_SHORT = {
    "cc0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "pdm": "PDM-1.0",
    "pd": "public-domain",
    "public domain": "public-domain",
    "own": "owned",
    "mine": "owned",
    "own work": "owned",
}


def licence_from_url(url: str) -> str:
    """Return the licence id that a Creative Commons address stands for, else `unknown`."""
    if found := _CC_URL.match(url):
        wanted = f"CC-{found[1].upper()}-{found[2]}"
        return wanted if wanted in LICENCES else "unknown"
    if found := _PD_URL.match(url):
        return "CC0-1.0" if found[1].lower() == "zero" else "PDM-1.0"
    return "unknown"


def parse_licence(text: str) -> str:
    """Return the licence id for an id, a short name or a licence address, else `unknown`."""
    words = text.strip()
    if "creativecommons.org" in words.casefold():
        return licence_from_url(words)
    by_fold = {licence.casefold(): licence for licence in LICENCES}
    if words.casefold() in by_fold:
        return by_fold[words.casefold()]
    if words.casefold() in _SHORT:
        return _SHORT[words.casefold()]
    if found := _CC_WORDS.match(words):
        wanted = f"CC-{found[1].upper()}-{found[2]}"
        return wanted if wanted in LICENCES else "unknown"
    return "unknown"


def may(use: Use, record: RightsRecord | None, *, at: datetime) -> Verdict:
    """Decide whether `record` allows `use` at the time `at` (aware UTC). The only place that decides."""
    if record is None:
        return Verdict(False, "there is no rights record")
    licence = LICENCES.get(record.licence)
    if licence is None or licence.id == "unknown":
        return Verdict(False, "the licence is unknown, so the work is a signal only and its media is not used")
    if record.expires_at is not None and record.expires_at <= at:
        return Verdict(False, f"the permission ended on {record.expires_at:%Y-%m-%d}")
    if licence.attested and not (record.attested_by and record.attestation.strip()):
        return Verdict(False, f"'{licence.title}' needs a person's attestation, and none is recorded")
    if use == "derivative" and not licence.derivative:
        return Verdict(False, f"{licence.title} does not allow edited versions")
    if use == "commercial" and not licence.commercial:
        return Verdict(False, f"{licence.title} does not allow commercial use")
    return Verdict(True, f"{licence.title} allows it")


def attribution_text(record: RightsRecord) -> str:
    """Return the credit line that the licence asks for: title, author, source, licence, changes made.

    Empty for own work and for works whose licence asks for nothing and whose author is not known.
    """
    licence = LICENCES.get(record.licence, LICENCES["unknown"])
    if licence.id in {"owned", "unknown"} or not (licence.attribution or record.author):
        return ""
    author = record.author or "unknown author"
    source = f" ({record.source_url})" if record.source_url else ""
    terms = f"{licence.title} {licence.url}" if licence.url else licence.title
    return f'"{record.title or "Untitled"}" by {author}{source}, {terms}. Edited: cropped, captioned.'
