"""The editor's gate, and what it keeps of a right to use a work: the record, its proof, and the records before it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from actors.runtime.db import into, load_queries
from actors.runtime.objects import content_key
from actors.runtime.work import Services
from contracts.changes import rights_of
from contracts.errors import Reject
from contracts.events import Destination
from contracts.ids import ItemId
from contracts.plan import Plan
from contracts.rights import RightsRecord, may_all, outlet_of, same_terms, superseding, uses_of, weakened, works_in

__all__ = ["known_rights", "proven", "require", "require_none_stricter", "settled"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


def require(rights: RightsRecord, services: Services, destination: Destination | None) -> None:
    """Refuse before any byte is fetched what may not be made into a video that goes there. Raises: Reject."""
    uses = uses_of(monetised=services.settings.monetised)
    verdict = may_all(uses, rights, at=services.clock.now(), to=outlet_of(destination))
    if not verdict.allowed:
        raise Reject(f"rights: {verdict.because}", mend="record a licence or a permission, then ask again")


def settled(known: Sequence[RightsRecord], given: RightsRecord, *, refuse_weaker: bool = False) -> RightsRecord:
    """Return the record that counts from now on.

    It is the first known one where that says the same, so that the plan stays the same; else the given one, which
    keeps those that it takes the place of.
    Raises: Reject if weaker ones are refused and it is weaker than what is known, and neither it nor the first known
    one, which then says the same, tells why.
    """
    lost = _lost(known, given)
    if known and same_terms(known[0], given) and (not lost or known[0].replaces.strip()):
        return known[0]
    if lost and refuse_weaker and not given.replaces.strip():
        raise Reject(
            f"rights: this file is known here under {_named(lost)}, and '{given.licence}' would take its place: "
            f"{_told(lost)}",
            mend="correct the licence and the author, or import it with --replaces 'why', which is kept on record",
        )
    for before in reversed(known):
        given = superseding(before, given)
    return given


def require_none_stricter(known: Sequence[RightsRecord], given: RightsRecord) -> None:
    """Refuse a work whose very bytes are known under stricter rights. Raises: Reject."""
    if lost := _lost(known, given):
        raise Reject(
            f"rights: the same file is known here under {_named(lost)}, and this work states '{given.licence}': "
            f"{_told(lost)}",
            mend="find out whose it is; if this work's licence holds, import it with --replaces 'why'",
        )


async def known_rights(services: Services, item_id: ItemId, sha256: str) -> list[RightsRecord]:
    """Return what is known of a file: of an imported item first, then of the same bytes as fetched or made here."""
    rows = await services.db.fetch(Q["rights_of_file"], item_id, sha256)
    known = [into(RightsRecord, row["rights"]) for row in rows]
    if (plan := await services.db.fetchval(Q["rendered_as"], sha256)) is not None:
        works = works_in(rights_of(msgspec.convert(plan, Plan)))
        known += [replace(one, parts=(), changes=None) for one in works]
    return known


def _lost(known: Sequence[RightsRecord], given: RightsRecord) -> dict[str, tuple[str, ...]]:
    """Return by licence what each known work asks for and no work of the given record does, in words."""
    found: dict[str, tuple[str, ...]] = {}
    for before in (work for record in known for work in works_in(record)):
        words = min((weakened(before, one) for one in works_in(given)), key=len)
        if words:
            found[before.licence] = (*found.get(before.licence, ()), *words)
    return found


def _named(lost: dict[str, tuple[str, ...]]) -> str:
    return ", ".join(f"'{licence}'" for licence in lost)


def _told(lost: dict[str, tuple[str, ...]]) -> str:
    return "; ".join(dict.fromkeys(word for words in lost.values() for word in words))


async def proven(services: Services, rights: RightsRecord, *, sha256: str, told: Any) -> RightsRecord:
    """Store what the licence was read from, with the hash of the file it was read for; return the record with its key.

    Args: told: the work as its platform told of it, or the address it came from; null: a person's file.
    """
    snapshot = {"sha256": sha256, "record": replace(rights, proof_key=None), "told": told}
    data = msgspec.json.encode(snapshot, order="sorted")
    key = content_key("proofs", hashlib.sha256(data).hexdigest(), ".json")
    if not await services.objects.exists(key):
        with services.scratch() as folder:
            file = folder / "proof.json"
            file.write_bytes(data)  # a few kilobytes
            await services.objects.put_file(key, file, content_type="application/json")
    return replace(rights, proof_key=key)
