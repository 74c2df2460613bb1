"""What captions look like, and what they leave alone."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from actors.editor.styles import SAFE_AREAS, STYLES
from actors.renderer.draw.recipe import levels_of
from actors.renderer.text.captions import POP_STEPS, POP_US, CaptionTrack
from actors.renderer.text.linebreak import active_word, break_lines, paragraphs, spoken_word
from actors.renderer.text.runs import Typesetter
from actors.renderer.text.stamps import Art, Stamp, blend, stamp_of
from contracts.plan import Captions, CaptionStyle, Cue, Output, SafeArea, Word
from tests.caption_samples import SAMPLES, fonts_used

SIZE = (540, 960)


@pytest.fixture(scope="module")
def font() -> Typesetter:
    """Fonts that are the same on every machine."""
    return Typesetter(fonts_used())


def timed_cue(text: str, start_us: int = 0, step_us: int = 200_000) -> Cue:
    words = tuple(
        Word(text=word, start_us=start_us + at * step_us, end_us=start_us + (at + 1) * step_us)
        for at, word in enumerate(text.split())
    )
    return Cue(start_us=start_us, end_us=start_us + len(words) * step_us, text=text, words=words)


def planes(level: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    width, height = SIZE
    half = (height // 2, width // 2)
    return np.full((height, width), level, np.uint8), np.full(half, 100, np.uint8), np.full(half, 150, np.uint8)


def track(font: Typesetter, *cues: Cue, safe: SafeArea | None = None, **style: object) -> CaptionTrack:
    output = Output(width_px=SIZE[0], height_px=SIZE[1], safe=safe or SafeArea())
    return CaptionTrack(Captions(cues=cues, style=replace(CaptionStyle(), **style)), font, output)


def where(stamp: Stamp, colour: str) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom in the frame of what is drawn in a colour, by its chroma."""
    planes_ = planes()
    blend(planes_, stamp)
    _, blue, red = levels_of(colour)
    near = (np.abs(planes_[1].astype(int) - blue) < 12) & (np.abs(planes_[2].astype(int) - red) < 12)
    rows, columns = np.nonzero(near)
    return int(columns.min()) * 2, int(rows.min()) * 2, int(columns.max()) * 2 + 2, int(rows.max()) * 2 + 2


def shown(found: CaptionTrack, t_us: int = 0) -> Stamp:
    stamp = found.at(t_us)
    assert stamp is not None
    return stamp


