"""Each gate refuses by itself, with a real database, store and sandbox: remove one, and a test here fails.

What is refused is brought straight to the stage, as an event that somebody put on the bus would be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace

from actors.editor import handle as editor_handle
from actors.editor.planning import Preset
from actors.ranker.policy import Contender, choose
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from contracts.changes import rights_of
from contracts.codec import decode, new_event_id
from contracts.events import (
    CandidateSelected,
    ChunkRequested,
    Destination,
    Event,
    JoinRequested,
    PostRequested,
    RenderRequested,
)
from contracts.ids import ItemId, ObjectKey
from contracts.plan import Plan
from contracts.rights import RightsRecord, attribution_text, outlet_of, uses_of
from deploy import ask
from deploy.dead import DeadLetters
from tests.channel import stamped
from tests.rights_bench import Bench, opened_bench

YOUTUBE: Final = Destination(platform="youtube", privacy="public")
CC_BY: Final = RightsRecord(licence="CC-BY-4.0", title="Sea", author="Ann", source_url="https://example.org/sea")
OWNED: Final = RightsRecord(licence="owned", attested_by="kim", attestation="I filmed it.")
AGREED: Final = replace(OWNED, licence="permission", attestation="By mail.")

REFUSED: Final = {
    "unknown": RightsRecord(licence="unknown"),
    "nonsense": RightsRecord(licence="All rights reserved"),
    "no derivatives": replace(CC_BY, licence="CC-BY-ND-4.0"),
    "not commercial": replace(CC_BY, licence="CC-BY-NC-SA-4.0"),
    "not attested": replace(OWNED, attestation=""),
    "sampling": replace(CC_BY, licence="CC-Sampling+-1.0"),
    "elsewhere": replace(AGREED, platforms=("vimeo",)),
    "other uses": replace(AGREED, uses=("derivative", "commercial")),
    "one part": replace(CC_BY, parts=(RightsRecord(licence="unknown"),)),
    "no mix": replace(CC_BY, licence="CC-BY-SA-4.0", parts=(AGREED,)),
}


@pytest.fixture
async def bench(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    small = Preset(width_px=64, height_px=96, mirror=True)
    monkeypatch.setattr(editor_handle, "preset_named", lambda _: small)
    async with opened_bench(database, tmp_path) as found:
        yield found


def refused(bench: Bench, case: str) -> RightsRecord:
    if case == "ended":
        return replace(AGREED, expires_at=bench.channel.clock.now() - timedelta(seconds=1))
    return REFUSED[case]


CASES: Final = (*REFUSED, "ended")


@pytest.mark.parametrize("case", [case for case in CASES if case not in {"elsewhere", "other uses"}])
async def test_the_ranker_selects_nothing_that_is_refused(bench: Bench, case: str) -> None:
    """If it fails, the editor is asked to fetch what may not be used."""
    events = bench.scan("a", refused(bench, case), YOUTUBE)
    assert "candidate.selected" not in await bench.run(*events)
    assert await bench.db.fetchval("select outcome from sightings") == "refused"
    assert not bench.asked


@pytest.mark.parametrize("case", ["elsewhere", "other uses"])
def test_the_ranker_minds_where_a_winner_goes(case: str) -> None:
    """If it fails, a work wins whose permission does not reach the place that it would be posted to."""
    one = Contender(
        item_id=ItemId("a"), score=90, decision="found", rights=REFUSED[case], has_media=True, to=outlet_of(YOUTUBE)
    )
    (choice,) = choose([one], uses=uses_of(monetised=True), at=datetime.now(UTC))
    assert choice.outcome == "refused"
    assert "limited to" in choice.because


@pytest.mark.parametrize("case", CASES)
async def test_the_editor_fetches_nothing_that_is_refused(bench: Bench, case: str) -> None:
    """If it fails, media is downloaded without the right to it."""
    assert await bench.run(*bench.selected("a", refused(bench, case), YOUTUBE)) == [
        "candidate.selected",
        "work.rejected",
    ]
    assert not bench.asked
    assert await bench.db.fetchval("select count(*) from assets") == 0


@pytest.mark.parametrize("case", CASES)
async def test_the_editor_imports_nothing_that_is_refused(bench: Bench, case: str) -> None:
    """If it fails, whoever may publish an import makes a video of anything."""
    events = await bench.imported("a", refused(bench, case), YOUTUBE)
    assert await bench.run(*events) == ["import.requested", "work.rejected"]
    assert await bench.db.fetchval("select count(*) from items") == 0


@pytest.mark.parametrize("case", CASES)
async def test_the_renderer_renders_nothing_that_is_refused(bench: Bench, case: str) -> None:
    """If it fails, a plan that is put on the bus is rendered, whatever it is made of."""
    events = await bench.render("a", refused(bench, case), YOUTUBE)
    assert await bench.run(*events) == ["render.requested", "work.rejected"]
    assert await bench.db.fetchval("select count(*) from renditions") == 0


async def test_the_renderer_looks_at_every_source(bench: Bench) -> None:
    """If it fails, a second picture or a tune is used without the right to it."""
    for at, works in enumerate(((CC_BY, REFUSED["unknown"]), (replace(CC_BY, licence="CC-BY-SA-4.0"), AGREED))):
        event = await bench.render_of(f"a{at}", works, YOUTUBE)
        clip = replace(event.plan.clips[0], source="s1")
        event = replace(event, plan=replace(event.plan, clips=(*event.plan.clips, clip)))
        assert await bench.run(event) == ["render.requested", "work.rejected"]
    one, mixed = await bench.refusals()
    assert "source 's1' must not be used" in one
    assert "which With permission does not allow" in mixed


@pytest.mark.parametrize("case", CASES)
async def test_the_publisher_posts_nothing_that_is_refused(bench: Bench, case: str) -> None:
    """If it fails, a video without the right to it is public."""
    events = await bench.post("a", refused(bench, case), YOUTUBE)
    assert await bench.run(*events) == ["post.requested", "work.rejected"]
    assert "youtube.session" not in (await bench.channel.state())["calls"]
    assert await bench.db.fetchval("select state from posts") == "failed"


async def test_what_is_allowed_goes_all_the_way(bench: Bench) -> None:
    """If it fails, the gates refuse what is lawful, and every other test here proves nothing."""
    share_alike = replace(CC_BY, licence="CC-BY-SA-3.0", proof="https://creativecommons.org/licenses/by-sa/3.0/de/")
    told = await bench.run(*bench.scan("a", share_alike, YOUTUBE))
    assert told[-1] == "post.published", await bench.refusals()
    (video,), (plan,) = await bench.posted(), await bench.rendered()
    credit = attribution_text(rights_of(plan))
    assert video["description"].endswith(credit)
    assert video["description"].count("Ann") == 1
    assert 'Adapted from "Sea" by Ann' in credit
    assert "mirrored" in credit
    assert credit.endswith("https://creativecommons.org/licenses/by-sa/3.0/de/")
    assert video["license"] == "youtube"  # creativeCommon would be CC BY: more than share-alike allows


async def chunks(bench: Bench, rights: RightsRecord) -> tuple[RenderRequested, list[Event]]:
    """Ask for a plan in chunk jobs; return its parts' events."""
    msgspec.structs.force_setattr(bench.channel.services.settings, "render_chunk_from_s", 0.0)
    (event,) = await bench.render("a", rights, YOUTUBE)
    assert isinstance(event, RenderRequested)
    assert await bench.settle(event, bench.apps[2]) == "ack"
    return event, await bench.fresh()


