"""Recipes are drawn on the CPU as they are defined: every stage against a plain float renderer."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.renderer.draw.cpu import CpuCanvas, layer_map
from actors.renderer.draw.finish import blur
from actors.renderer.draw.geometry import CHROMA_CENTRE, CHROMA_LEFT, CHROMA_TOP_LEFT, UPRIGHT, Matrix
from actors.renderer.draw.looks import look_of, parse_cube
from actors.renderer.draw.recipe import (
    Box,
    Fade,
    Glow,
    Grain,
    Layer,
    Look,
    Recipe,
    Scene,
    Sharpen,
    Vignette,
)
from actors.renderer.draw.rooms import Rooms
from actors.renderer.draw.sampling import SHIFT_MAX_PX, settled, way_of
from actors.renderer.draw.tables import gaussian_taps
from contracts.plan import Colour3D, Grade, Monochrome
from tests.renderer_reference import Pictured, Planes, rendered, ssim, within

WIDTH, HEIGHT = 180, 320
FULL = Box(0, 0, WIDTH, HEIGHT)
WHITE = (235.0, 128.0, 128.0)


def picture(width: int = 320, height: int = 180, seed: int = 1, site: Matrix = CHROMA_LEFT) -> Pictured:
    """Soft noise of every size, as pictures have, with hard edges over it."""
    rng = np.random.default_rng(seed)
    planes = []
    for across, down in ((width, height), ((width + 1) // 2, (height + 1) // 2), ((width + 1) // 2, (height + 1) // 2)):
        plane = np.zeros((down, across))
        for size in (2, 4, 8, 16, 32):
            coarse = rng.normal(0, 1, (max(1, down // size) + 1, max(1, across // size) + 1)) * size**0.5
            plane += cv2.resize(coarse, (across, down), interpolation=cv2.INTER_CUBIC)
        plane = 126 + 30 * plane / max(1e-9, plane.std())
        plane[down // 3 : down // 2, across // 4 : across // 2] += 50
        planes.append(np.clip(np.rint(plane), 16, 235).astype(np.uint8))
    return Pictured((planes[0], planes[1], planes[2]), site)


def noise(width: int, height: int, seed: int = 2) -> Pictured:
    """The worst case for any resampling: every sample by itself."""
    rng = np.random.default_rng(seed)
    y, cb, cr = (
        rng.integers(16, 236, shape, dtype=np.uint8)
        for shape in ((height, width), *(((height + 1) // 2, (width + 1) // 2),) * 2)
    )
    return Pictured((y, cb, cr))


def affine(*rows: float) -> Matrix:
    return np.array([*rows, 0, 0, 1], np.float64).reshape(3, 3)


def crop(
    zoom: float = 1.0, source: tuple[int, int] = (320, 180), *, mirrored: bool = False, box: Box = FULL, **fields: float
) -> Layer:
    """Fill a box with the middle of a source."""
    width, height = box.right - box.left, box.bottom - box.top
    pitch = min(source[0] / width, source[1] / height) / zoom
    across = -pitch if mirrored else pitch
    x = source[0] / 2 - across * (box.left + box.right) / 2
    y = source[1] / 2 - pitch * (box.top + box.bottom) / 2
    return Layer(0, affine(across, 0, x, 0, pitch, y), box, 1 / pitch, **fields)


def blank(width: int = WIDTH, height: int = HEIGHT) -> Planes:
    return (
        np.full((height, width), 99, np.uint8),
        np.full((height // 2, width // 2), 99, np.uint8),
        np.full((height // 2, width // 2), 99, np.uint8),
    )


def draw(recipe: Recipe, pictures: Sequence[Pictured], width: int = WIDTH, height: int = HEIGHT) -> Planes:
    planes = blank(width, height)
    CpuCanvas(width, height).draw_planes(recipe, pictures, planes)
    return planes


def agrees(recipe: Recipe, pictures: Sequence[Pictured], *, share: float = 0.999, most: int = 2) -> Planes:
    """Check what every stage promises: at most 1 level away on 99.9 % of samples, SSIM 0.99."""
    got = draw(recipe, pictures)
    wanted = rendered(recipe, pictures, WIDTH, HEIGHT)
    for plane, reference in zip(got, wanted, strict=True):
        off = np.abs(plane.astype(int) - reference)
        assert (off <= 1).mean() >= share, (off.max(), (off <= 1).mean())
        assert off.max() <= most, (off.max(), (off <= 1).mean())
        assert ssim(plane, reference) >= 0.99
    return got


def plain(**fields: object) -> Recipe:
    """A picture of the frame's size, untouched, and stages after it."""
    return Recipe((Scene((Layer(0, UPRIGHT, FULL, 1.0),)),), **fields)  # type: ignore[arg-type]  # fields of the recipe


