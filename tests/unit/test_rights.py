"""Rights: what each licence allows, where it may go, and how licences are read from what sources write."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.editor.rights import settled
from actors.publisher.draft import make_draft
from actors.publisher.schedule import keeps
from contracts.errors import Reject
from contracts.events import Destination, PostRequested
from contracts.ids import ItemId, ObjectKey
from contracts.platform import Limits, Privacy
from contracts.rights import (
    LICENCES,
    USES,
    Outlet,
    RightsRecord,
    Use,
    attribution_text,
    licence_from_url,
    may,
    may_all,
    outlet_of,
    parse_licence,
    same_terms,
    superseding,
    uses_of,
    weakened,
    works_in,
)

AT: Final = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
ATTESTED: Final[dict[str, Any]] = {"attested_by": "kim", "attested_at": AT, "attestation": "I filmed it."}

OUTLETS: Final[dict[str, Outlet | None]] = {
    "kept": None,
    "private": Outlet(platform="youtube", public=False, text_bytes=5000),
    "public": Outlet(platform="youtube", text_bytes=5000),
    "wordless": Outlet(platform="elsewhere", text_bytes=20),
}
SHAPES: Final = ("kept", "private", "public", "public unaltered", "wordless")
# Columns: download, derivative, commercial; then share: kept here, private, public, public and unaltered, and where a
# post has no room for words. `-` is refused. Written from the deeds and licence pages, not from the code.
FREE: Final = "yyy yyyyy"
TABLE: Final = {
    "CC0-1.0": FREE,
    "PDM-1.0": FREE,
    "CC-PDDC": FREE,
    "public-domain": FREE,
    "owned": FREE,
    "permission": FREE,
    "pexels": "yyy yyy--",
    "pixabay": "yyy yyy--",
    "CC-Sampling-1.0": "--- -----",
    "CC-Sampling+-1.0": "--- -----",
    "CC-NC-Sampling+-1.0": "--- -----",
    "unknown": "--- -----",
    "youtube": "--- -----",
    "": "--- -----",
    **{f"CC-BY-{version}": "yyy yyyy-" for version in ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")},
    **{f"CC-BY-SA-{version}": "yyy yyyy-" for version in ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")},
    **{f"CC-BY-NC-{version}": "yy- yyyy-" for version in ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")},
    **{f"CC-BY-NC-SA-{version}": "yy- yyyy-" for version in ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")},
    **{f"CC-BY-ND-{version}": "y-y yyyy-" for version in ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")},
    **{f"CC-BY-NC-ND-{version}": "y-- yyyy-" for version in ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")},
    "CC-SA-1.0": "yyy yyyy-",
    "CC-NC-1.0": "yy- yyyyy",
    "CC-ND-1.0": "y-y yyyyy",
    "CC-NC-SA-1.0": "yy- yyyy-",
    "CC-NC-ND-1.0": "y-- yyyyy",
}


def record(licence: str, **given: Any) -> RightsRecord:
    attested = ATTESTED if licence in {"owned", "permission"} else {}
    return RightsRecord(licence=licence, read_at=AT, **{**attested, **given})


def allowed(one: RightsRecord, shape: str, use: Use) -> bool:
    if shape.endswith("unaltered"):
        one = replace(one, changes=())
    return may(use, one, at=AT, to=OUTLETS[shape.split(maxsplit=1)[0]]).allowed


def test_the_table_names_every_licence() -> None:
    """If it fails, a licence was added whose uses nobody wrote down."""
    assert TABLE.keys() - {"youtube", ""} == LICENCES.keys()


@pytest.mark.parametrize("licence", TABLE)
def test_each_licence_allows_what_its_deed_says(licence: str) -> None:
    """If it fails, a video is made, earned with or posted against its licence, or a lawful one is refused."""
    uses, shares = TABLE[licence].split()
    for shape, (use, mark) in product(SHAPES, zip(USES[:3], uses, strict=True)):
        assert allowed(record(licence), shape, use) is (mark == "y"), (shape, use)
    for shape, mark in zip(SHAPES, shares, strict=True):
        assert allowed(record(licence), shape, "share") is (mark == "y"), shape
    assert all(may(use, record(licence), at=AT, to=to).because for use in USES for to in OUTLETS.values())


@pytest.mark.parametrize("licence", TABLE)
@pytest.mark.parametrize("monetised", [True, False])
def test_what_a_channel_may_make_of_each(licence: str, monetised: bool) -> None:  # noqa: FBT001
    """If it fails, a channel that earns money uses NC works, or one that does not cannot."""
    uses = TABLE[licence]
    wanted = uses[0] + uses[1] + uses[2] * monetised
    for shape, mark in zip(SHAPES, uses.split()[1], strict=True):
        one = replace(record(licence), changes=()) if shape.endswith("unaltered") else record(licence)
        verdict = may_all(uses_of(monetised=monetised), one, at=AT, to=OUTLETS[shape.split()[0]])
        assert verdict.allowed is ("-" not in wanted + mark), shape


def test_no_record_allows_nothing() -> None:
    """If it fails, media without any rights record is used."""
    assert not any(may(use, None, at=AT).allowed for use in USES)


@pytest.mark.parametrize("licence", ["owned", "permission"])
@pytest.mark.parametrize(
    ("by", "words"), [(None, ""), ("kim", ""), ("kim", "   "), (None, "I filmed it."), ("", "I filmed it.")]
)
def test_own_work_needs_a_whole_attestation(licence: str, by: str | None, words: str) -> None:
    """If it fails, anybody's video becomes `owned` by saying nothing."""
    one = RightsRecord(licence=licence, attested_by=by, attestation=words)
    assert not any(may(use, one, at=AT).allowed for use in USES)
    assert "attestation" in may("download", one, at=AT).because


