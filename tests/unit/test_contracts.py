"""Contracts: every event is documented, frozen, lenient to read and byte for byte stable."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import jsonschema
import msgspec
import pytest
from msgspec import Struct

import contracts
from contracts import codec, ids
from contracts import events as e
from contracts import plan as p
from contracts.errors import Reject
from contracts.flow import ACTORS, PARTIES, consumers_of
from contracts.ids import AccountId, CorrelationId, EventId, ItemId, ObjectKey, PlanId
from contracts.media import Rational, Rendition
from contracts.plan import AudioTrack, Captions, CaptionStyle, Clip, Cue, Output, Plan, PlanSource, Word, plan_id
from contracts.platform import Candidate, Metrics, PostMetrics, Standing
from contracts.rights import RightsRecord
from deploy import schema

GOLDEN: Final = Path(__file__).parents[1] / "golden"
WRITE: Final = "ETT_WRITE_GOLDEN"

AT: Final = datetime(2026, 11, 23, 10, 30, 15, 250_000, tzinfo=UTC)
ITEM: Final = ItemId("internet_archive:deep-sea-1")
ACCOUNT: Final = AccountId("youtube:UC123")
SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

WORK: Final = RightsRecord(
    licence="CC-BY-SA-4.0",
    title="Life at 4,000 m",
    author="Ana Müller",
    source_url="https://archive.org/details/deep-sea-1",
    read_at=AT,
    proof="licenseurl: https://creativecommons.org/licenses/by-sa/4.0/",
    attested_by="kim@studio.example",
    attested_at=AT,
    attestation="I filmed it.",
    expires_at=datetime(2027, 1, 1, tzinfo=UTC),
    note="contains a logo",
    uses=("derivative", "share"),
    platforms=("youtube",),
    proof_key=ObjectKey("proofs/9f/86d0.json"),
    changes=("cropped", "captioned"),
    replaces="It was mistyped.",
)
RIGHTS: Final = msgspec.structs.replace(WORK, parts=(WORK,), earlier=(WORK,))
DESTINATION: Final = e.Destination(
    platform="youtube",
    account_id=ACCOUNT,
    privacy="unlisted",
    publish_at=AT,
    at_slot=True,
    if_late="skip",
    paid=True,
    own_brand=True,
    for_children=True,
    options={"board_id": "7"},
)
CANDIDATE: Final = Candidate(
    item_id=ITEM,
    platform="internet_archive",
    platform_id="deep-sea-1",
    url="https://archive.org/details/deep-sea-1",
    title="Life at 4,000 m",
    description="A dive.",
    creator="Ana Müller",
    tags=("sea", "深海"),
    published_at=AT,
    duration_us=61_500_000,
    creator_id="UC-example",
    thumbnail_url="https://example.org/still.jpg",
    width_px=1080,
    height_px=1920,
    language="en",
    links=("https://example.org/elsewhere",),
    media_url="https://archive.org/download/deep-sea-1/dive.mp4",
    media_bytes=12_345_678,
    subtitles_url="https://archive.org/download/deep-sea-1/dive.srt",
    metrics=Metrics(views=1200, likes=None, comments=3, shares=None, absent={"likes": "not offered", "shares": "same"}),
    observed_at=AT,
    rights=RIGHTS,
)
PLAN: Final = Plan(
    sources=(
        PlanSource(id="dive", key=ObjectKey("sources/9f/86d0.mp4"), sha256=SHA, rights=RIGHTS),
        PlanSource(id="voice", key=ObjectKey("voices/aa/bb.wav"), sha256=SHA, rights=RightsRecord(licence="owned")),
        PlanSource(id="look", key=ObjectKey("looks/aa/bb.cube"), sha256=SHA, rights=RightsRecord(licence="owned")),
        PlanSource(id="logo", key=ObjectKey("logos/aa/bb.png"), sha256=SHA, rights=RightsRecord(licence="owned")),
    ),
    clips=(
        Clip(
            source="dive",
            start_us=0,
            end_us=5_000_000,
            ramp=(p.SpeedPoint(at_us=1_000_000, speed=1.0), p.SpeedPoint(at_us=2_000_000, speed=2.5)),
            layout=p.FillCrop(focus_x=0.4, focus_y=0.6, path=(p.FocusPoint(at_us=0, x=0.3, y=0.7),)),
        ),
        Clip(
            source="dive",
            start_us=6_000_000,
            end_us=9_000_000,
            speed=0.5,
            ramp=(p.SpeedPoint(at_us=6_000_000, speed=0.5),),
            layout=p.FitInside(background="#102030"),
            transition=p.Transition(kind="dip"),
        ),
        Clip(source="dive", start_us=0, end_us=1_000_000, layout=p.KenBurns(end=p.View(x=0.4, scale=1.5))),
        Clip(source="dive", start_us=0, end_us=1_000_000, layout=p.Split(pane=p.Pane(source="dive", start_us=500_000))),
        Clip(source="dive", start_us=0, end_us=1_000_000, layout=p.Inset(pane=p.Pane(source="dive"))),
        Clip(source="dive", start_us=0, end_us=1_000_000, layout=p.Grid(panes=(p.Pane(source="dive"),))),
    ),
    audio=(
        AudioTrack(source="dive", duck_db=-12.0),
        AudioTrack(source="voice", role="voice", at_us=250_000, gain_db=-3.5, fade_in_us=10_000, fade_out_us=20_000),
    ),
    effects=(
        p.Mirror(end_us=3_000_000),
        p.Zoom(end_scale=1.25, end_us=5_000_000),
        p.PunchIn(beats_us=(1_000_000, 1_500_000)),
        p.Flash(strength=0.5, beats_us=(1_000_000,)),
        p.Shake(beats_us=(1_000_000,), jitter_us=1_000),
        p.ColourPop(beats_us=(1_000_000,)),
        p.Freeze(beats_us=(1_000_000,)),
        p.Glitch(beats_us=(1_000_000,)),
        p.Grade(exposure=0.5, table=p.Colour3D(source="look", strength=0.5), end_us=3_000_000),
        p.Monochrome(tint="#C0A080", end_us=3_000_000),
        p.Sharpen(end_us=3_000_000),
        p.Glow(end_us=3_000_000),
        p.Vignette(end_us=3_000_000),
        p.Grain(end_us=3_000_000),
    ),
    overlays=(
        p.Image(source="logo", end_us=3_000_000, fade_us=200_000),
        p.ProgressBar(ground="#202020", end_us=3_000_000),
        p.Text(text="Deep", box="#000000", end_us=3_000_000),
        p.LowerThird(title="Ana Müller", subtitle="Pilot", end_us=3_000_000),
        p.HookCard(text="Nobody has been here", end_us=3_000_000),
        p.Emoji(emoji="🐙", end_us=3_000_000),
    ),
    captions=Captions(
        cues=(
            Cue(
                start_us=0,
                end_us=900_000,
                text="Down\nhere",
                words=(
                    Word(text="Down", start_us=0, end_us=400_000),
                    Word(text="here", start_us=400_000, end_us=800_000),
                ),
            ),
        ),
        style=CaptionStyle(highlight=None, uppercase=True, max_lines=2, box="#000000", pop=1.2),
    ),
    output=Output(width_px=720, height_px=1280, fps=Rational(30_000, 1001), max_bytes=50_000_000),
    seed=7,
)
CHOSEN: Final = (
    p.Chosen(what="caption_style", value="pop", because="blueprint b1", blueprint_id="b1"),
    p.Chosen(what="caption_style", value="boxed", because="drawn", experiment_id="x1", variant="B"),
)
RENDITION: Final = Rendition(
    item_id=ITEM,
    plan_id=PlanId(SHA),
    key=ObjectKey("renditions/9f/86d0.mp4"),
    sha256=SHA,
    size_bytes=2_345_678,
    width_px=720,
    height_px=1280,
    duration_us=5_005_000,
    frames=150,
    has_audio=True,
    engine="cpu 1",
)
ENVELOPE: Final[dict[str, Any]] = {
    "event_id": EventId("11111111-1111-5111-8111-111111111111"),
    "occurred_at": AT,
    "correlation_id": CorrelationId("22222222-2222-5222-8222-222222222222"),
    "causation_id": EventId("33333333-3333-5333-8333-333333333333"),
}
TEXTS: Final[dict[str, Any]] = {
    "title": "Down here",
    "description": "Credit: Ana Müller",
    "hashtags": ("sea", "深海"),
    "synthetic": True,
    "language": "pt-BR",
}
POST: Final = ids.post_id(ITEM, "youtube")

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "account.connected": {"account_id": ACCOUNT, "platform": "youtube", "title": "Deep Sea"},
    "account.paused": {
        "account_id": ACCOUNT,
        "platform": "youtube",
        "because": "a post was removed",
        "next_action": "look at it there",
    },
    "candidate.found": {"candidate": CANDIDATE, "niche": "deep sea", "destination": DESTINATION},
    "candidate.selected": {
        "item_id": ITEM,
        "candidate": CANDIDATE,
        "niche": "deep sea",
        "score": 73.5,
        "reasons": (e.Reason(signal="velocity", points=7.5, because="1200 views in 2 days", value=0.75, weight=10.0),),
        "destination": DESTINATION,
    },
    "chunk.requested": {"item_id": ITEM, "plan_id": PlanId(SHA), "index": 7},
    "experiment.concluded": {
        "experiment_id": "x1",
        "winner": "B",
        "effect": 0.2,
        "low": 0.05,
        "high": 0.4,
        "because": "the interval leaves out zero",
    },
    "post.changed": {
        "item_id": ITEM,
        "post_id": POST,
        "platform": "youtube",
        "account_id": ACCOUNT,
        "standing": Standing(state="removed", because="it breaks a rule", privacy="private"),
        "seen_at": AT,
    },
    "post.progressed": {
        "item_id": ITEM,
        "post_id": POST,
        "platform": "youtube",
        "sent_bytes": 1024,
        "size_bytes": 4096,
        "state": "uploading",
    },
    "revenue.recorded": {
        "entry_id": "r1",
        "source": "youtube",
        "item_id": ITEM,
        "post_id": POST,
        "amount_minor": 1234,
        "currency": "EUR",
        "earned_on": "2026-11-22",
    },
    "import.requested": {
        "rights": RIGHTS,
        "key": ObjectKey("sources/9f/86d0.mp4"),
        "url": "https://example.org/dive.mp4",
        "file_name": "dive.mp4",
        "title": "Down here",
        "script": "Down here it is dark.",
        "narrate": True,
        "caption_style": "pop",
        "subtitles_key": ObjectKey("sources/9f/86d0.srt"),
        "destination": DESTINATION,
    },
    "join.requested": {"item_id": ITEM, "plan_id": PlanId(SHA)},
    "post.measured": {
        "item_id": ITEM,
        "post_id": POST,
        "platform": "youtube",
        "bucket": 3,
        "measured_at": AT,
        "age_s": 3600,
        "metrics": PostMetrics(
            views=1200,
            comments=3,
            saves=4,
            reach=1000,
            impressions=9000,
            clicks=12,
            followers=-1,
            watched_us=3_600_000_000,
            average_watched_us=3_000_000,
            retention=((0.0, 1.0), (0.5, 0.4)),
            absent={"likes": "not offered", "shares": "same"},
        ),
        "revision": 1,
        "revised": {"saves": AT},
    },
    "post.published": {
        "item_id": ITEM,
        "post_id": POST,
        "platform": "youtube",
        "account_id": ACCOUNT,
        "platform_post_id": "dQw4w9WgXcQ",
        "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "privacy": "unlisted",
        "published_at": AT,
        "shown_at": AT,
    },
    "post.requested": {
        "item_id": ITEM,
        "key": RENDITION.key,
        "rights": RIGHTS,
        "destination": DESTINATION,
        **TEXTS,
        "thumbnail_key": ObjectKey("posts/9f/86d0.jpg"),
        "subtitles_key": ObjectKey("posts/9f/86d0.vtt"),
    },
    "render.completed": {
        "item_id": ITEM,
        "rendition": RENDITION,
        "rights": RIGHTS,
        "destination": DESTINATION,
        **TEXTS,
    },
    "render.progressed": {
        "item_id": ITEM,
        "plan_id": PlanId(SHA),
        "frames_done": 75,
        "frames_total": 150,
        "workers": 3,
        "eta_s": 2.5,
        "absent": {"eta_s": "no frame is encoded yet"},
    },
    "render.requested": {
        "item_id": ITEM,
        "plan": msgspec.structs.replace(PLAN, chosen=CHOSEN),
        "destination": DESTINATION,
        **TEXTS,
    },
    "scan.completed": {
        "niche": "deep sea",
        "found": {"internet_archive": 25},
        "failed": {"wikimedia_commons": "busy until 10:35"},
        "skipped": {"pexels": "PEXELS_API_KEY is not set"},
    },
    "scan.requested": {
        "niche": "deep sea",
        "platform": "internet_archive",
        "limit": 10,
        "destination": DESTINATION,
    },
    "work.rejected": {
        "item_id": ITEM,
        "actor": "editor",
        "rejected_type": "candidate.selected",
        "rejected_id": EventId("44444444-4444-5444-8444-444444444444"),
        "reason": "the licence is unknown",
    },
}
"""One value for every field of every event."""

ESSENTIAL: Final[dict[str, set[str]]] = {
    "account.connected": {"account_id", "platform"},
    "candidate.found": {"candidate", "niche"},
    "candidate.selected": {"item_id", "candidate", "niche", "score", "reasons"},
    "chunk.requested": {"item_id", "plan_id", "index"},
    "import.requested": {"rights"},
    "join.requested": {"item_id", "plan_id"},
    "account.paused": {"account_id", "platform", "because"},
    "experiment.concluded": {"experiment_id"},
    "post.changed": {"item_id", "post_id", "platform", "account_id", "standing", "seen_at"},
    "post.progressed": {"item_id", "post_id", "platform", "sent_bytes", "size_bytes"},
    "revenue.recorded": {"entry_id", "source", "amount_minor", "currency", "earned_on"},
    "post.measured": {"item_id", "post_id", "platform", "bucket", "measured_at", "age_s", "metrics"},
    "post.published": {"item_id", "post_id", "platform", "account_id", "platform_post_id", "url", "published_at"},
    "post.requested": {"item_id", "key", "rights", "destination"},
    "render.completed": {"item_id", "rendition", "rights"},
    "render.progressed": {"item_id", "plan_id", "frames_done", "frames_total"},
    "render.requested": {"item_id", "plan"},
    "scan.completed": {"niche", "found"},
    "scan.requested": {"niche"},
    "work.rejected": {"actor", "rejected_type", "rejected_id", "reason"},
}
"""Fields without a default, for ever: one more would refuse what people send today."""

MOVED: Final = """the bytes have changed.
Only a field with a default was added: let the example fill it, remove the golden file, write it anew.
A field was renamed, re-typed or removed: that needs a new major version."""

TYPES: Final = tuple(codec.EVENTS)


def example(name: str) -> e.Event:
    return codec.EVENTS[name](**ENVELOPE, **EXAMPLES[name])


def structs() -> list[type[Struct]]:
    """Return every struct of contracts."""
    found: dict[str, type[Struct]] = {}
    for module in pkgutil.iter_modules(contracts.__path__, "contracts."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(kind, Struct) and kind.__module__.startswith("contracts."):
                found[f"{kind.__module__}.{kind.__name__}"] = kind
    return list(found.values())


def shown_on_the_bus(kind: type[Struct]) -> bool:
    """Whether it is data for others; the table of parties in flow is this program's own."""
    return kind.__module__ != "contracts.flow"


