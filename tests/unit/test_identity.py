"""When two candidates are one work."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actors.ranker.address import SITES, page_at, work_at
from actors.ranker.identity import ALIKE_BITS, UNLIKE_BITS, Verdict, mark_of, normal_title, same_work
from actors.ranker.picture import look_of, read_grey
from contracts.errors import Reject
from tests.unit.labelled_pairs import PAIRS, Pair, video


def judged(pair: Pair) -> Verdict:
    a, b = (mark_of(one, picture=look) for one, look in zip((pair.a, pair.b), pair.looks, strict=True))
    verdict, back = same_work(a, b), same_work(b, a)
    assert verdict.same == back.same, f"{pair.name}: the order decides"
    return verdict


def test_labelled_pairs() -> None:
    """A wrong join loses a work for good; a missed one makes the same video twice."""
    assert len(PAIRS) >= 120
    verdicts = [(pair, judged(pair)) for pair in PAIRS]
    wrong = [f"{pair.name}: {verdict.because}" for pair, verdict in verdicts if verdict.same and not pair.same]
    assert not wrong
    shown = [(pair, verdict) for pair, verdict in verdicts if pair.same and pair.shown]
    missed = [f"{pair.name}: {verdict.because}" for pair, verdict in shown if not verdict.same]
    recall = 1 - len(missed) / len(shown)
    assert recall >= 0.9, missed
    assert all(verdict.because for _, verdict in verdicts)


def test_what_no_data_shows_stays_apart() -> None:
    """Were such a pair joined, the label `shown` would be wrong, and the recall with it."""
    assert not [pair.name for pair in PAIRS if not pair.shown and judged(pair).same]


@pytest.mark.parametrize(
    ("seconds", "other", "same"),
    [(100.0, 101.09, True), (100.0, 101.11, False), (2000.0, 2002.9, True), (5000.0, 5003.1, False)],
)
def test_length_bounds(seconds: float, other: float, *, same: bool) -> None:
    """A bound that moves joins cuts of a work with the work."""
    title = "Baking sourdough bread over an open fire in Iceland"
    marks = [mark_of(video("vimeo", title, seconds, "a")), mark_of(video("x", title, other, "b"))]
    assert same_work(*marks).same is same


def test_doubts_need_more_words() -> None:
    """Five words that agree are enough of an unknown creator, and too few of a length that everybody uses."""
    title = "Volcano glacier drone sunrise Iceland"
    assert same_work(mark_of(video("vimeo", title, 61.2)), mark_of(video("x", title, 61.3))).same
    assert not same_work(mark_of(video("vimeo", title, 60.0)), mark_of(video("x", title, 60.1))).same


@pytest.mark.parametrize(
    ("title", "creator", "normal"),
    [
        ("GIANT Squid!! 🦑 (Official Video) [4K] #shorts", "", "giant squid"),
        ("Giant squid | Ocean Lab", "Ocean Lab", "giant squid"),
        ("Giant squid | Ocean Lab", "somebody", "giant squid ocean lab"),
        ("Squid (live)", "", "squid live"),
        ("Squid #3", "", "squid 3"),
        ("#squid #fyp", "", ""),
        ("Milan via Gotthard", "", "milan via gotthard"),
        ("Milan via @rails", "", "milan"),
        ("Milan, credits: rails.tv", "", "milan"),
        ("Milan – via rails", "", "milan"),
        ("Bread 📹 ann", "", "bread"),
        ("Bread reposted from ann", "", "bread"),
        ("HD", "", "hd"),
        ("(HD)", "", ""),
        ("Ｇiant ſquid", "", "giant squid"),
        ("की", "", "की"),
    ],
)
def test_normal_titles(title: str, creator: str, normal: str) -> None:
    """Each stands for a rule that the pairs rely on."""
    assert normal_title(title, creator=creator) == normal


@given(st.text(max_size=80), st.text(max_size=20))
def test_any_title_can_be_read(title: str, creator: str) -> None:
    """Titles come from outside: one that raises stops a whole batch."""
    once = normal_title(title, creator=creator)
    assert once == " ".join(once.split())
    mark_of(video("vimeo", title, 60, creator))


@given(
    st.sampled_from(["https://", "http://", "//", "", "ftp://"]),
    st.one_of(st.sampled_from(sorted(SITES)), st.text(max_size=12)),
    st.text(max_size=40),
)
def test_any_address_can_be_read(scheme: str, host: str, rest: str) -> None:
    """Addresses come from outside, too."""
    url = f"{scheme}{host}/{rest}"
    work_at(url)
    page_at(url)


@pytest.mark.parametrize(
    ("url", "work", "page"),
    [
        ("https://example.org/films/2026/deep%00sea-squid", None, "page:example.org/films/2026/deepsea-squid"),
        ("https://example.org/films/?name=deep%00sea-squid", None, "page:example.org/films?name=deepsea-squid"),
        ("https://exam\0ple.org/films/deep-sea-squid", None, "page:example.org/films/deep-sea-squid"),
        ("https://archive.org/details/a/b%00.mp4", "internet_archive:a/b.mp4", None),
        ("https://commons.wikimedia.org/w/index.php?title=File:A%2500b.webm", "wikimedia_commons:Ab.webm", None),
        ("https://commons.wikimedia.org/wiki/File:%00", None, None),
    ],
)
def test_no_address_brings_a_nul(url: str, work: str | None, page: str | None) -> None:
    """PostgreSQL takes none in a text: one such address would end the whole batch."""
    assert (work_at(url), page_at(url)) == (work, page)


# Pictures -----------------------------------------------------------------------------------------


def scene(seed: int) -> Image.Image:
    """A smooth picture, 640x360: a few blots on a slope, as a photograph shrunk to cells would be."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(30, 250, (6, 8)).astype(np.uint8)
    return Image.fromarray(small).resize((640, 360), Image.Resampling.BICUBIC)