@pytest.mark.parametrize("licence", ["CC-BY-4.0", "owned"])
def test_a_permission_ends_at_its_moment(licence: str) -> None:
    """If it fails, media is used after the permission ran out, or refused before."""
    one = RightsRecord(licence=licence, attested_by="kim", attestation="Agreed by mail.", expires_at=AT)
    assert may("derivative", one, at=AT - timedelta(microseconds=1)).allowed
    verdict = may("derivative", one, at=AT)
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
    "https://creativecommons.org/licenses/by-sa/3.0/de/": "CC-BY-SA-3.0",
    "https://creativecommons.org/licenses/by-sa/3.0/de/deed.de": "CC-BY-SA-3.0",
    "https://creativecommons.org/licenses/by/3.0/igo/legalcode": "CC-BY-3.0",
    "https://creativecommons.org/licenses/by/2.0/uk/": "CC-BY-2.0",
    "https://creativecommons.org/licenses/by/2.5/scotland/": "CC-BY-2.5",
    "https://creativecommons.org/licenses/by-sa/2.1/jp/": "CC-BY-SA-2.1",
    "https://creativecommons.org/licenses/by-sa/2.1/": "unknown",
    "https://creativecommons.org/licenses/by/4.0/deed.en": "CC-BY-4.0",
    "https://creativecommons.org/licenses/by-nd-nc/1.0/": "CC-BY-NC-ND-1.0",
    "https://creativecommons.org/licenses/by-nc-nd/1.0/": "CC-BY-NC-ND-1.0",
    "https://creativecommons.org/licenses/nd-nc/1.0/": "CC-NC-ND-1.0",
    "https://creativecommons.org/licenses/sa/1.0/": "CC-SA-1.0",
    "https://creativecommons.org/licenses/sa/4.0/": "unknown",
    "http://creativecommons.org/licenses/publicdomain/": "CC-PDDC",
    "https://creativecommons.org/publicdomain/certification/1.0/us/": "CC-PDDC",
    "https://creativecommons.org/licenses/sampling+/1.0/": "CC-Sampling+-1.0",
    "https://creativecommons.org/licenses/nc-sampling+/1.0/": "CC-NC-Sampling+-1.0",
    "https://creativecommons.org/licenses/devnations/2.0/": "unknown",
    "https://creativecommons.org/licenses/GPL/2.0/": "unknown",
    "https://creativecommons.org/licenses/by-by/4.0/": "unknown",
    "https://creativecommons.org/licenses/by/9.0/": "unknown",
    "https://www.pexels.com/license/": "pexels",
    "https://pixabay.com/service/license-summary/": "pixabay",
    "https://example.org/www.pexels.com/license/": "unknown",
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
    "cc-by-sa-4.0,3.0,2.5,2.0,1.0": "CC-BY-SA-4.0",
    "CC BY 4.0 for the pictures only": "unknown",
    # As YouTube's status.license has it: version 3.0 there.
    "creativeCommon": "CC-BY-3.0",
    # As the stock platforms name theirs.
    "Pexels License": "pexels",
    "Pixabay Content License": "pixabay",
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
    assert parse_licence(found.title) == found.id


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