# Shape --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", structs(), ids=lambda kind: kind.__name__)
def test_every_struct_is_frozen(kind: type[Struct]) -> None:
    """If it fails, one handler can change what another one reads."""
    assert kind.__struct_config__.frozen


@pytest.mark.parametrize("kind", [kind for kind in structs() if shown_on_the_bus(kind)], ids=lambda kind: kind.__name__)
def test_every_field_is_documented(kind: type[Struct]) -> None:
    """If it fails, docs/events.md and the schema leave a field unexplained."""
    assert (kind.__doc__ or "").strip()
    silent = []
    for field in msgspec.structs.fields(kind):
        shape = msgspec.inspect.type_info(field.type)
        extra = shape.extra_json_schema if isinstance(shape, msgspec.inspect.Metadata) else None
        if not (extra or {}).get("description"):
            silent.append(field.name)
    assert silent == []


@pytest.mark.parametrize("name", TYPES)
def test_only_the_essential_fields_are_required(name: str) -> None:
    """If it fails, an event that people publish by hand today is refused tomorrow."""
    required = {field.name for field in msgspec.structs.fields(codec.EVENTS[name]) if field.required}
    assert required == ESSENTIAL[name]


def unfilled(value: object, path: str) -> list[str]:
    """Return the fields, at any depth, that hold their default null or nothing."""
    if isinstance(value, Struct):
        inner = msgspec.structs.asdict(value).items()
        return [each for name, part in inner for each in unfilled(part, f"{path}.{name}")]
    if isinstance(value, tuple) and value:
        kinds = {type(item) for item in value}
        each = {
            kind: [unfilled(item, f"{path}[{kind.__name__}]") for item in value if type(item) is kind] for kind in kinds
        }
        # A field counts as filled when one item of its kind fills it.
        return sorted(name for lists in each.values() for name in lists[0] if all(name in found for found in lists))
    return [path] if value is None or value in ((), {}, "") else []


