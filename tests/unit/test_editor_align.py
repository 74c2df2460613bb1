"""Word times: of real speech with a reference, and of a narration made here."""

from __future__ import annotations

import json
import os
import re
import wave
from difflib import SequenceMatcher
from pathlib import Path

import av
import numpy as np
import pytest

from actors.editor.align import SAMPLE_RATE_HZ, AlignRequest, align, align_file, align_samples, place_unheard
from actors.editor.cues import cues_from_words
from actors.editor.narrate import narrate_script
from actors.editor.pronounce import Speller, spoken_form, to_arpabet, tokens
from actors.runtime.probe import probe_file
from contracts.errors import Reject
from contracts.plan import Word

SPEECH = Path(__file__).parents[2].parent / "shared" / "data" / "C_speech"
if not SPEECH.is_dir() and os.environ.get("CI"):
    raise RuntimeError(f"{SPEECH} is absent: CI must run on the real files")
real_speech = pytest.mark.skipif(not SPEECH.is_dir(), reason=f"{SPEECH} is absent")


def hear(name: str) -> np.ndarray:
    """Decode a speech file to int16, 16 kHz mono."""
    path = next(path for path in SPEECH.glob(f"{name}.*") if path.suffix in {".wav", ".flac", ".mp3"})
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
    with av.open(str(path)) as file:
        frames = [*file.decode(audio=0), None]
        blocks = [out.to_ndarray()[0] for frame in frames for out in resampler.resample(frame)]
    samples: np.ndarray = np.concatenate(blocks)
    return samples


def script_of(name: str) -> str:
    return (SPEECH / f"{name}.txt").read_text()


def reference(name: str) -> list[tuple[str, float, float]]:
    """Return (word, start s, end s)."""
    words = SPEECH / f"{name}.words.json"
    if words.exists():
        return [(found["word"].lower(), found["start"], found["end"]) for found in json.loads(words.read_text())]
    aligned = json.loads((SPEECH / f"{name}.aligned.json").read_text())["w"]
    return [
        (found["t"].partition("(")[0], found["b"], found["b"] + found["d"]) for found in aligned if found["t"][0] != "<"
    ]


@real_speech
@pytest.mark.parametrize(
    ("name", "median_s", "p95_s"),
    [
        ("en_acoustic_corpus", 0.02, 0.10),
        ("en_bobby", 0.03, 0.08),
        ("en_librivox_0870", 0.01, 0.05),
        ("en_librivox_0890", 0.01, 0.05),
    ],
)
def test_words_land_where_people_hear_them(name: str, median_s: float, p95_s: float) -> None:
    """A caption's word lights up when it is spoken."""
    words, expected = align_samples(hear(name), script_of(name)), reference(name)
    matcher = SequenceMatcher(
        None, [spoken_form(word.text) for word in words], [word for word, _, _ in expected], False
    )
    pairs = [
        (words[match.a + at], expected[match.b + at])
        for match in matcher.get_matching_blocks()
        for at in range(match.size)
    ]
    assert len(pairs) >= 0.95 * len(expected)
    errors = np.array([abs(word.start_us / 1e6 - start) for word, (_, start, _) in pairs])
    assert float(np.median(errors)) <= median_s
    assert float(np.percentile(errors, 95)) <= p95_s


@real_speech
@pytest.mark.parametrize(
    "name", ["en_jfk", "en_sonnet001", "en_cards_001", "en_alsa_front_left", "en_alsa_rear_center"]
)
def test_every_word_of_the_script_is_shown(name: str) -> None:
    """No word of a script is lost, and words come in the order spoken."""
    words = align_samples(hear(name), script_of(name))
    assert " ".join(word.text for word in words) == " ".join(tokens(script_of(name)))
    starts = [word.start_us for word in words]
    assert starts == sorted(starts)
    if name == "en_jfk":
        americans = next(word for word in words if word.text.startswith("Americans"))
        assert americans.start_us <= 1_800_000 <= americans.end_us


@real_speech
def test_foreign_words_are_placed_between_their_neighbours() -> None:
    """An emoji or a word in another script does not stop the captions; at most the two words after it are off."""
    plain = align_samples(hear("en_librivox_0870"), script_of("en_librivox_0870"))
    mixed = align_samples(
        hear("en_librivox_0870"), script_of("en_librivox_0870").replace("john dashwood", "john 🎬 達什伍德")
    )
    at = next(i for i, word in enumerate(mixed) if word.text == "達什伍德")
    heard = next(word for word in plain if word.text == "dashwood")
    assert abs(mixed[at].start_us - heard.start_us) < 400_000
    assert mixed[at - 1].text == "john 🎬"
    shifts_us = [abs(word.start_us - twin.start_us) for word, twin in zip(mixed, plain, strict=True)]
    assert max(shifts_us[at + 1 : at + 3]) < 500_000, shifts_us
    assert max(shifts_us[: at - 1] + shifts_us[at + 3 :]) < 20_000, shifts_us