SAME_SIZE = [picture(WIDTH, HEIGHT)]


# Geometry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("zoom", [1.0, 1.001, 1.037, 9 / 8, 1.5, 3.3])
def test_a_zoomed_crop_is_what_it_is_defined_to_be(zoom: float, mirrored: bool) -> None:  # noqa: FBT001
    """Pictures are shifted, blurred, or show seams where two parts of a frame meet."""
    agrees(Recipe((Scene((crop(zoom, mirrored=mirrored),)),)), [picture()])


def test_the_common_path_keeps_its_accuracy_at_full_size() -> None:
    """What is proved on small frames does not hold on those that are made."""
    source = picture(1920, 1080)
    for zoom in (1.0, 1.0437):
        layer = crop(zoom, (1920, 1080), mirrored=True, box=Box(0, 0, 1080, 1920))
        recipe = Recipe((Scene((layer,)),), fades=(Fade(0.35, WHITE),))
        got = draw(recipe, [source], 1080, 1920)
        for plane, reference in zip(got, rendered(recipe, [source], 1080, 1920), strict=True):
            assert within(plane, reference, 1) >= 0.999


@pytest.mark.parametrize("zoom", [0.99, 0.9995, 1.0003, 1.002, 1.0071, 1.013])
def test_a_picture_of_nearly_the_frames_size_is_not_taken_for_a_copy(zoom: float) -> None:
    """A slow zoom of an upright video stands still in parts of the frame, and tears there."""
    layer = crop(zoom, (WIDTH, HEIGHT))
    agrees(Recipe((Scene((layer,)),)), SAME_SIZE)
    box = Box(40, 60, 140, 200)
    agrees(Recipe((Scene((crop(zoom, (100, 140), box=box, mirrored=True),)),)), [picture(100, 140)])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slow_zoom_is_never_off_its_place_by_a_sixtieth_of_a_sample(axis: int) -> None:
    """Slow zooms stutter."""
    size = (WIDTH, HEIGHT)[axis]
    for step in range(400):
        pitch = 0.5625 / (1 + step * 0.0005)
        wanted = affine(pitch, 0, 960.3 - pitch * 90, 0, pitch, 540.7 - pitch * 160)[:2]
        got = settled(wanted, WIDTH, HEIGHT)
        ends = [got[axis, axis] * at + got[axis, 2] - wanted[axis, axis] * at - wanted[axis, 2] for at in (0, size)]
        assert max(np.abs(ends)) <= SHIFT_MAX_PX + 1e-9


def test_hardly_any_frame_of_a_slow_zoom_is_warped() -> None:
    """Frames take three times as long as they need to."""
    warped = 0
    for step in range(300):
        layer = crop(1 + step * 0.0007, (1920, 1080), box=Box(0, 0, 1080, 1920))
        for at, size in enumerate(((1080, 1920), (540, 960))):
            warped += way_of(layer_map(layer, at, CHROMA_LEFT), *size) is None
    assert warped <= 12


