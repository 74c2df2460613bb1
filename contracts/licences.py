"""The licences that are known here, and how they are read from what sources write.

Sources: Creative Commons legal codes 1.0 to 4.0, the list of retired legal tools and the public domain tools
(creativecommons.org); SPDX licence list, whose identifiers are used where one exists; Pexels and Pixabay licence
summaries and API guidelines (PLATFORMS 8.6, 8.7); YouTube Data API, videos resource, status.license. Read 2026-11.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

__all__ = ["LICENCES", "Licence", "address_in", "licence_from_url", "parse_licence"]


class Licence(Struct, frozen=True, kw_only=True):
    """What one licence allows, independent of any work."""

    id: Annotated[str, Meta(description="SPDX identifier, or `owned`, `permission`, `PDM-1.0`, `unknown`, …")]
    title: Annotated[str, Meta(description="Name as people write it.")]
    url: Annotated[str | None, Meta(description="Canonical address of the licence; null where there is none.")] = None
    derivative: Annotated[bool, Meta(description="Edited versions may be shared.")] = True
    commercial: Annotated[bool, Meta(description="Money may be earned with it.")] = True
    attribution: Annotated[bool, Meta(description="The author must be named.")] = False
    share_alike: Annotated[bool, Meta(description="Edited versions must carry the same licence.")] = False
    attested: Annotated[bool, Meta(description="Valid only with a person's attestation.")] = False
    version: Annotated[str, Meta(description="Version of a Creative Commons licence; empty: it has none.")] = ""
    standalone: Annotated[bool, Meta(description="It may be passed on without being made into something else.")] = True
    relicensed: Annotated[bool, Meta(description="What is made of it may go out under another open licence.")] = False
    credited: Annotated[bool, Meta(description="A credit is not owed, but its source asks for one.")] = False
    bars: Annotated[str, Meta(description="Why no use that is made here fits it; empty: some do.")] = ""


_CC: Final = "https://creativecommons.org"
_FLAVOURS: Final = ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
_VERSIONS: Final = ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")
_WITHOUT_BY: Final = ("sa", "nc", "nd", "nc-sa", "nc-nd")
_IN_1_0: Final = {"by-nc-nd": "by-nd-nc", "nc-nd": "nd-nc"}
"""The first version named these in another order."""


def _cc(flavour: str, version: str) -> Licence:
    parts = flavour.split("-")
    named = _IN_1_0.get(flavour, flavour) if version == "1.0" else flavour
    return Licence(
        id=f"CC-{flavour.upper()}-{version}",
        title=f"CC {flavour.upper()} {version}",
        # 2.1 exists in ported versions alone.
        url=None if version == "2.1" else f"{_CC}/licenses/{named}/{version}/",
        derivative="nd" not in parts,
        commercial="nc" not in parts,
        attribution="by" in parts,
        share_alike="sa" in parts,
        version=version,
        relicensed=parts == ["by"],
    )


def _sampling(name: str, title: str) -> Licence:
    return Licence(
        id=f"CC-{title.replace(' ', '-')}",
        title=f"CC {title}",
        url=f"{_CC}/licenses/{name}/1.0/",
        derivative=False,
        commercial=False,
        attribution=True,
        version="1.0",
        bars="allows samples in works that are much unlike it, and not a video of it",
    )


LICENCES: Final[dict[str, Licence]] = {
    licence.id: licence
    for licence in (
        *(_cc(flavour, version) for flavour in _FLAVOURS for version in _VERSIONS),
        *(_cc(flavour, "1.0") for flavour in _WITHOUT_BY),
        _sampling("sampling", "Sampling 1.0"),
        _sampling("sampling+", "Sampling+ 1.0"),
        _sampling("nc-sampling+", "NC Sampling+ 1.0"),
        Licence(id="CC0-1.0", title="CC0 1.0", url=f"{_CC}/publicdomain/zero/1.0/", relicensed=True),
        Licence(
            id="PDM-1.0",
            title="Public Domain Mark 1.0",
            url=f"{_CC}/publicdomain/mark/1.0/",
            relicensed=True,
        ),
        Licence(
            id="CC-PDDC",
            title="CC Public Domain Dedication and Certification",
            url=f"{_CC}/licenses/publicdomain/",
            relicensed=True,
        ),
        Licence(id="public-domain", title="Public domain", relicensed=True),
        Licence(
            id="pexels", title="Pexels License", url="https://www.pexels.com/license/", standalone=False, credited=True
        ),
        Licence(
            id="pixabay",
            title="Pixabay Content License",
            url="https://pixabay.com/service/license-summary/",
            standalone=False,
            credited=True,
        ),
        Licence(id="owned", title="Own work", attested=True, relicensed=True),
        Licence(id="permission", title="With permission", attested=True),
        Licence(id="unknown", title="Unknown", derivative=False, commercial=False, standalone=False),
    )
}
"""Every licence that the product understands, by id. What is not here is `unknown`."""

_CC_HOST: Final = r"\s*(?:https?:)?//(?:www\.)?creativecommons\.org"
_CC_URL: Final = re.compile(
    _CC_HOST + r"/licenses/([a-z+-]+)/(\d\.\d)\b(?:/(?!deed|legalcode)([a-z]{2,8})\b)?", re.IGNORECASE
)
_PD_URL: Final = re.compile(_CC_HOST + r"/publicdomain/(zero|mark)/1\.0\b", re.IGNORECASE)
_PDDC_URL: Final = re.compile(
    _CC_HOST + r"/(?:licenses/publicdomain|publicdomain/certification/1\.0(?:/us)?)/?(?:deed\b.*)?\s*$", re.IGNORECASE
)
_CC_WORDS: Final = re.compile(
    r"^cc[ -]((?:by|sa|nc|nd)(?:-(?:sa|nc|nd)){0,2})[ -](\d\.\d)(?:[,-]\d\.\d)*(?:[ -][a-z]{2,8})?$", re.IGNORECASE
)
_SHORT: Final = {
    "cc0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "pdm": "PDM-1.0",
    "cc-pdm-1.0": "PDM-1.0",
    "pd": "public-domain",
    "public domain": "public-domain",
    "own": "owned",
    "mine": "owned",
    "own work": "owned",
    # What YouTube's API says for `Creative Commons - Attribution`, which is version 3.0 there.
    "creativecommon": "CC-BY-3.0",
    "pixabay license": "pixabay",
}
_BY_ADDRESS: Final = {
    tuple(licence.url.rstrip("/").split("/")[-2:]): licence.id
    for licence in LICENCES.values()
    if licence.url and "creativecommons.org/licenses" in licence.url and licence.version
}
_BY_FOLD: Final = {
    **{licence.title.casefold(): licence.id for licence in LICENCES.values() if licence.url},
    **{known.casefold(): known for known in LICENCES},
}
_STOCK_URL: Final = re.compile(
    r"\s*(?:https?:)?//(?:www\.)?(?:(pexels\.com/(?:[a-z]{2}-[a-z]{2}/)?license)"
    r"|pixabay\.com/(?:[a-z]{2}/)?service/(?:license-summary|license|terms))\b",
    re.IGNORECASE,
)


def licence_from_url(url: str) -> str:
    """Return the licence id that the address of a licence stands for, else `unknown`.

    A version that was ported to a jurisdiction (`/by-sa/3.0/de/`) has the id of its version: the uses are the same.
    `address_in` finds its own address again.
    """
    if found := _CC_URL.match(url):
        return _of(found[1], found[2], ported=found[3] is not None)
    if found := _PD_URL.match(url):
        return "CC0-1.0" if found[1].lower() == "zero" else "PDM-1.0"
    if _PDDC_URL.match(url):
        return "CC-PDDC"
    if found := _STOCK_URL.match(url):
        return "pexels" if found[1] else "pixabay"
    return "unknown"


def parse_licence(text: str) -> str:
    """Return the licence id for an id, a short name or a licence address, else `unknown`."""
    words = text.strip()
    if "//" in words:
        return licence_from_url(words)
    folded = words.casefold()
    if known := _BY_FOLD.get(folded) or _SHORT.get(folded):
        return known
    if found := _CC_WORDS.match(words):
        return _of(found[1], found[2], ported=True)
    return "unknown"


def address_in(words: str, licence: str) -> str | None:
    """Return the address in `words` that states `licence` in a ported version, with https; None: there is none."""
    for found in _CC_URL.finditer(words):
        if found[3] and _of(found[1], found[2], ported=True) == licence:
            return f"{_CC}/licenses/{found[1]}/{found[2]}/{found[3]}/".lower()
    return None


def _of(flavour: str, version: str, *, ported: bool) -> str:
    """Return the id of a Creative Commons licence, whatever the order of its conditions."""
    if known := _BY_ADDRESS.get((flavour.lower(), version)):
        return known
    parts = flavour.lower().split("-")
    ordered = "-".join(part for part in ("by", "nc", "sa", "nd") if part in parts)
    wanted = f"CC-{ordered.upper()}-{version}"
    known_whole = len(parts) == len(set(parts)) == len(ordered.split("-"))
    allowed = known_whole and wanted in LICENCES and (ported or LICENCES[wanted].url is not None)
    return wanted if allowed else "unknown"
