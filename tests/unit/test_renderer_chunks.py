"""How plans are cut, and what the keys of their chunks depend on."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from actors.renderer.chunks import chunks, gop_frames, sound_key
from actors.renderer.job import ENGINE
from actors.renderer.timeline import frame_count
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import (
    AudioTrack,
    Captions,
    Clip,
    Cue,
    Flash,
    Grain,
    KenBurns,
    Mirror,
    Output,
    Plan,
    PlanSource,
    ProgressBar,
    PunchIn,
    Text,
    Transition,
    Vignette,
    Zoom,
)
from contracts.plan_rules import duration_us
from tests.renderer_media import RIGHTS

S = 1_000_000


def source(name: str) -> PlanSource:
    return PlanSource(id=name, key=ObjectKey(name), sha256=name * 64, rights=RIGHTS)


def plan(**fields: Any) -> Plan:
    """20 s of two clips: four chunks, the cut within the second."""
    made = Plan(
        sources=(source("a"), source("b")),
        clips=(Clip(source="a", start_us=0, end_us=8 * S), Clip(source="b", start_us=S, end_us=13 * S)),
        audio=(AudioTrack(source="a"),),
        effects=(Mirror(), PunchIn(), Flash()),
        captions=Captions(cues=tuple(Cue(start_us=at * S, end_us=(at + 1) * S, text=f"c{at}") for at in range(20))),
    )
    return replace(made, **fields)


def changed(before: Plan, after: Plan) -> list[int]:
    """Return the chunks whose keys differ."""
    one, other = chunks(before), chunks(after)
    return [mine.index for mine, its in zip(one, other, strict=True) if mine.key != its.key]


@pytest.mark.parametrize("fps", [Rational(24), Rational(30), Rational(60), Rational(30000, 1001), Rational(1)])
@pytest.mark.parametrize("length_us", [1, 33_333, 4_999_999, 5_000_000, 20_000_000, 61_234_567])
def test_chunks_hold_every_frame_once(fps: Rational, length_us: int) -> None:
    """Frames are lost or doubled at joints."""
    one = plan(clips=(Clip(source="a", start_us=0, end_us=length_us),), output=Output(fps=fps))
    cut = chunks(one)
    assert (cut[0].first_frame, cut[-1].end_frame) == (0, frame_count(duration_us(one), fps))
    assert all(before.end_frame == after.first_frame for before, after in pairwise(cut))
    assert all(chunk.first_frame < chunk.end_frame for chunk in cut)
    assert all((chunk.end_frame - chunk.first_frame) % gop_frames(fps) == 0 for chunk in cut[:-1])
    assert [chunk.index for chunk in cut] == list(range(len(cut)))


def test_short_videos_fill_cores_too() -> None:
    """A short video leaves cores idle, or pays for too many starts."""
    assert [chunk.end_frame for chunk in chunks(plan())] == [150, 300, 450, 600]
    short = plan(clips=(Clip(source="a", start_us=0, end_us=4 * S),))
    assert [chunk.end_frame for chunk in chunks(short)] == [75, 120]


def test_a_changed_caption_changes_one_chunk() -> None:
    """A corrected word renders the whole video again."""
    before = plan()
    assert before.captions is not None
    cues = list(before.captions.cues)
    cues[7] = replace(cues[7], text="other")
    assert changed(before, replace(before, captions=Captions(cues=tuple(cues)))) == [1]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"effects": (Mirror(), PunchIn())}, [0, 1, 2, 3]),
        ({"effects": (Mirror(), PunchIn(), Flash(every_us=60 * S))}, [1, 2, 3]),
        ({"effects": (Mirror(), PunchIn(), Flash(beats_us=(3 * S, 6 * S, 9 * S, 12 * S, 15 * S)))}, [3]),
        ({"effects": (Mirror(), PunchIn(), Flash(), Vignette(start_us=6 * S, end_us=7 * S))}, [1]),
        ({"effects": (Mirror(), PunchIn(), Flash(), Zoom())}, [0, 1, 2, 3]),
        ({"overlays": (Text(text="t", start_us=16 * S),)}, [3]),
        ({"overlays": (ProgressBar(),)}, [0, 1, 2, 3]),
        ({"sources": (source("a"), source("c"), replace(source("b"), sha256="d" * 64))}, [1, 2, 3]),
        ({"output": Output(crf=21)}, [0, 1, 2, 3]),
        ({"output": Output(loudness=None)}, []),
        ({"output": Output(audio_bitrate_bps=96_000)}, []),
        ({"output": Output(container="mov", max_bytes=1)}, []),
        ({"audio": ()}, []),
        ({"seed": 7}, []),
        ({"sources": (source("b"), source("a"))}, []),
    ],
)
def test_only_what_is_seen_in_a_chunk_changes_its_key(fields: dict[str, Any], wanted: list[int]) -> None:
    """Finished chunks are thrown away for nothing; or worse, one with another picture is taken for the right one."""
    assert changed(plan(), plan(**fields)) == wanted


def test_a_seed_counts_where_something_is_drawn_by_it() -> None:
    """Grain of another seed is taken for this one's."""
    grainy = plan(effects=(Grain(),))
    assert changed(grainy, replace(grainy, seed=1)) == [0, 1, 2, 3]