@pytest.mark.parametrize("name", TYPES)
def test_the_example_fills_every_field(name: str) -> None:
    """If it fails, the golden bytes do not guard a field."""
    fields = {field.name for field in msgspec.structs.fields(codec.EVENTS[name])}
    assert set(EXAMPLES[name]) | set(ENVELOPE) | {"version"} == fields
    told_why = (".metrics.likes", ".metrics.shares", ".style.highlight")
    flat = ("[RightsRecord].parts", "[RightsRecord].earlier")  # such records hold no further ones
    assert [path for path in unfilled(example(name), name) if not path.endswith((*told_why, *flat))] == []


def test_every_event_is_given_by_someone_and_has_its_own_consumer() -> None:
    """If it fails, an event of the flow goes nowhere, or two consumers share one place in the stream."""
    given = {kind for party in PARTIES.values() for kind in party.gives}
    taken = {kind for party in PARTIES.values() for kind in party.takes}
    assert set(codec.EVENTS.values()) == given
    assert taken <= given
    names = [consumer.name for actor in ACTORS.values() for consumer in consumers_of(actor)]
    assert len(names) == len(set(names))


# Bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TYPES)
def test_round_trip(name: str) -> None:
    """If it fails, an event changes on its way through the stream."""
    event = example(name)
    assert codec.decode(codec.encode(event), type(event)) == event


