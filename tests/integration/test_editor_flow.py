"""The editor with real NATS, PostgreSQL, objects and an HTTP server: selected works and imports to render plans."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from aiohttp import web
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy

from actors.editor.app import APP
from actors.runtime.app import serving
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from contracts.codec import decode, encode, subject_of
from contracts.events import CandidateSelected, Destination, Event, ImportRequested, RenderRequested, WorkRejected
from contracts.ids import CorrelationId, EventId, ItemId, ObjectKey
from contracts.plan import plan_id
from contracts.plan_rules import check
from contracts.platform import Candidate
from contracts.rights import RightsRecord
from tests.stack import until

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OWNED = RightsRecord(licence="owned", attested_by="me", attested_at=AT, attestation="I filmed it")
CC_BY = RightsRecord(licence="CC-BY-4.0", title="Waves", author="Ann", source_url="https://example.org/waves")
SettingsOf = Callable[[str], Settings]


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four seconds of moving colour with a tone."""
    path = tmp_path_factory.mktemp("media") / "video.mp4"
    with av.open(str(path), "w") as out:
        picture, sound = out.add_stream("libx264", rate=25), out.add_stream("aac", rate=48000)
        picture.width, picture.height, picture.pix_fmt = 320, 180, "yuv420p"
        for at in range(100):
            image = np.full((180, 320, 3), (at * 2, 90, 200 - at), np.uint8)
            out.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        tone = np.sin(np.arange(4 * 48000) / 48000 * 2 * np.pi * 440).astype(np.float32)[None, :]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 48000
        out.mux(sound.encode(frame))
        out.mux(picture.encode())
        out.mux(sound.encode())
    return path.read_bytes()


class Site:
    """A web site with a video file and a page that shows it. Counts what is asked of it."""

    def __init__(self, video: bytes) -> None:
        self.video = video
        self.asked: Counter[str] = Counter()
        self.url = ""

    async def file(self, request: web.Request) -> web.Response:
        self.asked[f"{request.method} {request.path}"] += 1
        return web.Response(body=self.video, content_type="video/mp4")

    async def page(self, request: web.Request) -> web.Response:
        self.asked[f"{request.method} {request.path}"] += 1
        html = f"<html><head><title>A page of waves</title></head><body><video src='{self.url}/v.mp4'></video></body>"
        return web.Response(text=html, content_type="text/html")

    async def away(self, request: web.Request) -> web.Response:
        self.asked[f"{request.method} {request.path}"] += 1
        raise web.HTTPFound("http://127.0.0.1:1/v.mp4")

    async def words(self, request: web.Request) -> web.Response:
        self.asked[f"{request.method} {request.path}"] += 1
        return web.Response(text="1\n00:00:00,500 --> 00:00:02,000\nWaves.\n")

    async def turning(self, request: web.Request) -> web.Response:
        """Answer with a video while it is looked at, and lead elsewhere once it is fetched."""
        return await (self.file if request.method == "HEAD" else self.away)(request)


@pytest.fixture
async def site(video: bytes) -> AsyncIterator[Site]:
    found = Site(video)
    app = web.Application()
    app.router.add_get("/v.mp4", found.file)
    app.router.add_get("/page", found.page)
    app.router.add_get("/away", found.away)
    app.router.add_get("/turning", found.turning)
    app.router.add_get("/words.srt", found.words)
    runner = web.AppRunner(app)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def put(settings: Settings, key: str, data: bytes) -> ObjectKey:
    path = Path(settings.media_url) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return ObjectKey(key)


def stored(settings: Settings, prefix: str) -> list[str]:
    root = Path(settings.media_url)
    return sorted(str(path.relative_to(root)) for path in (root / prefix).rglob("*") if path.is_file())


def selected(
    site: Site,
    event_id: str,
    *,
    item: str = "internet_archive:waves",
    rights: RightsRecord = CC_BY,
    language: str | None = None,
) -> CandidateSelected:
    return CandidateSelected(
        event_id=EventId(event_id),
        correlation_id=CorrelationId("flow"),
        item_id=ItemId(item),
        candidate=Candidate(
            item_id=ItemId(item),
            platform="internet_archive",
            platform_id="waves",
            url="https://example.org/waves",
            title="Waves at dawn",
            description="Waves, and more waves.",
            tags=("sea",),
            media_url=f"{site.url}/v.mp4",
            observed_at=AT,
            rights=rights,
            language=language,
        ),
        niche="sea",
        score=50,
        reasons=(),
        destination=Destination(platform="youtube"),
    )


