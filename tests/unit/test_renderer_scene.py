"""What each frame is made of: layouts, the movement in them, transitions, and every field of the recipe."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.renderer.draw import layouts
from actors.renderer.draw.geometry import CHROMA_LEFT, LUMA, UPRIGHT, Matrix, orientation, plane_map
from actors.renderer.draw.recipe import BLACK, Box, Fade, Glow, Grain, Layer, Look, Recipe, Sharpen, Vignette, levels_of
from actors.renderer.draw.scene import WHITE, ZOOM_THROUGH, Director, Shape
from actors.renderer.timeline import Strip, frame_count
from contracts import plan as planned
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import (
    Clip,
    ColourPop,
    FillCrop,
    FitInside,
    Flash,
    FocusPoint,
    Freeze,
    Glitch,
    Grade,
    Grid,
    Inset,
    KenBurns,
    Layout,
    Mirror,
    Monochrome,
    Output,
    Pane,
    Plan,
    PlanSource,
    PunchIn,
    Shake,
    Split,
    Transition,
    View,
    Zoom,
)
from contracts.plan_rules import check, duration_us
from tests.renderer_media import RIGHTS

WIDE = Shape(1920, 1080, Fraction(1), UPRIGHT)
TALL = Shape(720, 1280, Fraction(1), UPRIGHT)
WIDTH, HEIGHT = 1080, 1920
FRAME = Box(0, 0, WIDTH, HEIGHT)
SECOND = 1_000_000


def clip(layout: Layout | None = None, length_us: int = 4 * SECOND, **fields: Any) -> Clip:
    return Clip(source="s", start_us=0, end_us=length_us, layout=layout or FillCrop(), **fields)


def plan_of(*clips: Clip, **fields: Any) -> Plan:
    output = fields.pop("output", Output(width_px=WIDTH, height_px=HEIGHT, fps=Rational(30)))
    sources = tuple(
        PlanSource(id=name, key=ObjectKey(name), sha256="", rights=RIGHTS) for name in ("s", "a", "b", "c", "d")
    )
    made = Plan(sources=sources, clips=clips, output=output, **fields)
    check(made)
    return made


def no_look(grades: tuple[Grade | Monochrome, ...]) -> None:
    """Ignore the grades."""


def recipes(*clips: Clip, shapes: tuple[Shape, ...] = (WIDE,) * 9, **fields: Any) -> list[Recipe]:
    """Return the recipe of every frame."""
    plan = plan_of(*clips, **fields)
    director = Director(plan, no_look)
    return [
        director.recipe(frame, shapes[: len(director.strips(frame))])
        for frame in range(frame_count(duration_us(plan), plan.output.fps))
    ]


def one(layout: Layout, shapes: tuple[Shape, ...] = (WIDE,) * 9, **fields: Any) -> tuple[Layer, ...]:
    """Return the layers of a plan's first frame."""
    return recipes(clip(layout), shapes=shapes, **fields)[0].scenes[0].layers


def shown_at(layer: Layer, x: float, y: float) -> tuple[float, float]:
    """Return the place in the source that is seen at a place of the output."""
    there = layer.to_source @ np.array([x, y, 1.0])
    return float(there[0]), float(there[1])


def corners(layer: Layer) -> list[tuple[float, float]]:
    """Return what is seen at the corners of a layer's box: left top first, right bottom last."""
    left, top, right, bottom = layer.box
    return [shown_at(layer, x, y) for x in (left, right) for y in (top, bottom)]


def keeps_inside(layer: Layer, shape: Shape) -> bool:
    """Whether nothing beyond the source's edge is sampled."""
    return all(-1e-6 <= x <= shape.width_px + 1e-6 and -1e-6 <= y <= shape.height_px + 1e-6 for x, y in corners(layer))


# Layouts --------------------------------------------------------------------------------------------


def test_fill_crop_centres_the_focus_where_the_picture_allows() -> None:
    """The subject lies at the edge, or the crop leaves the picture."""
    (layer,) = one(FillCrop(focus_x=0.4))
    assert layer.box == FRAME
    assert shown_at(layer, WIDTH / 2, HEIGHT / 2) == pytest.approx((0.4 * 1920, 540))
    assert layer.scale == pytest.approx(1920 / 1080)
    (edge,) = one(FillCrop(focus_x=0.0))
    assert shown_at(edge, 0, 0) == (0, 0)


