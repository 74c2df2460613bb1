"""What is said in a video, by Groq's Whisper, where a key is set and nobody gave the words."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Final

from actors.editor.cues import cues_from_words
from actors.editor.groq_api import GroqApi, Heard, Segment, Unanswered
from actors.editor.sound import extract_speech
from contracts.errors import Reject
from contracts.media import Probe
from contracts.plan import Cue, Word

__all__ = ["MIN_PEAK", "transcribe", "words_of"]

MIN_PEAK: Final = 0.003
"""Sound that never gets louder (-50 dBFS) is silence: it is not sent."""
# Whisper's own thresholds (openai/whisper, transcribe.py): silence that was given words, and words that go in circles.
_NO_SPEECH: Final = 0.6
_DOUBTFUL_LOGPROB: Final = -1.0
_LOOPING: Final = 2.4
_UNSHOWN: Final = frozenset({"Cc", "Cs"})


async def transcribe(media: Path, probe: Probe, groq: GroqApi, folder: Path, *, length_us: int) -> tuple[Cue, ...]:
    """Return the cues of the first `length_us`; none if nothing is said. Raises: Unanswered, Retry."""
    flac = folder / "speech.flac"
    try:
        sound = await extract_speech(media, probe, flac, length_us=length_us)
    except Reject as error:
        raise Unanswered(str(error)) from error
    if sound.peak < MIN_PEAK:
        return ()
    return cues_from_words(words_of(await groq.hear(flac), length_us=sound.duration_us))


def words_of(heard: Heard, *, length_us: int) -> tuple[Word, ...]:
    """Return the words within the sound, without those that Whisper itself doubts.

    Raises: Unanswered if words come without times.
    """
    if heard.words is None:
        raise Unanswered("the transcript has no word times")
    doubted = [segment for segment in heard.segments or () if _is_doubted(segment)]
    words = []
    for word in heard.words:
        text = " ".join(
            "".join(char if unicodedata.category(char) not in _UNSHOWN else " " for char in word.word).split()
        )
        if not text or any(segment.start <= word.start < segment.end for segment in doubted):
            continue
        start_us, end_us = (
            round(min(max(at, 0.0), length_us / 1_000_000) * 1_000_000) for at in (word.start, word.end)
        )
        if start_us < length_us:
            words.append(Word(text=text, start_us=start_us, end_us=max(end_us, start_us + 1)))
    return tuple(sorted(words, key=lambda word: word.start_us))


def _is_doubted(segment: Segment) -> bool:
    silent = segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _DOUBTFUL_LOGPROB
    return silent or segment.compression_ratio > _LOOPING