DIVE: Final = RightsRecord(
    licence="CC-BY-4.0", title="Dive", author="Ana", source_url="https://archive.org/details/dive"
)


def test_attribution_names_title_author_source_licence_and_changes() -> None:
    """If it fails, posts break the one condition of CC BY."""
    assert attribution_text(replace(DIVE, changes=("cropped", "captioned"))) == (
        '"Dive" by Ana (https://archive.org/details/dive), CC BY 4.0 https://creativecommons.org/licenses/by/4.0/.'
        " Changes made: cropped, captioned."
    )
    assert "Changes" not in attribution_text(DIVE)
    assert "Changes" not in attribution_text(replace(DIVE, changes=()))
    assert "unknown author" in attribution_text(RightsRecord(licence="CC-BY-4.0", title="Dive"))


@pytest.mark.parametrize("licence", ["owned", "unknown", "public-domain", "CC0-1.0"])
def test_no_credit_line_where_none_is_owed(licence: str) -> None:
    """If it fails, own work is posted with a credit to 'unknown author'."""
    assert attribution_text(RightsRecord(licence=licence, title="Dive")) == ""


def test_a_known_author_is_credited_even_where_not_owed() -> None:
    """If it fails, the makers of public domain works go unnamed."""
    assert "Ana" in attribution_text(RightsRecord(licence="CC0-1.0", title="Dive", author="Ana"))


def test_a_title_cannot_write_a_credit_of_its_own() -> None:
    """If it fails, a title with a line break claims a licence, or a credit is added twice because it was cleaned."""
    text = attribution_text(replace(DIVE, title="Dive\n\n\x00CC0 <b>", author="A\u0308na"))
    assert text.startswith('"Dive CC0 ‹b›" by Äna (')
    assert "\n" not in text


def test_credits_follow_the_version_of_the_licence() -> None:
    """If it fails, works under older versions are used without the title, or the word of use, that those ask for."""
    made = replace(DIVE, changes=("cropped",))
    assert attribution_text(replace(made, licence="CC-BY-3.0")).startswith('Adapted from "Dive" by Ana')
    assert attribution_text(made).startswith('"Dive" by Ana')
    assert attribution_text(replace(made, licence="CC-BY-2.0", title="")).startswith('Adapted from "Untitled" by Ana')
    assert attribution_text(replace(made, title="")).startswith("A work by Ana")


def test_a_ported_licence_is_named_by_its_own_address() -> None:
    """If it fails, a post links a licence that its author did not give."""
    ported = replace(
        DIVE, licence="CC-BY-SA-3.0", proof="LicenseUrl: http://creativecommons.org/licenses/by-sa/3.0/de/deed.en"
    )
    assert attribution_text(ported).count("https://creativecommons.org/licenses/by-sa/3.0/de/") == 2
    # The words of a source cannot name another licence than the record does.
    assert "/de/" not in attribution_text(replace(ported, licence="CC-BY-3.0"))


