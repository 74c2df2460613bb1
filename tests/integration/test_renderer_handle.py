"""The renderer's handler with a real database, real objects and a real child process."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import msgspec
import pytest
from msgspec.structs import replace

from actors.renderer import finish as renderer_finish
from actors.renderer import pieces as renderer_pieces
from actors.renderer.app import APP, renderer
from actors.renderer.join import failed_beside
from actors.renderer.parts import sweep
from actors.renderer.pieces import Cut, LocalEngine, OnFrames
from actors.renderer.render import Rendered, render_file
from actors.runtime.app import ActorApp
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.http import Http
from actors.runtime.ledger import Ledger
from actors.runtime.objects import content_key, open_objects
from actors.runtime.outcome import process
from actors.runtime.settings import Settings
from actors.runtime.tokens import open_tokens
from actors.runtime.work import Services
from contracts.codec import encode, new_event_id
from contracts.errors import Reject
from contracts.events import Destination, Event, RenderRequested
from contracts.flow import PARTIES, consumers_of
from contracts.ids import CorrelationId, ItemId
from contracts.plan import Captions, Cue, Mirror, Plan, Zoom, plan_id
from contracts.rights import RightsRecord
from tests.channel import Killed
from tests.renderer_media import RIGHTS, flat, plan_of, write_video

ITEM = ItemId("import:fish")


class Message:
    """One delivery, as the bus hands it over."""

    def __init__(self, event: Event, delivery: int) -> None:
        self.data = encode(event)
        self.metadata = SimpleNamespace(
            num_delivered=delivery, timestamp=datetime.now(UTC), sequence=SimpleNamespace(stream=1)
        )
        self.answered = ""

    async def ack(self) -> None:
        self.answered = "ack"

    async def nak(self, delay: float | None = None) -> None:
        self.answered = "nak"

    async def term(self) -> None:
        self.answered = "term"


class Bench(msgspec.Struct):
    """The services of one renderer, and what it announced."""

    services: Services
    announced: list[dict[str, Any]]

    async def deliver(self, event: RenderRequested, *, delivery: int = 1, app: ActorApp = APP) -> str:
        (consumer,) = (one for one in consumers_of(PARTIES[app.name]) if one.kind is RenderRequested)
        message = Message(event, delivery)
        await process(message, consumer, app.handlers[RenderRequested], self.services, always_check=True)
        return message.answered

    async def told(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.services.db.fetch("select payload from outbox where subject = $1 order by id", f"ett.{kind}")
        return [msgspec.json.decode(row["payload"]) for row in rows]


@pytest.fixture
async def bench(database: Database, tmp_path: Path) -> AsyncIterator[Bench]:
    """A renderer's services, on the test's own database and folder."""
    settings = Settings(data_dir=tmp_path / "data", media_url=str(tmp_path / "media"))
    clock, announced = Clock(), []

    async def announce(_subject: str, payload: bytes) -> None:
        announced.append(msgspec.json.decode(payload))

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(Http(settings.user_agent, clock))
        await database.execute(
            "insert into items (item_id, correlation_id, origin, title, rights, decision) "
            "values ($1, 'c', 'import', 'Fish', $2, 'imported')",
            ITEM,
            RIGHTS,
        )
        yield Bench(
            services=Services(
                actor="renderer",
                settings=settings,
                clock=clock,
                db=database,
                ledger=Ledger(database, sender="renderer", clock=clock, ttl_s=5.0),
                objects=await stack.enter_async_context(open_objects(settings)),
                http=http,
                tokens=open_tokens(settings, database, http, clock),
                announce=announce,
            ),
            announced=announced,
        )


@pytest.fixture
async def plan(bench: Bench, tmp_path: Path) -> Plan:
    """A plan whose source is stored."""
    file = write_video(tmp_path / "s.mov", [flat(64, 64, y=40 + at) for at in range(30)])
    made = plan_of(file, end_us=1_000_000, effects=(Mirror(), Zoom()))
    key = content_key("sources", made.sources[0].sha256, ".mov")
    await bench.services.objects.put_file(key, file)
    captions = Captions(cues=(Cue(start_us=0, end_us=900_000, text="Fish"),))
    return replace(made, sources=(replace(made.sources[0], key=key),), captions=captions)


def asked(plan: Plan) -> RenderRequested:
    return RenderRequested(
        event_id=new_event_id(),
        correlation_id=CorrelationId("c"),
        item_id=ITEM,
        plan=plan,
        title="Fish",
        hashtags=("sea",),
        destination=Destination(platform="youtube"),
    )


def clean(bench: Bench) -> bool:
    """Whether no temporary file is left."""
    folder = bench.services.settings.data_dir / "tmp"
    return not folder.exists() or not any(folder.iterdir())


async def test_a_plan_becomes_a_stored_file_and_an_event(bench: Bench, plan: Plan) -> None:
    """A rendered video is lost, or its event says other than what was stored."""
    assert await bench.deliver(asked(plan)) == "ack"
    (told,) = await bench.told("render.completed")
    rendition = told["rendition"]
    assert (rendition["frames"], rendition["duration_us"], rendition["width_px"]) == (30, 1_000_000, 64)
    assert (told["title"], told["hashtags"], told["destination"]["platform"]) == ("Fish", ["sea"], "youtube")
    assert told["rights"]["licence"] == "owned"
    assert told["synthetic"] is False
    async with bench.services.objects.local(rendition["key"]) as file:
        content = file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == rendition["sha256"]
    assert rendition["sha256"] in rendition["key"]
    row = await bench.services.db.fetchrow("select * from renditions")
    assert row is not None
    assert (row["plan_id"], row["frames_done"], row["frames_total"]) == (plan_id(plan), 30, 30)
    assert row["rendition"]["sha256"] == rendition["sha256"]
    assert bench.announced[-1]["frames_done"] == bench.announced[-1]["frames_total"] == 30
    assert clean(bench)


async def test_a_synthetic_voice_stays_disclosed(bench: Bench, plan: Plan) -> None:
    """A narrated video is posted without the mark that platforms ask for."""
    assert await bench.deliver(replace(asked(plan), synthetic=True)) == "ack"
    (told,) = await bench.told("render.completed")
    assert told["synthetic"] is True


async def test_the_language_is_handed_on(bench: Bench, plan: Plan) -> None:
    """What is known of the language of a work is lost on the way to its post."""
    for language in ("pt-BR", None):
        assert await bench.deliver(replace(asked(plan), language=language)) == "ack"
    assert [told["language"] for told in await bench.told("render.completed")] == ["pt-BR", None]


async def test_a_rendered_plan_is_not_rendered_again(bench: Bench, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same video is rendered twice, or its second request is never answered."""
    await bench.deliver(asked(plan))

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(renderer_pieces, "render_file", never)
    assert await bench.deliver(asked(plan)) == "ack"
    first, second = await bench.told("render.completed")
    assert first["rendition"] == second["rendition"]
    assert first["event_id"] != second["event_id"]


