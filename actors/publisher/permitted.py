"""Whether a post may be made, by the rights of every work in its file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from actors import platforms
from actors.publisher.posts import Q
from actors.runtime.db import into
from actors.runtime.work import Services
from contracts.changes import rights_of
from contracts.errors import Reject
from contracts.events import PostRequested
from contracts.plan import Plan
from contracts.rights import RightsRecord, may_all, outlet_of, uses_of, works_in

__all__ = ["known_rights", "require"]


async def known_rights(request: PostRequested, services: Services) -> RightsRecord:
    """Return the rights of a request, with what else is known here of the works in its file.

    Whoever asks for a post states its rights. The file may have been made here, or be a source that was fetched here;
    then the records that it was made or fetched under count too.
    """
    sha256 = Path(request.key).stem  # every stored video is named by its content, whatever folder it lies in
    rows = await services.db.fetch(Q["fetched_as"], sha256)
    known = [replace(into(RightsRecord, row["rights"]), changes=()) for row in rows]
    rendered = await services.db.fetchrow(Q["rendered_from"], sha256)
    if rendered is not None:
        known += works_in(rights_of(msgspec.convert(rendered["plan"], Plan)))
    stated = {_work(one) for one in works_in(request.rights)}
    more = (replace(one, parts=()) for one in known if _work(one) not in stated)
    return replace(request.rights, changes=request.rights.changes or (), parts=(*request.rights.parts, *more))


def _work(record: RightsRecord) -> tuple[object, ...]:
    """Return what tells one statement of rights from another, whatever was made of the work since."""
    return tuple(
        getattr(record, name)
        for name in record.__struct_fields__
        if name not in {"changes", "parts", "earlier", "proof_key", "replaces", "read_at", "attested_at"}
    )


def require(request: PostRequested, *, monetised: bool, at: datetime) -> None:
    """Raises: Reject unless every work in the file may be posted there."""
    limits = platforms.module(request.destination.platform).LIMITS
    to = outlet_of(request.destination, text_bytes=limits.description_bytes)
    verdict = may_all(uses_of(monetised=monetised), request.rights, at=at, to=to)
    if not verdict.allowed:
        raise Reject(f"it may not be posted: {verdict.because}", mend="Record the right to use it, or drop it")