TURNS = [UPRIGHT, orientation(np.array([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30], np.int32).tobytes())]
SHAPES = st.builds(
    Shape,
    st.integers(16, 4000),
    st.integers(16, 4000),
    st.sampled_from([Fraction(1), Fraction(4, 3), Fraction(8, 9)]),
    st.sampled_from(TURNS),
)
SHARES = st.floats(0, 1)
VIEWS = st.builds(View, x=SHARES, y=SHARES, scale=st.floats(1, 8))
PATHS = st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=4).map(
    lambda points: tuple(FocusPoint(at_us=300_000 * at, x=x, y=y) for at, (x, y) in enumerate(points))
)
EFFECTS = (
    Zoom(end_scale=1.3, focus_x=0.9, focus_y=0.1),
    PunchIn(first_us=200_000, every_us=400_000, scale=1.4, focus_x=0.0),
    Shake(first_us=100_000, duration_us=600_000, amplitude=0.1),
    Mirror(start_us=500_000),
)


@settings(max_examples=40, deadline=None)
@given(
    SHAPES,
    st.one_of(
        st.builds(FillCrop, focus_x=SHARES, focus_y=SHARES),
        st.builds(FillCrop, path=PATHS),
        st.builds(KenBurns, start=VIEWS, end=VIEWS),
        st.builds(Split, pane=st.just(Pane(source="a", focus_x=1.0)), share=st.floats(0.1, 0.9)),
        st.builds(Inset, pane=st.just(Pane(source="a")), x=SHARES, y=SHARES, width=st.floats(0.01, 1)),
    ),
    st.sampled_from([(), EFFECTS]),
)
def test_nothing_beyond_the_sources_edge_is_sampled(
    shape: Shape, layout: Layout, effects: tuple[planned.Effect, ...]
) -> None:
    """Smeared edge samples show at a side of the frame."""
    for recipe in recipes(clip(layout, SECOND), shapes=(shape, shape), effects=effects):
        for scene in recipe.scenes:
            assert all(keeps_inside(layer, shape) for layer in scene.layers)


def test_a_focus_path_glides_from_point_to_point_and_holds_at_its_ends() -> None:
    """The camera jumps from subject to subject, or runs past the last one."""
    path = (
        FocusPoint(at_us=SECOND, x=0.4, y=0.5),
        FocusPoint(at_us=2 * SECOND, x=0.6, y=0.5),
        FocusPoint(at_us=3 * SECOND, x=0.4, y=0.5),
    )
    middles = [
        shown_at(made.scenes[0].layers[0], WIDTH / 2, 0)[0] / 1920 for made in recipes(clip(FillCrop(path=path)))
    ]
    assert [middles[at] for at in (0, 30, 45, 60, 90, 119)] == pytest.approx([0.4, 0.4, 0.5, 0.6, 0.4, 0.4])
    # A glide of 0.2 in 30 frames, at most 1.5 times the mean speed.
    assert max(abs(later - here) for here, later in itertools.pairwise(middles)) <= 0.2 / 30 * 1.5 + 1e-9


def test_a_focus_path_glides_up_and_down_too() -> None:
    """Only left and right of a path count."""
    path = (FocusPoint(at_us=0, x=0.5, y=0.4), FocusPoint(at_us=2 * SECOND, x=0.5, y=0.6))
    wide = Output(width_px=1280, height_px=720)
    made = recipes(clip(FillCrop(path=path)), shapes=(TALL,), output=wide)
    middles = [shown_at(recipe.scenes[0].layers[0], 0, 360)[1] / 1280 for recipe in made]
    assert [middles[at] for at in (0, 30, 60)] == pytest.approx([0.4, 0.5, 0.6])


def test_a_path_to_the_very_edge_stops_as_softly_as_any_other() -> None:
    """The camera hits the picture's edge at full speed."""
    path = (FocusPoint(at_us=0, x=0.5, y=0.5), FocusPoint(at_us=2 * SECOND, x=1.0, y=0.5))
    xs = [shown_at(made.scenes[0].layers[0], WIDTH, 0)[0] for made in recipes(clip(FillCrop(path=path)))]
    assert xs[60] == pytest.approx(1920)
    assert xs[60] - xs[59] < (xs[60] - xs[0]) / 1000


