"""Title, description and hashtags."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.editor.words import SourceText, compose, fit_bytes, fit_chars, hashtags, title_from_file_name
from contracts.rights import RightsRecord, attribution_text

BY_SA = RightsRecord(licence="CC-BY-SA-4.0", title="Deep <Sea>", author="Ann", source_url="https://example.org/w")
OWNED = RightsRecord(licence="owned", attested_by="me", attestation="mine")


def test_the_source_own_words_are_used() -> None:
    """The post says what the source says."""
    post = compose(
        SourceText(title="  Deep\tsea   <life> ", description="Squid.\r\n\r\n\r\n\r\nMore squid.", tags=("Deep Sea",)),
        OWNED,
    )
    assert post.title == "Deep sea ‹life›"
    assert post.description == "Squid.\n\nMore squid."
    assert post.hashtags[0] == "deepsea"


def test_credit_is_given_where_the_licence_asks() -> None:
    """A licence's terms are kept without anybody thinking of it."""
    post = compose(SourceText(title="x", description="told"), BY_SA)
    assert post.description.startswith("told\n\n")
    credit = attribution_text(BY_SA).replace("<", "‹").replace(">", "›")
    assert credit in post.description
    assert "same licence: CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0/" in post.description
    assert compose(SourceText(title="x", description="told"), OWNED).description == "told"


def test_credit_is_never_cut() -> None:
    """However long the source's description is, the credit stands whole."""
    post = compose(SourceText(title="x", description="wörter " * 2000), BY_SA)
    assert len(post.description.encode()) <= 5000
    assert "https://creativecommons.org/licenses/by-sa/4.0/" in post.description
    assert "…\n\n" in post.description


def test_file_names_become_titles() -> None:
    """An imported file has a title that can be read."""
    assert title_from_file_name("C:\\clips\\my_holiday-2024.final.mp4") == "my holiday 2024 final"
    assert compose(SourceText(file_name="a_b.mp4"), OWNED).title == "a b"
    assert compose(SourceText(), OWNED).title == "Untitled"


def test_hashtags_are_its_own_words_best_first() -> None:
    """Hashtags come from tags and repeated words; empty words and numbers never."""
    source = SourceText(
        title="The giant squid and the 2024 film",
        description="An octopus is the squid's cousin. The octopus and a squid hide.",
        tags=("Ocean", "the", "Giant Squid"),
    )
    found = hashtags(source)
    assert found == ("squid", "ocean", "giantsquid", "giant", "octopus")
    assert not {"the", "2024", "film", "and"} & set(found)
    assert found == hashtags(source)


def test_hashtags_in_every_script() -> None:
    """Marks belong to letters: Hindi, Thai and Arabic words stay whole."""
    found = hashtags(SourceText(tags=("हिन्दी फ़िल्म", "ภาษาไทย", "العربية", "日本", "Größe", "É")))
    assert found == ("हिन्दीफ़िल्म", "ภาษาไทย", "العربية", "日本", "größe")


@given(st.text(max_size=400), st.integers(2, 120))
def test_cutting_keeps_limits(text: str, limit: int) -> None:
    """No platform refuses a title or description for its length."""
    assert len(fit_chars(text, limit)) <= limit
    assert len(fit_bytes(text, limit).encode(errors="surrogatepass")) <= limit


def test_cutting_ends_at_a_word() -> None:
    """A cut title reads well."""
    assert fit_chars("the quick brown fox jumps", 18) == "the quick brown…"
    assert fit_chars("x" * 120, 100) == "x" * 99 + "…"


@given(st.text(), st.text(), st.lists(st.text(), max_size=4))
def test_any_words_make_a_valid_post(title: str, description: str, tags: list[str]) -> None:
    """Whatever a source says, YouTube's rules for titles and descriptions hold."""
    post = compose(SourceText(title=title, description=description, tags=tuple(tags)), BY_SA)
    assert 1 <= len(post.title) <= 100
    assert len(post.description.encode()) <= 5000
    assert not set("<>\x00") & set(post.title + post.description)
    assert len(post.hashtags) <= 8
    assert all(tag and not set(" #<>") & set(tag) for tag in post.hashtags)
