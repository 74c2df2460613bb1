"""Real and hostile media that lie beside the repository, in ../shared, not in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["malformed_files", "real_files"]

BESIDE = Path(__file__).parents[2] / "shared"


def _files(folder: str) -> list[Path]:
    path = Path(os.environ.get("ETTAMETTA_SHARED", BESIDE)) / "data" / folder
    if not path.is_dir():
        text = f"there is no media at {path}; set ETTAMETTA_SHARED to the folder that holds data/{folder}"
        if os.environ.get("CI"):
            raise FileNotFoundError(text)
        pytest.skip(text, allow_module_level=True)
    return sorted(file for file in path.iterdir() if file.suffix != ".md")


def real_files() -> list[Path]:
    """Return videos as people have them."""
    return _files("A_video")


def malformed_files() -> list[Path]:
    """Return damaged and hostile files."""
    return _files("B_malformed")
