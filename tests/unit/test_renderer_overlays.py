"""What overlays look like, where they stay, and what a hostile picture can do."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image as Picture

from actors.renderer.draw.recipe import levels_of
from actors.renderer.text.images import MAX_PIXELS, read_image
from actors.renderer.text.overlays import FADE_STEPS, ShownOverlay
from actors.renderer.text.runs import Typesetter
from actors.renderer.text.stamps import Stamp, blend
from actors.renderer.text.texts import Texts, text_of
from contracts.errors import Reject
from contracts.ids import ObjectKey
from contracts.plan import (
    Captions,
    CaptionStyle,
    Clip,
    Cue,
    Emoji,
    HookCard,
    Image,
    LowerThird,
    Output,
    Overlay,
    Plan,
    PlanSource,
    ProgressBar,
    SafeArea,
    Text,
)
from tests.caption_samples import fonts_used
from tests.renderer_media import RIGHTS

WIDTH, HEIGHT = 540, 960
TOTAL_US = 4_000_000
OUTPUT = Output(width_px=WIDTH, height_px=HEIGHT)
PLAN = Plan(
    sources=(PlanSource(id="s", key=ObjectKey("s"), sha256="0" * 64, rights=RIGHTS),),
    clips=(Clip(source="s", start_us=0, end_us=TOTAL_US),),
    output=OUTPUT,
)
SAFE = SafeArea(top=0.2, right=0.15, bottom=0.3, left=0.1)


@pytest.fixture(scope="module")
def setter() -> Typesetter:
    return Typesetter(fonts_used())


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    """Half clear, half red."""
    rgba = np.zeros((100, 200, 4), np.uint8)
    rgba[:, 100:] = (255, 0, 0, 255)
    Picture.fromarray(rgba).save(tmp_path / "logo.png")
    return tmp_path / "logo.png"


def shown(overlay: Overlay, setter: Typesetter, logo: Path | None = None, output: Output = OUTPUT) -> ShownOverlay:
    return ShownOverlay(overlay, setter, {} if logo is None else {"logo": logo}, output, TOTAL_US)


def stamp_at(found: ShownOverlay, t_us: int = 1_000_000) -> Stamp:
    stamp = found.at(t_us)
    assert stamp is not None
    return stamp


def over_grey(stamp: Stamp, level: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    half = (HEIGHT // 2, WIDTH // 2)
    planes = np.full((HEIGHT, WIDTH), level, np.uint8), np.full(half, 128, np.uint8), np.full(half, 128, np.uint8)
    blend(planes, stamp)
    return planes


def box_of(stamp: Stamp) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of what a stamp changes."""
    rows, columns = np.nonzero(stamp.keep[0] != 255)
    return (
        stamp.column + int(columns.min()),
        stamp.row + int(rows.min()),
        stamp.column + int(columns.max()) + 1,
        stamp.row + int(rows.max()) + 1,
    )


EVERY: tuple[Overlay, ...] = (
    Image(source="logo"),
    ProgressBar(),
    Text(text="Free text"),
    LowerThird(title="Ada Lovelace", subtitle="Mathematician"),
    HookCard(text="Nobody tells you this"),
    Emoji(emoji="🔥"),
)


@pytest.mark.parametrize("overlay", EVERY, ids=lambda overlay: type(overlay).__name__)
def test_each_kind_is_shown_in_its_window_only(overlay: Overlay, setter: Typesetter, logo: Path) -> None:
    """An overlay is missing, or stays on after its end."""
    found = shown(replace(overlay, start_us=500_000, end_us=2_000_000), setter, logo)
    times = (0, 499_999, 1_000_000, 1_999_999, 2_000_000, 3_000_000)
    assert [found.at(t_us) is not None for t_us in times] == [False, False, True, True, False, False]


@pytest.mark.parametrize("overlay", EVERY, ids=lambda overlay: type(overlay).__name__)
def test_a_fade_is_even_and_made_of_few_stamps(overlay: Overlay, setter: Typesetter, logo: Path) -> None:
    """Overlays pop in, or each frame of a fade is drawn anew."""
    bar = isinstance(overlay, ProgressBar)
    overlay = ProgressBar(ground="#FFFFFF", colour="#FFFFFF") if bar else overlay
    found = shown(replace(overlay, fade_us=1_000_000, opacity=0.8, end_us=4_000_000), setter, logo)
    hidden = []
    for t_us in range(0, 4_000_000, 10_000):
        stamp = found.at(t_us)
        hidden.append(0 if stamp is None else 255 - int(stamp.keep[0].min()))
    assert hidden[0] == 0
    assert max(hidden) == pytest.approx(0.8 * 255 * (0.88 if isinstance(overlay, LowerThird) else 1), abs=2) or max(
        hidden
    ) == pytest.approx(0.8 * 255, abs=2)
    assert hidden[:100] == sorted(hidden[:100])
    assert hidden[300:] == sorted(hidden[300:], reverse=True)
    assert len(set(hidden)) <= FADE_STEPS + 1
    assert np.diff(hidden).max() <= 0.8 * 255 / FADE_STEPS + 2
    assert bar or found.drawings == 1


