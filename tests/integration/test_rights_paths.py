"""No path through the system ends in a render or a post of what is refused: drawn records, on every way in.

Real handlers, database, store and sandbox. What may be is worked out here once more, in another way than the policy.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from actors.editor import handle as editor_handle
from actors.editor.planning import Preset
from actors.runtime.db import Database
from contracts.events import Destination, Event
from contracts.plan import Plan
from contracts.platform import Privacy
from contracts.rights import LICENCES, RightsRecord, Use
from deploy.dead import DeadLetters
from tests.rights_bench import Bench, opened_bench

DRAWS: Final = 14
"""Records that are drawn for each seed."""
WAYS: Final = ("scan", "selected", "imported", "render", "chunks", "two works", "two works", "post")
ATTESTED: Final = {"owned", "permission"}
FREE: Final = {"CC0-1.0", "PDM-1.0", "CC-PDDC", "public-domain", "owned"}
HARMLESS: Final = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0", "owned", "pexels", "permission")


class Drawn(Struct, frozen=True, kw_only=True):
    """One try: a record, where it goes, by which way, and how much time passes between two steps."""

    name: str
    way: str
    works: tuple[RightsRecord, ...]
    to: Destination | None
    monetised: bool
    step_s: float


MIXED: Final = ("CC-BY-SA-4.0", "CC-BY-SA-1.0", "CC-BY-NC-SA-4.0", "CC-BY-4.0", "pexels", "permission")


def draw_record(chance: random.Random, now: datetime, *, mixed: bool) -> RightsRecord:
    some = MIXED if mixed else HARMLESS
    licence = chance.choice([*LICENCES, "nonsense"] if chance.random() < (0.1 if mixed else 0.5) else some)
    if mixed:  # nothing else stands in the way of a mix
        return RightsRecord(licence=licence, title=f"Work {licence}", attested_by="kim", attestation="I may.")
    attested = chance.random() < (0.85 if licence in ATTESTED else 0.1)
    uses: tuple[Use, ...] = ("derivative", "share", "commercial")
    return RightsRecord(
        licence=licence,
        title=f"Work {chance.randrange(1000)}",
        author=chance.choice([None, "Ann", "Bo"]),
        source_url="https://example.org/w",
        attested_by="kim" if attested else None,
        attestation="I may." if attested else "",
        expires_at=chance.choice([None, None, None, now - timedelta(hours=1), now + timedelta(hours=1)]),
        uses=chance.choice([None, None, None, uses, ("derivative",)]),
        platforms=chance.choice([None, None, None, ("youtube",), ("vimeo",)]),
    )


def drawn(chance: random.Random, name: str, now: datetime) -> Drawn:
    way = chance.choice(WAYS)
    privacies: tuple[Privacy, ...] = ("private", "public", "unlisted")
    privacy = chance.choice(privacies)
    to = Destination(platform="youtube", privacy=privacy)
    return Drawn(
        name=name,
        way=way,
        works=tuple(draw_record(chance, now, mixed=way == "two works") for _ in range(2 if way == "two works" else 1)),
        to=to if way == "post" or chance.random() < 0.8 else None,
        monetised=chance.random() < 0.6,
        step_s=chance.choice([0.0, 0.0, 1800.0, 5000.0]),
    )


def forbidden(one: Drawn, at: datetime, *, posted: bool) -> str:
    """Return why a video of these works must not exist, or not be posted; empty: it may."""
    names = [work.licence for work in one.works]
    for work, name in zip(one.works, names, strict=True):
        if name in {"unknown", "nonsense"} or "Sampling" in name or "ND" in name.split("-"):
            return f"{name} allows no edited video"
        if "NC" in name.split("-") and one.monetised:
            return f"{name} on a channel that earns money"
        if name in ATTESTED and not (work.attested_by and work.attestation):
            return f"{name} that nobody attested"
        if work.expires_at is not None and work.expires_at <= at:
            return "it has ended"
        needed = {"derivative", *(["share"] if one.to else []), *(["commercial"] if one.monetised else [])}
        if work.uses is not None and not needed <= set(work.uses):
            return "other uses"
        if one.to is not None and work.platforms is not None and one.to.platform not in work.platforms:
            return "another platform"
        unaltered = one.way == "post" and name in {"pexels", "pixabay"}
        if posted and unaltered and one.to is not None and one.to.privacy != "private":
            return "stock as it came"
    alike = [name for name in names if "SA" in name.split("-")]
    for other in names if alike else ():
        versions = {name[-3:] for name in alike}
        kinds = {"NC" in name.split("-") for name in alike}
        bys = {"BY" in name.split("-") for name in alike}
        plain = other in FREE or (other.startswith("CC-BY-") and other[6].isdigit())
        loose_nc = "NC" in other.split("-") and kinds == {True}
        mixed = len(kinds) > 1 or len(bys) > 1 or ("1.0" in versions and len(versions) > 1)
        if mixed or not (other in alike or plain or loose_nc):
            return f"{other} under {alike[0]}"
    return ""


@pytest.fixture
async def bench(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    small = Preset(width_px=64, height_px=96, mirror=True)
    monkeypatch.setattr(editor_handle, "preset_named", lambda _: small)
    async with opened_bench(database, tmp_path) as found:
        yield found


async def first_events(bench: Bench, one: Drawn) -> tuple[Event, ...]:
    simple: dict[str, Callable[..., Any]] = {"scan": bench.scan, "selected": bench.selected}
    if one.way in simple:
        found: tuple[Event, ...] = simple[one.way](one.name, one.works[0], one.to)
        return found
    if one.way == "imported":
        return await bench.imported(one.name, one.works[0], one.to)
    if one.way == "post":
        return await bench.post(one.name, one.works[0], one.to)
    event = await bench.render_of(one.name, one.works, one.to)
    clips = tuple(replace(event.plan.clips[0], source=source.id) for source in event.plan.sources)
    return (replace(event, plan=replace(event.plan, clips=clips)),)


def set_up(bench: Bench, one: Drawn) -> None:
    settings = bench.channel.services.settings
    msgspec.structs.force_setattr(settings, "monetised", one.monetised)
    msgspec.structs.force_setattr(settings, "render_chunk_from_s", 0.0 if one.way == "chunks" else 60.0)


@pytest.mark.parametrize("seed", range(4))
async def test_no_path_ends_in_what_is_refused(bench: Bench, seed: int) -> None:
    """If it fails, some way through the system makes or posts a video without the right to it, or refuses all."""
    chance, made, kept_back = random.Random(seed), 0, 0  # a drawn case, no secret
    for number in range(DRAWS):
        bench.channel.clock.turn(1)  # of videos that are alike to the byte the last plan counts
        one = drawn(chance, f"{seed}-{number:04}", bench.channel.clock.now())
        set_up(bench, one)
        began = bench.channel.clock.now()
        events = await first_events(bench, one)
        told = await bench.run(*events, between=lambda step_s=one.step_s: bench.channel.clock.turn(step_s))  # type: ignore[misc]
        if "work.rejected" in told and chance.random() < 0.5:
            letters = DeadLetters(bench.db)
            for letter in await letters.listed():
                await letters.retried(letter.id)
            await bench.run(*await bench.fresh())
        for letter in await DeadLetters(bench.db).listed():
            await DeadLetters(bench.db).dropped(letter.id)
        rendered, posted = await ends(bench, one)
        for at, is_post in ((rendered, False), (posted, True)):
            assert at is None or not forbidden(one, at, posted=is_post), (one, at, told)
        lawful = not forbidden(one, bench.channel.clock.now(), posted=True) and not forbidden(one, began, posted=True)
        if lawful:
            made += 1
            assert (posted if one.to else rendered) is not None, (one, told, await bench.refusals())
        else:
            kept_back += 1
    assert made, "nothing was lawful: these draws prove nothing"
    assert kept_back, "nothing was refused: these draws prove nothing"


async def ends(bench: Bench, one: Drawn) -> tuple[datetime | None, datetime | None]:
    """Return when the try's video was rendered and when it was posted; None: it was not."""
    its = "(item_id like '%:' || $1 or item_id in (select item_id from items where correlation_id = 'c-' || $1))"
    rendered = await bench.db.fetchrow(
        f"select finished_at, plan from renditions where {its} and rendition is not null", one.name
    )
    posted = await bench.db.fetchval(f"select published_at from posts where {its} and state = 'published'", one.name)
    if rendered is not None:
        plan = msgspec.convert(rendered["plan"], Plan)
        assert {source.rights.licence for source in plan.sources} == {work.licence for work in one.works}
    return (rendered["finished_at"] if rendered else None), posted
