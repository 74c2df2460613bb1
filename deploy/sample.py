"""Makes the clip that the demo runs on when no file is given: drawn and spoken here, so nothing is fetched.

About ten seconds of 1280x720 at 30 fps: a descent into the deep sea, with narration and a subtitle file beside it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import click
import cv2
import numpy as np
import pysubs2
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from actors.editor.cues import cues_from_words
from actors.editor.narrate import Narrated, narrate_script
from deploy.say import say

__all__ = ["make_sample"]

NAME: Final = "the-deep-sea-makes-its-own-light"
SCRIPT: Final = (
    "Sunlight fades two hundred metres down. Below, animals make their own light. "
    "This is the deep sea, and most of it has never been seen."
)
WIDTH_PX: Final = 1280
HEIGHT_PX: Final = 720
FPS: Final = 30
RATE_HZ: Final = 48_000
TAIL_S: Final = 0.6
SEED: Final = 7


async def make_sample(folder: Path) -> Path:
    """Return the sample video in `folder`, made unless it is there."""
    video = folder / f"{NAME}.mp4"
    if video.exists():
        return video
    folder.mkdir(parents=True, exist_ok=True)
    voice = folder / "voice.wav"
    spoken = await narrate_script(SCRIPT, voice)
    await asyncio.to_thread(_write, video, voice, spoken)
    voice.unlink()
    return video


def _write(video: Path, voice: Path, spoken: Narrated) -> None:
    subtitles = pysubs2.SSAFile()
    for cue in cues_from_words(spoken.words):
        subtitles.append(pysubs2.SSAEvent(start=cue.start_us // 1000, end=cue.end_us // 1000, text=cue.text))
    subtitles.save(str(video.with_suffix(".srt")))
    frames = round((spoken.duration_us / 1e6 + TAIL_S) * FPS)
    partial = video.with_suffix(".part")
    with (
        av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as out,
        av.open(str(voice)) as heard,
    ):
        picture = out.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
        picture.width, picture.height, picture.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        sound = out.add_stream("aac", rate=RATE_HZ, layout="mono")
        for image in _descent(frames):
            out.mux(picture.encode(VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(picture.encode(None))
        for frame in heard.decode(audio=0):
            assert isinstance(frame, AudioFrame)
            frame.time_base = Fraction(1, RATE_HZ)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    partial.rename(video)


def _descent(frames: int) -> Iterator[np.ndarray]:
    """Draw BGR frames (H, W, 3) uint8: water that darkens, rays that fade, drifting specks, living lights."""
    chance = np.random.default_rng(SEED)
    rows = np.linspace(0, 1, HEIGHT_PX, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, WIDTH_PX, dtype=np.float32)[None, :]
    specks = chance.random((260, 4)).tolist()
    lights = chance.random((26, 5)).tolist()
    for number in range(frames):
        depth = number / max(frames - 1, 1)
        light = np.clip(1.15 - depth * 1.25 - rows * 0.45, 0.02, 1.0)
        fan = np.sin((columns * 9 + rows * columns * 5) + number * 0.03) * np.sin(columns * 23 - number * 0.021)
        rays = np.clip(fan, 0, 1) * (1 - rows) * max(0.0, 0.75 - depth * 1.3)
        image = np.empty((HEIGHT_PX, WIDTH_PX, 3), dtype=np.float32)
        image[..., 0] = 18 + 190 * light + 70 * rays
        image[..., 1] = 8 + 128 * light**1.5 + 90 * rays
        image[..., 2] = 4 + 52 * light**2.4 + 70 * rays
        glow = np.zeros((HEIGHT_PX // 4, WIDTH_PX // 4, 3), dtype=np.float32)
        for x, y, size, speed in specks:
            at_y = (y - depth * (0.8 + speed)) % 1.0
            at = (int(x * WIDTH_PX / 4 + 3 * math.sin(number * 0.04 + speed * 9)), int(at_y * HEIGHT_PX / 4))
            cv2.circle(glow, at, 1 if size < 0.8 else 2, (90, 90, 80), -1, cv2.LINE_AA)
        for x, y, size, speed, hue in lights:
            shine = max(0.0, min(1.0, depth * 2.2 - 0.7 - size * 0.5)) * (
                0.55 + 0.45 * math.sin(number * 0.09 + hue * 6.3)
            )
            at_y = (y - depth * (0.5 + speed * 0.6)) % 1.0
            at = (int((x + 0.02 * math.sin(number * 0.02 + hue * 6)) * WIDTH_PX / 4), int(at_y * HEIGHT_PX / 4))
            colour = (255 * shine, (150 + 105 * hue) * shine, (40 + 180 * (1 - hue)) * shine)
            cv2.circle(glow, at, int(2 + size * 5), colour, -1, cv2.LINE_AA)
        soft = cv2.GaussianBlur(glow, (0, 0), 3.5) * 1.6 + cv2.GaussianBlur(glow, (0, 0), 1.1) * 0.9
        image += cv2.resize(soft, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
        yield np.clip(image, 0, 255).astype(np.uint8)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def sample(folder: Path) -> None:
    """Make the clip in FOLDER unless it is there, and print where it lies."""
    say(str(asyncio.run(make_sample(folder))))


if __name__ == "__main__":
    sample(prog_name="python -m deploy.sample")
