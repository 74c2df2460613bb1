"""What is read of media at most: decoders by name, and bounds that are settings."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from click.testing import CliRunner
from PIL import Image

from actors.editor.sound import decode_speech
from actors.editor.still import probe_still
from actors.renderer.render import render_file
from actors.renderer.sound.read import read
from actors.renderer.source.media import Tally
from actors.runtime.probe import probe_file
from actors.runtime.settings import Settings
from contracts.errors import Reject
from deploy.cli import main
from tests.hostile_media import examine, seeds
from tests.renderer_media import plan_of

NAMES = ("MEDIA_MAX_DURATION_S", "MEDIA_MAX_SIDE_PX", "MEDIA_MAX_PIXELS", "MEDIA_MAX_STREAMS")

TS_PACKET_BYTES = 188


def film(path: Path, *, sound: str = "aac", tracks: int = 1) -> Path:
    """Write 2 s of 96x64 px with sound."""
    with av.open(str(path), "w") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        heard = [cast(AudioStream, out.add_stream(sound, rate=48_000)) for _ in range(tracks)]
        for at in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), at * 9, np.uint8), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 10)
            out.mux(picture.encode(frame))
        out.mux(picture.encode())
        for stream in heard:
            for at in range(0, 96_000, 1024):
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), format="s16", layout="stereo")
                tone.sample_rate, tone.pts = 48_000, at
                converter = av.AudioResampler(format=stream.format.name, layout="stereo", rate=48_000)
                for part in converter.resample(tone):
                    out.mux(stream.encode(part))
            out.mux(stream.encode())
    return path


def test_sound_of_a_decoder_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    """A decoder that nobody looks after is reached by a file's sound, though not by its picture."""
    path = film(tmp_path / "odd.avi", sound="adpcm_yamaha")
    with pytest.raises(Reject, match="coded as adpcm_yamaha, which is not read"):
        decode_speech(path, 1, 0, length_us=1_000_000)
    with pytest.raises(Reject, match="coded as adpcm_yamaha, which is not read"):
        list(read(path, zero_us=0, start_us=0, tally=Tally()))
    listed = film(tmp_path / "usual.mkv")
    assert decode_speech(listed, 1, 0, length_us=1_000_000).size == 16_000
    assert sum(block.shape[1] for block in read(listed, zero_us=0, start_us=0, tally=Tally())) >= 90_000
    with pytest.raises(Reject, match="not where it was"):
        decode_speech(listed, 0, 0, length_us=1_000_000)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("MEDIA_MAX_DURATION_S", "1", "longer than 0.0002778 hours"),
        ("MEDIA_MAX_SIDE_PX", "95", "more than 95 px a side"),
        ("MEDIA_MAX_PIXELS", "6143", "more than 0.006143 million pixels"),
        ("MEDIA_MAX_STREAMS", "2", "more than 2 streams"),
    ],
)
async def test_a_bound_that_is_set_lower_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    """Somebody with a small machine sets a bound, and larger files are taken all the same."""
    path = film(tmp_path / "film.mp4", tracks=2)
    plan = plan_of(path, end_us=200_000)
    await probe_file(path)
    monkeypatch.setenv(name, value)
    with pytest.raises(Reject, match=reason):
        await probe_file(path)
    if name == "MEDIA_MAX_DURATION_S":
        return
    with pytest.raises(Reject):
        await render_file(plan, resolve=lambda source: Path(source.key), out=tmp_path / "out.mp4", workers=1)


async def test_a_bound_that_is_set_higher_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of 100 megapixels cannot be used by somebody who has the memory for it."""
    path = tmp_path / "wide.png"
    Image.new("1", (9000, 20)).save(path)
    with pytest.raises(Reject, match="more than 8192 px a side"):
        await probe_still(path, shown_us=1_000_000)
    monkeypatch.setenv("MEDIA_MAX_SIDE_PX", "9000")
    assert (await probe_still(path, shown_us=1_000_000)).video.width_px == 9000


def test_the_command_takes_the_bounds_from_any_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound in ettametta.toml is without effect: the processes that read media see only the environment."""
    for name in NAMES:
        monkeypatch.setenv(name, "")  # put back what the command changes
    monkeypatch.chdir(tmp_path)
    arguments = ["plan", str(film(tmp_path / "film.mkv")), "--licence", "CC0-1.0", "--preset", "plain"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert os.environ["MEDIA_MAX_SIDE_PX"] == "8192"
    (tmp_path / "ettametta.toml").write_text("media_max_side_px = 95\n")
    for name in NAMES:
        monkeypatch.setenv(name, "")
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, "more than 95 px a side" in done.output) == (2, True), done.output


def test_the_defaults_are_those_of_the_settings() -> None:
    """A process that was started by hand keeps to other bounds than the actors."""
    program = "from actors.runtime import untrusted as u; print(*(getattr(u, name) for name in sys.argv[1:]))"
    said = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}", *(name.removeprefix("MEDIA_") for name in NAMES)],
        env={name: value for name, value in os.environ.items() if name not in NAMES},
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert said == [Settings().media_environment[name] for name in NAMES]


def test_stream_that_appears_while_reading_is_no_fault_of_ours(tmp_path: Path) -> None:
    """One flipped bit in a transport stream ends as a traceback."""
    (file,) = (path for path in seeds(tmp_path) if path.name == "mpeg2.ts")
    data = file.read_bytes()
    for packet in range(len(data) // TS_PACKET_BYTES - 40, len(data) // TS_PACKET_BYTES):
        changed = bytearray(data)
        changed[packet * TS_PACKET_BYTES + 2] ^= 0x08  # the packet's id: of a stream that no table names
        file.write_bytes(bytes(changed))
        probed, decoded = examine(file)
        assert len(probed) < 300
        assert len(decoded) < 300
