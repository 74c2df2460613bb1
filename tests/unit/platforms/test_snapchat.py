"""Snapchat: no discovery, and said so."""

from __future__ import annotations

from pathlib import Path

from actors.platforms import module, needs_of
from actors.platforms.snapchat import CAPS, NAME, Snapchat
from tests.unit.platforms.adapters import adapter_at


async def test_it_pretends_nothing(tmp_path: Path) -> None:
    """An adapter that answers with an empty list hides that nobody was asked."""
    assert not any((CAPS.discover, CAPS.trends, CAPS.publish, CAPS.measure, CAPS.keyless, CAPS.account))
    assert "Snapchat has no public endpoint that searches" in CAPS.cannot
    assert (CAPS.sees, CAPS.costs, needs_of(NAME)) == ("", "", ())
    async with adapter_at(Snapchat, "http://127.0.0.1:9", tmp_path) as adapter:
        assert isinstance(adapter, module(NAME).ADAPTER)  # type: ignore[arg-type]  # it is a class
        assert not any(hasattr(adapter, name) for name in ("discover", "trends", "open_session", "measure"))