@pytest.mark.parametrize(
    "shape", [WIDE, Shape(1281, 717, Fraction(1), UPRIGHT), Shape(720, 576, Fraction(16, 11), UPRIGHT)]
)
def test_fit_inside_shows_the_whole_picture_unstretched(shape: Shape) -> None:
    """Parts of the picture are missing, or it is squeezed."""
    around, whole = one(FitInside(), (shape,))
    assert (around.box, around.blur_px, around.dim) == (FRAME, 0.03 * WIDTH, 0.25)
    assert (whole.box.left, whole.box.right) == (0, WIDTH)
    shown_height = whole.box.bottom - whole.box.top
    assert shown_height == pytest.approx(WIDTH * shape.height_px / (shape.width_px * shape.aspect), abs=1)
    assert whole.box.top == pytest.approx(HEIGHT - whole.box.bottom, abs=2)
    (left, top), *_, (right, bottom) = corners(whole)
    pixels_cut = max(left, top, shape.width_px - right, shape.height_px - bottom) * whole.scale
    assert -1e-6 <= pixels_cut < 1.01
    x_pitch, y_pitch = whole.to_source[0, 0], whole.to_source[1, 1]
    assert x_pitch * float(shape.aspect) == pytest.approx(y_pitch)


def test_fit_inside_with_a_colour_has_no_blurred_picture() -> None:
    """The colour is ignored, or the blur is drawn below it for nothing."""
    made = recipes(clip(FitInside(background="#102030")))[0]
    assert len(made.scenes[0].layers) == 1
    assert made.scenes[0].ground == levels_of("#102030")


def test_a_picture_of_the_frames_shape_needs_no_background() -> None:
    """Half of the time goes into a blur that nobody sees."""
    (layer,) = one(FitInside(), (TALL,))
    assert layer.box == FRAME


def test_ken_burns_goes_from_window_to_window() -> None:
    """Stills stay still, or begin elsewhere than planned."""
    start, end = View(x=0.3, y=0.5, scale=2.0), View(x=0.7, y=0.4, scale=4.0)
    made = recipes(clip(KenBurns(start=start, end=end)))
    first, last = made[0].scenes[0].layers[0], made[-1].scenes[0].layers[0]
    assert shown_at(first, WIDTH / 2, HEIGHT / 2) == pytest.approx((0.3 * 1920, 540))
    assert shown_at(last, WIDTH / 2, HEIGHT / 2) == pytest.approx((0.7 * 1920, 0.4 * 1080), abs=0.5)
    assert first.scale == pytest.approx(2 * 1920 / 1080)
    assert last.scale == pytest.approx(4 * 1920 / 1080, rel=1e-3)


@pytest.mark.parametrize(
    "layout",
    [KenBurns(start=View(x=0.2), end=View(x=0.8, scale=1.5)), FillCrop()],
)
def test_movement_is_smooth_far_below_a_pixel(layout: Layout) -> None:
    """Slow movement stutters in steps: maps were rounded to pixels, or jump."""
    made = recipes(clip(layout, 10 * SECOND), effects=(Zoom(end_scale=1.2, focus_x=0.3),))
    paths = np.array([corners(recipe.scenes[0].layers[0]) for recipe in made])
    steps = np.diff(paths, axis=0)
    assert np.abs(steps).max() > 0.2
    # 300 frames, at most about 900 px of way: smoothstep bends by at most 6 / 300² of it.
    assert np.abs(np.diff(steps, axis=0)).max() < 0.1