def importing(event_id: str, **given: Any) -> ImportRequested:
    return ImportRequested(event_id=EventId(event_id), **{"rights": OWNED, **given})


async def outcome(admin: Client, database: Database, *events: Event) -> list[RenderRequested | WorkRejected]:
    """Send events one after another; return what each came to."""
    jetstream = admin.jetstream()
    results: list[RenderRequested | WorkRejected] = []
    kinds: tuple[type[RenderRequested | WorkRejected], ...] = (RenderRequested, WorkRejected)
    readers = [
        await jetstream.subscribe(
            subject_of(kind), ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
        )
        for kind in kinds
    ]

    async def answered(count: int) -> bool:
        for kind, reader in zip(kinds, readers, strict=True):
            while reader.pending_msgs:
                results.append(decode((await reader.next_msg(timeout=5)).data, kind))
        return len(results) >= count

    for count, event in enumerate(events, 1):
        await jetstream.publish(subject_of(event), encode(event))
        await until(partial(answered, count), what=f"an answer to {event.event_id}", deadline_s=60)
    return results


def renders(results: list[RenderRequested | WorkRejected]) -> list[RenderRequested]:
    assert all(isinstance(result, RenderRequested) for result in results), results
    return [result for result in results if isinstance(result, RenderRequested)]


def reasons(results: list[RenderRequested | WorkRejected]) -> list[str]:
    assert all(isinstance(result, WorkRejected) for result in results), results
    return [result.reason for result in results if isinstance(result, WorkRejected)]


async def test_selected_work_becomes_a_plan_and_is_downloaded_once(
    nats_admin: Client, database: Database, settings_of: SettingsOf, site: Site
) -> None:
    """The loop goes on from here; a second delivery must not fetch the film again."""
    settings = msgspec.structs.replace(settings_of("editor"), api_urls={"mirror": site.url})
    async with serving(APP, settings):
        first, again = renders(await outcome(nats_admin, database, selected(site, "e1"), selected(site, "e2")))
    check(first.plan)
    assert plan_id(first.plan) == plan_id(again.plan)
    assert site.asked == {"GET /v.mp4": 1}
    (source,) = first.plan.sources
    assert stored(settings, "sources") == [source.key]
    assert (Path(settings.media_url) / source.key).read_bytes() == site.video
    assert source.sha256 == hashlib.sha256(site.video).hexdigest()
    assert source.rights == msgspec.structs.replace(CC_BY, proof_key=source.rights.proof_key)
    assert first.destination == Destination(platform="youtube")
    assert first.plan.clips[0].end_us == pytest.approx(4_000_000, abs=1000)
    assert first.title == "Waves at dawn"
    assert "by Ann (https://example.org/waves), CC BY 4.0" in first.description
    assert first.hashtags == ("waves", "sea", "dawn")
    row = await database.fetchrow("select sha256, size_bytes, probe from assets where role = 'source'")
    assert row is not None
    assert (row["sha256"], row["size_bytes"], row["probe"]["video"]["width_px"]) == (
        source.sha256,
        len(site.video),
        320,
    )
    assert not list((settings.data_dir / "tmp").iterdir())


async def test_the_language_of_a_work_is_handed_on_as_far_as_it_is_one(
    nats_admin: Client, database: Database, settings_of: SettingsOf, site: Site
) -> None:
    """A post goes without its language, or one that no platform takes stops the renderer or the post."""
    told = ("pt-BR", None, "zxx", "English")
    events = [selected(site, f"e{number}", language=language) for number, language in enumerate(told)]
    async with serving(APP, msgspec.structs.replace(settings_of("editor"), api_urls={"mirror": site.url})):
        made = renders(await outcome(nats_admin, database, *events))
    assert [one.language for one in made] == ["pt-BR", None, None, None]


async def test_unusable_rights_stop_before_the_first_byte(
    nats_admin: Client, database: Database, settings_of: SettingsOf, site: Site
) -> None:
    """What may not be edited is not even downloaded."""
    unknown, no_derivatives = RightsRecord(licence="unknown"), RightsRecord(licence="CC-BY-ND-4.0")
    events = [
        selected(site, "e1", rights=unknown),
        selected(site, "e2", rights=no_derivatives),
        importing("e3", url=f"{site.url}/v.mp4", rights=RightsRecord(licence="owned")),
    ]
    async with serving(APP, settings_of("editor")):
        said = reasons(await outcome(nats_admin, database, *events))
    assert "the licence is unknown" in said[0]
    assert "does not allow edited versions" in said[1]
    assert "needs a person's attestation" in said[2]
    assert not site.asked
    assert await database.fetchval("select count(*) from assets") == 0


