"""Rights: what each licence allows, and how licences are read from what sources write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from contracts.rights import (
    LICENCES,
    RightsRecord,
    Use,
    attribution_text,
    licence_from_url,
    may,
    parse_licence,
)

AT: Final = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
USES: Final[tuple[Use, ...]] = ("download", "derivative", "commercial")

ALL: Final = {"download", "derivative", "commercial"}
POLICY: Final[dict[str, set[str]]] = {
    "CC0-1.0": ALL,
    "PDM-1.0": ALL,
    "public-domain": ALL,
    "CC-BY-4.0": ALL,
    "CC-BY-3.0": ALL,
    "CC-BY-SA-4.0": ALL,
    "CC-BY-NC-4.0": {"download", "derivative"},
    "CC-BY-NC-SA-2.5": {"download", "derivative"},
    "CC-BY-ND-4.0": {"download", "commercial"},
    "CC-BY-NC-ND-1.0": {"download"},
    "unknown": set(),
    "owned": set(),
    "permission": set(),
    "youtube": set(),
    "": set(),
}
"""Allowed uses of a record that says nothing but the licence. Source: licence deeds, creativecommons.org."""


@pytest.mark.parametrize("licence", POLICY)
def test_each_licence_allows_what_its_deed_says(licence: str) -> None:
    """If it fails, a video is made or earned with against its licence, or a lawful one is refused."""
    record = RightsRecord(licence=licence, read_at=AT)
    assert {use for use in USES if may(use, record, at=AT).allowed} == POLICY[licence]
    assert all(may(use, record, at=AT).because for use in USES)


def test_no_record_allows_nothing() -> None:
    """If it fails, media without any rights record is used."""
    assert not any(may(use, None, at=AT).allowed for use in USES)


def test_every_licence_but_unknown_and_attested_ones_may_be_downloaded() -> None:
    """If it fails, a licence was added that can never be used, or unknown media is fetched."""
    for name, licence in LICENCES.items():
        allowed = may("download", RightsRecord(licence=name), at=AT).allowed
        assert allowed is not (name == "unknown" or licence.attested), name


@pytest.mark.parametrize("licence", ["owned", "permission"])
@pytest.mark.parametrize(
    ("by", "words"), [(None, ""), ("kim", ""), ("kim", "   "), (None, "I filmed it."), ("", "I filmed it.")]
)
def test_own_work_needs_a_whole_attestation(licence: str, by: str | None, words: str) -> None:
    """If it fails, anybody's video becomes `owned` by saying nothing."""
    record = RightsRecord(licence=licence, attested_by=by, attestation=words)
    assert not any(may(use, record, at=AT).allowed for use in USES)
    assert "attestation" in may("download", record, at=AT).because


@pytest.mark.parametrize("licence", ["owned", "permission"])
def test_attested_work_may_be_used(licence: str) -> None:
    """If it fails, a person cannot post their own video."""
    record = RightsRecord(licence=licence, attested_by="kim", attested_at=AT, attestation="I filmed it.")
    assert all(may(use, record, at=AT).allowed for use in USES)


@pytest.mark.parametrize("licence", ["CC-BY-4.0", "owned"])
def test_a_permission_ends_at_its_moment(licence: str) -> None:
    """If it fails, media is used after the permission ran out, or refused before."""
    record = RightsRecord(licence=licence, attested_by="kim", attestation="Agreed by mail.", expires_at=AT)
    assert may("derivative", record, at=AT - timedelta(microseconds=1)).allowed
    verdict = may("derivative", record, at=AT)
    assert not verdict.allowed
    assert "2026-11-23" in verdict.because