@real_speech
@pytest.mark.parametrize("script", ["en_sonnet001", "en_acoustic_corpus"])
def test_a_script_that_is_not_spoken_is_refused(script: str) -> None:
    """The wrong script is told, instead of shown at random times."""
    with pytest.raises(Reject, match="does not fit the speech"):
        align_samples(hear("en_librivox_0870"), script_of(script))


@real_speech
def test_other_languages_are_refused() -> None:
    """A Russian script is told to need subtitles, not aligned as if it were English."""
    with pytest.raises(Reject, match="not English"):
        align_samples(hear("ru_sample"), script_of("ru_sample"))


@real_speech
async def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    """Captions are in time with the picture also where sound and picture begin apart."""
    samples = hear("en_bobby")
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as out:
        video, sound = out.add_stream("mpeg4", rate=10), out.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for at in range(30):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = 10 + at
            out.mux(video.encode(frame))
        tone = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        tone.sample_rate = SAMPLE_RATE_HZ
        tone.pts = 2 * SAMPLE_RATE_HZ
        out.mux(sound.encode(tone))
        out.mux(sound.encode())
        out.mux(video.encode())
    probe = await probe_file(path)
    assert probe.start_us == pytest.approx(1_000_000, abs=2000)
    words = await align_file(path, probe, script_of("en_bobby"))
    expected = [start + 1.0 for _, start, _ in reference("en_bobby")]
    assert [word.start_us / 1e6 for word in words] == pytest.approx(expected, abs=0.1)
    early = AlignRequest(str(path), 1, 2_500_000, "the ledger")
    assert align(early, lambda _: None).words[-1].end_us < 800_000


async def test_narration_is_the_same_every_time_and_has_every_word(tmp_path: Path) -> None:
    """A narrated video has sound that fits its captions, and making it again makes the same one."""
    script = "In 2024, Dr. Smith saw 3 skibidi whales — at $9.99 each! Wasn't that nice?"
    first = await narrate_script(script, tmp_path / "a.wav")
    assert await narrate_script(script, tmp_path / "b.wav") == first
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
        assert file.getnframes() / 48_000 == pytest.approx(first.duration_us / 1e6, abs=0.001)
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert 20_000 < np.abs(sound.astype(int)).max() <= 29_500
    assert [word.text for word in first.words] == list(tokens(script))
    assert " ".join(cue.text for cue in cues_from_words(first.words)) == " ".join(tokens(script))
    assert first.words[-1].end_us <= first.duration_us
    for word in first.words:
        heard = sound[word.start_us * 48 // 1000 : word.end_us * 48 // 1000].astype(float)
        assert np.sqrt(np.mean(heard**2)) > 300, word


@pytest.mark.parametrize("script", ["", "   ", "😀 …", "Привет, мир", "日本語"])
async def test_what_the_voice_cannot_speak_is_refused(script: str, tmp_path: Path) -> None:
    """A script that cannot be spoken is told, not posted as silence or as spelt letters."""
    with pytest.raises(Reject):
        await narrate_script(script, tmp_path / "a.wav")
    assert not list(tmp_path.iterdir())


def test_unheard_words_share_the_pause() -> None:
    """Words without a time get one by their length, and neighbours give way where there is no pause."""
    assert place_unheard(["a", "bb", "c"], [None, None, None], 400) == (
        Word(text="a", start_us=0, end_us=100),
        Word(text="bb", start_us=100, end_us=300),
        Word(text="c", start_us=300, end_us=400),
    )
    in_pause = place_unheard(["a", "x", "b"], [(0, 100_000), None, (900_000, 1_000_000)], 1_000_000)
    assert (in_pause[1].start_us, in_pause[1].end_us) == (100_000, 900_000)
    squeezed = place_unheard(["aa", "xx", "bb"], [(0, 300_000), None, (300_000, 600_000)], 600_000)
    assert [word.start_us for word in squeezed] == [0, 200_000, 400_000]


def test_tokens_and_spoken_forms() -> None:
    """Dashes and emoji stay with the word before them; quotes and case do not hinder the dictionary."""
    assert tokens(" Hello , wörld 😀 — you’re ") == ("Hello ,", "wörld 😀 —", "you’re")
    assert [spoken_form(token) for token in ("“Don’t", "U.S.A.", "(why?)")] == ["don't", "u.s.a", "why"]


def test_phones_are_the_aligners_own() -> None:
    """Every pronunciation uses phones that the acoustic model knows."""
    known = set(
        re.findall(r"[A-Z]+", "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T")
    )
    known |= {"TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"}
    assert to_arpabet("bˈɜɹd lˈɛTəɹ") == ("B", "ER", "D", "L", "EH", "D", "ER")
    speller = Speller()
    for word in ("skibidi", "2024", "$9.99", "AI-powered", "naïve", "y’know", "3rd"):
        phones = speller.phones(word)
        assert phones
        assert set(phones) <= known
    assert speller.phones("Привет") == ()