def test_share_alike_puts_the_result_under_the_same_licence() -> None:
    """If it fails, a video of a share-alike work goes out without its licence."""
    text = attribution_text(replace(DIVE, licence="CC-BY-SA-2.5"))
    assert text.endswith("shared under the same licence: CC BY-SA 2.5 https://creativecommons.org/licenses/by-sa/2.5/")
    mixed = replace(DIVE, licence="CC-BY-SA-2.5", parts=(replace(DIVE, licence="CC-BY-SA-4.0", title="Reef"),))
    assert attribution_text(mixed).endswith("https://creativecommons.org/licenses/by-sa/4.0/")


def test_every_work_in_a_video_is_credited_once() -> None:
    """If it fails, the music of a video goes uncredited, or its narration is credited to whoever filmed it."""
    music = RightsRecord(licence="CC-BY-3.0", title="Tune", author="Bo", changes=("used as background music",))
    narration = replace(DIVE, note="Narration", changes=("heard as narration",))
    lines = attribution_text(replace(DIVE, changes=("cropped",), parts=(narration, music))).split("\n")
    assert [line.split(" by ")[0] for line in lines] == ['"Dive"', 'Adapted from "Tune"']
    assert "cropped" in lines[0]


def test_stock_platforms_are_credited_as_their_guidelines_ask() -> None:
    """If it fails, the API of Pexels or Pixabay is used without the link that it asks for."""
    text = attribution_text(RightsRecord(licence="pexels", author="Jo", source_url="https://www.pexels.com/video/1/"))
    assert text == "A work by Jo (https://www.pexels.com/video/1/), Pexels License https://www.pexels.com/license/."


# Which works may lie in one video: source, other, together.
MIXES: Final = [
    ("CC-BY-SA-4.0", "CC-BY-SA-4.0", True),
    ("CC-BY-SA-3.0", "CC-BY-SA-4.0", True),  # from 2.0 on: this version or a later one
    ("CC-BY-SA-1.0", "CC-BY-SA-4.0", False),  # 1.0: this version alone
    ("CC-BY-SA-1.0", "CC-BY-SA-1.0", True),
    ("CC-BY-SA-4.0", "CC-BY-4.0", True),
    ("CC-BY-SA-4.0", "CC0-1.0", True),
    ("CC-BY-SA-4.0", "owned", True),
    ("CC-BY-SA-4.0", "permission", False),
    ("CC-BY-SA-4.0", "pexels", False),
    ("CC-BY-SA-4.0", "CC-BY-NC-4.0", False),
    ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", False),
    ("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", True),
    ("CC-BY-NC-SA-4.0", "CC-BY-4.0", True),
    ("CC-BY-4.0", "pixabay", True),
    ("permission", "CC-BY-4.0", True),
]


@pytest.mark.parametrize(("one", "other", "together"), MIXES)
def test_share_alike_decides_what_may_be_mixed(one: str, other: str, together: bool) -> None:  # noqa: FBT001
    """If it fails, a video is shared under no licence that all of its works allow."""
    for first, second in ((one, other), (other, one)):
        mixed = replace(record(first), parts=(record(second),))
        assert may("derivative", mixed, at=AT).allowed is together
        assert may("share", mixed, at=AT, to=OUTLETS["public"]).allowed is together


def test_a_permission_may_be_limited() -> None:
    """If it fails, a permission for one use or one platform is taken for all of them."""
    agreed = record("permission", uses=("derivative", "share"), platforms=("youtube",))
    youtube, elsewhere = Outlet(platform="youtube"), Outlet(platform="tiktok", public=False)
    assert may_all(("download", "derivative", "share"), agreed, at=AT, to=youtube).allowed
    assert not may("commercial", agreed, at=AT, to=youtube).allowed
    assert "youtube" in may("derivative", agreed, at=AT, to=elsewhere).because
    assert may("derivative", agreed, at=AT).allowed
    assert not may("download", replace(agreed, uses=()), at=AT).allowed