SPELLINGS: Final = {
    # As the Internet Archive's `licenseurl` has them.
    "https://creativecommons.org/licenses/by/4.0/": "CC-BY-4.0",
    "http://creativecommons.org/licenses/by-nc-sa/3.0/us/": "CC-BY-NC-SA-3.0",
    "https://creativecommons.org/licenses/by-sa/4.0": "CC-BY-SA-4.0",
    "HTTP://CREATIVECOMMONS.ORG/licenses/BY-NC-ND/2.5/": "CC-BY-NC-ND-2.5",
    "http://creativecommons.org/publicdomain/zero/1.0/": "CC0-1.0",
    "https://creativecommons.org/publicdomain/mark/1.0/": "PDM-1.0",
    "http://creativecommons.org/licenses/publicdomain/": "unknown",
    "https://creativecommons.org/licenses/sampling+/1.0/": "unknown",
    "https://creativecommons.org/licenses/by/9.0/": "unknown",
    # As Commons' LicenseShortName, License and UsageTerms have them.
    "CC BY-SA 4.0": "CC-BY-SA-4.0",
    "CC BY 3.0": "CC-BY-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-2.0": "CC-BY-2.0",
    "CC0": "CC0-1.0",
    "cc0": "CC0-1.0",
    "pd": "public-domain",
    "Public domain": "public-domain",
    "CC BY-SA 3.0 de": "CC-BY-SA-3.0",
    "GFDL": "unknown",
    "FAL": "unknown",
    # As people type them.
    "CC-BY-4.0": "CC-BY-4.0",
    " cc by-nc 4.0 ": "CC-BY-NC-4.0",
    "CC BY-NC-ND 4.0": "CC-BY-NC-ND-4.0",
    "CC BY-NC-SA 4.0": "CC-BY-NC-SA-4.0",
    "owned": "owned",
    "own work": "owned",
    "mine": "owned",
    "permission": "permission",
    # What names no version, or only sounds like a licence.
    "CC BY": "unknown",
    "creativeCommon": "unknown",
    "All rights reserved": "unknown",
    "fair use": "unknown",
    "free": "unknown",
    "": "unknown",
    "not CC BY 4.0": "unknown",
}


@pytest.mark.parametrize(("text", "licence"), SPELLINGS.items())
def test_licences_are_read_as_they_are_written(text: str, licence: str) -> None:
    """If it fails, a usable work is passed over, or worse, an unusable one is used."""
    assert parse_licence(text) == licence


@pytest.mark.parametrize(
    "licence", [licence for licence in LICENCES.values() if licence.url], ids=lambda licence: licence.id
)
def test_every_canonical_address_reads_back(licence: object) -> None:
    """If it fails, a licence cannot be recognised by the address that its own record names."""
    found = next(known for known in LICENCES.values() if known == licence)
    assert licence_from_url(str(found.url)) == found.id
    assert parse_licence(found.title) == found.id or found.id == "PDM-1.0"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?see=creativecommons.org/licenses/by/4.0/",
        "https://notcreativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org.evil.example/licenses/by/4.0/",
        "ftp://creativecommons.org/licenses/by/4.0/",
    ],
)
def test_only_creative_commons_own_addresses_count(url: str) -> None:
    """If it fails, an address that merely contains the words gives a licence that nobody granted."""
    assert licence_from_url(url) == "unknown"
    assert parse_licence(url) == "unknown"


def test_attribution_names_title_author_source_and_licence() -> None:
    """If it fails, posts break the one condition of CC BY."""
    record = RightsRecord(
        licence="CC-BY-4.0", title="Dive", author="Ana", source_url="https://archive.org/details/dive"
    )
    text = attribution_text(record)
    for part in (
        "Dive",
        "Ana",
        "https://archive.org/details/dive",
        "CC BY 4.0",
        "creativecommons.org/licenses/by/4.0/",
        "Edited",
    ):
        assert part in text
    assert "unknown author" in attribution_text(RightsRecord(licence="CC-BY-4.0", title="Dive"))


@pytest.mark.parametrize("licence", ["owned", "unknown", "public-domain", "CC0-1.0"])
def test_no_credit_line_where_none_is_owed(licence: str) -> None:
    """If it fails, own work is posted with a credit to 'unknown author'."""
    assert attribution_text(RightsRecord(licence=licence, title="Dive")) == ""


def test_a_known_author_is_credited_even_where_not_owed() -> None:
    """If it fails, the makers of public domain works go unnamed."""
    assert "Ana" in attribution_text(RightsRecord(licence="CC0-1.0", title="Dive", author="Ana"))
