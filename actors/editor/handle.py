"""What the editor does with an event: media stored, words found, a plan written, a render asked for.

Each step is recorded when it is done and found again by a later delivery. Everything that is made depends on the
file and the request alone, so that work done twice gives the same rows and the same plan.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors import platforms
from actors.editor.acquire import Acquired, acquire_candidate, acquire_url, file_sha256, source_key
from actors.editor.captions import Captioned, captions_for, transcript_of, voice_rights
from actors.editor.choice import styled
from actors.editor.groq_api import GroqApi, Unanswered
from actors.editor.planning import Voice, make_plan, preset_named, style_named
from actors.editor.rights import known_rights, proven, require, require_none_stricter, settled
from actors.editor.subtitles import MAX_BYTES as MAX_SUBTITLES_BYTES
from actors.editor.transcribe import transcribe
from actors.editor.words import SourceText, compose, title_from_file_name
from actors.editor.writer import post_text
from actors.runtime import slots
from actors.runtime.db import into, load_queries
from actors.runtime.http import open_http
from actors.runtime.killpoint import reach
from actors.runtime.objects import content_key
from actors.runtime.probe import probe_file
from actors.runtime.work import Services, Work
from contracts.changes import rights_of
from contracts.errors import Reject
from contracts.events import CandidateSelected, Destination, ImportRequested, RenderRequested
from contracts.ids import ItemId, ObjectKey, derived
from contracts.language import language_tag
from contracts.media import Probe
from contracts.plan import Cue, Plan
from contracts.rights import RightsRecord

__all__ = ["PRESET", "handle_import", "handle_selected", "seed_of"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
PRESET: Final = "short"
SUBTITLES_DEADLINE_S: Final = 60.0


class Asset(Struct, frozen=True, kw_only=True):
    """A stored file of an item."""

    key: ObjectKey
    sha256: str
    size_bytes: int
    rights: RightsRecord
    probe: Probe | None = None


class _Wish(Struct, frozen=True, kw_only=True):
    """What is to be made of an item's source.

    titled: a person gave the title, which stands; language: of the source, as it tells it; style: of the captions.
    """

    item_id: ItemId
    words: SourceText
    titled: bool = False
    language: str | None = None
    style: str = ""
    script: str = ""
    narrate: bool = False
    subtitles_key: ObjectKey | None = None
    destination: Destination | None = None


async def handle_selected(work: Work[CandidateSelected], services: Services) -> None:
    """Make a plan of a work that the ranker chose."""
    event, candidate = work.event, work.event.candidate
    require(candidate.rights, services, event.destination)
    async with work.lease(f"edit:{event.item_id}"):
        await services.db.execute(
            Q["put_selected"],
            *(event.item_id, event.correlation_id, candidate.platform, candidate.title, candidate.url, event.niche),
            *(candidate, candidate.rights, event.score, event.reasons, event.destination),
        )
        source = await _stored(services, event.item_id)
        if source is None:
            with services.scratch() as folder:
                async with open_http(services.settings, services.clock, only_public=True) as http:
                    acquired = await acquire_candidate(candidate, folder, http)
                require_none_stricter(await known_rights(services, event.item_id, acquired.sha256), candidate.rights)
                rights = await proven(services, candidate.rights, sha256=acquired.sha256, told=candidate)
                source = await _keep(services, event.item_id, acquired, rights)
        else:
            require_none_stricter(await known_rights(services, event.item_id, source.sha256), candidate.rights)
            rights = settled([source.rights], candidate.rights)
            if rights != source.rights:  # the source itself states it anew: the newest reading counts
                rights = await proven(services, rights, sha256=source.sha256, told=candidate)
                source = await _record(services, event.item_id, replace(source, rights=rights))
        words = SourceText(title=candidate.title, description=candidate.description, tags=candidate.tags)
        subtitles_key = await _offered_subtitles(services, candidate.subtitles_url, work)
        wish = _Wish(
            item_id=event.item_id,
            words=words,
            language=language_tag(candidate.language),
            subtitles_key=subtitles_key,
            destination=event.destination,
        )
        await _edit(work, services, wish, source)


async def handle_import(work: Work[ImportRequested], services: Services) -> None:
    """Make a plan of media that a person brought in."""
    event = work.event
    require(event.rights, services, event.destination)
    if event.caption_style:
        style_named(event.caption_style)
    if event.key is not None:
        async with services.objects.local(event.key) as file:
            name = event.file_name or event.key.rpartition("/")[2]
            acquired = Acquired(file=file, sha256=await file_sha256(file), words=SourceText(file_name=name))
            await _import(work, services, acquired)
    elif event.url is not None:
        async with work.lease(f"edit:{event.event_id}"):
            row = await services.db.fetchrow(Q["imported_from"], event.correlation_id, event.url)
            if row is not None and (source := await _stored(services, row["item_id"])):
                async with services.objects.local(source.key) as file:
                    words = SourceText(title=row["title"])
                    await _import(work, services, Acquired(file=file, sha256=source.sha256, words=words))
                return
            with services.scratch() as folder:
                async with open_http(services.settings, services.clock, only_public=True) as http:
                    acquired = await acquire_url(event.url, folder, http, services.settings)
                await _import(work, services, acquired)
    else:
        raise Reject("the import names neither a stored file (key) nor an address (url)", mend="give one of them")


async def _offered_subtitles(services: Services, url: str | None, work: Work[Any]) -> ObjectKey | None:
    """Store the subtitles that a platform offers, once. Subtitles that are refused are no reason to end the item."""
    if url is None:
        return None
    key = ObjectKey(f"subtitles/{derived('subtitles', url)}{PurePosixPath(url).suffix.lower()}")
    if await services.objects.exists(key):
        return key
    with services.scratch() as folder:
        file = folder / "subtitles"
        try:
            async with open_http(services.settings, services.clock, only_public=True) as http:
                await http.download(url, file, max_bytes=MAX_SUBTITLES_BYTES, deadline_s=SUBTITLES_DEADLINE_S)
        except Reject as error:
            work.log.warning("edit.no_subtitles", because=str(error))
            return None
        await services.objects.put_file(key, file, content_type="text/plain")
    return key


def seed_of(sha256: str) -> int:
    """Return the seed of a source's creative choices."""
    return int(sha256[:8], 16)