@pytest.mark.parametrize("zoom", [1.0, 1.0437, 2.0])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("flips", list(itertools.product((-1, 1), repeat=2)))
def test_settled_says_exactly_where_samples_are_taken(flips: tuple[int, int], turned: bool, zoom: float) -> None:  # noqa: FBT001
    """The GPU follows the map that `settled` returns, and draws another picture than the CPU."""
    source = noise(257, 219)
    pitch = 0.5625 / zoom
    x, y = 120.2 - flips[0] * pitch * 90, 111.9 - flips[1] * pitch * 160
    to_source = affine(flips[0] * pitch, 0, x, 0, flips[1] * pitch, y)
    if turned:
        to_source = affine(0, flips[0] * pitch, 61.3 if flips[0] > 0 else 200, flips[1] * pitch, 0, 90.1)
    layer = Layer(0, to_source, FULL, 1.0)
    got = draw(Recipe((Scene((layer,)),)), [source])
    exact = settled(layer_map(layer, 0, CHROMA_LEFT), WIDTH, HEIGHT)
    reference = cv2.warpAffine(
        source.planes[0].astype(np.float32),
        exact,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    assert np.abs(got[0] - reference).max() <= 1.5


@pytest.mark.parametrize(
    "to_source",
    [
        affine(0.55, 0.05, 60, -0.05, 0.55, 20),  # turned a little
        affine(1, 0, 70.25, 0, 1, -70.5),  # moved by parts of a sample
        affine(0.5, 0, 40.31, 0, 0.5, 10.17),  # a ratio that meets no border
        affine(0.25, 0, -30, 0, 0.25, -20),  # far beyond the edges
        affine(3.1, 0, -90, 0, 3.1, -300),  # made much smaller
        affine(1, 0, -1000, 0, 1, 0),  # beside the picture
    ],
)
def test_maps_that_resize_cannot_follow_are_drawn_too(to_source: Matrix) -> None:
    """Shaken, turned or distant pictures come out wrong or stop the render."""
    scale = 1 / max(abs(to_source[0, 0]), 1e-9)
    agrees(Recipe((Scene((Layer(0, to_source, FULL, scale),)),)), [picture()])


@pytest.mark.parametrize(
    ("width", "height"), [(2, 2), (3, 5), (17, 31), (321, 181), (1, 900), (8192, 64), (4097, 2303)]
)
def test_sources_of_every_size_fill_the_frame(width: int, height: int) -> None:
    """Tiny, odd and huge sources stop the render or leave parts of the frame undrawn."""
    source = picture(width, height)
    layer = crop(1.05, (width, height))
    got = draw(Recipe((Scene((layer,)),)), [source])
    for plane, reference in zip(got, rendered(Recipe((Scene((layer,)),)), [source], WIDTH, HEIGHT), strict=True):
        assert within(plane, reference, 2) >= 0.999


@pytest.mark.parametrize("site", [CHROMA_LEFT, CHROMA_CENTRE, CHROMA_TOP_LEFT])
def test_chroma_is_taken_from_where_the_source_has_it(site: Matrix) -> None:
    """Colours lie beside their shapes."""
    agrees(Recipe((Scene((crop(1.2),)),)), [picture(site=site)])


def test_an_untouched_picture_is_a_copy() -> None:
    """A picture of the frame's size loses sharpness for nothing."""
    source = picture(WIDTH, HEIGHT)
    got = draw(Recipe((Scene((Layer(0, UPRIGHT, FULL, 1.0),)),)), [source])
    for plane, own in zip(got, source.planes, strict=True):
        assert np.array_equal(plane, own)


def test_layers_lie_in_their_boxes_over_the_ground() -> None:
    """Split and grid layouts spill over, or leave what was drawn before."""
    box, other = Box(10, 20, 94, 150), Box(94, 160, 178, 318)
    layers = (crop(box=box), crop(1.3, box=other, dim=0.3)._replace(picture=1))
    got = agrees(Recipe((Scene(layers, ground=(81.0, 90.0, 240.0)),)), [picture(), picture(seed=5)])
    for plane, level in zip(got, (81, 90, 240), strict=True):
        assert (plane[-1, -1], plane[0, 0]) == (level, level)


@pytest.mark.parametrize("sigma_px", [0.7, 2.0, 9.0, 30.0])
def test_a_blurred_layer_is_a_gaussian(sigma_px: float) -> None:
    """Backgrounds show blocks, or change their brightness."""
    recipe = Recipe((Scene((crop(blur_px=sigma_px, dim=0.25),)),))
    source = picture()
    for plane, reference in zip(draw(recipe, [source]), rendered(recipe, [source], WIDTH, HEIGHT), strict=True):
        assert within(plane, reference, 3) >= 0.999
        assert ssim(plane, reference) >= 0.99


@pytest.mark.parametrize("width", [1, 63, 64, 135, 180])
def test_blurs_round_alike_in_every_column(width: int) -> None:
    """A processor with longer vectors rounds the end of a row otherwise, and makes other bytes."""
    plane = np.random.default_rng(4).integers(0, 256, (40, width), dtype=np.uint8)
    for taps in (np.array([64, 128, 64], np.int32), gaussian_taps(2.4)):
        reach = len(taps) // 2
        wide = np.pad(plane.astype(np.int64), reach, mode="edge")
        rows = np.sum([tap * wide[:, at : at + width] for at, tap in enumerate(taps.tolist())], axis=0)
        sums = np.sum([tap * rows[at : at + 40] for at, tap in enumerate(taps.tolist())], axis=0)
        assert (sums % 65536 == 32768).any() or len(taps) > 3
        assert np.array_equal(blur(plane, taps, Rooms()), np.rint(sums / 65536))


def test_a_whip_smears_and_a_glitch_splits() -> None:
    """Whip and glitch do nothing, or go the wrong way."""
    got = agrees(Recipe((Scene((crop(smear_px=41.0, split_px=6.5),)),)), [picture()])
    straight = draw(Recipe((Scene((crop(),)),)), [picture()])
    assert all(not np.array_equal(a, b) for a, b in zip(got, straight, strict=True))
    # Cb moves to the right, Cr to the left, by half as many of their own samples.
    apart = draw(Recipe((Scene((crop(split_px=8.0),)),)), [picture()])
    assert within(apart[1][:, 10:-10], straight[1][:, 6:-14], 1) > 0.99
    assert within(apart[2][:, 10:-10], straight[2][:, 14:-6], 1) > 0.99


@pytest.mark.parametrize("mix", [0.0, 0.25, 0.5, 1.0])
def test_a_crossfade_mixes_two_scenes(mix: float) -> None:
    """Transitions jump."""
    layer = crop(1.2)._replace(picture=1)
    scenes = (Scene((crop(),)), Scene((layer,), mix=mix))
    agrees(Recipe(scenes), [picture(), picture(seed=9)])


# Finish ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fades",
    [(Fade(0.4, WHITE),), (Fade(1.0, (16.0, 128.0, 128.0)),), (Fade(0.5, (63.0, 102.0, 240.0)), Fade(0.2, WHITE))],
)
def test_fades_go_towards_their_colours(fades: tuple[Fade, ...]) -> None:
    """Flashes and dips have the wrong colour or strength."""
    agrees(plain(fades=fades), SAME_SIZE)


