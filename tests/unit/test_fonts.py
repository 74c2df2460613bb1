"""Captions find a font on any machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actors.renderer.text import fonts
from contracts.errors import Reject


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
    bold = fonts.load(font, 40)
    regular = fonts.load(font, 40)
    regular.set_variation_by_axes([32, 400])
    assert bold.getlength("Bold") > regular.getlength("Bold")


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
