"""Answers recorded from the real platforms. They lie beside the repository, in ../shared, not in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

__all__ = ["recorded"]

BESIDE = Path(__file__).parents[4] / "shared"


def recorded(name: str) -> Any:
    """Return a recorded answer. Absent: the test is skipped and says so; with CI set it fails."""
    path = Path(os.environ.get("ETTAMETTA_SHARED", BESIDE)) / "data" / "E_api_fixtures" / name
    if path.is_file():
        return msgspec.json.decode(path.read_bytes())
    text = f"there is no recorded answer at {path}; set ETTAMETTA_SHARED to the folder that holds data/E_api_fixtures"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