def cube_text(side: int = 9) -> str:
    levels = np.linspace(0, 1, side)
    rows = [f"{r**1.2:.6f} {g:.6f} {0.1 + 0.8 * b:.6f}" for b in levels for g in levels for r in levels]
    return "\n".join([f"LUT_3D_SIZE {side}", *rows])


CUBE = parse_cube(cube_text(), "test")


@pytest.mark.parametrize(
    "grades",
    [
        (Grade(exposure=0.7),),
        (Grade(temperature=0.8, contrast=1.2),),
        (Grade(saturation=4.0),),
        (Monochrome(),),
        (Monochrome(strength=0.6, tint="#C08040"),),
        (Grade(exposure=-0.5, table=Colour3D(source="cube")), Grade(saturation=1.3)),
    ],
)
def test_looks_are_drawn_as_they_are_defined(grades: tuple[Grade | Monochrome, ...]) -> None:
    """Colours come out otherwise than the look says."""
    look = look_of(grades, {"cube": CUBE})
    assert look is not None
    got = agrees(plain(look=look), SAME_SIZE)
    assert not np.array_equal(got[1], draw(plain(), SAME_SIZE)[1]) or grades[0] == Grade(exposure=0.7)


@pytest.mark.parametrize("sharpen", [Sharpen(0.6, 0.5), Sharpen(0.6, 1.5), Sharpen(1.5, 3.0), Sharpen(0.5, 9.0)])
def test_sharpening_adds_detail(sharpen: Sharpen) -> None:
    """Sharpening blurs, shifts or rings."""
    if sharpen.sigma_px < 4:
        agrees(plain(sharpen=sharpen), SAME_SIZE, most=3)
    else:
        got, wanted = draw(plain(sharpen=sharpen), SAME_SIZE), rendered(plain(sharpen=sharpen), SAME_SIZE, 180, 320)
        assert ssim(got[0], wanted[0]) >= 0.99


def test_glow_shines_around_bright_parts() -> None:
    """Glow shows blocks, a seam, or a colour that was not there."""
    glow = Glow(0.8, 6.0, 140.0)
    got = draw(plain(glow=glow), SAME_SIZE)
    without = draw(plain(), SAME_SIZE)
    for plane, reference in zip(got, rendered(plain(glow=glow), SAME_SIZE, WIDTH, HEIGHT), strict=True):
        assert within(plane, reference, 1) >= 0.999
        assert within(plane, reference, 2) == 1
        assert ssim(plane, reference) >= 0.99
    assert (got[0] >= without[0]).all()
    assert got[0].mean() > without[0].mean() + 1


def test_a_vignette_darkens_corners_and_leaves_greys_grey() -> None:
    """Corners are tinted or the middle is darkened."""
    got = agrees(plain(vignette=Vignette(0.6, 0.3)), SAME_SIZE)
    assert got[0][0, 0] < draw(plain(), SAME_SIZE)[0][0, 0]
    grey = Pictured((np.full((HEIGHT, WIDTH), 90, np.uint8), *(np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8),) * 2))
    for plane in draw(plain(vignette=Vignette(1.0, 0.0)), [grey])[1:]:
        assert (plane == 128).all()


