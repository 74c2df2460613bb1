"""What a person says of rights on the command line reaches the bus, or is refused with what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.events import ImportRequested, PostRequested
from contracts.rights import RightsRecord
from deploy.ask import import_media, post_video

ENDS = datetime(2199, 1, 1, tzinfo=UTC)
SettingsOf = Callable[[str], Settings]


@pytest.fixture
def media(tmp_path: Path) -> str:
    file = tmp_path / "waves.mp4"
    file.write_bytes(b"not looked at here")
    return str(file)


async def imported(
    settings: Settings, source: str, licence: str, author: str | None = None, **given: Any
) -> RightsRecord:
    sent = await import_media(settings, source, rights=RightsRecord(licence=licence, author=author), **given)
    assert isinstance(sent, ImportRequested)
    return sent.rights


@pytest.mark.parametrize("licence", ["CC-BY-4.0", "CC-BY-NC-SA-2.5"])
async def test_a_licence_that_asks_for_a_credit_asks_for_the_author(media: str, licence: str) -> None:
    """If it fails, videos go out with a credit to 'unknown author' because nobody was asked."""
    for author in (None, "", "  "):
        with pytest.raises(Reject, match="author is named") as refused:
            await imported(Settings(), media, licence, author)
        assert refused.value.mend
        assert "--author" in refused.value.mend
        with pytest.raises(Reject, match="author is named"):
            await post_video(
                Settings(), Path(media), platform="youtube", rights=RightsRecord(licence=licence, author=author)
            )


async def test_what_is_said_of_rights_is_sent(settings_of: SettingsOf, media: str) -> None:
    """If it fails, the limits of a permission that a person states are lost."""
    settings = settings_of("outside")
    named = await imported(settings, media, "CC-BY-4.0", "Ann", page="https://example.org/waves")
    assert (named.author, named.source_url) == ("Ann", "https://example.org/waves")
    nobody = await imported(settings, media, "CC-BY-4.0", "Unknown")
    assert (nobody.author, nobody.note) == (None, "The source names no author.")
    assert (await imported(settings, media, "CC0-1.0")).author is None
    limited = await imported(
        settings,
        media,
        "permission",
        until=ENDS,
        only_for=("derivative",),
        only_on=("youtube",),
        replaces=" A new deal. ",
    )
    assert (limited.expires_at, limited.uses, limited.platforms) == (ENDS, ("derivative",), ("youtube",))
    assert limited.replaces == "A new deal."


async def test_a_posted_file_says_what_was_changed(settings_of: SettingsOf, media: str) -> None:
    """If it fails, another's work that a person edited goes out as if it were unaltered."""
    rights = RightsRecord(licence="CC-BY-4.0", author="Ann")
    settings = settings_of("outside")
    plain = await post_video(settings, Path(media), platform="youtube", rights=rights)
    cut = await post_video(settings, Path(media), platform="youtube", rights=rights, changes=("cut",))
    assert isinstance(plain, PostRequested)
    assert isinstance(cut, PostRequested)
    assert plain.rights.changes == ()
    assert "Changes made" not in plain.description
    assert cut.description.endswith("Changes made: cut.")