async def _import(work: Work[ImportRequested], services: Services, acquired: Acquired) -> None:
    event = work.event
    item_id = ItemId(f"import:{acquired.sha256}")
    async with work.lease(f"edit:{item_id}"):
        rights = await _import_rights(services, item_id, acquired.sha256, event)
        words = replace(
            acquired.words,
            title=event.title or acquired.words.title or rights.title,
            file_name=event.file_name or acquired.words.file_name,
        )
        source = await _stored(services, item_id)
        # Probed before the item is written: a file that is refused leaves nothing behind.
        probe = source.probe if source and source.probe else await probe_file(acquired.file)
        title = words.title or title_from_file_name(words.file_name) or "Untitled"
        await services.db.execute(
            Q["put_import"],
            *(item_id, event.correlation_id, title, event.url, rights, _because(rights), event.destination),
        )
        if source is None:
            source = await _keep(services, item_id, acquired, rights, probe=probe)
        elif source.rights != rights:
            source = await _record(services, item_id, replace(source, rights=rights))
        wish = _Wish(
            item_id=item_id,
            words=words,
            titled=bool(event.title.strip()),
            style=event.caption_style,
            script=event.script,
            narrate=event.narrate,
            subtitles_key=event.subtitles_key,
            destination=event.destination,
        )
        await _edit(work, services, wish, source)


async def _import_rights(services: Services, item_id: ItemId, sha256: str, event: ImportRequested) -> RightsRecord:
    """Return the record that an import stands on: the one it has, or the given one with what it takes the place of.

    Raises: Reject if it would weaken, without saying why, what is known of the same bytes.
    """
    known = await known_rights(services, item_id, sha256)
    rights = settled(known, event.rights, refuse_weaker=True)
    if rights.proof_key is None:
        rights = await proven(services, rights, sha256=sha256, told=event.url)
    return rights


def _because(rights: RightsRecord) -> str:
    licences = ", ".join(dict.fromkeys(one.licence for one in rights.earlier))
    before = f"; before: {licences}, now {rights.licence}" if licences else ""
    why = f" ({rights.replaces})" if rights.earlier and rights.replaces else ""
    return f"a person brought it in{before}{why}"


async def _stored(services: Services, item_id: ItemId) -> Asset | None:
    """Return the source of an item if it is recorded and still there."""
    row = await services.db.fetchrow(Q["find_asset"], item_id, "source")
    if row is None:
        return None
    asset = into(Asset, row)
    return asset if await services.objects.exists(asset.key) else None


async def _keep(
    services: Services,
    item_id: ItemId,
    acquired: Acquired,
    rights: RightsRecord,
    *,
    probe: Probe | None = None,
) -> Asset:
    """Check, store and record a source. Raises: Reject if it is no usable video."""
    reach("editor.acquired")
    probe = probe or await probe_file(acquired.file)
    key = source_key(acquired.sha256, probe.container)
    if not await services.objects.exists(key):
        await services.objects.put_file(key, acquired.file)
    reach("editor.stored")
    asset = Asset(key=key, sha256=acquired.sha256, size_bytes=probe.size_bytes, rights=rights, probe=probe)
    return await _record(services, item_id, asset)


async def _record(services: Services, item_id: ItemId, asset: Asset) -> Asset:
    await services.db.execute(Q["put_asset"], item_id, "source", *_columns(asset))
    reach("editor.recorded")
    return asset