@pytest.mark.parametrize("size_px", [1.0, 2.4])
def test_grain_has_its_deviation_in_middle_grey_and_none_in_black(size_px: float) -> None:
    """Grain is too strong, has an edge where its tile repeats, or changes the brightness."""
    grain = Grain(8.0, size_px, 77)
    agrees(plain(grain=grain), SAME_SIZE)
    for level, deviation in ((128, 8.0), (16, 2.0), (0, 0.0)):
        flat = Pictured(
            (np.full((HEIGHT, WIDTH), level, np.uint8), *(np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8),) * 2)
        )
        drawn = draw(plain(grain=grain), [flat])[0].astype(float)
        assert drawn.std() == pytest.approx(deviation, abs=0.4)
        assert drawn.mean() == pytest.approx(level, abs=0.5)
    other = draw(plain(grain=grain._replace(seed=78)), SAME_SIZE)[0]
    assert not np.array_equal(other, draw(plain(grain=grain), SAME_SIZE)[0])


@pytest.mark.parametrize(
    "fields",
    [
        {"look": Look(np.arange(256, dtype=np.uint8), np.eye(3, 4), None, "same")},
        {"sharpen": Sharpen(0.0, 1.0)},
        {"glow": Glow(0.0, 5.0, 100.0)},
        {"vignette": Vignette(0.0, 0.5)},
        {"grain": Grain(0.0, 1.0, 1)},
        {"fades": (Fade(0.0, WHITE),)},
    ],
)
def test_a_stage_of_no_strength_changes_nothing(fields: dict[str, object]) -> None:
    """Effects at zero are not neutral."""
    for plane, own in zip(draw(plain(**fields), SAME_SIZE), draw(plain(), SAME_SIZE), strict=True):
        assert np.array_equal(plane, own)


# Promises of the whole ------------------------------------------------------------------------------

EVERYTHING = Recipe(
    (
        Scene((crop(1.3, blur_px=9.0, dim=0.2), crop(box=Box(20, 40, 160, 280), smear_px=9.0, split_px=3.0))),
        Scene((crop(1.2)._replace(picture=1),), mix=0.4),
    ),
    look_of((Grade(exposure=0.3, temperature=0.4, table=Colour3D(source="cube", strength=0.7)),), {"cube": CUBE}),
    Sharpen(0.5, 1.0),
    Glow(0.5, 6.0, 150.0),
    Vignette(0.4, 0.4),
    Grain(5.0, 1.9, 5),
    (Fade(0.2, WHITE),),
)


def test_all_stages_together_follow_the_definition() -> None:
    """Stages are drawn in another order than the recipe's."""
    pictures = [picture(), picture(seed=3)]
    wanted = rendered(EVERYTHING, pictures, WIDTH, HEIGHT)
    for plane, reference in zip(draw(EVERYTHING, pictures), wanted, strict=True):
        assert within(plane, reference, 4) >= 0.999
        assert ssim(plane, reference) >= 0.99


def test_frames_do_not_depend_on_what_was_drawn_before() -> None:
    """The same plan gives other bytes on a replica that begins in the middle."""
    pictures = [picture(), picture(seed=3)]
    canvas = CpuCanvas(WIDTH, HEIGHT)
    fresh = draw(EVERYTHING, pictures)
    for zoom in (1.0, 1.7, 1.01):  # other sizes of buffers, other tables
        canvas.draw_planes(Recipe((Scene((crop(zoom, blur_px=20 * zoom),)),)), pictures, blank())
    again = blank()
    canvas.draw_planes(EVERYTHING, pictures, again)
    for plane, own in zip(again, fresh, strict=True):
        assert np.array_equal(plane, own)


def test_frames_of_the_encoder_are_drawn_in_place() -> None:
    """Rows of frames are padded; the padding is drawn over, or the picture is skewed."""
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    CpuCanvas(WIDTH, HEIGHT).draw(EVERYTHING, [picture(), picture(seed=3)], frame)
    wanted = draw(EVERYTHING, [picture(), picture(seed=3)])
    for plane, own in zip(frame.planes, wanted, strict=True):
        rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        assert np.array_equal(rows[: own.shape[0], : own.shape[1]], own)


def test_the_common_path_keeps_no_memory() -> None:
    """Memory grows with the length of a plan."""
    canvas, source, planes = CpuCanvas(WIDTH, HEIGHT), [picture()], blank()

    def frames(count: int) -> None:
        for step in range(count):
            layer = crop(1 + (step % 97) * 0.002, mirrored=True)
            canvas.draw_planes(Recipe((Scene((layer,)),), fades=(Fade(0.1, WHITE),)), source, planes)

    tracemalloc.start()
    try:
        frames(300)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        frames(300)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    assert peak - before < WIDTH * HEIGHT  # less than one plane is ever made anew