@pytest.mark.parametrize(
    ("direction", "share", "boxes"),
    [
        ("rows", 0.5, [Box(0, 0, 1080, 960), Box(0, 960, 1080, 1920)]),
        ("columns", 0.333, [Box(0, 0, 360, 1920), Box(360, 0, 1080, 1920)]),
    ],
)
def test_split_shares_the_frame(direction: Any, share: float, boxes: list[Box]) -> None:
    """One picture covers the other, or the order is wrong."""
    layers = one(
        Split(pane=Pane(source="a", focus_x=0.25), direction=direction, share=share, focus_x=0.6), (WIDE, WIDE)
    )
    assert [layer.box for layer in layers] == boxes
    assert [layer.picture for layer in layers] == [0, 1]
    for layer, focus in zip(layers, (0.6, 0.25), strict=True):
        (left, _), *_, (right, _) = corners(layer)
        middle = min(max(focus * 1920, (right - left) / 2), 1920 - (right - left) / 2)
        assert (left + right) / 2 == pytest.approx(middle)


def test_an_inset_lies_where_planned_and_never_leaves_the_frame() -> None:
    """The small window is cut off at the frame's edge."""
    main, small = one(Inset(pane=Pane(source="a"), x=0.75, y=0.2, width=0.35, aspect=0.5))
    assert (main.box, main.picture, small.picture) == (FRAME, 0, 1)
    assert small.box == Box(622, 6, 1000, 762)
    _, cornered = one(Inset(pane=Pane(source="a"), x=1.0, y=1.0))
    assert cornered.box[2:] == (WIDTH, HEIGHT)


def test_a_grid_puts_cells_row_by_row_with_gaps_between() -> None:
    """Cells overlap, touch the frame's edge unevenly, or leave strips free."""
    panes = tuple(Pane(source=name) for name in "abcd")
    made = recipes(clip(Grid(panes=panes, columns=2, gap=0.02, background="#FF0000")))[0].scenes[0]
    assert made.ground == levels_of("#FF0000")
    boxes = [layer.box for layer in made.layers]
    assert [layer.picture for layer in made.layers] == [0, 1, 2, 3, 4]
    assert boxes == [
        Box(0, 0, 530, 626),
        Box(552, 0, 1080, 626),
        Box(0, 648, 530, 1272),
        Box(552, 648, 1080, 1272),
        Box(0, 1294, 530, 1920),
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(8, 2160), st.integers(8, 2160)),
    st.one_of(
        st.just(FitInside()),
        st.builds(Split, pane=st.just(Pane(source="a")), share=st.floats(0.1, 0.9), direction=st.just("columns")),
        st.builds(Split, pane=st.just(Pane(source="a")), share=st.floats(0.1, 0.9)),
        st.builds(
            Inset,
            pane=st.just(Pane(source="a")),
            x=SHARES,
            y=SHARES,
            width=st.floats(0.001, 1),
            aspect=st.floats(0.2, 5),
        ),
        st.builds(Grid, panes=st.just((Pane(source="a"),) * 8), columns=st.integers(1, 3), gap=st.floats(0, 0.1)),
    ),
    st.sampled_from([(), (Mirror(),)]),
)
def test_places_are_even_and_inside_the_frame_at_every_size(
    half: tuple[int, int], layout: Layout, effects: tuple[planned.Effect, ...]
) -> None:
    """Chroma is cut elsewhere than luma, or drawing writes outside of the frame."""
    width, height = 2 * half[0], 2 * half[1]
    made = recipes(clip(layout, 33_000), output=Output(width_px=width, height_px=height), effects=effects)[0]
    for layer in made.scenes[0].layers:
        box = layer.box
        assert all(edge % 2 == 0 for edge in box)
        assert 0 <= box.left < box.right <= width
        assert 0 <= box.top < box.bottom <= height


# Effects --------------------------------------------------------------------------------------------


def test_the_focus_of_a_punch_in_shows_what_it_showed_before() -> None:
    """The punch-in goes to the middle of the frame, whatever the plan says."""
    punch = PunchIn(first_us=SECOND, scale=1.5, focus_x=0.2, focus_y=0.9)
    made = recipes(clip(), effects=(Mirror(), punch))
    before, after = made[29].scenes[0].layers[0], made[30].scenes[0].layers[0]
    focus = 0.2 * WIDTH, 0.9 * HEIGHT
    assert shown_at(after, *focus) == pytest.approx(shown_at(before, *focus))
    assert after.scale == pytest.approx(1.5 * before.scale)


