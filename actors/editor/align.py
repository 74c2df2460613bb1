"""Find when each word of a given script is spoken (forced alignment).

Runs as a child process: `await align_file(...)` is for the stage, `align` is what the child does. The model is the
English one inside the pocketsphinx wheel. Times are exact to its 10 ms frames; measured errors are in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct

from actors.editor.pronounce import Speller, spoken_form, tokens
from actors.editor.sound import SAMPLE_RATE_HZ, decode_speech
from actors.runtime import isolate
from contracts.errors import Reject
from contracts.media import Probe
from contracts.plan import Word

try:
    from pocketsphinx import Decoder  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # no wheel for Python 3.12 on Linux aarch64
    Decoder = None

__all__ = ["SAMPLE_RATE_HZ", "AlignRequest", "Aligned", "align", "align_file", "align_samples", "place_unheard"]

FRAME_US: Final = 10_000
MAX_SPEECH_S: Final = 30 * 60
MAX_SCRIPT_CHARS: Final = 60_000
DEADLINE_S: Final = 600.0
MEMORY_BYTES: Final = 1 << 30
_BEAMS: Final = ((1e-48, 7e-29), (1e-80, 1e-56))
"""Search beams: the model's own, then wider. Wider still, a script that was never spoken would fit any speech."""
_HEARD_SHARE: Final = 0.5
_MIN_WORD_US: Final = 60_000


class AlignRequest(Struct, frozen=True):
    """path: a local file; audio_index: stream in the file; start_us: moment that counts as 0."""

    path: str
    audio_index: int
    start_us: int
    script: str


class Aligned(Struct, frozen=True):
    """Words in order, times from the request's start_us."""

    words: tuple[Word, ...]


async def align_file(path: Path, probe: Probe, script: str) -> tuple[Word, ...]:
    """Align a script with a file's speech, times from its first frame. Raises: Reject."""
    if probe.audio is None:
        raise Reject("a script was given and the video has no sound", mend="ask for narration, or give subtitles")
    request = AlignRequest(str(path), probe.audio.index, probe.start_us, script)
    answer = await isolate.run_isolated(
        "actors.editor.align",
        request,
        result=Aligned,
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        what="aligning the script with the speech",
    )
    return answer.words


def align(request: AlignRequest, _progress: isolate.Progress) -> Aligned:
    """Align in this process. Raises: Reject."""
    return Aligned(align_samples(_speech(request), request.script))


def align_samples(samples: np.ndarray, script: str) -> tuple[Word, ...]:
    """Align a script with speech.

    Args: samples: int16 (n,), mono, 16 kHz.
    Raises: Reject if the script is not English or does not fit the speech.
    """
    shown = tokens(script)
    if not shown:
        raise Reject("the script has no words", mend="give the words that are spoken")
    if len(script) > MAX_SCRIPT_CHARS:
        raise Reject(f"the script is longer than {MAX_SCRIPT_CHARS} characters", mend="give subtitles instead")
    if Decoder is None:
        raise Reject(
            "words cannot be aligned here: pocketsphinx has no wheel for Python 3.12 on Linux aarch64",
            mend="use Python 3.11 or 3.13, or give .srt or .vtt subtitles",
        )
    decoder = Decoder(lm=None, loglevel="FATAL")
    names = _pronounce(decoder, shown)
    if sum(name is not None for name in names) < _HEARD_SHARE * len(names):
        raise Reject("the script is not English, which is all that can be aligned", mend="give .srt or .vtt subtitles")
    times = _search([name for name in names if name is not None], names, decoder, samples)
    length_us = round(len(samples) / SAMPLE_RATE_HZ * 1_000_000)
    return place_unheard(shown, times, length_us)


def place_unheard(shown: Sequence[str], times: Sequence[tuple[int, int] | None], length_us: int) -> tuple[Word, ...]:
    """Give words without a time (None) a share, by their letters, of the pause between their neighbours.

    Where there is no pause to speak of, the neighbours give way: they were stretched over what was not understood.
    """
    placed = list(times)
    at = 0
    while at < len(placed):
        if placed[at] is not None:
            at += 1
            continue
        first, last = at, at
        while last + 1 < len(placed) and placed[last + 1] is None:
            last += 1
        before = placed[first - 1] if first else None
        after = placed[last + 1] if last + 1 < len(placed) else None
        start, end = before[1] if before else 0, after[0] if after else length_us
        if end - start < _MIN_WORD_US * (last - first + 1):
            first, start = (first - 1, before[0]) if before else (first, start)
            last, end = (last + 1, after[1]) if after else (last, end)
        letters = [max(1, sum(char.isalnum() for char in word)) for word in shown[first : last + 1]]
        done = 0
        for offset, count in enumerate(letters):
            share = (end - start) * done // sum(letters), (end - start) * (done + count) // sum(letters)
            placed[first + offset] = (start + share[0], start + share[1])
            done += count
        at = last + 1
    return tuple(
        Word(text=word, start_us=time[0], end_us=time[1]) for word, time in zip(shown, placed, strict=True) if time
    )


def _pronounce(decoder: Decoder, shown: Sequence[str]) -> list[str | None]:
    """Return the decoder's name of each word, adding those that its dictionary lacks; None: no pronunciation."""
    names: list[str | None] = []
    speller: Speller | None = None
    added: dict[str, str | None] = {}
    for token in shown:
        word = spoken_form(token)
        if word.isascii() and decoder.lookup_word(word) is not None:
            names.append(word)
            continue
        if token not in added:
            speller = speller or Speller()
            phones = speller.phones(token)
            added[token] = f"_{len(added)}" if phones else None
            if phones:
                decoder.add_word(added[token], " ".join(phones), update=True)
        names.append(added[token])
    return names


def _search(
    spoken: list[str], names: Sequence[str | None], decoder: Decoder, samples: np.ndarray
) -> list[tuple[int, int] | None]:
    for beam, word_beam in _BEAMS:
        decoder.config["beam"] = decoder.config["pbeam"] = beam
        decoder.config["wbeam"] = word_beam
        decoder.set_align_text(" ".join(spoken))
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            continue
        heard = [
            (part.start_frame * FRAME_US, (part.end_frame + 1) * FRAME_US)
            for part in decoder.seg()
            if part.word[0] not in "<[+("
        ]
        if len(heard) == len(spoken):
            rest = iter(heard)
            return [next(rest) if name is not None else None for name in names]
    raise Reject("the script does not fit the speech", mend="check that it holds the words spoken, in order")


def _speech(request: AlignRequest) -> np.ndarray:
    """Decode a stream to int16 (n,), mono, 16 kHz; sample 0 is at start_us."""
    most_us = (MAX_SPEECH_S + 1) * 1_000_000
    samples = decode_speech(Path(request.path), request.audio_index, request.start_us, length_us=most_us)
    if samples.size > MAX_SPEECH_S * SAMPLE_RATE_HZ:
        raise Reject("the speech is longer than 30 minutes", mend="give .srt or .vtt subtitles instead")
    if not samples.size:
        raise Reject("the sound of the video cannot be decoded", mend="give .srt or .vtt subtitles instead")
    return samples


if __name__ == "__main__":
    isolate.serve(AlignRequest, align)
