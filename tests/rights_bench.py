"""Every actor that uses media, on one database, one store and one sandbox; events go from hand to hand.

Nothing is played but the bus: what a handler puts into the outbox is given to its consumers, until all is quiet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from aiohttp import web
from msgspec import Struct

from actors.editor.app import APP as EDITOR
from actors.publisher.app import APP as PUBLISHER
from actors.ranker.app import APP as RANKER
from actors.renderer.app import renderer
from actors.renderer.pieces import LocalEngine
from actors.runtime.app import ActorApp
from actors.runtime.db import Database
from contracts.codec import EVENTS, SUBJECT_PREFIX, decode, new_event_id
from contracts.events import (
    CandidateFound,
    CandidateSelected,
    Destination,
    Event,
    ImportRequested,
    PostRequested,
    RenderRequested,
    ScanCompleted,
)
from contracts.ids import CorrelationId, EventId, ItemId, ObjectKey
from contracts.plan import Plan
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from tests.channel import Channel, connected_channel
from tests.renderer_media import plan_of, write_video

__all__ = ["SHORT", "Bench", "opened_bench"]

MOST_EVENTS: Final = 60
SHORT: Final = 5
"""Frames of the video, ten a second."""


class Bench(Struct):
    """What a test of rights touches. asked: paths that were asked of the site that holds the video."""

    channel: Channel
    apps: tuple[ActorApp, ...]
    video: Path
    url: str
    asked: list[str]
    at: int = 0

    @property
    def db(self) -> Database:
        return self.channel.db

    async def run(self, *events: Event, between: Callable[[], None] = lambda: None) -> list[str]:
        """Deliver events, and all that follows from them, to whoever takes them; return the types in order."""
        queue, seen = list(events), []
        while queue:
            event = queue.pop(0)
            kind = str(event.__struct_config__.tag)
            seen.append(kind)
            assert len(seen) < MOST_EVENTS, seen
            for app in self.apps:
                if type(event) in app.handlers:
                    await self.settle(event, app)
                    between()
            queue += await self.fresh()
        return seen

    async def settle(self, event: Event, app: ActorApp) -> str:
        """Deliver an event until it is acked or terminated; return which."""
        for delivery in range(1, 40):
            answered, delay_s = await self.channel.deliver(event, delivery=delivery, app=app)
            if answered != "nak":
                return answered
            self.channel.clock.turn(delay_s)
        raise AssertionError(f"not settled: {event}")

    async def fresh(self) -> list[Event]:
        """Return what came into the outbox since the last time."""
        rows = await self.db.fetch("select id, subject, payload from outbox where id > $1 order by id", self.at)
        self.at = max([self.at, *(row["id"] for row in rows)])
        return [decode(row["payload"], EVENTS[row["subject"].removeprefix(SUBJECT_PREFIX)]) for row in rows]

    async def refusals(self) -> list[str]:
        rows = await self.db.fetch("select consumer, error from dead_letters order by id")
        return [f"{row['consumer']}: {row['error']}" for row in rows]

    async def rendered(self) -> list[Plan]:
        rows = await self.db.fetch("select plan from renditions where rendition is not null order by started_at")
        return [msgspec.convert(row["plan"], Plan) for row in rows]

    async def posted(self) -> list[dict[str, Any]]:
        return list((await self.channel.state())["videos"])

    # Ways in: each gives the first events of a path.

    def scan(self, name: str, rights: RightsRecord, to: Destination | None) -> tuple[Event, ...]:
        found = CandidateFound(candidate=self.candidate(name, rights), niche="sea", destination=to, **_ids(name, "f"))
        return found, ScanCompleted(niche="sea", found={"archive": 1}, **_ids(name, "e"))

    def selected(self, name: str, rights: RightsRecord, to: Destination | None) -> tuple[Event, ...]:
        one = self.candidate(name, rights)
        return (
            CandidateSelected(
                event_id=new_event_id(),
                correlation_id=CorrelationId(f"c-{name}"),
                item_id=one.item_id,
                candidate=one,
                niche="sea",
                score=50,
                reasons=(),
                destination=to,
            ),
        )

    async def imported(self, name: str, rights: RightsRecord, to: Destination | None) -> tuple[Event, ...]:
        key = ObjectKey(f"imports/{name}.mp4")
        with self.channel.services.scratch() as folder:
            file = folder / "v.mov"
            file.write_bytes(marked(self.video, name))
            await self.channel.services.objects.put_file(key, file)
        return (ImportRequested(rights=rights, key=key, file_name="sea.mp4", destination=to, **_ids(name, "i")),)

    async def render(self, name: str, rights: RightsRecord, to: Destination | None) -> tuple[Event, ...]:
        return (await self.render_of(name, (rights,), to),)

    async def render_of(self, name: str, rights: tuple[RightsRecord, ...], to: Destination | None) -> RenderRequested:
        """Ask for a video of several works: the first is shown, the others are sources beside it."""
        made = plan_of(self.video, end_us=400_000, seed=int.from_bytes(name.encode()[-4:]))
        key = await self._stored(ObjectKey(f"sources/{name}.mov"))
        first = msgspec.structs.replace(made.sources[0], key=key)
        sources = tuple(
            msgspec.structs.replace(first, id="s" if at == 0 else f"s{at}", rights=one) for at, one in enumerate(rights)
        )
        plan = msgspec.structs.replace(made, sources=sources)
        item = await self.item(name, rights[0])
        return RenderRequested(item_id=item, plan=plan, title="Sea", destination=to, **_ids(name, "r"))

    async def post(self, name: str, rights: RightsRecord, to: Destination | None) -> tuple[Event, ...]:
        key = await self._stored(ObjectKey(f"posts/{name}.mp4"))
        there = to or Destination(platform="youtube")
        return (
            PostRequested(
                item_id=ItemId(f"post:{name}"),
                key=key,
                rights=rights,
                destination=there,
                title="Sea",
                **_ids(name, "p"),
            ),
        )

    async def item(self, name: str, rights: RightsRecord) -> ItemId:
        item = ItemId(f"import:{name}")
        await self.db.execute(
            "insert into items (item_id, correlation_id, origin, title, rights, decision) "
            "values ($1, 'c', 'import', 'Sea', $2, 'imported') on conflict do nothing",
            *(item, rights),
        )
        return item

    def candidate(self, name: str, rights: RightsRecord) -> Candidate:
        now = self.channel.clock.now()
        return Candidate(
            item_id=ItemId(f"archive:{name}"),
            platform="archive",
            platform_id=name,
            url=f"https://example.org/{name}",
            title="The sea",
            media_url=f"{self.url}/v.mov?{name}",
            metrics=Metrics(views=1_000_000),
            published_at=now,
            observed_at=now,
            rights=rights,
        )

    async def _stored(self, key: ObjectKey) -> ObjectKey:
        await self.channel.services.objects.put_file(key, self.video)
        return key


def marked(video: Path, name: str) -> bytes:
    """Return the video with a box that no player reads: another file, the same picture."""
    mark = name.encode()
    return video.read_bytes() + (8 + len(mark)).to_bytes(4, "big") + b"free" + mark


def _ids(name: str, what: str) -> dict[str, Any]:
    return {
        "event_id": EventId(f"{what}-{name}"),
        "correlation_id": CorrelationId(f"c-{name}"),
        "causation_id": EventId(f"scan-{name}"),
    }


@asynccontextmanager
async def opened_bench(database: Database, folder: Path, *, chunk_from_s: float = 60.0) -> AsyncIterator[Bench]:
    """Open all actors on a sandbox; one account is connected."""
    chance = np.random.default_rng(1)
    pictures = [chance.integers(40, 200, (96, 64), dtype=np.uint8) for _ in range(SHORT)]
    video = write_video(folder / "v.mov", pictures, pts=[at * 3 for at in range(SHORT)])
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return web.Response(body=marked(video, request.query_string), content_type="video/quicktime")

    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(connected_channel(database, folder))
        msgspec.structs.force_setattr(channel.services.settings, "render_chunk_from_s", chunk_from_s)
        await channel.connect(life_s=10 * 365 * 86_400)
        site = web.Application()
        site.router.add_get("/v.mov", serve)
        runner = web.AppRunner(site)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        channel.services.settings.api_urls["mirror"] = url  # which offered files may be fetched from
        yield Bench(
            channel=channel,
            apps=(RANKER, EDITOR, renderer(LocalEngine()), PUBLISHER),
            video=video,
            url=url,
            asked=asked,
        )