RECORDS: Final = st.builds(
    RightsRecord,
    licence=st.sampled_from([*LICENCES, "nonsense"]),
    author=st.sampled_from([None, "Ana"]),
    attested_by=st.sampled_from([None, " ", "kim"]),
    attestation=st.sampled_from(["", "I filmed it."]),
    expires_at=st.sampled_from([None, AT - timedelta(days=1), AT + timedelta(days=1)]),
    uses=st.none() | st.lists(st.sampled_from(USES), unique=True).map(tuple),
    platforms=st.none() | st.lists(st.sampled_from(["youtube", "tiktok"]), unique=True).map(tuple),
    changes=st.sampled_from([None, (), ("cropped",)]),
)
PLACES: Final = st.none() | st.builds(
    Outlet,
    platform=st.sampled_from(["youtube", "tiktok"]),
    public=st.booleans(),
    text_bytes=st.sampled_from([None, 0, 100, 5000]),
)


@given(RECORDS, RECORDS, PLACES, st.sampled_from(USES))
def test_nothing_that_is_added_allows_more(one: RightsRecord, other: RightsRecord, to: Outlet | None, use: Use) -> None:
    """If it fails, another work, a limit, an end or a destination makes a refused use possible."""
    if may(use, one, at=AT, to=to).allowed:
        return
    assert not may(use, replace(one, parts=(other,)), at=AT, to=to).allowed
    assert not may(use, replace(other, parts=(replace(other, parts=(one,)),)), at=AT, to=to).allowed
    assert not may(
        use, replace(one, uses=("download",) if one.uses is None else one.uses, platforms=()), at=AT, to=to
    ).allowed
    assert not may(use, one, at=AT + timedelta(days=365), to=to).allowed
    if to is None:
        assert not may(use, one, at=AT, to=OUTLETS["public"]).allowed


DESTINATIONS: Final = st.builds(
    Destination,
    platform=st.sampled_from(["youtube", "tiktok", "bluesky"]),
    privacy=st.sampled_from(get_args(Privacy)),
    publish_at=st.sampled_from(
        [None, AT - timedelta(days=1), AT, AT + timedelta(microseconds=1), AT + timedelta(days=9)]
    ),
    at_slot=st.booleans(),
)


@given(DESTINATIONS)
def test_an_outlet_is_public_where_others_may_see_the_post(to: Destination) -> None:
    """If it fails, a private video is held to the rules of public ones, or a public one is not."""
    request = PostRequested(
        item_id=ItemId("i"), key=ObjectKey("k"), rights=record("owned", title="Reef"), destination=to
    )
    draft = make_draft(request, limits=Limits(), now=AT)
    outlet = outlet_of(to)
    assert outlet is not None
    # What a platform gets: how the post begins, and whether a time shows it later.
    assert outlet.public is (draft.privacy != "private" or draft.publish_at is not None)
    kept = keeps(to.platform, to)
    assert not kept or outlet.public, "a platform makes public what it keeps"


@pytest.mark.parametrize("publish_at", [None, AT - timedelta(hours=1), AT + timedelta(hours=1)])
@pytest.mark.parametrize("at_slot", [False, True])
def test_a_time_makes_nothing_public(publish_at: datetime | None, at_slot: bool) -> None:  # noqa: FBT001
    """If it fails, a private post of a work that needs words or a change is refused because it has a time."""
    stock = replace(record("pixabay"), changes=())
    seen_by_all: dict[Privacy, bool] = {"private": False, "unlisted": True, "public": True}
    for privacy, public in seen_by_all.items():
        to = outlet_of(Destination(platform="youtube", privacy=privacy, publish_at=publish_at, at_slot=at_slot))
        assert may("share", stock, at=AT, to=to).allowed is not public, privacy
    assert outlet_of(None) is None


@given(RECORDS, RECORDS, PLACES, st.sampled_from(USES))
def test_a_record_that_is_not_weaker_allows_no_more(
    before: RightsRecord, after: RightsRecord, to: Outlet | None, use: Use
) -> None:
    """If it fails, a file that comes in again under another licence may be used in a way that was refused before."""
    whole = replace(before, attested_by="kim", attestation="I filmed it.", changes=None)
    if whole.expires_at and whole.expires_at <= AT:
        return
    if not weakened(whole, after) and may(use, replace(after, changes=None), at=AT, to=to).allowed:
        assert may(use, whole, at=AT, to=to).allowed