async def _edit(work: Work[Any], services: Services, wish: _Wish, source: Asset) -> None:
    """Find the words, write the plan, and finish the event with everything that was made."""
    probe = source.probe
    if probe is None:
        async with services.objects.local(source.key) as file:
            probe = await probe_file(file)
    with services.scratch() as folder:
        captioned = await _captions(work, wish, source, probe, folder)
        voice = await _voice(services, captioned, source, folder / "voice.wav")
    plan = _plan(source, probe, captioned, voice)
    transcript = transcript_of(captioned.cues) if captioned else ""
    words = replace(wish.words, transcript=transcript)
    seed = seed_of(source.sha256)
    rights = rights_of(plan)
    text = await post_text(services, wish.item_id, words, rights, seed=seed, log=work.log)
    if wish.titled:
        text = replace(text, title=compose(words, rights).title)
    reach("editor.planned")
    if wish.destination is not None:  # no render is paid for that there is no room to post
        most = platforms.posts_per_day(wish.destination.platform, services.settings)
        await slots.reserve(services.db, wish.item_id, wish.destination, most, now=work.now)
    async with work.commit() as tx:
        plan = await styled(
            tx.conn, plan, item=wish.item_id, destination=wish.destination, wanted=wish.style, at=work.now
        )
        if captioned is not None:
            await tx.conn.execute(Q["put_transcript"], wish.item_id, captioned.origin, captioned.cues)
        else:
            await tx.conn.execute(Q["drop_transcript"], wish.item_id)
        if voice is not None:
            await tx.conn.execute(Q["put_asset"], wish.item_id, "voice", *_columns(voice))
        else:
            await tx.conn.execute(Q["drop_asset"], wish.item_id, "voice")
        tx.emit(
            RenderRequested(
                item_id=wish.item_id,
                plan=plan,
                title=text.title,
                description=text.description,
                hashtags=text.hashtags,
                synthetic=voice is not None,
                destination=wish.destination,
                language=captioned.language if captioned and captioned.language else wish.language,
            )
        )
    for chosen in plan.chosen or ():
        work.log.info("edit.chosen", what=chosen.what, value=chosen.value, because=chosen.because)


async def _captions(work: Work[Any], wish: _Wish, source: Asset, probe: Probe, folder: Path) -> Captioned | None:
    subtitles, services = None, work.services
    if wish.subtitles_key is not None:
        async with services.objects.local(wish.subtitles_key) as file:
            with file.open("rb") as text:  # at most 4 MiB of a local file
                subtitles = text.read(MAX_SUBTITLES_BYTES + 1)
    if not (wish.narrate or subtitles is not None or wish.script.strip()):
        return await _transcribed(work, wish.item_id, source, probe, folder)
    async with services.objects.local(source.key) as media:
        return await captions_for(
            media, probe, script=wish.script, subtitles=subtitles, narrate=wish.narrate, voice=folder / "voice.wav"
        )


async def _transcribed(work: Work[Any], item_id: ItemId, source: Asset, probe: Probe, folder: Path) -> Captioned | None:
    """Return what is said in the part that is shown. It is asked for once and stored; None: it cannot be had."""
    services = work.services
    stored = await services.db.fetchval(Q["find_transcribed"], item_id)
    if stored is not None:
        return Captioned(origin="transcribed", cues=msgspec.convert(stored, tuple[Cue, ...]))
    groq = GroqApi.of(services.settings, services.clock)
    if probe.audio is None or groq is None:
        because = "the video has no sound" if probe.audio is None else "no words were given, GROQ_API_KEY is not set"
        work.log.info("edit.no_captions", because=because)
        return None
    try:
        async with services.objects.local(source.key) as media:
            length_us = preset_named(PRESET).max_duration_us
            cues = await transcribe(media, probe, groq, folder, length_us=length_us)
    except Unanswered as error:
        work.log.warning("edit.no_captions", because=str(error))
        return None
    await services.db.execute(Q["put_transcript"], item_id, "transcribed", cues)
    reach("editor.transcribed")
    return Captioned(origin="transcribed", cues=cues)


async def _voice(services: Services, captioned: Captioned | None, source: Asset, file: Path) -> Asset | None:
    """Store the narration, if one was made."""
    if captioned is None or not captioned.voice_us:
        return None
    sha256 = await file_sha256(file)
    key = content_key("voices", sha256, ".wav")
    await services.objects.put_file(key, file, content_type="audio/wav")
    reach("editor.voiced")
    size_bytes = file.stat().st_size  # noqa: ASYNC240  # one call
    return Asset(key=key, sha256=sha256, size_bytes=size_bytes, rights=voice_rights(source.rights))


def _plan(source: Asset, probe: Probe, captioned: Captioned | None, voice: Asset | None) -> Plan:
    narrated = captioned is not None and voice is not None
    return make_plan(
        probe,
        key=source.key,
        sha256=source.sha256,
        rights=source.rights,
        preset=preset_named(PRESET),
        cues=captioned.cues if captioned else (),
        voice=Voice(key=voice.key, sha256=voice.sha256, rights=voice.rights, duration_us=captioned.voice_us)
        if narrated and captioned and voice
        else None,
        seed=seed_of(source.sha256),
    )


def _columns(asset: Asset) -> tuple[Any, ...]:
    return (asset.key, asset.sha256, asset.size_bytes, asset.probe, asset.rights)