async def test_import_with_subtitles_twice_gives_one_item_and_the_same_plan(
    nats_admin: Client, database: Database, settings_of: SettingsOf, video: bytes
) -> None:
    """Importing a file again makes no second video of it."""
    settings = settings_of("editor")
    key = put(settings, "imports/my_waves.mp4", video)
    subtitles = put(settings, "imports/s.srt", "1\n00:00:01,000 --> 00:00:02,000\n<b>Grüße</b>\n".encode())
    later = msgspec.structs.replace(OWNED, attested_at=datetime(2026, 12, 1, tzinfo=UTC))
    events = [
        importing("e1", key=key, file_name="my_waves.mp4", subtitles_key=subtitles),
        importing("e2", key=key, file_name="my_waves.mp4", subtitles_key=subtitles, rights=later),
    ]
    async with serving(APP, settings):
        first, again = renders(await outcome(nats_admin, database, *events))
    assert first.item_id == again.item_id == f"import:{hashlib.sha256(video).hexdigest()}"
    assert plan_id(first.plan) == plan_id(again.plan)
    assert first.title == "my waves"
    assert first.plan.captions is not None
    assert [(cue.start_us, cue.text) for cue in first.plan.captions.cues] == [(1_000_000, "Grüße")]
    row = await database.fetchrow("select origin, decision, title from items")
    assert row is not None
    assert tuple(row) == ("import", "imported", "my waves")
    assert await database.fetchval("select count(*) from items") == 1
    assert await database.fetchval("select cues #>> '{0,text}' from transcripts where origin = 'subtitles'") == "Grüße"
    assert len(stored(settings, "sources")) == 1


async def test_narrated_import_has_a_voice(
    nats_admin: Client, database: Database, settings_of: SettingsOf, video: bytes
) -> None:
    """A script becomes a voice with captions in time; edited again without one, the voice is gone."""
    settings = settings_of("editor")
    key = put(settings, "imports/v.mp4", video)
    script = "The sea is never quite the same twice. Look at these waves, one after another, all day long."
    async with serving(APP, settings):
        spoken, plain = renders(
            await outcome(
                nats_admin,
                database,
                importing("e1", key=key, title="The sea", script=script, narrate=True),
                importing("e2", key=key, title="The sea"),
            )
        )
        assert await database.fetchval("select count(*) from assets where role = 'voice'") == 0
    assert [source.id for source in spoken.plan.sources] == ["source", "voice"]
    assert stored(settings, "voices") == [spoken.plan.sources[1].key]
    assert [track.role for track in spoken.plan.audio] == ["clips", "voice"]
    assert len(spoken.plan.clips) == 2  # the picture starts over under the longer voice
    assert spoken.plan.captions is not None
    assert " ".join(cue.text for cue in spoken.plan.captions.cues) == script
    assert (plain.plan.captions, len(plain.plan.sources)) == (None, 1)
    assert (spoken.synthetic, plain.synthetic) == (True, False)
    assert (spoken.language, plain.language) == ("en", None), "the voice is English; of a file nothing is known"


@pytest.mark.parametrize(
    "bad_import",
    [
        (b"<!doctype html><p>no", {}, "web page"),
        (b"", {}, "empty"),
        (b"\x00" * 5000, {}, "the file is"),
        (None, {"narrate": True}, "there is no script"),
        (None, {"subtitles_key": "imports/none.srt"}, "none.srt"),
        (None, {"script": "words that nobody says in this tone of four seconds " * 9}, "does not fit"),
    ],
)
async def test_bad_import_is_told_and_leaves_nothing(
    nats_admin: Client,
    database: Database,
    settings_of: SettingsOf,
    video: bytes,
    bad_import: tuple[bytes | None, dict[str, Any], str],
) -> None:
    """A wrong file costs one clear line, and the loop goes on."""
    data, given, reason = bad_import
    settings = settings_of("editor")
    bad = put(settings, "imports/bad.mp4", video if data is None else data)
    good = put(settings, "imports/good.mp4", video)
    async with serving(APP, settings):
        refused, made = await outcome(
            nats_admin, database, importing("e1", key=bad, **given), importing("e2", key=good)
        )
    assert isinstance(refused, WorkRejected)
    assert reason in refused.reason
    assert "\n" not in refused.reason
    assert isinstance(made, RenderRequested)
    if data is not None:
        assert await database.fetchval("select count(*) from items") == 1
        assert len(stored(settings, "sources")) == 1
    assert not list((settings.data_dir / "tmp").iterdir())


