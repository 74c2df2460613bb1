"""Read the sources of a plan, frame by frame of its output, and keep account of what could not be read."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

import av.error

from actors.renderer.devices import Choice
from actors.renderer.job import FontFile
from actors.renderer.source.picture import Picture
from actors.renderer.source.video import ClipReader, first_frame_us
from actors.renderer.timeline import Span, Strip, frame_time_us, spans, wanted_us
from actors.runtime.damage import Tally, why
from contracts.errors import Reject
from contracts.plan import Plan

__all__ = ["Account", "Materials", "Reading", "Zeros"]

DECODER_THREADS: Final = 1
"""Of each source's decoder; cores are filled with chunks. It does not change what is decoded."""


class Materials(NamedTuple):
    """What a plan is rendered from. paths: local file of each plan source, by source id."""

    plan: Plan
    paths: dict[str, Path]
    fonts: tuple[FontFile, ...] = ()
    choice: Choice = Choice()


class Account(NamedTuple):
    """What became of reading the sources of a chunk, source time."""

    asked_us: int
    usable_us: int
    tally: Tally


class Reading:
    """The sources that are being read, each from the first moment that was asked of it."""

    def __init__(self, materials: Materials) -> None:
        self._materials = materials
        self._spans = spans(materials.plan)
        self._zeros = Zeros(materials.paths)
        self._open: dict[Strip, _Strip] = {}
        self._asked_us = self._usable_us = 0
        self._tally = Tally()

    def pictures(self, number: int, strips: tuple[Strip, ...]) -> tuple[Picture, ...]:
        """Return the pictures of a frame; frames come in order. Raises: Reject."""
        for strip in [strip for strip in self._open if strip not in strips]:
            self._close(strip)
        return tuple(self._of(strip, number).next() for strip in strips)

    def _of(self, strip: Strip, number: int) -> _Strip:
        if strip not in self._open:
            zero_us = self._zeros.of(strip.source)
            span = self._spans[strip.clip]
            self._open[strip] = _Strip(self._materials, span, strip, zero_us=zero_us, number=number)
        return self._open[strip]

    def account(self) -> Account:
        """Return what was read since the last account."""
        for strip in self._open.values():
            self._count(strip)
        found = Account(self._asked_us, self._usable_us, self._tally)
        self._asked_us, self._usable_us, self._tally = 0, 0, Tally()
        return found

    def close(self) -> None:
        """Let all sources go."""
        for strip in list(self._open):
            self._close(strip)

    def _close(self, strip: Strip) -> None:
        reading = self._open.pop(strip)
        self._count(reading)
        reading.close()

    def _count(self, strip: _Strip) -> None:
        asked_us, usable_us, tally = strip.account()
        self._asked_us += asked_us
        self._usable_us += usable_us
        self._tally.add(tally)


class Zeros:
    """The time of each source's first frame, found when it is first asked for."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths
        self._found: dict[str, int] = {}

    def of(self, source: str) -> int:
        """Return it, microseconds on the container's clock. Raises: Reject."""
        if source not in self._found:
            self._found[source] = first_frame_us(self._paths[source])
        return self._found[source]


class _Strip:
    """One strip being read from one frame of the output on."""

    def __init__(self, materials: Materials, span: Span, strip: Strip, *, zero_us: int, number: int) -> None:
        plan, path = materials.plan, materials.paths[strip.source]
        fps = plan.output.fps
        self._source = strip.source
        self._frame_us = frame_time_us(1, fps)
        self._wanted = wanted_us(span, strip, range(number, span.end_frame), plan)
        first_us = next(wanted_us(span, strip, range(number, number + 1), plan))
        self._since_us = self._at_us = first_us
        on_gpu = materials.choice.decode == "cuda"
        self._reader = ClipReader(path, zero_us=zero_us, threads=DECODER_THREADS, on_gpu=on_gpu)
        coming = self._reader.pictures(self._noted(), start_us=first_us, early_us=self._frame_us // 4)
        self._pictures = cast(Generator[Picture, None, None], coming)
        self._counted = Tally()

    def _noted(self) -> Iterator[int]:
        for wanted in self._wanted:
            self._at_us = wanted
            yield wanted

    def next(self) -> Picture:
        """Return the next frame's picture. Raises: Reject."""
        try:
            picture = next(self._pictures, None)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise Reject(f"source {self._source} cannot be read ({why(error)})", mend="the file is damaged") from error
        if picture is None:
            raise Reject(
                f"source {self._source}: no frame of the clip can be decoded", mend="the file is damaged or cut off"
            )
        return picture

    def account(self) -> tuple[int, int, Tally]:
        """Return how much source time was asked for and could be shown since the last account."""
        end_us = self._at_us + self._frame_us
        asked_us = end_us - self._since_us
        reached_us = self._reader.reached_us
        usable_us = asked_us if reached_us > self._at_us else max(0, reached_us - self._since_us)
        self._since_us = end_us
        fresh = Tally()
        fresh.add(self._reader.tally)
        fresh.whole -= self._counted.whole
        fresh.patched -= self._counted.patched
        fresh.failed -= self._counted.failed
        self._counted.add(fresh)
        return asked_us, usable_us, fresh

    def close(self) -> None:
        self._pictures.close()