async def test_a_part_of_a_plan_is_refused_when_its_right_has_ended(bench: Bench) -> None:
    """If it fails, a long video is rendered on after the permission ended."""
    ending = replace(AGREED, expires_at=bench.channel.clock.now() + timedelta(hours=1))
    _, parts = await chunks(bench, ending)
    assert parts
    assert all(isinstance(part, ChunkRequested) for part in parts)
    bench.channel.clock.turn(3600)
    assert "chunk.requested" in await bench.run(*parts)
    assert await bench.db.fetchval("select count(*) from chunk_files") == 0
    assert await bench.rendered() == []
    assert "renderer-chunk-requested" in (await bench.refusals())[0]


async def test_the_join_is_refused_when_the_right_has_ended(bench: Bench) -> None:
    """If it fails, a video is finished after the permission ended."""
    ending = replace(AGREED, expires_at=bench.channel.clock.now() + timedelta(hours=1))
    _, parts = await chunks(bench, ending)
    for part in parts:
        assert await bench.settle(part, bench.apps[2]) == "ack"
    (join,) = await bench.fresh()
    assert isinstance(join, JoinRequested)
    bench.channel.clock.turn(3600)
    assert await bench.run(join) == ["join.requested", "work.rejected"]
    assert await bench.rendered() == []


