"""Niches as hashtags, hashtags in captions, captions that have the words of a niche."""

from __future__ import annotations

import pytest

from actors.platforms._words import first_line, has_words, hashtag_of, hashtags_in


@pytest.mark.parametrize(
    ("niche", "hashtag"),
    [
        ("deep sea", "deepsea"),
        ("#Deep-Sea!", "deepsea"),
        ("Fuß ball", "fußball"),
        ("हिन्दी गीत", "हिन्दीगीत"),
        ("ｄｅｅｐ sea", "deepsea"),
        ("lo_fi", "lo_fi"),
        ("90s music", "90smusic"),
        ("2026", ""),
        ("?! 🌊", ""),
        ("", ""),
    ],
)
def test_niche_as_a_hashtag(niche: str, hashtag: str) -> None:
    """A hashtag that nobody writes finds nothing, and costs one of thirty a week all the same."""
    assert hashtag_of(niche) == hashtag


def test_hashtags_of_a_caption() -> None:
    """Related niches come from these."""
    caption = "Corals #DeepSea, #night.\n#deep_sea(#हिन्दी)#one#one #1 # no#\u0000 #🌊 email@x.org #a-b"
    assert hashtags_in(caption) == ("DeepSea", "night", "deep_sea", "हिन्दी", "one", "a")
    assert hashtags_in("nothing") == ()
    assert len(hashtags_in(" ".join(f"#t{n}x" for n in range(500)))) == 50


@pytest.mark.parametrize(
    ("text", "niche", "fits"),
    [
        ("The DEEP blue sea", "deep sea", True),
        ("Deepest seas", "deep sea", True),
        ("sea only", "deep sea", False),
        ("a party", "art", False),
        ("new #DeepSea film", "deep sea", True),
        ("an undersea film", "sea", False),
        ("深海の生き物", "深海", True),
        ("anything", "", False),
        ("anything", "#", False),
        ("c++ (1998)", "c++", True),
    ],
)
def test_own_videos_are_filtered_by_words(text: str, niche: str, fits: bool) -> None:  # noqa: FBT001
    """Where a platform cannot search, a video of another niche would be taken for one of this."""
    assert has_words(text, niche) is fits


def test_first_line_is_the_title() -> None:
    """Captions have no title; a whole caption as one is unreadable."""
    assert first_line("\n  \nLava meets snow\nmore") == "Lava meets snow"
    assert first_line("\u202e\n") == ""
    assert len(first_line("x" * 1000)) == 300