def test_names_of_sources_do_not_count() -> None:
    """Two plans of the same file share nothing, because one calls it differently."""
    renamed = plan(
        sources=(replace(source("a"), id="x"), source("b")),
        clips=(Clip(source="x", start_us=0, end_us=8 * S), *plan().clips[1:]),
        audio=(AudioTrack(source="x"),),
    )
    assert changed(plan(), renamed) == []
    assert sound_key(plan()) == sound_key(renamed)


def test_a_longer_end_keeps_the_beginning() -> None:
    """A clip that is added or made longer at the end renders the beginning again."""
    longer = plan(clips=(plan().clips[0], replace(plan().clips[1], end_us=30 * S)))
    assert [one.key == other.key for one, other in zip(chunks(plan()), chunks(longer), strict=False)] == [
        True,
        True,
        True,
        False,
    ]
    gliding = plan(clips=(plan().clips[0], replace(plan().clips[1], layout=KenBurns())))
    further = replace(gliding, clips=(gliding.clips[0], replace(gliding.clips[1], end_us=30 * S)))
    assert [one.key == other.key for one, other in zip(chunks(gliding), chunks(further), strict=False)][:3] == [
        True,
        False,
        False,
    ]


def test_an_open_zoom_depends_on_the_length_of_all() -> None:
    """A chunk zoomed for a shorter video is joined into a longer one, and the zoom jumps."""
    zoomed, fixed = plan(effects=(Zoom(),)), plan(effects=(Zoom(end_us=20 * S),))
    for one, kept in ((zoomed, False), (fixed, True)):
        longer = replace(one, clips=(one.clips[0], replace(one.clips[1], end_us=30 * S)))
        assert (chunks(one)[0].key == chunks(longer)[0].key) is kept


def test_a_transition_is_seen_in_both_clips_chunks() -> None:
    """A crossfade is missing from the clip that it leaves."""
    faded = plan(clips=(plan().clips[0], replace(plan().clips[1], transition=Transition())))
    cut = replace(faded, clips=(faded.clips[0], replace(faded.clips[1], transition=None, end_us=12_500_000)))
    assert changed(cut, faded) == [1, 2, 3]


def test_fonts_count_where_there_is_text() -> None:
    """Replicas with other fonts share chunks, and the type changes in the middle."""
    two = plan(captions=Captions(cues=(Cue(start_us=0, end_us=S, text="t"),)))
    one, other = chunks(two, fonts=("x",)), chunks(two, fonts=("y",))
    assert [mine.key == its.key for mine, its in zip(one, other, strict=True)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"captions": None, "effects": (), "seed": 3}, True),
        ({"output": Output(crf=30, width_px=640, height_px=640)}, True),
        ({"output": Output(loudness=None)}, False),
        ({"output": Output(audio_bitrate_bps=96_000)}, False),
        ({"audio": (AudioTrack(source="a", gain_db=-1),)}, False),
        ({"audio": (AudioTrack(source="b", role="voice"), AudioTrack(source="a"))}, False),
        ({"clips": (Clip(source="a", start_us=0, end_us=20 * S),)}, False),
        ({"sources": (replace(source("a"), sha256="c" * 64), source("b"))}, False),
        ({"sources": (source("a"), replace(source("b"), sha256="c" * 64))}, True),
    ],
)
def test_only_what_is_heard_changes_the_sounds_key(fields: dict[str, Any], same: bool) -> None:  # noqa: FBT001  # pytest
    """The sound is made again for a caption; or the sound of another plan is joined."""
    assert (sound_key(plan()) == sound_key(plan(**fields))) is same


def test_engines_share_no_chunks_but_the_sound() -> None:
    """A chunk that a GPU drew is taken for one of the CPU's; or the sound is made anew for each device."""
    drawn = {one.key for one in chunks(plan(), engine="cuda-2 (...)")}
    assert drawn.isdisjoint(one.key for one in chunks(plan()))
    assert [one.key for one in chunks(plan())] == [one.key for one in chunks(plan(), engine=ENGINE)]


def test_no_sound_no_key() -> None:
    """A silent video gets a sound track."""
    assert sound_key(plan(audio=())) is None


def test_keys_are_the_same_in_every_process() -> None:
    """Dictionary order or a process's hash seed makes two replicas disagree."""
    code = "import sys, msgspec; from contracts.plan import Plan; from actors.renderer.chunks import chunks; "
    code += "print(*(c.key for c in chunks(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))))"
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code],
            input=msgspec.json.encode(plan()),
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        assert told.decode().split() == [chunk.key for chunk in chunks(plan())]