@pytest.mark.parametrize("name", TYPES)
def test_golden_bytes(name: str) -> None:
    """If it fails, programs of other people, and events already in the stream, are read differently."""
    path = GOLDEN / f"{name}.json"
    data = codec.encode(example(name))
    if os.environ.get(WRITE) == "1" and not path.exists():
        path.write_bytes(data)
    assert path.exists(), f"{path.name} is missing: {WRITE}=1 writes it"
    assert data == path.read_bytes(), MOVED


def test_no_golden_file_is_left_over() -> None:
    """If it fails, an event was removed or renamed within a major version."""
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.json" for name in TYPES}


def test_derived_ids_are_stable() -> None:
    """If it fails, work repeated after an upgrade makes second events and second posts."""
    assert ids.derived("a", "b") == "0d10da6e-ff4d-5f7b-a30a-1cb742735ca7"
    assert ids.derived("a", "b") != ids.derived("ab") != ids.derived("a", "", "b")
    assert ids.post_id(ITEM, "youtube") == "3ef5120d-6765-5177-89b4-340c84319877"
    assert plan_id(PLAN) == "69331aefd11a149e941c0fbbe1e1d1b2be1a08da842d6b3d82ed317f2447eb20"
    assert ids.item_id("internet_archive", "deep-sea-1") == ITEM


