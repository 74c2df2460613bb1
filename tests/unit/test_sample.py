"""`python -m deploy.sample`: what is an option makes no folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy import sample


@pytest.mark.parametrize(("words", "exit_code"), [(["--help"], 0), (["--halp"], 2), ([], 2)])
def test_a_question_makes_nothing(
    words: list[str], exit_code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A person who asks for help finds a folder named --help with a video in it."""
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(sample.sample, words)
    assert (answer.exit_code, list(tmp_path.iterdir())) == (exit_code, [])
    assert "FOLDER" in answer.output


def test_the_folder_gets_the_clip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody learns where the clip lies."""

    async def make(folder: Path) -> Path:
        return folder / "clip.mp4"

    monkeypatch.setattr(sample, "make_sample", make)
    answer = CliRunner().invoke(sample.sample, [str(tmp_path)])
    assert (answer.exit_code, answer.output) == (0, f"{tmp_path / 'clip.mp4'}\n")