async def test_a_retried_dead_letter_meets_the_gate_again(bench: Bench) -> None:
    """If it fails, `dead retry` is a way around the rights."""
    events = [
        *bench.selected("a", REFUSED["unknown"], YOUTUBE),
        *await bench.imported("b", REFUSED["not attested"], YOUTUBE),
        *await bench.render("c", REFUSED["unknown"], YOUTUBE),
        *await bench.post("d", REFUSED["unknown"], YOUTUBE),
    ]
    await bench.run(*events)
    letters = DeadLetters(bench.db)
    for letter in await letters.listed():
        await letters.retried(letter.id)
    await bench.run(*await bench.fresh())
    assert len(await letters.listed()) == len(events)
    assert (bench.asked, await bench.rendered(), await bench.posted()) == ([], [], [])


async def test_a_right_that_ends_before_the_post_keeps_it_back(bench: Bench) -> None:
    """If it fails, a video that was made in time is posted too late."""
    ending = replace(AGREED, expires_at=bench.channel.clock.now() + timedelta(hours=1))
    tune = replace(ending, expires_at=ending.expires_at, title="Tune")
    event = await bench.render_of("a", (CC_BY, tune), YOUTUBE)
    event = replace(
        event, plan=replace(event.plan, clips=(*event.plan.clips, replace(event.plan.clips[0], source="s1")))
    )
    assert await bench.settle(event, bench.apps[2]) == "ack"
    (completed,) = await bench.fresh()
    bench.channel.clock.turn(3600)
    assert await bench.run(completed) == ["render.completed", "work.rejected"]
    assert "for 'Tune'" in (await bench.refusals())[0]
    assert await bench.posted() == []


async def test_a_known_file_cannot_be_posted_under_another_name(bench: Bench) -> None:
    """If it fails, whoever may ask for a post launders a video by calling it their own."""
    ending = replace(AGREED, expires_at=bench.channel.clock.now() + timedelta(hours=1))
    await bench.run(*await bench.render("a", ending, None))
    key = ObjectKey(await bench.db.fetchval("select rendition ->> 'key' from renditions"))
    bench.channel.clock.turn(3600)
    (event,) = await bench.post("b", OWNED, YOUTUBE)
    assert await bench.run(replace(event, key=key)) == ["post.requested", "work.rejected"]
    assert await bench.posted() == []


async def saved(bench: Bench, folder: Path) -> Path:
    """Return the last video that was made, as a person downloads it."""
    key = await bench.db.fetchval("select rendition ->> 'key' from renditions order by finished_at desc limit 1")
    file = folder / "my-own.MP4"
    await bench.channel.services.objects.get_file(ObjectKey(key), file)
    return file


async def asked(bench: Bench, monkeypatch: pytest.MonkeyPatch, what: Callable[[Settings], Awaitable[Event]]) -> Event:
    """Return what the command line sends, with its file in this bench's store."""

    @asynccontextmanager
    async def outside(_: Settings) -> AsyncIterator[tuple[Services, None]]:
        yield bench.channel.services, None

    async def send(_: None, event: Event) -> Event:
        return stamped(event)  # type: ignore[no-any-return]

    monkeypatch.setattr(ask, "outside", outside)
    monkeypatch.setattr(ask, "send", send)
    return await what(bench.channel.services.settings)


@pytest.mark.parametrize("licence", ["CC-BY-NC-4.0", "CC-BY-4.0"])
async def test_a_saved_rendition_cannot_be_posted_under_another_name(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, licence: str
) -> None:
    """If it fails, downloading a video and posting it as one's own takes its limits and its credit away."""
    settings = bench.channel.services.settings
    msgspec.structs.force_setattr(settings, "monetised", False)
    await bench.run(*await bench.imported("a", replace(CC_BY, licence=licence), None))
    file = await saved(bench, tmp_path)
    msgspec.structs.force_setattr(settings, "monetised", True)
    event = await asked(bench, monkeypatch, lambda known: ask.post_video(known, file, platform="youtube", rights=OWNED))
    told = await bench.run(event)
    if licence == "CC-BY-4.0":
        assert told == ["post.requested", "post.published"], await bench.refusals()
        (video,) = await bench.posted()
        assert '"Sea" by Ann' in video["description"]
    else:
        assert told == ["post.requested", "work.rejected"]
        assert "does not allow commercial use" in (await bench.refusals())[0]
        assert await bench.posted() == []