def test_a_record_keeps_those_that_it_took_the_place_of() -> None:
    """If it fails, nobody can see that a file came in under another licence before."""
    first, second, third = record("CC-BY-4.0"), record("CC-BY-SA-4.0"), record("CC-BY-NC-4.0")
    last = superseding(superseding(first, second), third)
    assert [one.licence for one in last.earlier] == ["CC-BY-4.0", "CC-BY-SA-4.0"]
    assert not any(one.earlier for one in last.earlier)
    assert same_terms(last, third)
    assert not same_terms(last, second)
    assert works_in(last) == (last,)
    own = superseding(first, superseding(second, replace(third, earlier=(record("CC0-1.0"), second))))
    assert [one.licence for one in own.earlier] == ["CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0"]
    assert superseding(own, replace(own, read_at=AT, earlier=())).earlier == own.earlier


OWNED: Final = record("owned", author=None)
NC: Final = record("CC-BY-NC-4.0")


def test_all_that_is_known_of_a_file_counts() -> None:
    """If it fails, one lax record of a file hides a stricter one, and what it replaced is forgotten."""
    for known in ([OWNED, NC], [NC, OWNED], [OWNED, replace(OWNED, parts=(NC,))]):
        with pytest.raises(Reject, match=r"known here under 'CC-BY-NC-4.0'.*commercial use.*credit"):
            settled(known, OWNED, refuse_weaker=True)
    assert settled([OWNED, OWNED], OWNED, refuse_weaker=True) == OWNED
    whole = replace(OWNED, parts=(NC,))
    assert settled([NC], whole, refuse_weaker=True).licence == "owned", "its credit and its limits stand in a part"

    said = replace(OWNED, replaces="Ann is my stage name.")
    by = record("CC-BY-4.0")
    first = settled([by, NC], said, refuse_weaker=True)
    assert first.earlier == (by, NC)
    assert settled([first, NC], OWNED, refuse_weaker=True) == first, "it was explained, and says the same"
    older = replace(OWNED, earlier=(by,))
    assert settled([older, NC], said, refuse_weaker=True).earlier == (by, NC)


DOCS: Final = Path(__file__).parents[2] / "docs" / "rights.md"
BEGIN, END = "<!-- table: made by tests/unit/test_rights.py -->\n", "<!-- end of table -->"


def page_table() -> str:
    """Return the table of docs/rights.md, made from what the policy says; versions that say the same share a row."""
    places = (OUTLETS["private"], OUTLETS["public"], OUTLETS["public"])
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for licence in LICENCES.values():
        one = record(licence.id, changes=("cropped",))
        said = [may("derivative", one, at=AT), may("commercial", one, at=AT)]
        said += [
            may("share", replace(one, changes=changes), at=AT, to=to)
            for to, changes in zip(places, (("cropped",), ("cropped",), ()), strict=True)
        ]
        credit = "owed" if licence.attribution else "given" if licence.credited else "where the author is known"
        owed = "none" if licence.id in {"owned", "unknown"} or licence.bars else credit
        alike = "yes" if licence.share_alike else ""
        cells = (*("yes" if verdict.allowed else "no" for verdict in said), owed, alike)
        name = licence.title.removesuffix(f" {licence.version}") if licence.version else licence.title
        rows.setdefault((name, cells), []).append(licence.version)
    lines = ["| licence | edit | earn | upload, private | public | public, unaltered | credit | same licence |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for (name, cells), versions in rows.items():
        span = f" {versions[0]} to {versions[-1]}" if len(versions) > 1 else f" {versions[0]}".rstrip()
        lines.append(f"| {name}{span} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_page_shows_what_the_policy_says() -> None:
    """If it fails, docs/rights.md promises something else than the code does. ETT_WRITE_GOLDEN=1 writes it anew."""
    text = DOCS.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END, 1)[1]
    wanted = f"{before}{BEGIN}\n{page_table()}\n{END}{after}"
    if os.environ.get("ETT_WRITE_GOLDEN"):
        DOCS.write_text(wanted, encoding="utf-8")
    assert DOCS.read_text(encoding="utf-8") == wanted
