"""A long plan as chunk jobs: real NATS, PostgreSQL, objects and child processes; several replicas of the renderer."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from actors.renderer import handle as renderer_handle
from actors.renderer import parts as renderer_parts
from actors.renderer.app import renderer
from actors.renderer.parts import sweep
from actors.renderer.pieces import SOUND, Cut, LocalEngine, OnFrames, Piece
from actors.renderer.progress import Eta, Pace, eta
from actors.renderer.render import Rendered, render_file
from actors.runtime.app import serving
from actors.runtime.db import Database
from actors.runtime.objects import Objects, content_key, open_objects
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from contracts.codec import encode, new_event_id, subject_of
from contracts.errors import Reject
from contracts.events import Destination, RenderRequested
from contracts.ids import CorrelationId, ItemId
from contracts.media import Rational
from contracts.plan import AudioTrack, Captions, Clip, Cue, Output, Plan, PlanSource, Zoom, plan_id
from deploy.dead import DeadLetters
from tests.renderer_media import RIGHTS, flat, write_video
from tests.stack import until

ITEM = ItemId("import:fish")
OUTPUT = Output(width_px=64, height_px=64, fps=Rational(4), preset="ultrafast", crf=20)
CHUNKS = 4
"""Chunks of `plan`: 20 seconds."""
SettingsOf = Callable[[str], Settings]


class Counted(LocalEngine):
    """The real engine, and what it was asked for."""

    def __init__(self, made: list[int]) -> None:
        self.made = made
        self.joined = 0
        self.refuse: set[int] = set()
        self.hold = asyncio.Event()
        self.hold.set()
        self.holding = asyncio.Event()
        self.held: set[int] = set()

    async def make(
        self, cut: Cut, piece: Piece, *, sources: Mapping[str, Path], out: Path, on_frames: OnFrames
    ) -> tuple[str, ...]:
        if piece.index in self.held:
            self.holding.set()
            while not self.hold.is_set():
                await on_frames(0)
                await asyncio.sleep(0.05)
        if piece.index in self.refuse:
            raise Reject("the picture is poisoned", mend="cut it out")
        self.made.append(piece.index)
        return await super().make(cut, piece, sources=sources, out=out, on_frames=on_frames)

    async def join(self, cut: Cut, parts: Sequence[Path], sound: Path | None, out: Path) -> Rendered:
        self.joined += 1
        return await super().join(cut, parts, sound, out)


class Fleet(msgspec.Struct):
    """Replicas that run, and what they share."""

    db: Database
    settings: Settings
    objects: Objects
    bus: Client
    engines: list[Counted]
    services: list[Services]
    made: list[int]
    announced: list[dict[str, Any]]

    async def ask(self, plan: Plan, *, title: str = "Fish") -> RenderRequested:
        event = RenderRequested(
            event_id=new_event_id(),
            correlation_id=CorrelationId("c"),
            item_id=ITEM,
            plan=plan,
            title=title,
            hashtags=("sea",),
            destination=Destination(platform="youtube"),
        )
        await self.bus.jetstream().publish(subject_of(event), encode(event))
        return event

    async def told(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.db.fetch("select payload from outbox where subject = $1 order by id", f"ett.{kind}")
        return [msgspec.json.decode(row["payload"]) for row in rows]

    async def completed(self, count: int = 1) -> dict[str, Any]:
        """Wait for so many render.completed; return the last."""

        async def there() -> bool:
            return len(await self.told("render.completed")) >= count

        await until(there, what=f"{count} render.completed", deadline_s=90)
        return (await self.told("render.completed"))[-1]

    async def rejected(self, count: int = 1) -> dict[str, Any]:
        async def there() -> bool:
            return len(await self.told("work.rejected")) >= count

        await until(there, what="work.rejected", deadline_s=60)
        return (await self.told("work.rejected"))[-1]

    async def states(self, plan: Plan) -> dict[int, str]:
        rows = await self.db.fetch("select index, state from render_chunks where plan_id = $1", plan_id(plan))
        return {row["index"]: row["state"] for row in rows}

    async def store(self, file: Path) -> PlanSource:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        key = content_key("sources", sha256, file.suffix)
        await self.objects.put_file(key, file)
        return PlanSource(id=file.stem, key=key, sha256=sha256, rights=RIGHTS)


Running = Callable[..., Any]


@pytest.fixture
async def running(settings_of: SettingsOf, database: Database, nats_admin: Client) -> Callable[[int], Any]:
    """Run so many replicas of the renderer side by side."""
    await database.execute(
        "insert into items (item_id, correlation_id, origin, title, rights, decision) "
        "values ($1, 'c', 'import', 'Fish', $2, 'imported')",
        ITEM,
        RIGHTS,
    )

    @asynccontextmanager
    async def run(replicas: int, **changes: Any) -> AsyncIterator[Fleet]:
        settings = replace(settings_of("renderer"), render_chunk_from_s=10.0, render_workers=1, **changes)
        made: list[int] = []
        announced: list[dict[str, Any]] = []

        async def hear(message: Any) -> None:
            announced.append(msgspec.json.decode(message.data))

        async with AsyncExitStack() as stack:
            heard = await nats_admin.subscribe("ett.render.progressed", cb=hear)
            engines = [Counted(made) for _ in range(replicas)]
            services = [await stack.enter_async_context(serving(renderer(engine), settings)) for engine in engines]
            objects = await stack.enter_async_context(open_objects(settings))
            yield Fleet(database, settings, objects, nats_admin, engines, services, made, announced)
            await heard.unsubscribe()

    return run


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five seconds that change with each frame, with a tone."""
    sound = np.sin(np.arange(5 * 48_000) / 48_000 * 2 * np.pi * 440).astype(np.float32) / 4
    pictures = [flat(64, 64, y=40 + at * 8) for at in range(20)]
    return write_video(tmp_path / "s.mov", pictures, pts=range(0, 150, 150 // 20), sound=np.stack([sound, sound]))


def long_plan(source: PlanSource, **fields: Any) -> Plan:
    """Twenty seconds: the source four times, a caption in each."""
    clips = tuple(Clip(source=source.id, start_us=0, end_us=5_000_000) for _ in range(CHUNKS))
    cues = tuple(
        Cue(start_us=at * 5_000_000 + 500_000, end_us=at * 5_000_000 + 3_000_000, text=f"Fish {at}")
        for at in range(CHUNKS)
    )
    made = Plan(
        sources=fields.pop("sources", (source,)),
        clips=fields.pop("clips", clips),
        audio=(AudioTrack(source=source.id),),
        captions=Captions(cues=cues),
        effects=(Zoom(),),
        output=OUTPUT,
        **fields,
    )
    return msgspec.json.decode(msgspec.json.encode(made), type=Plan)


async def local_sha256(plan: Plan, fleet: Fleet, folder: Path) -> str:
    """Render the plan on this machine, without any service."""
    root = Path(fleet.settings.media_url)
    out = folder / "local.mp4"
    await render_file(plan, resolve=lambda source: root / source.key, out=out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


async def test_two_renderers_share_a_plan_and_join_it_once(running: Running, video: Path, tmp_path: Path) -> None:
    """A long plan is rendered by one machine alone, twice, or to other bytes than on one machine."""
    async with running(2) as fleet:
        plan = long_plan(await fleet.store(video))
        request = await fleet.ask(plan)
        told = await fleet.completed()
        assert sorted(fleet.made) == [SOUND, *range(CHUNKS)]
        assert sum(engine.joined for engine in fleet.engines) == 1
        assert len(await fleet.told("join.requested")) == 1
        assert len(await fleet.told("chunk.requested")) == CHUNKS + 1
        assert (told["title"], told["hashtags"], told["destination"]["platform"]) == ("Fish", ["sea"], "youtube")
        assert told["correlation_id"] == request.correlation_id
        rendition = told["rendition"]
        assert rendition["sha256"] == await local_sha256(plan, fleet, tmp_path)
        async with fleet.objects.local(rendition["key"]) as file:
            assert hashlib.sha256(file.read_bytes()).hexdigest() == rendition["sha256"]
        row = await fleet.db.fetchrow("select frames_done, frames_total, eta_s from renditions")
        assert row is not None
        assert tuple(row) == (80, 80, 0.0)


async def test_a_changed_caption_renders_one_chunk_anew(running: Running, video: Path) -> None:
    """Somebody who mends one word waits for the whole hour again."""
    async with running(1) as fleet:
        plan = long_plan(await fleet.store(video))
        await fleet.ask(plan)
        first = await fleet.completed()
        fleet.made.clear()
        assert plan.captions is not None
        cues = list(plan.captions.cues)
        cues[2] = replace(cues[2], text="Whale")
        mended = replace(plan, captions=Captions(cues=tuple(cues)))
        await fleet.ask(mended)
        second = await fleet.completed(2)
        assert fleet.made == [2]
        assert second["rendition"]["sha256"] != first["rendition"]["sha256"]


async def test_a_poisoned_chunk_ends_the_plan_with_its_reason(running: Running, video: Path, tmp_path: Path) -> None:
    """A plan with one bad part is rendered for ever, or ends without a word."""
    bad = tmp_path / "bad.mov"
    bad.write_bytes(b"\0\0\0\x14ftypqt  " + bytes(3000))
    async with running(2) as fleet:
        good, poison = await fleet.store(video), await fleet.store(bad)
        clips = [Clip(source="s", start_us=0, end_us=5_000_000) for _ in range(CHUNKS)]
        clips[1] = replace(clips[1], source="bad")
        for engine in fleet.engines:
            engine.held = {3}
            engine.hold.clear()
        plan = long_plan(good, sources=(good, poison), clips=tuple(clips))
        await fleet.ask(plan)
        told = await fleet.rejected()
        assert told["item_id"] == ITEM
        assert told["rejected_type"] == "chunk.requested"
        assert "chunk 1 (5.0 s to 10.0 s): the source cannot be opened" in told["reason"]

        async def left() -> bool:
            return bool((await fleet.states(plan)).get(3) == "stopped")

        await until(left, what="the chunk that was in work is left")
        letters = await fleet.db.fetch("select item_id, kind from dead_letters")
        assert [tuple(row) for row in letters] == [(ITEM, "rejected")]
        assert 3 not in fleet.made
        assert "waiting" not in (await fleet.states(plan)).values()
        assert not await fleet.told("join.requested")


async def test_a_retried_dead_letter_brings_the_whole_plan_back(running: Running, video: Path) -> None:
    """Once its cause is mended, the parts that were left meanwhile are never made."""
    async with running(1) as fleet:
        (engine,) = fleet.engines
        plan = long_plan(await fleet.store(video))
        engine.refuse = {0}
        await fleet.ask(plan)
        await fleet.rejected()

        async def left() -> bool:
            return [*(await fleet.states(plan)).values()].count("stopped") == CHUNKS - 1

        await until(left, what="the others are left")
        engine.refuse.clear()
        letters = DeadLetters(fleet.db)
        (letter,) = await letters.listed()
        await letters.retried(letter.id)
        await fleet.completed()
        assert sorted(fleet.made) == [SOUND, *range(CHUNKS)]


async def test_a_plan_that_ended_can_be_asked_for_again(running: Running, video: Path) -> None:
    """After a failure, the same plan is taken for one that is under way, and never comes."""
    async with running(1) as fleet:
        (engine,) = fleet.engines
        plan = long_plan(await fleet.store(video))
        engine.refuse = {2}
        await fleet.ask(plan)
        await fleet.rejected()
        engine.refuse.clear()
        await fleet.ask(plan)
        await fleet.completed()
        assert sorted(fleet.made) == [SOUND, *range(CHUNKS)]


async def test_a_missing_source_is_told(running: Running, video: Path) -> None:
    """A source that was deleted keeps the fleet busy for ever."""
    async with running(2) as fleet:
        source = await fleet.store(video)
        await fleet.objects.delete(source.key)
        await fleet.ask(long_plan(source))
        assert "there is no stored object" in (await fleet.rejected())["reason"]
        assert not fleet.made


async def test_a_second_request_is_answered_with_the_same_file(
    running: Running, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests for one plan render it twice, or one of them is never answered."""
    monkeypatch.setattr(renderer_handle, "UNDER_WAY_DELAY_S", 0.2)
    async with running(2) as fleet:
        plan = long_plan(await fleet.store(video))
        await fleet.ask(plan)
        await fleet.ask(plan, title="Again")
        await fleet.completed(2)
        first, second = await fleet.told("render.completed")
        assert {first["title"], second["title"]} == {"Fish", "Again"}
        assert first["rendition"] == second["rendition"]
        assert sorted(fleet.made) == [SOUND, *range(CHUNKS)]
        assert sum(engine.joined for engine in fleet.engines) == 1


async def test_plans_that_share_chunks_make_them_once(running: Running, video: Path) -> None:
    """Two versions of a plan that are rendered at once cost twice what they have in common."""
    async with running(2) as fleet:
        plan = long_plan(await fleet.store(video))
        assert plan.captions is not None
        other = replace(plan, captions=Captions(cues=plan.captions.cues[:-1]))
        await fleet.ask(plan)
        await fleet.ask(other)
        await fleet.completed(2)
        assert Counter(fleet.made) == Counter([SOUND, *range(CHUNKS), CHUNKS - 1])


@pytest.mark.parametrize("how", ["deleted", "damaged"])
async def test_a_part_that_is_lost_before_the_join_is_made_anew(running: Running, video: Path, how: str) -> None:
    """A damaged part ends up in the video, or the plan stops for ever."""
    async with running(1) as fleet:
        plan = long_plan(await fleet.store(video))
        await fleet.ask(plan)
        first = await fleet.completed()
        keys = await fleet.db.fetch(
            "select object_key from chunk_files f join render_chunks using (key) where index = 1"
        )
        await fleet.objects.delete(first["rendition"]["key"])
        for row in keys:
            path = Path(fleet.settings.media_url) / row["object_key"]
            if how == "deleted":
                await fleet.objects.delete(row["object_key"])
            else:
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
        fleet.made.clear()
        await fleet.ask(plan)
        second = await fleet.completed(2)
        assert fleet.made == [1]
        assert second["rendition"] == first["rendition"]


async def test_progress_is_of_all_renderers_and_says_when_it_ends(running: Running, video: Path) -> None:
    """A person is shown one chunk's frames as the whole's, or a time that nobody measured."""
    async with running(2) as fleet:
        for engine in fleet.engines:
            engine.held = {3}
            engine.hold.clear()
        plan = long_plan(await fleet.store(video))
        await fleet.ask(plan)

        async def near() -> bool:
            return bool(fleet.announced) and fleet.announced[-1]["frames_done"] == 60

        await until(near, what="three of four chunks", deadline_s=60)
        told = fleet.announced[-1]
        assert (told["frames_total"], told["workers"], told["absent"]) == (80, 1, {})
        assert told["eta_s"] > 0
        for engine in fleet.engines:
            engine.hold.set()
        await fleet.completed()
        done = [each["frames_done"] for each in fleet.announced]
        assert done == sorted(done)
        moments = [each["occurred_at"] for each in fleet.announced]
        assert len(set(moments)) == len(moments)
        for each in fleet.announced:
            assert (each["eta_s"] is None) == ("eta_s" in each["absent"])


async def test_parts_are_kept_while_needed_and_no_longer(
    running: Running, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of old plans fill the store, or those of a plan under way are removed."""
    async with running(1) as fleet:
        (engine,) = fleet.engines
        plan = long_plan(await fleet.store(video))
        await fleet.ask(plan)
        await fleet.completed()
        assert plan.captions is not None
        engine.held = {3}
        engine.hold.clear()
        other = replace(
            plan,
            captions=Captions(cues=(*plan.captions.cues[:-1], Cue(start_us=16_000_000, end_us=17_000_000, text="Eel"))),
        )
        await fleet.ask(other)
        await engine.holding.wait()
        finished = {
            row["key"]
            for row in await fleet.db.fetch(
                "select key from render_chunks where plan_id = $1 and index = 3", plan_id(plan)
            )
        }
        monkeypatch.setattr(renderer_parts, "KEPT_BYTES", 0)
        monkeypatch.setattr(renderer_parts, "LEAST_KEPT_FOR", timedelta())
        before = await fleet.objects.list("chunks/")
        await sweep(fleet.services[0])
        after = await fleet.objects.list("chunks/")
        gone = {key.rsplit("/", 1)[1].removesuffix(".mp4") for key in set(before) - set(after)}
        assert gone == finished
        engine.hold.set()
        await fleet.completed(2)
        await fleet.db.execute("update chunk_files set used_at = now() - interval '8 days'")
        await fleet.db.execute("update renditions set finished_at = now() - interval '8 days'")
        await sweep(fleet.services[0])
        assert await fleet.objects.list("chunks/") == []
        for table in ("chunk_files", "render_chunks"):
            assert await fleet.db.fetchval(f"select count(*) from {table}") == 0  # a name from here
        assert await fleet.db.fetchval("select count(*) from leases where name like 'chunk:%'") == 0


@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        (Pace(0, 0, None), Eta(None, "no renderer works on it now")),
        (Pace(0, 2, None), Eta(None, "no frame is encoded yet")),
        (Pace(0, 2, 0.0), Eta(None, "no frame is encoded yet")),
        (Pace(50, 0, 10.0), Eta(None, "no renderer works on it now")),
        (Pace(50, 2, 5.0), Eta(5.0)),
        (Pace(100, 0, 5.0), Eta(0.0)),
    ],
)
def test_the_time_left_follows_from_what_was_seen(pace: Pace, expected: Eta) -> None:
    """The time shown is a guess, or halves although nobody works."""
    assert eta(pace, 100) == expected