def test_following_events_are_the_same_when_work_is_repeated() -> None:
    """If it fails, a redelivered message leads to a second render or a second post."""
    cause = example("render.completed")
    published = codec.EVENTS["post.published"](**EXAMPLES["post.published"])
    once = codec.follow(published, cause=cause, name="", at=AT)
    again = codec.follow(published, cause=cause, name="", at=AT)
    other = codec.follow(published, cause=cause, name="second", at=AT)
    assert once == again
    assert once.event_id == "7a0eb310-3d47-5ff2-9e03-219debdf1a36"
    assert other.event_id != once.event_id
    assert (once.correlation_id, once.causation_id) == (cause.correlation_id, cause.event_id)


def test_what_a_person_leaves_out_is_filled_from_the_stream() -> None:
    """If it fails, an event sent by hand gets another id on each delivery and is worked on twice."""
    event = codec.decode(b'{"niche":"deep sea"}', e.ScanRequested)
    first = codec.complete(event, stream="ETT", sequence=7, stored_at=AT)
    assert first == codec.complete(event, stream="ETT", sequence=7, stored_at=AT)
    assert first != codec.complete(event, stream="ETT", sequence=8, stored_at=AT)
    assert first.occurred_at == AT
    assert first.correlation_id == CorrelationId(first.event_id)
    assert first.causation_id is None
    assert codec.complete(example("scan.requested"), stream="x", sequence=1, stored_at=AT) == example("scan.requested")


def test_a_plan_without_choices_has_the_bytes_it_always_had() -> None:
    """If it fails, every plan gets another id, and everything that was rendered is rendered again."""
    assert b"chosen" not in msgspec.json.encode(PLAN)
    chosen = msgspec.structs.replace(PLAN, chosen=CHOSEN)
    assert msgspec.json.decode(msgspec.json.encode(chosen), type=Plan) == chosen
    assert plan_id(chosen) != plan_id(PLAN)


# Reading ------------------------------------------------------------------------------------------