def test_mirror_swaps_places_too() -> None:
    """In a mirrored split both pictures are mirrored, but stay where they were."""
    layout = Split(pane=Pane(source="a"), direction="columns", share=0.25)
    plain, swapped = one(layout), one(layout, effects=(Mirror(),))
    assert swapped[0].box == Box(WIDTH - 270, 0, WIDTH, HEIGHT)
    assert swapped[1].box == Box(0, 0, WIDTH - 270, HEIGHT)
    for was, became in zip(plain, swapped, strict=True):
        assert shown_at(became, WIDTH - 100, 300) == pytest.approx(shown_at(was, 100, 300))


def test_places_stay_while_their_pictures_are_zoomed() -> None:
    """The edge between two pictures creeps along in steps of two pixels."""
    made = recipes(clip(Split(pane=Pane(source="a"))), effects=(Zoom(end_scale=1.5),))
    assert {tuple(layer.box for layer in recipe.scenes[0].layers) for recipe in made} == {
        (Box(0, 0, 1080, 960), Box(0, 960, 1080, 1920))
    }
    assert made[-1].scenes[0].layers[1].scale > 1.4 * made[0].scenes[0].layers[1].scale


def test_a_freeze_stops_ken_burns_and_the_focus_path() -> None:
    """A frozen still goes on gliding."""
    freeze = Freeze(first_us=SECOND, duration_us=SECOND, every_us=10 * SECOND)
    path = (FocusPoint(at_us=0, x=0.3, y=0.5), FocusPoint(at_us=4 * SECOND, x=0.7, y=0.5))
    for layout in (KenBurns(), FillCrop(path=path)):
        maps = [made.scenes[0].layers[0].to_source.tobytes() for made in recipes(clip(layout), effects=(freeze,))]
        assert len(set(maps[30:60])) == 1
        assert maps[29] != maps[30] != maps[60]


def test_glitch_bands_show_what_they_would_without_a_jump_elsewhere() -> None:
    """Bands tear holes, overlap their box, or show the source's edge."""
    glitch = Glitch(first_us=0, duration_us=SECOND, bands=4)
    plain, *bands = recipes(clip(), effects=(glitch,))[0].scenes[0].layers
    assert plain.box == FRAME
    assert 0 < abs(plain.split_px) <= 0.012 * WIDTH
    assert len(bands) == 8
    for right, left in zip(bands[::2], bands[1::2], strict=True):
        assert (left.box.left, left.box.right, right.box.right) == (0, right.box.left, WIDTH)
        assert (left.box.top, left.box.bottom) == (right.box.top, right.box.bottom)
        shift = right.box.left
        assert shown_at(right, shift, 0) == pytest.approx(shown_at(plain, 0, 0))
        assert shown_at(left, 0, 0) == pytest.approx(shown_at(plain, WIDTH - shift, 0))
        assert all(keeps_inside(layer, WIDE) for layer in (left, right))


def test_every_step_after_the_scenes_is_in_output_pixels_and_levels() -> None:
    """Effects look stronger in large outputs than in small ones."""
    effects = (
        planned.Sharpen(strength=0.5, radius=0.001),
        planned.Glow(strength=0.4, threshold=0.5, radius=0.02),
        planned.Vignette(strength=0.3, radius=0.2),
        planned.Grain(strength=0.5, size=0.002),
        Flash(first_us=0, strength=0.5),
    )
    first, second = recipes(clip(length_us=66_000), effects=effects)
    assert tuple(first.sharpen or ()) == pytest.approx(Sharpen(0.5, 1.92))
    assert tuple(first.glow or ()) == pytest.approx(Glow(0.4, 38.4, 125.5))
    assert first.vignette == Vignette(0.3, 0.2)
    assert first.grain is not None
    assert second.grain is not None
    assert tuple(first.grain) == pytest.approx(Grain(16.0, 3.84, first.grain.seed))
    assert first.grain.seed != second.grain.seed
    assert 0 <= first.grain.seed < 1 << 32
    assert first.fades == (Fade(0.5, WHITE),)