def test_an_image_keeps_its_colours_alpha_and_place(setter: Typesetter, logo: Path) -> None:
    """A logo is grey, opaque, or stands elsewhere."""
    stamp = stamp_at(shown(Image(source="logo", x=0.5, y=0.25, width=0.4), setter, logo))
    left, top, right, bottom = box_of(stamp)
    assert (left, right) == pytest.approx((270, 270 + 108), abs=2)
    assert (top, bottom) == pytest.approx((240 - 54, 240 + 54), abs=2)
    planes = over_grey(stamp)
    assert [int(plane[240 // half, 330 // half]) for plane, half in zip(planes, (1, 2, 2), strict=True)] == [
        round(level) for level in levels_of("#FF0000")
    ]
    assert planes[0][240, 200] == 90


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_an_image_over_the_edge_is_cut(setter: Typesetter, logo: Path, x: float) -> None:
    """A logo at the edge stops the render."""
    stamp = stamp_at(shown(Image(source="logo", x=x, y=0.001, width=1.0), setter, logo))
    planes = over_grey(stamp)
    assert planes[0].shape == (HEIGHT, WIDTH)


def test_a_progress_bar_fills_evenly(setter: Typesetter) -> None:
    """The bar jumps, or is not full at the end."""
    found = shown(ProgressBar(y=0.5, height=0.02, colour="#FFFFFF", ground="#000000"), setter)
    filled = []
    for t_us in range(0, TOTAL_US, 100_000):
        row = over_grey(stamp_at(found, t_us))[0][HEIGHT // 2]
        assert set(np.unique(row)) <= {16, 235}
        filled.append(int((row == 235).sum()))
    assert filled[0] == 0
    assert filled[-1] >= WIDTH * 0.97
    assert max(np.diff(filled)) - min(np.diff(filled)) <= 1


@pytest.mark.parametrize("y", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "overlay",
    [
        Text(text="some free text that is long enough for two lines", x=0.0),
        Text(text="some", x=1.0, box="#000000"),
        LowerThird(title="A name that is far too long for one line of a plate", subtitle="and more"),
        HookCard(text="word " * 50),
    ],
    ids=["text", "boxed", "lower third", "hook card"],
)
def test_type_stays_within_the_safe_area(overlay: Overlay, y: float, setter: Typesetter) -> None:
    """Type lies under the buttons of the player."""
    found = shown(replace(overlay, y=y), setter, output=replace(OUTPUT, safe=SAFE))
    left, top, right, bottom = box_of(stamp_at(found))
    assert left >= SAFE.left * WIDTH - 2
    assert top >= SAFE.top * HEIGHT - 2
    assert right <= (1 - SAFE.right) * WIDTH + 2
    assert bottom <= (1 - SAFE.bottom) * HEIGHT + 2


def test_a_hook_card_is_dark_type_on_a_light_card(setter: Typesetter) -> None:
    """The hook cannot be read."""
    stamp = stamp_at(shown(HookCard(text="Nobody tells you this about octopuses", y=0.3), setter))
    left, top, right, bottom = box_of(stamp)
    card = over_grey(stamp)[0][top:bottom, left:right]
    assert card[card.shape[0] // 2, 6] == 235
    assert card.min() < 40
    assert 0.03 < (card < 60).mean() < 0.4
    assert card[0, 0] == 90  # round corners


def test_an_emoji_has_the_height_and_place_asked_for(setter: Typesetter) -> None:
    """An emoji is too small, off its place or grey."""
    stamp = stamp_at(shown(Emoji(emoji="🔥", x=0.3, y=0.4, size=0.1), setter))
    left, top, right, bottom = box_of(stamp)
    assert 88 <= bottom - top <= 98  # a font's picture of it has a clear edge
    assert (left + right) / 2 == pytest.approx(0.3 * WIDTH, abs=6)
    assert (top + bottom) / 2 == pytest.approx(0.4 * HEIGHT, abs=6)
    red = over_grey(stamp)[2]
    assert red.max() > 160


def test_overlays_lie_in_order_under_the_captions() -> None:
    """A later overlay lies under an earlier one, or over the captions."""
    plan = replace(
        PLAN,
        overlays=(Text(text="a"), Emoji(emoji="🔥"), HookCard(text="b", start_us=900_000)),
        captions=Captions(cues=(Cue(start_us=0, end_us=900_000, text="c"),)),
    )
    texts = Texts(plan, fonts_used(), {})
    assert len(texts.at(0)) == 3
    alone = Texts(replace(plan, overlays=()), fonts_used(), {})
    assert alone.at(0)[0].row == texts.at(0)[-1].row
    assert texts.notes == ()


def test_all_text_of_a_plan_counts_for_its_fonts() -> None:
    """A hook card in Chinese gets no Chinese font."""
    plan = replace(
        PLAN,
        overlays=(
            Text(text="one"),
            LowerThird(title="two", subtitle="three"),
            HookCard(text="four"),
            Emoji(emoji="🔥"),
        ),
        captions=Captions(cues=(Cue(start_us=0, end_us=1, text="five"),), style=CaptionStyle(uppercase=True)),
    )
    assert text_of(plan).split() == ["one", "two", "three", "four", "🔥", "FIVE"]


def test_what_no_font_has_is_noted() -> None:
    """Characters are left out, and nobody is told."""
    plan = replace(PLAN, captions=Captions(cues=(Cue(start_us=0, end_us=1, text="hi 𓀀"),)))
    (note,) = Texts(plan, fonts_used(), {}).notes
    assert "𓀀 (EGYPTIAN HIEROGLYPH A001)" in note
    assert "FONT_PATH" in note


def test_text_without_a_font_is_refused() -> None:
    """A video without its captions is called done."""
    plan = replace(PLAN, captions=Captions(cues=(Cue(start_us=0, end_us=1, text="hi"),)))
    with pytest.raises(Reject, match="no font"):
        Texts(plan, (), {})
    assert Texts(PLAN, (), {}).at(0) == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_of_each_kind_are_read(tmp_path: Path, kind: str) -> None:
    """A JPEG or WebP logo stops the render."""
    path = tmp_path / "picture"
    Picture.new("RGB", (64, 32), (0, 128, 255)).save(path, kind)
    rgba = read_image(path, "logo", 32)
    assert rgba.shape == (16, 32, 4)
    assert np.abs(rgba[8, 16].astype(int) - (0, 128, 255, 255)).max() <= 4


def test_clear_parts_do_not_bleed_their_colour(tmp_path: Path) -> None:
    """A logo has a dark seam where its clear parts are black."""
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, 33:] = 255
    Picture.fromarray(rgba).save(tmp_path / "a.png")
    small = read_image(tmp_path / "a.png", "logo", 16)
    assert small[small[..., 3] > 8][:, :3].min() >= 250


def declared(path: Path, width: int, height: int) -> Path:
    """Write a PNG of a few bytes that says it is large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("size", [(65_535, 65_535), (5_001, 5_000), (1, MAX_PIXELS + 1)])
def test_a_picture_that_declares_too_much_is_refused_before_it_is_read(tmp_path: Path, size: tuple[int, int]) -> None:
    """A file of a hundred bytes takes all memory."""
    with pytest.raises(Reject, match=r"source logo: .*megapixels"):
        read_image(declared(tmp_path / "bomb.png", *size), "logo", 100)


def test_a_picture_that_is_too_narrow_is_refused(tmp_path: Path) -> None:
    """A picture one pixel wide is magnified to a height of millions."""
    Picture.new("RGB", (1, 60_000)).save(tmp_path / "thin.png")
    with pytest.raises(Reject, match="too narrow"):
        read_image(tmp_path / "thin.png", "logo", 1080)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"GIF89a" + b"\0" * 40])
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    """A damaged logo ends in a traceback."""
    (tmp_path / "logo").write_bytes(content)
    with pytest.raises(Reject, match="source logo: not a picture"):
        read_image(tmp_path / "logo", "logo", 100)


def test_a_damaged_picture_is_refused(tmp_path: Path) -> None:
    """Half a logo is shown."""
    path = tmp_path / "logo.png"
    noise = np.random.default_rng(3).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Picture.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(Reject, match="not a picture that can be read"):
        read_image(path, "logo", 100)
