"""Look at thumbnails where a picture decides whether two sightings are one work.

Only items with a namesake of their length in another work are looked at, so that few pictures are fetched. What they
look like is kept in 64 bits; the pictures themselves are not.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from actors.ranker.entries import Seen, prepare
from actors.ranker.ingest import Q, rejoin
from actors.ranker.look import looks_of
from actors.runtime.http import Http, open_http
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Candidate

__all__ = ["look_at_thumbnails"]

BATCH: Final = 40
RECENTLY: Final = timedelta(days=2)
"""Works that nobody has seen for longer are not worth a request."""
PARALLEL: Final = 4
DEADLINE_S: Final = 10.0
MAX_BYTES: Final = 2 << 20


async def look_at_thumbnails(services: Services) -> None:
    """Fetch and compare the thumbnails that are undecided; one replica at a time, a batch at a time."""
    async with services.db.transaction() as lock:
        if not await lock.fetchval(Q["looking"]):
            return
        now = services.clock.now()
        rows = await lock.fetch(Q["undecided"], now - RECENTLY, BATCH)
        if not rows:
            return
        candidates = {row["item_no"]: msgspec.convert(row["candidate"], Candidate) for row in rows}
        with services.scratch() as folder:
            pictures = await _fetch_all(services, candidates, folder)
            looks = dict(zip(pictures, await looks_of(list(pictures.values())), strict=True)) if pictures else {}
        async with services.db.transaction() as conn:
            for item_no in sorted(candidates):
                await conn.execute(Q["put_picture"], item_no, looks.get(item_no), now)
            known = {item_no: look for item_no, look in looks.items() if look is not None}
            batch = prepare(Seen(candidate=candidates[no], counts=(), picture=look) for no, look in known.items())
            merged = await rejoin(conn, batch)
    get_logger().info("thumbnails.looked_at", items=len(candidates), pictures=len(known), merged=merged)


async def _fetch_all(services: Services, candidates: dict[int, Candidate], folder: Path) -> dict[int, Path]:
    """Return the files of those that could be fetched."""
    turns = asyncio.Semaphore(PARALLEL)

    async def one(item_no: int, url: str) -> tuple[int, Path] | None:
        async with turns:
            try:
                data = await _fetch(url, http)
            except (Reject, Retry, RateLimited) as error:
                get_logger().debug("thumbnail.not_fetched", item_no=item_no, because=str(error))
                return None
        file = folder / str(item_no)
        await asyncio.to_thread(file.write_bytes, data)
        return item_no, file

    # Strangers give these addresses.
    async with open_http(services.settings, services.clock, only_public=True) as http, asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(no, found.thumbnail_url or "")) for no, found in candidates.items()]
    return dict(done for task in tasks if (done := task.result()) is not None)


async def _fetch(url: str, http: Http) -> bytes:
    """Fetch a picture. Raises: Reject, Retry, RateLimited."""
    answer = await http.request("GET", url, deadline_s=DEADLINE_S, follow=True, max_body_bytes=MAX_BYTES)
    if answer.status != 200:
        raise Reject(f"a thumbnail answered {answer.status}")
    return answer.body