def test_looks_are_asked_for_once_for_equal_grades() -> None:
    """Tables of colour are made anew for every frame."""
    asked: list[tuple[Grade | Monochrome, ...]] = []

    def looks(grades: tuple[Grade | Monochrome, ...]) -> Look:
        asked.append(grades)
        return Look(np.arange(256, dtype=np.uint8), key=repr(grades))

    pop = ColourPop(first_us=SECOND, duration_us=200_000, every_us=SECOND)
    director = Director(plan_of(clip(), effects=(Grade(contrast=1.2, end_us=3 * SECOND), pop)), looks)
    made = [director.recipe(frame, (WIDE,)) for frame in range(120)]
    assert len(asked) == len(set(asked)) == 1 + 2 * 6
    assert made[0].look is made[1].look
    assert made[95].look is not None
    assert made[119].look is None


# Transitions ----------------------------------------------------------------------------------------


def changing(kind: Any, before: Layout | None = None, after: Layout | None = None) -> list[Recipe]:
    """Return the recipes of a transition of half a second, and of the frame before and after it."""
    transition = Transition(kind=kind, duration_us=500_000, colour="#FFFFFF")
    made = recipes(clip(before, SECOND), clip(after, SECOND, transition=transition), shapes=(WIDE, TALL))
    assert len(made) == 45
    return made[14:31]


def test_a_crossfade_brings_in_the_next_clip_evenly() -> None:
    """The mix jumps or goes back."""
    first, *mixed, last = changing("crossfade")
    assert (len(first.scenes), len(last.scenes), len(mixed)) == (1, 1, 15)
    mixes = [made.scenes[1].mix for made in mixed]
    assert mixes == sorted(mixes)
    assert 0 < mixes[0] < 0.01
    assert mixes == pytest.approx([1 - mix for mix in reversed(mixes)])
    assert all(made.scenes[0].mix == 1 for made in mixed)
    assert [layer.picture for scene in mixed[0].scenes for layer in scene.layers] == [0, 1]


def test_a_dip_reaches_its_colour_and_comes_back() -> None:
    """The colour is never full, or the wrong clip is seen."""
    _, *mixed, _ = changing("dip")
    shares = [made.fades[0].share for made in mixed]
    assert shares[:8] == sorted(shares[:8])
    assert shares == pytest.approx(list(reversed(shares)))
    assert shares[7] == 1.0
    assert {made.fades[0].colour for made in mixed} == {levels_of("#FFFFFF")}
    assert [made.scenes[0].layers[0].picture for made in mixed] == [0] * 7 + [1] * 8


def changes_over(mixed: list[Recipe]) -> None:
    """Check that the second clip's share only grows, from none to all, in the middle of the transition."""
    mixes = [made.scenes[1].mix if len(made.scenes) == 2 else float(made.scenes[0].layers[0].picture) for made in mixed]
    assert mixes == sorted(mixes)
    assert mixes[:5] == [0.0] * 5
    assert mixes[7] == pytest.approx(0.5)
    assert mixes[10:] == [1.0] * 5


@pytest.mark.parametrize("layout", [FillCrop(), FitInside(background="#FF0000"), FitInside()])
def test_a_whip_sweeps_both_clips_sideways_without_a_gap(layout: Layout) -> None:
    """A gap opens beside a clip, it jumps, or the sweep has no smear."""
    _, *mixed, last = changing("whip", layout, FillCrop())
    changes_over(mixed)
    for scene in (scene for made in mixed for scene in made.scenes):
        places = sorted({(layer.box.left, layer.box.right) for layer in scene.layers})
        assert (places[0][0], places[-1][1]) == (0, WIDTH)
        assert all(left[1] == right[0] for left, right in itertools.pairwise(places))
        for layer in scene.layers:
            # Boxes end on even pixels, what is in them does not: less than a pixel goes on beyond the edge.
            assert all(-1 <= x * layer.scale <= WIDE.width_px * layer.scale + 1 for x, _ in corners(layer))
    smears = [made.scenes[0].layers[-1].smear_px for made in mixed if made.scenes[0].layers[0].picture == 0]
    assert smears == sorted(smears)
    assert smears[7] == pytest.approx(4 * WIDTH / 15)
    coming = [made.scenes[-1].layers[0].smear_px for made in mixed if made.scenes[-1].layers[0].picture == 1]
    assert coming == sorted(coming, reverse=True)
    assert last.scenes[0].layers[0].smear_px == 0


