"""Rights records and the one policy that decides what they allow. docs/rights.md has the reasons.

Sources: Creative Commons legal codes 1.0 to 4.0, their summary of what changed between versions, and the FAQ on
combining works (creativecommons.org, read 2026-11). Not legal advice.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol, get_args

from msgspec import Meta, Struct
from msgspec.structs import replace

from contracts.clock import Utc
from contracts.ids import ObjectKey
from contracts.licences import LICENCES, Licence, address_in, licence_from_url, parse_licence

__all__ = [
    "LICENCES",
    "USES",
    "Licence",
    "Outlet",
    "RightsRecord",
    "Use",
    "Verdict",
    "attribution_text",
    "licence_from_url",
    "may",
    "may_all",
    "outlet_of",
    "parse_licence",
    "same_terms",
    "superseding",
    "uses_of",
    "weakened",
    "works_in",
]

_ANGLES: Final = str.maketrans({"<": "‹", ">": "›"})

Use = Literal["download", "derivative", "commercial", "share"]
USES: Final[tuple[Use, ...]] = get_args(Use)


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
    uses: Annotated[
        tuple[Use, ...] | None, Meta(description="Uses that a permission is limited to; null: all of its licence.")
    ] = None
    platforms: Annotated[
        tuple[str, ...] | None, Meta(description="Platforms that a permission is limited to; null: all.")
    ] = None
    proof_key: Annotated[
        ObjectKey | None, Meta(description="Where what was read is stored, with the file's hash; null: nowhere.")
    ] = None
    changes: Annotated[
        tuple[str, ...] | None, Meta(description="What was done to the work; null: nothing is made of it yet.")
    ] = None
    parts: Annotated[
        tuple[RightsRecord, ...], Meta(description="The other works in the same video: each must allow what is done.")
    ] = ()
    earlier: Annotated[
        tuple[RightsRecord, ...], Meta(description="Records that this one took the place of, oldest first.")
    ] = ()
    replaces: Annotated[
        str, Meta(description="Why it may allow more, or ask for less, than an earlier one; empty: it may not.")
    ] = ""


class Outlet(Struct, frozen=True, kw_only=True):
    """Where a video would go."""

    platform: Annotated[str, Meta(description="Adapter name.")]
    public: Annotated[bool, Meta(description="Others may see it, now or later.")] = True
    text_bytes: Annotated[
        int | None, Meta(description="Longest text of a post there, bytes of UTF-8; null: not known, or no limit.")
    ] = None


class Verdict(Struct, frozen=True):
    """An answer of the policy."""

    allowed: Annotated[bool, Meta(description="Whether the use is allowed.")]
    because: Annotated[str, Meta(description="Why, in one sentence.")]


class _Goes(Protocol):
    """A destination, as events carry it."""

    @property
    def platform(self) -> str: ...
    @property
    def privacy(self) -> str: ...


def outlet_of(destination: _Goes | None, *, text_bytes: int | None = None) -> Outlet | None:
    """Return where a destination leads; None: the video is kept here.

    A time shows only what asked to be public, and that is public from the beginning here; private stays private.
    """
    if destination is None:
        return None
    return Outlet(platform=destination.platform, public=destination.privacy != "private", text_bytes=text_bytes)


# The policy -----------------------------------------------------------------------------------------


def may(use: Use, record: RightsRecord | None, *, at: datetime, to: Outlet | None = None) -> Verdict:
    """Decide whether `record` allows `use` at the time `at` (aware UTC). The only place that decides.

    Args: to: where the video goes; None: it is kept here, and shared with nobody.
    `download`: to fetch and keep a copy. `derivative`: to edit it. `commercial`: to earn money with it. `share`: to
    upload it to `to`. A record with parts allows what each of its works allows, if their licences can be mixed.
    """
    if record is None:
        return Verdict(False, "there is no rights record")
    works = works_in(record)
    verdicts = [_alone(use, one, at=at, to=to) for one in works]
    for one, verdict in zip(works, verdicts, strict=True):
        if not verdict.allowed:
            named = f" (for '{one.title}', one of {len(works)} works in it)" if len(works) > 1 else ""
            return Verdict(False, verdict.because + named)
    if use != "download" and (clash := _clash(works)):
        return Verdict(False, clash)
    if use == "share" and to is not None and to.public and (short := _unsaid(record, to)):
        return Verdict(False, short)
    return verdicts[0]


def may_all(uses: Sequence[Use], record: RightsRecord | None, *, at: datetime, to: Outlet | None = None) -> Verdict:
    """Return the first refusal among `uses`, else an answer that allows them all."""
    verdicts = [may(use, record, at=at, to=to) for use in uses]
    return next((one for one in verdicts if not one.allowed), verdicts[-1] if verdicts else Verdict(True, "no use"))


def uses_of(*, monetised: bool) -> tuple[Use, ...]:
    """Return everything that making and posting a video does, for a channel that earns money or not."""
    return USES if monetised else tuple(use for use in USES if use != "commercial")


def works_in(record: RightsRecord) -> tuple[RightsRecord, ...]:
    """Return the record and, flat, those of the other works in the same video."""

    def each(one: RightsRecord) -> Iterator[RightsRecord]:
        yield one
        for part in one.parts:
            yield from each(part)

    return tuple(each(record))


def _alone(use: Use, record: RightsRecord, *, at: datetime, to: Outlet | None) -> Verdict:
    licence = LICENCES.get(record.licence)
    if licence is None or licence.id == "unknown":
        return Verdict(False, "the licence is unknown, so the work is a signal only and its media is not used")
    if record.expires_at is not None and record.expires_at <= at:
        return Verdict(False, f"the permission ended on {record.expires_at:%Y-%m-%d}")
    if licence.attested and not ((record.attested_by or "").strip() and record.attestation.strip()):
        return Verdict(False, f"'{licence.title}' needs a person's attestation, and none is recorded")
    implied = (use == "download" and record.uses) or (use == "share" and to is None)
    if record.uses is not None and use not in record.uses and not implied:
        return Verdict(False, f"the permission is limited to: {', '.join(record.uses) or 'nothing'}")
    if to is not None and record.platforms is not None and to.platform not in record.platforms:
        named = ", ".join(record.platforms) or "no platform"
        return Verdict(False, f"the permission is limited to {named}, and this goes to {to.platform}")
    if licence.bars:
        return Verdict(False, f"{licence.title} {licence.bars}")
    if use == "derivative" and not licence.derivative:
        return Verdict(False, f"{licence.title} does not allow edited versions")
    if use == "commercial" and not licence.commercial:
        return Verdict(False, f"{licence.title} does not allow commercial use")
    if use == "share" and to is not None and to.public and not licence.standalone and record.changes == ():
        return Verdict(False, f"{licence.title} does not allow it to be passed on unaltered")
    return Verdict(True, f"{licence.title} allows it")


def _clash(works: Sequence[RightsRecord]) -> str:
    """Say why works cannot lie in one video that is shared; empty: they can.

    What holds a share-alike work goes out under its licence. The others must allow that: the same licence (from 2.0
    on also a later version), one with no other condition than attribution, or none at all.
    """
    licences = [LICENCES[work.licence] for work in works]
    alike = [licence for licence in licences if licence.share_alike]
    if not alike:
        return ""
    result = max(alike, key=lambda licence: licence.version)
    for other in licences:
        if other.share_alike:
            fits = _terms(other) == _terms(result) and (other.version == result.version or other.version >= "2.0")
        else:
            fits = other.relicensed or (not other.commercial and other.derivative and not result.commercial)
        if not fits:
            return f"{result.title} asks that the whole video carries it, which {other.title} does not allow"
    return ""


def _terms(licence: Licence) -> tuple[bool, bool, bool]:
    return licence.commercial, licence.attribution, licence.share_alike


def _unsaid(record: RightsRecord, to: Outlet) -> str:
    """Say what a post there could not say that a licence asks for; empty: all of it can be said."""
    owed = [one for one in map(_licence, works_in(record)) if one.attribution or one.share_alike or one.credited]
    if not owed or to.text_bytes is None:
        return ""
    needed = len(attribution_text(record).encode())
    if needed <= to.text_bytes:
        return ""
    return f"{owed[0].title} asks for a credit of {needed} bytes, and a post on {to.platform} holds {to.text_bytes}"


# Records that follow each other ---------------------------------------------------------------------


def same_terms(one: RightsRecord, other: RightsRecord) -> bool:
    """Whether two records say the same of a work, though at other times or with another proof."""
    return _bare(one) == _bare(other)


def weakened(before: RightsRecord, after: RightsRecord) -> tuple[str, ...]:
    """Return what `after` no longer asks for or newly allows, in words; empty: it may take the place of `before`."""
    old, new = _licence(before), _licence(after)
    found = []
    if old.id == "unknown" != new.id:
        found.append("it allows uses of a work whose licence was unknown")
    found += [
        f"{new.title} allows {word}, {old.title} does not"
        for word, name in (("edited versions", "derivative"), ("commercial use", "commercial"))
        if getattr(new, name) and not getattr(old, name) and old.id != "unknown"
    ]
    if old.id == "permission" and new.id == "owned":
        found.append("it was used by another's permission, and is now said to be own work")
    if not old.standalone and new.standalone and old.id != "unknown":
        found.append(f"{old.title} does not allow it to be passed on unaltered, {new.title} does")
    if old.attribution and not new.attribution:
        found.append(f"{old.title} asks for a credit, {new.title} does not")
    if old.share_alike and not new.share_alike:
        found.append(f"{old.title} asks for the same licence, {new.title} does not")
    if before.author and before.author != after.author and not old.attested:
        found.append(f"{before.author} is no longer named as the author")
    if before.expires_at is not None and (after.expires_at is None or after.expires_at > before.expires_at):
        found.append(f"the end on {before.expires_at:%Y-%m-%d} falls away")
    for word, was, now in (("uses", before.uses, after.uses), ("platforms", before.platforms, after.platforms)):
        if was is not None and (now is None or not set(now) <= set(was)):
            found.append(f"the limit to {word} ({', '.join(was)}) falls away")
    return tuple(found)


def superseding(before: RightsRecord, after: RightsRecord) -> RightsRecord:
    """Return `after` with `before`, and what either took the place of, kept in it: each once, oldest first.

    Where both say the same, `before` itself is nothing that was replaced.
    """
    itself = () if same_terms(before, after) else (replace(before, earlier=()),)
    return replace(after, earlier=tuple(dict.fromkeys((*before.earlier, *itself, *after.earlier))))


def _bare(record: RightsRecord) -> RightsRecord:
    return replace(record, read_at=None, attested_at=None, proof_key=None, changes=None, earlier=(), replaces="")


def _licence(record: RightsRecord) -> Licence:
    return LICENCES.get(record.licence, LICENCES["unknown"])


# What a post says -----------------------------------------------------------------------------------


def attribution_text(record: RightsRecord) -> str:
    """Return the credit that the licences ask for, a line for each work: title, author, source, licence, changes.

    Share-alike adds a line with the licence of the whole. Empty for own work, and for works whose licence asks for
    nothing and whose author is not known. Before 4.0 a title is owed and what uses a work says that it does; from 4.0
    on the changes are. Source: legal codes, sections 4 (1.0 to 3.0) and 3(a)(1) (4.0).
    """
    works = works_in(record)
    each: dict[tuple[str | None, ...], RightsRecord] = {}
    for work in works:  # a narration has the record of what it was made for
        each.setdefault((work.licence, work.title, work.author, work.source_url), work)
    lines = [line for work in each.values() if (line := _credit(work))]
    if alike := [work for work in works if _licence(work).share_alike]:
        terms = _named(max(alike, key=lambda work: _licence(work).version))
        lines.append(f"This video is shared under the same licence: {terms}")
    return "\n".join(lines)


def _credit(record: RightsRecord) -> str:
    licence = _licence(record)
    if licence.id in {"owned", "unknown"} or not (licence.attribution or licence.credited or record.author):
        return ""
    owed_title = licence.version < "4.0" if licence.version else False
    title = f'"{record.title}"' if record.title else ('"Untitled"' if owed_title else "A work")
    source = f" ({record.source_url})" if record.source_url else ""
    using = "Adapted from " if record.changes and owed_title else ""
    made = f". Changes made: {', '.join(record.changes)}" if record.changes else ""
    return _one_line(f"{using}{title} by {record.author or 'unknown author'}{source}, {_named(record)}{made}.")


def _one_line(text: str) -> str:
    """Return what every platform takes as it is: one line without angle brackets, whatever a title holds."""
    bare = "".join(char for char in text if char.isspace() or unicodedata.category(char) not in {"Cc", "Cs"})
    return " ".join(unicodedata.normalize("NFC", bare).translate(_ANGLES).split())


def _named(record: RightsRecord) -> str:
    """Return the name and address of a record's licence: the ported one where the source states that."""
    licence = _licence(record)
    url = address_in(record.proof, licence.id) or licence.url
    return f"{licence.title} {url}" if url else licence.title