async def test_a_lost_file_is_rendered_again_to_the_same_bytes(bench: Bench, plan: Plan) -> None:
    """A file that was removed from the store can never be posted again."""
    await bench.deliver(asked(plan))
    (told,) = await bench.told("render.completed")
    await bench.services.objects.delete(told["rendition"]["key"])
    assert await bench.deliver(asked(plan)) == "ack"
    assert await bench.services.objects.exists(told["rendition"]["key"])
    assert (await bench.told("render.completed"))[1]["rendition"] == told["rendition"]


@pytest.mark.parametrize("boundary", ["renderer.joined", "renderer.finished"])
async def test_a_death_between_steps_ends_in_one_event(
    bench: Bench, plan: Plan, monkeypatch: pytest.MonkeyPatch, boundary: str
) -> None:
    """A renderer that dies midway leaves the item unfinished, or finishes it twice."""
    reached: list[str] = []

    def reach(name: str) -> None:
        if name == boundary and not reached:
            reached.append(name)
            raise Killed(name)

    monkeypatch.setattr(renderer_finish, "reach", reach)
    request = asked(plan)
    with pytest.raises(Killed):
        await bench.deliver(request)
    assert await bench.deliver(request, delivery=2) == "ack"
    assert len(await bench.told("render.completed")) == 1
    assert clean(bench)


class Dying(LocalEngine):
    """The real engine, in a process that dies as soon as one part is kept."""

    def __init__(self) -> None:
        self.found: list[int] = []

    async def whole(
        self, cut: Cut, *, sources: Mapping[str, Path], kept: Path, out: Path, crew: int, on_frames: OnFrames
    ) -> Rendered:
        self.found.append(len([*kept.glob("*.mp4")]))

        async def tell(frames: int) -> None:
            await on_frames(frames)
            if len(self.found) == 1 and any(kept.glob("*.mp4")):
                raise Killed

        return await super().whole(cut, sources=sources, kept=kept, out=out, crew=1, on_frames=tell)