def test_beside_a_swept_clip_lies_its_mirror_picture() -> None:
    """A hard edge sweeps through the frame."""
    _, *mixed, _ = changing("whip")
    # Where a clip has moved by the whole width, there is no seam in the frame.
    seamed = [scene.layers for made in mixed for scene in made.scenes if len(scene.layers) == 2]
    assert len(seamed) > 12
    for left, right in seamed:
        seam = left.box.right
        assert shown_at(left, seam, 0)[0] == pytest.approx(shown_at(right, seam, 0)[0], abs=2 / left.scale)
        assert left.to_source[0, 0] == -right.to_source[0, 0]


def test_a_whip_moves_as_far_as_it_smears() -> None:
    """The smear does not fit the speed."""
    _, *mixed, _ = changing("whip")
    # The first layer that shows the clip unmirrored, below the frame's left edge, before the clips change places.
    seen = [made.scenes[0].layers[0] for made in mixed[:7]]
    ways = [shown_at(layer, 0, 0)[0] * layer.scale for layer in seen]
    steps = [later - here for here, later in itertools.pairwise(ways)]
    smears = [(here.smear_px + later.smear_px) / 2 for here, later in itertools.pairwise(seen)]
    assert steps == pytest.approx(smears)


def test_a_zoom_goes_into_one_clip_and_out_of_the_other() -> None:
    """The zoom goes back and forth, or shows what is beyond the frame."""
    first, *mixed, _ = changing("zoom")
    changes_over(mixed)
    leaving = [made.scenes[0].layers[0].scale for made in mixed if made.scenes[0].layers[0].picture == 0]
    coming = [made.scenes[-1].layers[0].scale for made in mixed if made.scenes[-1].layers[0].picture == 1]
    assert leaving == sorted(leaving)
    assert coming == sorted(coming, reverse=True)
    assert leaving[0] == pytest.approx(first.scenes[0].layers[0].scale, rel=0.01)
    assert coming[-1] == pytest.approx(1080 / 720, rel=0.01)
    assert leaving[7] == pytest.approx(ZOOM_THROUGH * 1920 / 1080)
    assert {layer.box for made in mixed for scene in made.scenes for layer in scene.layers} == {FRAME}
    for made in mixed:
        for scene in made.scenes:
            assert all(keeps_inside(layer, (WIDE, TALL)[layer.picture]) for layer in scene.layers)


def test_pictures_of_two_clips_are_counted_one_after_the_other() -> None:
    """In a transition a pane of one clip shows in the other."""
    layout = Split(pane=Pane(source="a"))
    after = Clip(
        source="b",
        start_us=0,
        end_us=SECOND,
        layout=Grid(panes=(Pane(source="c"), Pane(source="d"))),
        transition=Transition(),
    )
    plan = plan_of(clip(layout, SECOND), after)
    director = Director(plan, no_look)
    assert [strip.source for strip in director.strips(20)] == ["s", "a", "b", "c", "d"]
    assert director.strips(20)[2] == Strip(clip=1, pane=0, source="b")
    made = director.recipe(20, (WIDE, TALL, WIDE, TALL, WIDE))
    assert [[layer.picture for layer in scene.layers] for scene in made.scenes] == [[0, 1], [2, 3, 4]]
    assert [strip.source for strip in director.strips(40)] == ["b", "c", "d"]
    alone = director.recipe(40, (WIDE, TALL, WIDE))
    assert [layer.picture for layer in alone.scenes[0].layers] == [0, 1, 2]


def test_frames_may_be_asked_for_in_any_order() -> None:
    """A chunk in the middle is drawn otherwise than the same frames of the whole."""
    effects = (*EFFECTS, Glitch(first_us=0), planned.Grain())
    made = recipes(clip(length_us=SECOND), clip(FitInside(), SECOND, transition=Transition()), effects=effects)
    plan = plan_of(clip(length_us=SECOND), clip(FitInside(), SECOND, transition=Transition()), effects=effects)
    director = Director(plan, no_look)
    for frame in reversed(range(len(made))):
        again = director.recipe(frame, (WIDE,) * len(director.strips(frame)))
        assert told(again) == told(made[frame])