async def test_import_by_address(nats_admin: Client, database: Database, settings_of: SettingsOf, site: Site) -> None:
    """A link to a file and a link to a page with a video both work."""
    settings = msgspec.structs.replace(settings_of("editor"), api_urls={"mirror": site.url})
    events = [
        importing("e1", url=f"{site.url}/v.mp4", correlation_id=CorrelationId("c1")),
        importing("e2", url=f"{site.url}/page", correlation_id=CorrelationId("c2")),
    ]
    async with serving(APP, settings):
        direct, page = renders(await outcome(nats_admin, database, *events))
    assert direct.plan.sources[0].sha256 == hashlib.sha256(site.video).hexdigest()
    assert plan_id(direct.plan) == plan_id(page.plan)
    assert direct.title == "v"
    assert page.title == "A page of waves"


async def test_import_by_address_that_was_cut_off_is_not_fetched_again(
    nats_admin: Client, database: Database, settings_of: SettingsOf, site: Site
) -> None:
    """After a crash the stored file is used, with the title that it came with."""
    settings = msgspec.structs.replace(settings_of("editor"), api_urls={"mirror": site.url})
    events = [importing(name, url=f"{site.url}/v.mp4", correlation_id=CorrelationId("c")) for name in ("e1", "e2")]
    async with serving(APP, settings):
        first, again = renders(await outcome(nats_admin, database, *events))
    assert site.asked == {"HEAD /v.mp4": 1, "GET /v.mp4": 1}
    assert (plan_id(first.plan), first.title) == (plan_id(again.plan), again.title)


async def test_import_reaches_no_private_machine(
    nats_admin: Client, database: Database, settings_of: SettingsOf, site: Site
) -> None:
    """An import cannot be used to read what only this machine can reach, not even by a redirect."""
    settings = settings_of("editor")
    async with serving(APP, settings):
        (said,) = reasons(await outcome(nats_admin, database, importing("e1", url=f"{site.url}/v.mp4")))
    assert "not a public address" in said
    assert not site.asked
    async with serving(APP, msgspec.structs.replace(settings, api_urls={"mirror": site.url})):
        said = reasons(await outcome(nats_admin, database, importing("e2", url=f"{site.url}/away")))[-1]
    assert "127.0.0.1:1 is not a public address" in said
    assert site.asked == {"HEAD /away": 1}
    site.asked.clear()
    async with serving(APP, msgspec.structs.replace(settings, api_urls={"mirror": site.url})):
        said = reasons(await outcome(nats_admin, database, importing("e3", url=f"{site.url}/turning")))[-1]
    assert "127.0.0.1:1 is not a public address" in said
    assert site.asked == {"HEAD /turning": 1, "GET /turning": 1}


async def test_selected_work_reaches_no_private_machine(
    nats_admin: Client, database: Database, settings_of: SettingsOf, site: Site
) -> None:
    """A file or subtitles that a stranger's work names are read from a machine that only this one can reach."""
    settings, inside = settings_of("editor"), f"{site.url.replace('127.0.0.1', 'localhost')}/words.srt"
    async with serving(APP, settings):
        (said,) = reasons(await outcome(nats_admin, database, selected(site, "e1")))
    assert "not a public address" in said
    assert not site.asked
    offered = [selected(site, "e2", item="i:2"), selected(site, "e3", item="i:3")]
    offered = [
        msgspec.structs.replace(event, candidate=msgspec.structs.replace(event.candidate, subtitles_url=url))
        for event, url in zip(offered, (f"{site.url}/words.srt", inside), strict=True)
    ]
    async with serving(APP, msgspec.structs.replace(settings, api_urls={"mirror": site.url})):
        worded, bare = renders(await outcome(nats_admin, database, *offered))
    assert worded.plan.captions is not None
    assert bare.plan.captions is None
    assert site.asked["GET /words.srt"] == 1
    assert len(stored(settings, "subtitles")) == 1
