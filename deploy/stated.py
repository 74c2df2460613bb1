"""What a person states of rights on the command line."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime

from contracts.errors import Reject
from contracts.rights import LICENCES, RightsRecord, parse_licence

__all__ = ["stated_licence", "stated_rights"]


def stated_licence(text: str) -> str:
    """Return the licence that is meant. Raises: Reject if none is known by that name."""
    found = parse_licence(text)
    if found == "unknown":
        raise Reject(
            f"'{text}' is no licence that is known here",
            mend=f"use a CC address or one of: {', '.join(sorted(LICENCES.keys() - {'unknown'}))}",
        )
    return found


def stated_rights(licence: str, *, attest: str, author: str | None) -> RightsRecord:
    """Return the record of a person's word. Raises: Reject if the licence needs it and there is none."""
    found = stated_licence(licence)
    if LICENCES[found].attested and not attest.strip():
        raise Reject(
            f"'{LICENCES[found].title}' needs your word for it", mend='add --attest "why you may use this media"'
        )
    now = datetime.now(UTC)
    person = getpass.getuser()
    return RightsRecord(
        licence=found,
        author=author,
        read_at=now,
        proof=f"stated on the command line by {person}",
        attested_by=person if attest.strip() else None,
        attested_at=now if attest.strip() else None,
        attestation=attest.strip(),
    )