def looked(picture: Image.Image, *, kind: str = "JPEG", quality: int = 60) -> int | None:
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return look_of(read_grey(file.getvalue()))


def bits(a: int | None, b: int | None) -> int:
    assert a is not None
    assert b is not None
    return (a ^ b).bit_count()


def test_one_picture_looks_alike_in_other_sizes() -> None:
    """A thumbnail is scaled, compressed anew and set between bars on its way; it must stay within the bound."""
    for seed in range(20):
        picture = scene(seed)
        barred = Image.new("RGB", (640, 480))
        barred.paste(picture.convert("RGB"), (0, 60))
        first = looked(picture)
        assert bits(first, looked(picture.resize((320, 180)), quality=35)) <= ALIKE_BITS
        assert bits(first, looked(barred, kind="WEBP")) <= ALIKE_BITS
        assert bits(first, looked(picture.point(lambda level: int(level * 0.8)))) <= ALIKE_BITS


def test_other_pictures_look_unlike() -> None:
    """Pictures of different scenes within the bound would join works that share a title and a length."""
    looks = [looked(scene(seed)) for seed in range(200)]
    apart = [bits(a, b) for a, b in pairwise(looks)]
    assert min(apart) > ALIKE_BITS
    assert sum(apart) / len(apart) > UNLIKE_BITS


@pytest.mark.parametrize("level", [0, 12, 128, 255])
def test_flat_pictures_say_nothing(level: int) -> None:
    """Black and grey stand-ins would be alike for thousands of works."""
    assert looked(Image.new("L", (320, 180), level)) is None


def test_unreadable_picture_is_rejected() -> None:
    """Anything may come from an address of a thumbnail."""
    with pytest.raises(Reject, match="cannot be read"):
        read_grey(b"<html>not found</html>")
    with pytest.raises(Reject):
        read_grey(b"")
