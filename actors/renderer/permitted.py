"""The renderer's gate: what may not be edited, or not for where it goes, is not rendered, nor are its parts."""

from __future__ import annotations

from msgspec import convert

from actors.renderer.finish import Asked
from actors.runtime.db import Record
from actors.runtime.work import Services
from contracts.changes import rights_of
from contracts.errors import Reject
from contracts.events import Destination
from contracts.plan import Plan
from contracts.rights import may_all, outlet_of, uses_of

__all__ = ["require", "require_stored"]

MEND = "record a licence or a permission, then plan again"


def require(plan: Plan, services: Services, destination: Destination | None) -> None:
    """Refuse, before any file is touched, a plan with a work that may not be used, or with works that may not be mixed.

    Raises: Reject, naming the source.
    """
    uses, at = uses_of(monetised=services.settings.monetised), services.clock.now()
    to = outlet_of(destination)
    for source in plan.sources:
        verdict = may_all(uses, source.rights, at=at, to=to)
        if not verdict.allowed:
            raise Reject(f"source '{source.id}' must not be used: {verdict.because}", mend=MEND)
    verdict = may_all(uses, rights_of(plan), at=at, to=to)
    if not verdict.allowed:
        raise Reject(f"the video must not be made: {verdict.because}", mend=MEND)


def require_stored(job: Record, services: Services) -> None:
    """Refuse the part or the join of a plan that was asked for when it was allowed, and is not any more.

    Raises: Reject, naming the source.
    """
    asked = convert(job["asked"], Asked | None)
    require(convert(job["plan"], Plan), services, asked.destination if asked else None)