def test_what_does_not_change_is_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making recipes takes longer than drawing them."""
    calls: list[Layout] = []
    original = layouts.lay

    def counted(clip: Clip, *arguments: Any) -> layouts.Laid:
        calls.append(clip.layout)
        return original(clip, *arguments)

    monkeypatch.setattr("actors.renderer.draw.scene.lay", counted)
    made = recipes(clip())
    assert len(calls) == 1
    assert all(recipe.scenes[0].layers is made[0].scenes[0].layers for recipe in made)


# All together ---------------------------------------------------------------------------------------


def told(value: object) -> str:
    """Write a recipe out, to the last digit."""
    if isinstance(value, np.ndarray):
        return str(value.ravel().tolist())
    if isinstance(value, tuple):
        return f"{type(value).__name__}({','.join(told(part) for part in value)})"
    return repr(value)


EVERYTHING = (
    Mirror(end_us=SECOND),
    Zoom(end_scale=1.2, focus_x=0.3),
    PunchIn(first_us=300_000, every_us=700_000),
    Flash(first_us=500_000, every_us=900_000),
    Shake(first_us=200_000, every_us=SECOND, jitter_us=300_000, duration_us=500_000),
    ColourPop(first_us=100_000, every_us=600_000),
    Freeze(first_us=900_000, every_us=2 * SECOND),
    Glitch(first_us=400_000, every_us=800_000),
    Grade(contrast=1.1),
    Monochrome(start_us=2 * SECOND),
    planned.Sharpen(),
    planned.Glow(),
    planned.Vignette(),
    planned.Grain(),
)


def test_a_plan_gives_the_same_recipes_on_every_machine_and_release() -> None:
    """Finished chunks of an earlier release no longer fit those made now; ENGINE must change with this hash."""
    turned = Shape(1440, 1080, Fraction(4, 3), TURNS[1])
    made = recipes(
        clip(FillCrop(path=(FocusPoint(at_us=0, x=0.2, y=0.5), FocusPoint(at_us=SECOND, x=0.6, y=0.5))), SECOND),
        clip(KenBurns(), SECOND, transition=Transition(kind="zoom", duration_us=300_000)),
        clip(FitInside(), SECOND, transition=Transition(kind="whip", duration_us=300_000), speed=1.25),
        clip(Split(pane=Pane(source="a")), SECOND, transition=Transition(kind="dip", duration_us=300_000)),
        clip(Grid(panes=(Pane(source="a"),)), SECOND, transition=Transition(duration_us=300_000)),
        shapes=(WIDE, turned, TALL, WIDE),
        effects=EVERYTHING,
        seed=7,
    )
    assert len(made) == 108
    assert hashlib.sha256("\n".join(map(told, made)).encode()).hexdigest() == GOLDEN


GOLDEN = "5aed855ddbf740a60184dc1304e7e07d14df789d2b8fe02fa72989af648246b1"


def test_chroma_of_every_layer_lies_on_its_luma() -> None:
    """Colours lie beside their edges."""

    def there(to_source: Matrix, site: Matrix) -> Matrix:
        return plane_map(to_source, source_site=site, out_site=site, shrink=(1.0, 1.0))

    for recipe in recipes(clip(KenBurns(), SECOND), effects=(Mirror(), Shake(first_us=0))):
        to_source = recipe.scenes[0].layers[0].to_source
        luma, chroma = there(to_source, LUMA), there(to_source, CHROMA_LEFT)
        at = luma @ np.array([2 * 100.0, 2 * 70.0 + 0.5, 1.0])
        assert chroma @ np.array([100.0, 70.0, 1.0]) == pytest.approx((at[0] / 2, (at[1] - 0.5) / 2))


@given(st.floats(-1e6, 1e6))
def test_even_is_the_nearest_even_number(x: float) -> None:
    """Bands that jump to the left jump less far than those to the right."""
    assert layouts.even(x) % 2 == 0
    assert abs(layouts.even(x) - x) <= 1


def test_colours_are_limited_range_bt709() -> None:
    """Backgrounds have another colour than the plan says."""
    assert levels_of("#000000") == pytest.approx(BLACK)
    assert levels_of("#FFFFFF") == pytest.approx(WHITE)
    assert levels_of("#FF0000") == pytest.approx((62.56, 102.34, 240.0), abs=0.01)
