"""Hostile files against probe and decoder: each is refused in one line or survived, in bounded time and memory.

HOSTILE=all takes 2,000 mutations, else 200.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path

import pytest

from actors.runtime.probe import probe_file
from contracts.errors import Reject
from tests.hostile_media import BOMBS, MEMORY_BYTES, TIME_S, Verdict, judged, mutants, reading, seeds, write_bombs
from tests.shared_media import malformed_files

MUTATIONS = 2000 if os.environ.get("HOSTILE") == "all" else 200


def all_kept(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts, having checked what holds for every file."""
    seen = list(verdicts)
    assert not [verdict for verdict in seen if verdict.fault]
    for verdict in seen:
        assert verdict.seconds < TIME_S, verdict
        assert verdict.rss_bytes < MEMORY_BYTES, verdict
        for because in (verdict.probed, verdict.decoded):
            assert len(because) < 300, verdict
            assert "\n" not in because, verdict
    assert not reading()
    return seen


def test_whole_files_pass_the_judge(tmp_path: Path) -> None:
    """A judge that refuses everything would prove nothing."""
    for verdict in all_kept(judged(seeds(tmp_path))):
        assert not verdict.decoded, verdict
        assert verdict.name.startswith("still") or not verdict.probed, verdict


def test_the_judge_sees_crashes_hangs_and_tracebacks() -> None:
    """A fault that the judge missed would be hidden for every file."""
    endless = list(judged([Path("hang"), Path("spin")], seconds=1, by="misbehave"))
    assert [verdict.fault for verdict in endless] == ["time", "time"]
    ended = judged([Path("crash"), Path("full"), Path("bug")], by="misbehave")
    verdicts = {verdict.name: verdict for verdict in ended}
    assert verdicts["crash"].fault == "SIGSEGV"
    assert "memory" in verdicts["full"].decoded
    assert "KeyError" in verdicts["bug"].fault


def test_mutations_of_valid_files_are_refused_or_survived(tmp_path: Path) -> None:
    """Damage that nobody thought of could crash or hang a worker, or end in a traceback."""
    folder = tmp_path / "mutants"
    folder.mkdir()
    verdicts = all_kept(judged(mutants(seeds(tmp_path), folder, MUTATIONS)))
    assert len(verdicts) == MUTATIONS
    refused = sum(bool(verdict.decoded) for verdict in verdicts)
    assert MUTATIONS // 5 < refused < MUTATIONS * 4 // 5, "mutations must neither spare nor destroy everything"
    assert not list(folder.iterdir())


def test_bombs_are_defused(tmp_path: Path) -> None:
    """A small file that declares or unpacks to much could fill the memory or take for ever."""
    verdicts = {verdict.name: verdict for verdict in all_kept(judged(write_bombs(tmp_path)))}
    assert verdicts.keys() == BOMBS.keys()
    for name in BOMBS:
        if "65" in name or name.startswith(
            ("vp8-16383", "inflating", "two-billion", "thousand", "deep-boxes", "png-text")
        ):
            assert verdicts[name].decoded, name
    assert not list(tmp_path.iterdir())


def test_malformed_files_are_refused_or_survived() -> None:
    """A file from the wild that hung or crashed another program could do so here."""
    all_kept(judged(malformed_files()))


async def test_bombs_do_not_harm_the_isolated_probe(tmp_path: Path) -> None:
    """The way the stages take must refuse what the judge refuses, in one line, and leave nothing behind."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("avc-65536x65536.avi", "inflating.mkv", "thousand-tracks.mp4", "png-65535x65535.png"):
        path = tmp_path / name
        BOMBS[name](path)
        with pytest.raises(Reject) as caught:
            await probe_file(path)
        assert "\n" not in str(caught.value)
    assert not reading()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10
