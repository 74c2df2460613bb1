"""What a platform would refuse is found before a byte is sent, and a text fits as the platform counts it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.publisher.caption import length, make_caption, shortened
from actors.publisher.preflight import mended, preflight
from contracts.ids import ObjectKey
from contracts.media import AudioStream, Probe, Rational, VideoStream
from contracts.plan import Clip, Plan, PlanSource
from contracts.platform import Caps, Draft, Limits, TextUnit
from contracts.rights import RightsRecord

VIDEO = VideoStream(index=0, codec="h264", coded_width_px=1080, coded_height_px=1920, width_px=1080, height_px=1920)
SEEN = Probe(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    size_bytes=10_000_000,
    start_us=0,
    duration_us=20_000_000,
    video=VIDEO,
    audio=AudioStream(index=1, codec="aac", sample_rate_hz=48_000, channels=2),
)
DRAFT = Draft(marker="ett1", title="Reef", description="", privacy="public", caption="Reef")
PLAN = Plan(
    sources=(PlanSource(id="a", key=ObjectKey("a"), sha256="0", rights=RightsRecord(licence="CC0-1.0")),),
    clips=(Clip(source="a", start_us=0, end_us=1_000_000),),
)
FAMILY = "👨‍👩‍👧"


def found(limits: Limits, *, probe: Probe | None = SEEN, draft: Draft = DRAFT, size_bytes: int = 10_000_000) -> Any:
    return preflight(draft, probe, limits, size_bytes=size_bytes, caps=Caps())


def test_what_fits_has_no_findings() -> None:
    """If this fails, good videos are refused."""
    limits = Limits(
        caption=100,
        max_bytes=10_000_000,
        max_duration_us=20_000_000,
        min_duration_us=20_000_000,
        containers=("mp4",),
        video_codecs=("h264",),
        audio_codecs=("aac",),
        max_fps=30,
        min_fps=30,
        min_side_px=1080,
        max_width_px=1080,
        max_height_px=1920,
        min_aspect=9 / 16,
        max_aspect=9 / 16,
        max_bits_per_s=4_000_000,
    )
    assert found(limits) == ()
    assert found(limits, probe=replace(SEEN, video=replace(VIDEO, fps=Rational(30_000, 1001)))) == ()


@pytest.mark.parametrize(
    ("limits", "word", "change"),
    [
        (Limits(max_bytes=5_000_000), "bytes", {"crf": 27}),
        (Limits(max_bits_per_s=2_000_000), "Mbit/s", {"crf": 27}),
        (Limits(max_fps=24), "frames a second", {"fps": Rational(24)}),
        (Limits(min_fps=60), "frames a second", {"fps": Rational(60)}),
        (Limits(video_codecs=("hevc",)), "h264", {"video_codec": "hevc"}),
        (Limits(containers=("mov,mp4,m4a,3gp,3g2,mj2",)), "", None),
        (Limits(max_width_px=720), "1080x1920", {"width_px": 720, "height_px": 1280}),
        (Limits(min_side_px=1440), "1080x1920", {"width_px": 1440, "height_px": 2560}),
        (Limits(min_aspect=0.8), "1080x1920", {"width_px": 1080, "height_px": 1350}),
        (Limits(max_duration_us=10_000_000), "20.0 s long", {}),
        (Limits(min_duration_us=30_000_000), "20.0 s long", {}),
        (Limits(min_bytes=20_000_000), "bytes", {}),
    ],
)
def test_each_limit_is_named_and_mended_where_a_render_can(
    limits: Limits, word: str, change: dict[str, Any] | None
) -> None:
    """If this fails, a platform refuses after the whole upload, or a render is paid for that mends nothing."""
    findings = found(limits)
    if change is None:
        assert findings == ()
        return
    (one,) = findings
    assert word in one.what
    assert one.mend
    plan = mended(PLAN, findings)
    if not change:
        assert plan is None
        return
    assert plan is not None
    assert {name: getattr(plan.output, name) for name in change} == change
    assert replace(plan, output=PLAN.output) == PLAN


def test_a_file_that_a_worse_picture_alone_would_fit_is_refused() -> None:
    """If this fails, a video is rendered so small that nobody wants it."""
    assert mended(PLAN, found(Limits(max_bytes=100_000))) is None


def test_what_one_render_cannot_mend_is_not_rendered_at_all() -> None:
    """If this fails, a render is paid for although the post is refused for its length afterwards."""
    assert mended(PLAN, found(Limits(max_fps=24, max_duration_us=1))) is None


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (
            Limits(min_aspect=0.79, max_aspect=0.81, min_side_px=540),
            "it must be 4:5 (width to height), at least 540 px on each side",
        ),
        (Limits(min_aspect=1.0, max_aspect=3.0), "it must be at least 1:1 and at most 3:1 (width to height)"),
        (Limits(max_aspect=0.5, max_height_px=1280), "it must be at most 1:2 (width to height), at most 1280 px high"),
        (Limits(max_width_px=720), "it must be at most 720 px wide"),
    ],
)
def test_a_shape_is_told_as_people_say_it(limits: Limits, says: str) -> None:
    """If this fails, a person reads bounds of a quotient and does not know which video to make."""
    (one,) = found(limits)
    assert one.what == f"the picture is 1080x1920 px (9:16); {says}"


def test_a_privacy_that_the_platform_has_not_is_refused() -> None:
    """If this fails, what was asked to be private is public."""
    (one,) = found(Limits(), draft=replace(DRAFT, privacy="private"))
    assert "private" in one.what
    assert "--privacy public" in one.mend


@pytest.mark.parametrize(
    ("text", "unit", "counts"),
    [
        ("aé", "characters", 2),
        ("a👍", "utf16", 3),
        (f"a{FAMILY}", "graphemes", 2),
        ("a\r\nb", "graphemes", 3),
        ("ae\u0301", "graphemes", 2),
        ("abc", "x", 3),
        ("日本", "x", 4),
        (FAMILY, "x", 2),
        ("❤️", "x", 2),
        ("a – b", "x", 5),
    ],
)
def test_text_is_counted_as_the_platform_does(text: str, unit: TextUnit, counts: int) -> None:
    """If this fails, texts are refused as too long, or cut for nothing."""
    assert length(text, unit) == counts


def test_a_link_counts_what_the_platform_says() -> None:
    """If this fails, a post with a link is one character too long for X."""
    assert length("see https://example.org/" + "a" * 100, "x", link_weight=23) == 27
    assert length("see a.de", "x", link_weight=23) == 27


CREDIT = '"Reef" by Ann (https://archive.org/details/reef), CC BY 4.0 https://creativecommons.org/licenses/by/4.0/.'


def caption(room: int | None, *, unit: TextUnit = "x", **changes: Any) -> str | None:
    values: dict[str, Any] = {
        "title": "A reef at night",
        "description": f"{'Words of the deep. ' * 40}\n\n{CREDIT}",
        "credit": CREDIT,
        "hashtags": ("sea", "deepsea"),
        "limits": Limits(caption=room, unit=unit, link_weight=23 if unit == "x" else None),
    }
    return make_caption(**{**values, **changes})


def test_a_text_without_a_limit_holds_everything() -> None:
    """If this fails, words are lost where there is room for all."""
    text = caption(None)
    assert text is not None
    assert text.startswith("A reef at night\n\nWords of the deep.")
    assert text.endswith(f"#sea #deepsea\n\n{CREDIT}")


def test_what_is_cut_is_the_description_first_and_never_the_credit() -> None:
    """If this fails, a licence is broken for the sake of words."""
    text = caption(280)
    assert text is not None
    assert text.startswith("A reef at night\n\nWords of the deep")
    assert text.endswith(f"…\n\n#sea #deepsea\n\n{CREDIT}")
    narrow = caption(110)
    assert narrow is not None
    assert narrow.endswith(CREDIT)
    assert length(narrow, "x", link_weight=23) <= 110


def test_a_credit_that_does_not_fit_is_said_and_not_cut() -> None:
    """If this fails, a post goes out with half a credit."""
    assert caption(40) is None


@given(
    st.text(max_size=200),
    st.text(max_size=400),
    st.sampled_from(["characters", "utf16", "graphemes", "x"]),
    st.integers(1, 300),
)
def test_whatever_the_words_the_text_fits(title: str, words: str, unit: TextUnit, room: int) -> None:
    """If this fails, some language or emoji makes a text too long for its platform."""
    text = caption(room, unit=unit, title=title, description=words, credit="by Ann")
    if text is None:
        assert length("by Ann", unit) > room
        return
    assert length(text, unit, link_weight=23 if unit == "x" else None) <= room
    assert text.endswith("by Ann")


@given(st.text(max_size=100), st.integers(0, 50), st.sampled_from(["characters", "utf16", "graphemes", "x"]))
def test_a_cut_keeps_to_its_room(text: str, room: int, unit: TextUnit) -> None:
    """If this fails, a cut text is still too long."""
    assert length(shortened(text, room, unit), unit) <= room
