"""The editor's gate, and what it keeps of a right to use a work: the record, its proof, and the records before it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.runtime.objects import content_key
from actors.runtime.work import Services
from contracts.errors import Reject
from contracts.events import Destination
from contracts.rights import RightsRecord, may_all, outlet_of, same_terms, superseding, uses_of, weakened

__all__ = ["proven", "require", "settled"]


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
    Raises: Reject if weaker ones are refused and it is weaker, without saying why, than what is known.
    """
    if known and same_terms(known[0], given):
        return known[0]
    lost = list(dict.fromkeys(word for before in known for word in weakened(before, given)))
    if lost and refuse_weaker and not given.replaces.strip():
        raise Reject(
            f"rights: this file is known here under '{known[0].licence}', and '{given.licence}' would take its place: "
            f"{'; '.join(lost)}",
            mend="correct the licence and the author, or import it with --replaces 'why', which is kept on record",
        )
    for before in reversed(known):
        if not same_terms(before, given):
            given = superseding(before, given)
    return given


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