async def test_a_saved_rendition_cannot_be_imported_under_another_name(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, a video that was made here comes in again without the rights that it was made under."""
    await bench.run(*await bench.imported("a", CC_BY, None))
    file = await saved(bench, tmp_path)
    event = await asked(bench, monkeypatch, lambda known: ask.import_media(known, str(file), rights=OWNED))
    assert await bench.run(event) == ["import.requested", "work.rejected"]
    assert "known here under 'CC-BY-4.0'" in (await bench.refusals())[0]
    stated = await asked(bench, monkeypatch, lambda known: ask.import_media(known, str(file), rights=CC_BY))
    assert "render.completed" in await bench.run(stated)


async def test_a_fetched_file_cannot_be_posted_as_it_is_under_another_name(bench: Bench) -> None:
    """If it fails, a stock video is posted unaltered, and another's work without its credit."""
    stock = RightsRecord(licence="pixabay", title="Sea", author="Jo")
    await bench.run(*bench.selected("a", stock, None))
    sha256 = await bench.db.fetchval("select sha256 from assets")
    (event,) = await bench.post("b", OWNED, YOUTUBE)
    assert isinstance(event, PostRequested)
    key = ObjectKey(f"posts/{sha256}.mp4")
    await bench.channel.services.objects.put_file(key, bench.video)
    assert await bench.run(replace(event, key=key)) == ["post.requested", "work.rejected"]
    assert "unaltered" in (await bench.refusals())[0]


# Records that follow each other, and their proof ----------------------------------------------------


async def rights_now(bench: Bench) -> RightsRecord:
    (row,) = await bench.db.fetch("select rights from assets where role = 'source'")
    return msgspec.convert(row["rights"], RightsRecord)


async def test_a_file_that_comes_in_again_cannot_be_weakened_in_silence(bench: Bench) -> None:
    """If it fails, importing a file a second time as one's own takes its author's name away."""
    (first,) = await bench.imported("a", CC_BY, None)
    await bench.run(first)
    again = replace(first, event_id=new_event_id(), rights=OWNED)
    assert await bench.run(again) == ["import.requested", "work.rejected"]
    (because,) = await bench.refusals()
    assert "known here under 'CC-BY-4.0'" in because
    assert "--replaces" in because
    assert (await rights_now(bench)).licence == "CC-BY-4.0"
    said = replace(again, event_id=new_event_id(), rights=replace(OWNED, replaces="Ann is my stage name."))
    assert "render.completed" in await bench.run(said)
    now = await rights_now(bench)
    assert (now.licence, now.replaces) == ("owned", "Ann is my stage name.")
    assert [one.licence for one in now.earlier] == ["CC-BY-4.0"]
    assert now.earlier[0].author == "Ann"
    assert await bench.db.fetchval("select decided_because from items") == (
        "a person brought it in; before: CC-BY-4.0, now owned (Ann is my stage name.)"
    )


async def test_a_stricter_record_takes_the_place_of_another(bench: Bench) -> None:
    """If it fails, a person cannot correct a licence, or the older record is lost."""
    (first,) = await bench.imported("a", OWNED, None)
    await bench.run(first, replace(first, event_id=new_event_id(), rights=CC_BY))
    now = await rights_now(bench)
    assert (now.licence, [one.licence for one in now.earlier]) == ("CC-BY-4.0", ["owned"])


async def test_what_a_source_states_anew_is_kept_beside_the_old(bench: Bench) -> None:
    """If it fails, a work is credited as it was licensed once, or nobody sees that its licence changed."""
    (first,) = bench.selected("a", CC_BY, None)
    assert isinstance(first, CandidateSelected)
    stated = replace(first.candidate, rights=replace(CC_BY, licence="CC-BY-SA-4.0"))
    await bench.run(first, replace(first, event_id=new_event_id(), candidate=stated))
    now = await rights_now(bench)
    assert (now.licence, [one.licence for one in now.earlier]) == ("CC-BY-SA-4.0", ["CC-BY-4.0"])
    assert [plan.sources[0].rights.licence for plan in await bench.rendered()] == ["CC-BY-4.0", "CC-BY-SA-4.0"]
    assert len(bench.asked) == 1


async def test_what_a_scan_fetched_is_not_imported_as_something_else(bench: Bench) -> None:
    """If it fails, a file that was found under a licence comes in again without it."""
    await bench.run(*bench.selected("a", CC_BY, None))
    assert "work.rejected" in await bench.run(*await bench.imported("a", OWNED, None))  # the same bytes
    assert "Ann is no longer named" in (await bench.refusals())[0]


async def same_bytes(bench: Bench, name: str, rights: RightsRecord, like: str) -> CandidateSelected:
    """Return a selection of another item that offers the very file of `like`."""
    (event,) = bench.selected(name, rights, None)
    assert isinstance(event, CandidateSelected)
    return replace(event, candidate=replace(event.candidate, media_url=f"{bench.url}/v.mov?{like}"))


@pytest.mark.parametrize("first", ["selected", "imported", "rendered"])
async def test_a_work_is_not_made_from_bytes_that_are_known_under_stricter_rights(bench: Bench, first: str) -> None:
    """If it fails, a copy that somebody put up under a free licence is made into a video, though its work is known."""
    strict, loose = replace(CC_BY, licence="CC-BY-SA-4.0"), replace(CC_BY, author="Bo")
    if first == "imported":
        await bench.run(*await bench.imported("a", strict, None))
    else:
        await bench.run(*bench.selected("a", strict, None))
    if first == "rendered":
        sha256 = await bench.db.fetchval("select sha256 from assets")
        await bench.db.execute("update assets set sha256 = 'another'")
        await bench.db.execute(
            "update renditions set rendition = jsonb_set(rendition, '{sha256}', to_jsonb($1::text))", sha256
        )
    again = await same_bytes(bench, "b", loose, "a")
    assert await bench.run(again) == ["candidate.selected", "work.rejected"]
    (because,) = await bench.refusals()
    assert "known here under 'CC-BY-SA-4.0', and this work states 'CC-BY-4.0'" in because
    assert "asks for the same licence" in because
    assert await bench.db.fetchval("select count(*) from assets where item_id = 'archive:b'") == 0
    assert "render.completed" in await bench.run(await same_bytes(bench, "c", strict, "a"))


async def test_a_source_that_states_less_is_measured_by_what_others_stated(bench: Bench) -> None:
    """If it fails, a copy is fetched under its strict licence, then stated anew as free."""
    strict = replace(CC_BY, licence="CC-BY-SA-4.0")
    await bench.run(*bench.selected("a", strict, None))
    copy = await same_bytes(bench, "b", strict, "a")
    await bench.run(copy)
    anew = replace(copy, event_id=new_event_id(), candidate=replace(copy.candidate, rights=CC_BY))
    assert await bench.run(anew) == ["candidate.selected", "work.rejected"]


@pytest.mark.parametrize("way", ["selected", "imported"])
async def test_the_proof_of_a_right_is_stored_with_the_hash_of_the_file(bench: Bench, way: str) -> None:
    """If it fails, nobody can show later what the source said, and of which file."""
    if way == "selected":
        await bench.run(*bench.selected("a", CC_BY, None))
    else:
        await bench.run(*await bench.imported("a", CC_BY, None))
    rights = await rights_now(bench)
    assert rights.proof_key is not None
    async with bench.channel.services.objects.local(rights.proof_key) as file:
        proof: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    assert proof["sha256"] == await bench.db.fetchval("select sha256 from assets")
    assert proof["record"]["licence"] == "CC-BY-4.0"
    assert (proof["told"] or {}).get("title") == ("The sea" if way == "selected" else None)
    plans = [msgspec.convert(row["plan"], Plan) for row in await bench.db.fetch("select plan from renditions")]
    assert [plan.sources[0].rights.proof_key for plan in plans] == [rights.proof_key]


def test_events_written_before_a_field_came_are_read() -> None:
    """If it fails, requests that lie in the outbox at an update are lost."""
    old = b'{"item_id":"i","key":"k","rights":{"licence":"CC0-1.0"},"destination":{"platform":"youtube"}}'
    rights = decode(old, PostRequested).rights
    assert (rights.parts, rights.changes, rights.uses, rights.earlier) == ((), None, None, ())