def test_only_the_box_is_touched(font: Typesetter) -> None:
    """Captions change the picture around them, or cost time where there is no text."""
    stamp = shown(track(font, timed_cue("Only this box")))
    drawn, before = planes(), planes()
    blend(drawn, stamp)
    for at, (plane, original) in enumerate(zip(drawn, before, strict=True)):
        half = 1 if at == 0 else 2
        changed = np.argwhere(plane != original)
        (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
        height, width = stamp.keep[min(at, 1)].shape
        assert top >= stamp.row // half
        assert left >= stamp.column // half
        assert bottom < stamp.row // half + height
        assert right < stamp.column // half + width
        clear = stamp.keep[min(at, 1)] == 255
        box = plane[stamp.row // half :, stamp.column // half :][:height, :width]
        assert set(np.unique(box[clear & (stamp.ink[at] == 0)])) <= {original[0, 0]}


def test_colours_of_type_and_outline_are_exact(font: Typesetter) -> None:
    """White captions are grey, or coloured."""
    drawn = planes()
    blend(drawn, shown(track(font, timed_cue("HHHH"), highlight=None)))
    assert drawn[0].max() == 235
    assert drawn[0].min() == 16
    white = np.argwhere(drawn[0] == 235)
    inner = [tuple(at // 2) for at in white if (drawn[0][at[0] - 2 : at[0] + 3, at[1] - 2 : at[1] + 3] == 235).all()]
    assert inner
    assert {int(drawn[1][at]) for at in inner} == {int(drawn[2][at]) for at in inner} == {128}


@pytest.mark.parametrize(
    ("colour", "wanted"),
    [
        ("#FFFFFF", (235, 128, 128)),
        ("#000000", (16, 128, 128)),
        ("#FF0000", (63, 102, 240)),
        ("#0000FF", (32, 240, 118)),
    ],
)
def test_colours_are_bt709(colour: str, wanted: tuple[int, int, int]) -> None:
    """Brand colours come out wrong."""
    assert tuple(round(value) for value in levels_of(colour)) == wanted


def test_a_highlight_is_drawn_once_for_each_word(font: Typesetter) -> None:
    """Captions are drawn anew for every frame, or the highlight does not move."""
    found = track(font, timed_cue("one two three"))
    stamps = [found.at(t_us) for t_us in range(0, 600_000, 33_333)]
    assert len({id(stamp) for stamp in stamps}) == 3
    assert not np.array_equal(shown(found, 0).ink[1], shown(found, 250_000).ink[1])


def test_type_does_not_move_when_the_highlight_does(font: Typesetter) -> None:
    """Words jump to and fro while they are spoken."""
    found = track(font, timed_cue("one two three four"))
    first, second = shown(found, 0), shown(found, 250_000)
    assert (first.row, first.column) == (second.row, second.column)
    assert np.array_equal(first.keep[0], second.keep[0])


def test_nothing_is_shown_between_cues(font: Typesetter) -> None:
    """Captions stay on after their time, or the wrong one is shown."""
    found = track(font, timed_cue("early", 100_000), timed_cue("late", 500_000))
    assert [found.at(t_us) is not None for t_us in (0, 100_000, 299_999, 300_000, 499_999, 500_000, 700_000)] == [
        *(False, True, True, False, False, True, False)
    ]


def test_a_short_cue_over_a_long_one_does_not_end_it(font: Typesetter) -> None:
    """The longer of two cues that overlap is lost when the shorter one ends."""
    found = track(
        font,
        Cue(start_us=0, end_us=900_000, text="long"),
        Cue(start_us=100_000, end_us=200_000, text="short"),
        Cue(start_us=300_000, end_us=400_000, text="short"),
    )
    shapes = [shown(found, t_us).keep[0].shape for t_us in (50_000, 150_000, 250_000, 350_000, 800_000)]
    assert shapes[0] == shapes[2] == shapes[4]
    assert shapes[1] == shapes[3] != shapes[0]
    assert found.at(900_000) is None


@pytest.mark.parametrize("text", ["word " * 60, "x" * 400, "字幕" * 80, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn"])
@pytest.mark.parametrize("position_y", [0.0, 1.0])
@pytest.mark.parametrize("place", SAFE_AREAS)
@pytest.mark.parametrize("box", [None, "#000000"])
def test_long_text_stays_within_the_safe_area(
    font: Typesetter, text: str, position_y: float, place: str, box: str | None
) -> None:
    """Long captions run out of the frame, or under the buttons of the player."""
    safe = SAFE_AREAS[place]
    cue = Cue(start_us=0, end_us=10, text=text.strip())
    stamp = shown(track(font, cue, position_y=position_y, safe=safe, box=box, max_width=1.0))
    height, width = stamp.keep[0].shape
    assert stamp.row >= safe.top * SIZE[1] - 4
    assert stamp.row + height <= (1 - safe.bottom) * SIZE[1] + 4
    assert stamp.column >= safe.left * SIZE[0] - 4
    assert stamp.column + width <= (1 - safe.right) * SIZE[0] + 4


@pytest.mark.parametrize("position_y", [0.0, 0.5, 1.0])
def test_a_word_that_pops_stays_within_the_safe_area(font: Typesetter, position_y: float) -> None:
    """A word at the edge grows out of the frame."""
    found = track(font, timed_cue("wide-line of words that reach from edge to edge"), pop=1.5, position_y=position_y)
    for t_us in range(0, 1_600_000, 20_000):
        stamp = shown(found, t_us)
        height, width = stamp.keep[0].shape
        assert stamp.column >= 0.05 * SIZE[0] - 4
        assert stamp.column + width <= 0.95 * SIZE[0] + 4
        assert stamp.row >= 0.05 * SIZE[1] - 4
        assert stamp.row + height <= 0.95 * SIZE[1] + 4


def test_blank_text_draws_nothing(font: Typesetter) -> None:
    """A cue of spaces stops the render."""
    assert track(font, Cue(start_us=0, end_us=1, text=" \u200b\n ")).at(0) is None


def test_lines_are_few_and_even() -> None:
    """One word is left alone on the last line."""
    (paragraph,) = paragraphs("aaaa bbbb cccc dddd eeee")
    lines = break_lines(paragraph, [1.0] * len(paragraph.text), 19.0)
    assert [len(paragraph.text[start:end].split()) for start, end in lines] in ([3, 2], [2, 3])


def test_words_keep_their_punctuation_and_their_place() -> None:
    """The highlight is on the wrong word, or cuts a word from its comma."""
    names = ("well", "you", "know", "you", "你好", "世界")
    words = tuple(Word(text=word, start_us=0, end_us=1) for word in names)
    text = 'Well, "you" know  you\nknow 你好世界'
    first, second = paragraphs(text, words)
    assert first.text == 'Well, "you" know you'
    assert first.owners == (*[0] * 5, None, *[1] * 5, None, *[2] * 4, None, *[3] * 3)
    assert second.text == "know 你好世界"
    assert second.owners == (*[None] * 5, 4, 4, 5, 5)
    assert paragraphs("straße", uppercase=True)[0].text == "STRASSE"


def test_a_word_stays_lit_through_a_short_pause_only() -> None:
    """The highlight flickers between words, or stays on through silence."""
    words = (
        Word(text="a", start_us=0, end_us=100_000),
        Word(text="b", start_us=300_000, end_us=400_000),
        Word(text="c", start_us=2_000_000, end_us=2_100_000),
    )
    cue = Cue(start_us=0, end_us=3_000_000, text="a b c", words=words)
    assert [active_word(cue, t_us) for t_us in (0, 200_000, 350_000, 450_000, 2_050_000, 2_500_000)] == [
        *(0, 0, 1, None, 2, None)
    ]


def test_karaoke_lights_all_that_was_spoken(font: Typesetter) -> None:
    """Karaoke captions light one word at a time, or go dark in a pause."""
    cue = timed_cue("one two three", step_us=200_000)
    paused = replace(cue, end_us=5_000_000)
    found = track(font, paused, highlight_kind="karaoke", highlight="#FF0000", max_width=1.0)
    ends = [where(shown(found, t_us), "#FF0000")[2] for t_us in (0, 250_000, 450_000, 4_000_000)]
    starts = [where(shown(found, t_us), "#FF0000")[0] for t_us in (0, 250_000, 450_000, 4_000_000)]
    assert ends[0] < ends[1] < ends[2] == ends[3]
    assert len(set(starts)) == 1
    assert spoken_word(cue, 4_000_000) == 2


@pytest.mark.parametrize("kind", ["word", "box"])
@pytest.mark.parametrize("text", ["one two three", "مرحبا بالعالم نعم", "שלום עולם טוב"])
def test_the_highlight_covers_exactly_the_word(font: Typesetter, kind: Literal["word", "box"], text: str) -> None:
    """Letters beside the spoken word are lit, or part of it is not."""
    found = track(font, timed_cue(text), highlight="#FF0000", highlight_kind=kind, outline_width=0.0, max_width=1.0)
    rtl = paragraphs(text)[0].rtl
    size = round(0.045 * SIZE[1])
    line = font.line(text, size, rtl=rtl)
    left = SIZE[0] / 2 - line.width / 2
    for at, word in enumerate(text.split()):
        place = text.index(word)
        (extent,) = line.extents(range(place, place + len(word)))
        pad = 0.13 * size if kind == "box" else 0.0
        lit = where(shown(found, at * 200_000 + 1), "#FF0000")
        # Chroma is half as fine as luma, and ink does not fill its advance.
        assert lit[0] == pytest.approx(left + extent[0] - pad, abs=6)
        assert lit[2] == pytest.approx(left + extent[1] + pad, abs=6)


@pytest.mark.parametrize("name", ["arabic", "devanagari", "thai", "hebrew_in_latin", "japanese"])
def test_lighting_a_word_does_not_change_its_letters(font: Typesetter, name: str) -> None:
    """Arabic letters lose their joins where the highlight begins."""
    words = tuple(
        Word(text=word, start_us=at * 200_000, end_us=(at + 1) * 200_000)
        for at, word in enumerate(SAMPLES[name].split())
    )
    cue = Cue(start_us=0, end_us=2_000_000, text=SAMPLES[name], words=words)
    lit = shown(track(font, cue, highlight="#FF0000"), 1)
    plain = shown(track(font, cue, highlight=None), 1)
    assert (lit.row, lit.column) == (plain.row, plain.column)
    assert np.abs(lit.keep[0].astype(int) - plain.keep[0]).max() <= 1


def test_a_long_cue_goes_on_in_turns_with_its_words(font: Typesetter) -> None:
    """A long cue covers the picture, or a turn is shown before its words are spoken."""
    cue = timed_cue("one two three four five six seven eight nine ten eleven twelve")
    found = track(font, cue, max_lines=1, highlight="#FF0000", size=0.06)
    heights = {shown(found, t_us).keep[0].shape[0] for t_us in range(0, cue.end_us, 100_000)}
    assert max(heights) < 1.5 * 0.06 * SIZE[1]
    for at in range(12):  # the spoken word is on the screen
        where(shown(found, at * 200_000 + 1), "#FF0000")


def test_turns_of_unknown_word_times_follow_length(font: Typesetter) -> None:
    """Without word times the second half of a cue is never shown."""
    text = "aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaa"
    found = track(font, Cue(start_us=0, end_us=1_000_000, text=text), max_lines=1, size=0.06)
    stamps = [shown(found, t_us) for t_us in range(0, 1_000_000, 10_000)]
    changes = [at for at in range(1, 100) if stamps[at] is not stamps[at - 1]]
    assert changes
    lengths = np.diff([0, *changes, 100])
    assert lengths.max() <= 2.2 * lengths.min()


def test_a_pop_passes_through_few_sizes_and_ends_as_it_was(font: Typesetter) -> None:
    """Every frame of an animation is drawn anew, or a word stays large."""
    cue = timed_cue("one two", step_us=400_000)
    found = track(font, cue, pop=1.4, highlight="#FF0000")
    sizes = []
    for t_us in range(0, 400_000, 5_000):
        left, _, right, _ = where(shown(found, t_us), "#FF0000")
        sizes.append(right - left)
    assert found.drawings == POP_STEPS + 1
    assert sizes[0] > sizes[-1]
    assert sizes == sorted(sizes, reverse=True)
    still = where(shown(track(font, cue, highlight="#FF0000"), 1), "#FF0000")
    assert sizes[-1] == still[2] - still[0]
    assert len(set(sizes[POP_US // 5_000 :])) == 1


def test_a_cue_without_words_pops_as_a_whole(font: Typesetter) -> None:
    """Pop does nothing where word times are not known."""
    found = track(font, Cue(start_us=0, end_us=1_000_000, text="all of it"), pop=1.4)
    assert shown(found, 0).keep[0].shape[1] > 1.2 * shown(found, 500_000).keep[0].shape[1]


@pytest.mark.parametrize("style", STYLES)
def test_every_named_style_draws_each_state_once(font: Typesetter, style: str) -> None:
    """A style draws a state for every frame, and the render crawls."""
    cue = timed_cue("The quick brown fox jumps over the lazy dog today", step_us=300_000)
    found = CaptionTrack(Captions(cues=(cue,), style=STYLES[style]), font, Output(width_px=540, height_px=960))
    seen = {id(shown(found, t_us)) for t_us in range(0, cue.end_us, 16_667)}
    pops = POP_STEPS if STYLES[style].pop != 1 else 0
    words = len(cue.words) if STYLES[style].highlight or pops else 1
    turns = 3
    assert found.drawings <= words * (1 + pops) + turns
    assert len(seen) >= min(found.drawings, 1)


def test_the_named_styles_differ(font: Typesetter) -> None:
    """Two names give one look."""
    cue = timed_cue("The quick brown fox jumps over the lazy dog")
    found = []
    for style in STYLES.values():
        stamp = shown(CaptionTrack(Captions(cues=(cue,), style=style), font, Output()), 450_000)
        found.append((stamp.row, stamp.column, *(plane.tobytes() for plane in (*stamp.keep, *stamp.ink))))
    assert len(STYLES) >= 6
    assert len(set(found)) == len(STYLES)


def test_a_box_lies_behind_each_line_with_round_corners(font: Typesetter) -> None:
    """Boxed captions have no box, or one with sharp corners."""
    drawn = planes(200)
    cue = Cue(start_us=0, end_us=1, text="HHHH")
    stamp = shown(track(font, cue, box="#000000", box_opacity=1.0, outline_width=0.0, highlight=None))
    blend(drawn, stamp)
    height, width = stamp.keep[0].shape
    box = drawn[0][stamp.row :, stamp.column :][:height, :width]
    assert (box[3:-3, width // 2] < 210).all()
    assert box[0, 0] > 150
    assert box[height // 2, 4] == 16


def test_a_shadow_is_soft_and_below(font: Typesetter) -> None:
    """A shadow is a hard copy, or lies above the type."""
    cue = Cue(start_us=0, end_us=1, text="HHHH")
    bare, soft = planes(200), planes(200)
    blend(bare, shown(track(font, cue, outline_width=0.0, highlight=None)))
    blend(soft, shown(track(font, cue, shadow=0.4, outline_width=0.0, highlight=None)))
    darker = bare[0].astype(int) - soft[0]
    rows = np.flatnonzero((darker > 4).any(axis=1))
    type_rows = np.flatnonzero((bare[0] != 200).any(axis=1))
    assert rows.max() > type_rows.max() + 3
    assert rows.max() - type_rows.max() > type_rows.min() - rows.min()
    assert len(np.unique(darker[darker > 0])) > 20


def test_blending_is_defined_in_whole_numbers() -> None:
    """The GPU and the CPU round differently."""
    plane = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 256, axis=1)
    keep = np.ascontiguousarray(plane.T)
    ink = np.full_like(plane, 30)
    half = plane[:128, :128].copy()
    stamp = Stamp(row=0, column=0, keep=(keep, keep[:128, :128].copy()), ink=(ink, ink[:128, :128], ink[:128, :128]))
    drawn = (plane.copy(), half.copy(), half.copy())
    blend(drawn, stamp)
    wanted = np.minimum(255, (2 * plane.astype(int) * keep + 255) // 510 + 30)
    assert np.array_equal(drawn[0], wanted)
    assert np.array_equal(drawn[1], wanted[:128, :128])


def test_layers_are_laid_as_if_one_after_the_other() -> None:
    """Colours are mixed wrongly where outline and type meet."""
    rng = np.random.default_rng(7)
    masks = [rng.random((8, 12)).astype(np.float32) for _ in range(3)]
    colours = ("#FF0000", "#00FF00", "#3366CC")
    art = Art(2, 4, 12, 8)
    picture = np.full((8, 12), 90.0)
    for mask, colour in zip(masks, colours, strict=True):
        art.lay(mask, colour)
        picture = picture * (1 - mask) + levels_of(colour)[0] * mask
    stamp = stamp_of(art, (40, 40))
    assert stamp is not None
    assert (stamp.row, stamp.column) == (4, 2)
    drawn = np.full((40, 40), 90, np.uint8)
    chroma = np.full((20, 20), 128, np.uint8)
    blend((drawn, chroma, chroma.copy()), stamp)
    assert np.abs(drawn[4:12, 2:14] - picture).max() <= 1.5


def test_all_that_is_drawn_is_the_same_each_time(font: Typesetter) -> None:
    """Two replicas draw different bytes."""
    cue = timed_cue("مرحبا 你好 hello 😀 สวัสดี")
    stamps = [shown(track(Typesetter(fonts_used()), cue, shadow=0.3, box="#123456"), 250_000) for _ in range(2)]
    assert [plane.tobytes() for plane in (*stamps[0].keep, *stamps[0].ink)] == [
        plane.tobytes() for plane in (*stamps[1].keep, *stamps[1].ink)
    ]
    assert cv2.countNonZero(stamps[0].ink[0]) > 0
    assert shown(track(font, cue)).keep[0].size > 0