async def test_finished_chunks_outlive_the_renderer(bench: Bench, plan: Plan, tmp_path: Path) -> None:
    """A renderer that is killed near the end begins at the first frame again, or makes another file."""
    clip = plan.clips[0]
    longer = replace(plan, clips=(clip,) * 24, captions=None)
    engine = Dying()
    app = renderer(engine)
    request = asked(longer)
    with pytest.raises(Killed):
        await bench.deliver(request, app=app)
    assert await bench.deliver(request, delivery=2, app=app) == "ack"
    assert engine.found[0] == 0
    assert engine.found[1] >= 1
    (told,) = await bench.told("render.completed")
    out = tmp_path / "local.mp4"
    root = Path(bench.services.settings.media_url)
    await render_file(longer, resolve=lambda source: root / source.key, out=out)
    assert told["rendition"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert clean(bench)


class Failing(LocalEngine):
    """The real engine, whose file fails its last check."""

    async def whole(
        self, cut: Cut, *, sources: Mapping[str, Path], kept: Path, out: Path, crew: int, on_frames: OnFrames
    ) -> Rendered:
        await super().whole(cut, sources=sources, kept=kept, out=out, crew=crew, on_frames=on_frames)
        out.rename(failed_beside(out))
        raise Reject("the picture is black")


async def test_what_failed_a_check_is_kept_for_a_while(bench: Bench, plan: Plan) -> None:
    """Nobody can see what was wrong with a refused video, or refused videos fill the store."""
    assert await bench.deliver(asked(plan), app=renderer(Failing())) == "term"
    (key,) = await bench.services.objects.list("failed/")
    assert [told["reason"] for told in await bench.told("work.rejected")] == ["the picture is black"]
    assert await bench.services.objects.size(key)
    assert clean(bench)
    await bench.services.db.execute("update chunk_files set used_at = now() - interval '8 days'")
    await bench.services.db.execute("update renditions set started_at = now() - interval '8 days', told_at = null")
    await sweep(bench.services)
    assert await bench.services.objects.list("failed/") == []


@pytest.mark.parametrize(
    ("rights", "why"),
    [
        (RightsRecord(licence="unknown"), "the licence is unknown"),
        (RightsRecord(licence="CC-BY-ND-4.0"), "does not allow edited versions"),
        (RightsRecord(licence="CC-BY-NC-4.0"), "does not allow commercial use"),
        (RightsRecord(licence="owned"), "needs a person's attestation"),
    ],
)
async def test_what_may_not_be_used_is_not_rendered(bench: Bench, plan: Plan, rights: RightsRecord, why: str) -> None:
    """Somebody's work is edited without a licence."""
    forbidden = replace(plan, sources=(replace(plan.sources[0], rights=rights),))
    assert await bench.deliver(asked(forbidden)) == "term"
    (told,) = await bench.told("work.rejected")
    assert why in told["reason"]
    assert await bench.services.db.fetchval("select count(*) from renditions") == 0


async def test_damage_is_rejected_with_its_reason(bench: Bench, plan: Plan, tmp_path: Path) -> None:
    """A damaged source is retried for ever, or fails without a reason."""
    other = tmp_path / "other.mov"
    other.write_bytes(b"\0\0\0\x14ftypqt  " + bytes(3000))
    key = content_key("sources", hashlib.sha256(other.read_bytes()).hexdigest(), ".mov")
    await bench.services.objects.put_file(key, other)
    swapped = replace(plan, sources=(replace(plan.sources[0], key=key),))
    assert await bench.deliver(asked(swapped)) == "term"
    damaged = replace(
        plan, sources=(replace(plan.sources[0], key=key, sha256=hashlib.sha256(other.read_bytes()).hexdigest()),)
    )
    assert await bench.deliver(asked(damaged)) == "term"
    reasons = [told["reason"] for told in await bench.told("work.rejected")]
    assert "is not the file that was planned" in reasons[0]
    assert "the source cannot be opened" in reasons[1]
    assert clean(bench)


async def test_two_replicas_render_a_plan_once(bench: Bench, plan: Plan) -> None:
    """Two replicas spend twice the time on one video, or tell of it twice."""
    services = bench.services
    other_ledger = Ledger(services.db, sender="renderer", clock=services.clock, ttl_s=5.0)
    other = Bench(services=dataclasses.replace(services, ledger=other_ledger), announced=[])
    request = asked(plan)
    answers = await asyncio.gather(bench.deliver(request), other.deliver(request))
    assert sorted(answers) == ["ack", "nak"]
    assert await other.deliver(request, delivery=2) == "ack"
    assert len(await bench.told("render.completed")) == 1


async def test_a_plan_renders_without_services(tmp_path: Path) -> None:
    """`ettametta render` needs servers, or says nothing on its way."""
    source = write_video(tmp_path / "s.mov", [flat(64, 64)] * 10)
    plan, told = plan_of(source, end_us=333_000), []

    async def tell(done: int, total: int) -> None:
        told.append((done, total))

    out = tmp_path / "it's [1] out.mp4"
    rendered = await render_file(plan, resolve=lambda one: Path(one.key), out=out, on_progress=tell)
    assert rendered.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert told[-1] == (10, 10)
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10


@pytest.mark.parametrize(("device", "why"), [("cuda", "the GPU cannot be used"), ("tpu", "there is no device 'tpu'")])
async def test_a_device_that_cannot_be_used_is_named(tmp_path: Path, device: str, why: str) -> None:
    """Somebody who asks for the GPU gets the CPU without a word."""
    source = write_video(tmp_path / "s.mov", [flat(64, 64)] * 2)
    with pytest.raises(Reject, match=why):
        await render_file(
            plan_of(source, end_us=66_000), resolve=lambda one: Path(one.key), out=tmp_path / "o.mp4", device=device
        )


async def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    """A render that is stopped goes on in the background, or leaves half a file."""
    source = write_video(tmp_path / "s.mov", [flat(640, 640)] * 30)
    plan = plan_of(source, end_us=1_000_000)
    plan = replace(plan, output=replace(plan.output, width_px=1080, height_px=1920, preset="slow"))
    out = tmp_path / "out" / "o.mp4"
    out.parent.mkdir()
    task = asyncio.create_task(render_file(plan, resolve=lambda one: Path(one.key), out=out))
    async with asyncio.timeout(30):
        while not any(out.parent.iterdir()):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(out.parent.iterdir())
