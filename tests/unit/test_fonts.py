"""Captions find a font on any machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ImageFont

from actors.renderer.job import FontFile
from actors.renderer.text import fonts
from actors.renderer.text.runs import Typesetter
from contracts.errors import Reject
from tests.caption_samples import FOLDER


def without(package: str, wheel: Callable[..., FontFile | None]) -> Callable[..., FontFile | None]:
    """As where a package is not installed."""

    def found(name: str, path: str, *, index: int = 0) -> FontFile | None:
        return None if name == package else wheel(name, path, index=index)

    return found


def no_program(name: str) -> None:
    """As on a machine without fontconfig."""


def test_a_font_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """A typing error in FONT_PATH silently gives another font, or a crash far from its cause."""
    with pytest.raises(Reject, match=r"FONT_PATH: there is no file .*missing\.ttf"):
        fonts.find(tmp_path / "missing.ttf")


def test_a_font_path_that_is_no_font_is_named(tmp_path: Path) -> None:
    """A wrong file in FONT_PATH fails only at the first caption."""
    (tmp_path / "notes.ttf").write_text("not a font")
    with pytest.raises(Reject, match="is not a font"):
        fonts.find(tmp_path / "notes.ttf")


def test_without_fontconfig_the_wheel_has_a_bold_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a bare machine there are no captions at all, or thin ones."""
    monkeypatch.setattr(shutil, "which", no_program)
    font = fonts.find(None)
    assert font.origin == "fontpkg_inter"
    drawn = Typesetter((font,)).line("Bold", 40, rtl=False)
    regular = ImageFont.truetype(font.path, 40)
    regular.set_variation_by_axes([32, 400])
    assert drawn.width > 1.03 * regular.getlength("Bold")


@pytest.mark.parametrize(
    "text",
    [
        "Ünïcödé ½ Ελληνικά Кириллица Việt",
        "مرحبا بالعالم",
        "שָׁלוֹם",
        "नमस्ते क्षत्रिय",
        "สวัสดีครับ",
        "வணக்கம்",
        "გამარჯობა",
        "😀🔥👩🏽‍🚀",
    ],
)
def test_wheels_alone_cover_most_scripts(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """On a bare machine captions in Arabic or Hindi are empty."""
    monkeypatch.setattr(shutil, "which", no_program)
    found = fonts.find_all(None, text)
    assert fonts.missing(found, text) == ()
    assert len(found) <= 3


def test_only_fonts_that_are_needed_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every render opens twenty fonts, and its chunks depend on all of them."""
    monkeypatch.setattr(shutil, "which", no_program)
    assert len(fonts.find_all(None, "plain text, 100 %")) == 1


def test_a_font_for_what_is_lacking_joins_the_chosen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """FONT_PATH names a Latin font, and Hebrew captions are empty."""
    monkeypatch.setattr(shutil, "which", no_program)
    chosen = Path(fonts.find(None).path)
    found = fonts.find_all(chosen, "Hello שלום")
    assert [font.origin for font in found] == ["FONT_PATH", "manimgx_fonts"]


def test_fontconfig_is_asked_for_what_wheels_lack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Chinese captions are empty on a machine that has a Chinese font."""
    program = tmp_path / "fc-match"
    program.write_text(f"#!/bin/sh\nprintf '{FOLDER}/cjk.otf\\n0\\n'\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _name: str(program))
    monkeypatch.setattr(fonts, "_wheel", without("manimgx_fonts_cjk", fonts._wheel))
    found = fonts.find_all(None, "Hello 字幕")
    assert [font.origin for font in found] == ["fontpkg_inter", "fontconfig"]
    assert fonts.missing(found, "Hello 字幕") == ()


def test_an_answer_that_does_not_help_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A character that no font has hangs the search."""
    program = tmp_path / "fc-match"
    program.write_text(f"#!/bin/sh\nprintf '{FOLDER}/cjk.otf\\n0\\n'\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _name: str(program))
    found = fonts.find_all(None, "a \U00013000")
    assert fonts.missing(found, "a \U00013000") == ("\U00013000",)


def test_emoji_come_in_colour_where_the_system_has_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Emoji are black and white though the system has coloured ones."""
    program = tmp_path / "fc-match"
    program.write_text(f"#!/bin/sh\nprintf '{FOLDER}/emoji.ttf\\n0\\n'\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _name: str(program))
    monkeypatch.setattr(fonts, "_APPLE_EMOJI", tmp_path / "none")
    assert [font.origin for font in fonts.find_all(None, "hot 🔥")] == ["fontpkg_inter", "fontconfig"]


def test_font_path_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The font that a person chose is not used."""
    monkeypatch.setattr(shutil, "which", no_program)
    chosen = Path(fonts.find(None).path)
    assert fonts.find(chosen).origin == "FONT_PATH"


@pytest.mark.parametrize("answer", ["", "/nowhere/font.ttf\\n0\\n", "garbage"])
def test_a_useless_answer_of_fontconfig_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    """A broken font set-up of the system stops every render."""
    program = tmp_path / "fc-match"
    program.write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _name: str(program))
    assert fonts.find(None).origin == "fontpkg_inter"


def test_what_each_script_is_drawn_with_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Doctor says that all is well, and Chinese captions are empty."""
    monkeypatch.setattr(shutil, "which", no_program)
    monkeypatch.setattr(fonts, "_APPLE_EMOJI", tmp_path / "none")
    monkeypatch.setattr(fonts, "_wheel", without("manimgx_fonts_cjk", fonts._wheel))
    found = fonts.by_script(None)
    assert {name for name, font in found.items() if font is None} == {
        *("Chinese", "Japanese", "Korean", "emoji in colour")
    }
    assert found["Latin"] == fonts.find(None)