def test_the_least_command_is_a_niche() -> None:
    """If it fails, `nats pub ett.scan.requested '{"niche":"deep sea"}'` no longer starts a scan."""
    event = codec.decode(b'{"niche":"deep sea"}', e.ScanRequested)
    assert event == e.ScanRequested(niche="deep sea")
    assert (event.limit, event.platform, event.destination, event.version) == (25, None, None, 1)


@pytest.mark.parametrize("name", TYPES)
def test_unknown_fields_are_ignored(name: str) -> None:
    """If it fails, a newer sender breaks every older reader."""
    raw = json.loads(codec.encode(example(name)))
    raw["added_later"] = {"x": [1]}
    assert codec.decode(json.dumps(raw).encode(), codec.EVENTS[name]) == example(name)


@pytest.mark.parametrize("name", TYPES)
def test_naive_times_are_refused(name: str) -> None:
    """If it fails, a time without a zone is taken for UTC and a post goes out hours off."""
    raw = json.loads(codec.encode(example(name))) | {"occurred_at": "2026-11-23T10:30:15"}
    with pytest.raises(Reject, match="occurred_at"):
        codec.decode(json.dumps(raw).encode(), codec.EVENTS[name])


def test_times_with_another_offset_are_the_same_moment() -> None:
    """If it fails, a sender in another zone is misread."""
    at = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    data = json.dumps({"niche": "x", "occurred_at": at.isoformat()}).encode()
    assert codec.decode(data, e.ScanRequested).occurred_at == AT


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "malformed|truncated|empty|input"),
        (b"\xff\xfe", "malformed|UTF-8|utf-8"),
        (b"[]", "object"),
        (b"{}", "niche"),
        (b'{"niche":""}', "niche"),
        (b'{"niche":5}', "niche"),
        (b'{"niche":"x","limit":0}', "limit"),
        (b'{"niche":"x","version":2}', "version"),
        (b'{"niche":"x","type":"candidate.found"}', "candidate.found"),
        (b'{"niche":"x","destination":{"platform":"youtube","privacy":"hidden"}}', "privacy"),
    ],
)
def test_a_bad_event_is_refused_by_the_name_of_what_is_wrong(data: bytes, named: str) -> None:
    """If it fails, a person who sent a bad event is not told what to change."""
    with pytest.raises(Reject, match=named) as caught:
        codec.decode(data, e.ScanRequested)
    assert "scan.requested" in caught.value.mend


@pytest.mark.parametrize(
    ("told", "read"), [(r"a\u0000b", "ab"), (r"\u0000\u0000a", "a"), (r"a\\u0000", r"a\u0000"), (r"a\\\u0000b", "a\\b")]
)
def test_no_text_of_an_event_holds_nul(told: str, read: str) -> None:
    """PostgreSQL refuses the character, so that the event fails eight times and then counts as dead."""
    assert codec.decode(b'{"niche":"%b"}' % told.encode(), e.ScanRequested).niche == read


# Generated documents ------------------------------------------------------------------------------


def test_generated_documents_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """If it fails, docs/ tells of other events than the program takes: run `just schema`."""
    code = schema.main(["--check"])
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", TYPES)
def test_golden_events_satisfy_the_schema(name: str) -> None:
    """If it fails, programs that check events against the published schema refuse ours."""
    documents = json.loads(schema.documents()["docs/schema/events.json"])
    own = {"$ref": f"#/$defs/{codec.EVENTS[name].__name__}", "$defs": documents["$defs"]}
    checker = jsonschema.Draft202012Validator(own, format_checker=jsonschema.FormatChecker())
    checker.validate(json.loads((GOLDEN / f"{name}.json").read_bytes()))
    assert not checker.is_valid({"version": 2})


def test_the_published_schema_takes_the_least_command() -> None:
    """If it fails, an editor that follows the schema marks the documented command as wrong."""
    documents = json.loads(schema.documents()["docs/schema/events.json"])
    own = {"$ref": "#/$defs/ScanRequested", "$defs": documents["$defs"]}
    jsonschema.Draft202012Validator(own).validate({"niche": "deep sea"})


def test_the_asyncapi_document_is_closed() -> None:
    """If it fails, generators for other languages stop at a dangling reference."""
    document = json.loads(schema.documents()["docs/asyncapi.json"])
    seen = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(ref := node.get("$ref"), str):
                seen.append(ref)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    for ref in seen:
        place = document
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]
    assert set(document["channels"]) == set(TYPES)
    assert len(seen) > len(TYPES)
