"""What is stored of a Bluesky post, the sign-in against the sandbox, and what odd answers mean."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms._bluesky.posts import NOT_TOLD, parse_counts, parse_job, parse_standing
from actors.platforms._bluesky.record import caption_file, facets_of, post_record, record_key
from actors.platforms._bluesky.session import SIGN_IN, denied, refusal
from actors.runtime.clock import Clock
from actors.runtime.http import Http, Response, open_http
from actors.runtime.oauth import GrantGone, TokenSet
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Draft
from deploy.sandbox import SandboxSettings, api_urls, running
from tests.unit.platforms.drift import drifted

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POST = {"uri": "at://did:plc:a/app.bsky.feed.post/3k", "replyCount": 3, "repostCount": 20, "likeCount": 90,
        "quoteCount": 2, "bookmarkCount": 4, "labels": []}  # fmt: skip
DRAFT = Draft(marker="ett1", title="A squid", description="", caption="A squid", privacy="public")


def answered(status: int, body: bytes, **headers: str) -> Response:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(status=status, headers=CIMultiDictProxy(named), body=body, url="https://bsky.social")


def shown(text: str) -> list[tuple[str, str]]:
    """Return what each facet covers, and what it says."""
    whole = text.encode()
    return [
        (
            whole[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode(),
            facet["features"][0].get("uri") or facet["features"][0]["tag"],
        )
        for facet in facets_of(text)
    ]


@pytest.mark.parametrize(
    ("text", "facets"),
    [
        ("🦑 https://a.example/x, more", [("https://a.example/x", "https://a.example/x")]),
        ("(see https://a.example/b_(c))", [("https://a.example/b_(c)", "https://a.example/b_(c)")]),
        ("#Tiefsee, #深海! #", [("#Tiefsee", "Tiefsee"), ("#深海", "深海")]),
        ("https://a.example/#part #tag", [("https://a.example/#part", "https://a.example/#part"), ("#tag", "tag")]),
        ("no#tag me@https://a.example #1 #2026 #a1", [("#a1", "a1")]),
        ("#" + "x" * 65, []),
        ("http://", []),
        ("", []),
    ],
)
def test_links_and_hashtags_are_found_in_bytes(text: str, facets: list[tuple[str, str]]) -> None:
    """A facet that is off by a byte makes a link of half a character, and the record is refused."""
    assert shown(text) == facets


@given(st.text(max_size=200))
def test_facets_never_overlap_and_cut_no_character(text: str) -> None:
    """Any text must give a record that the server takes."""
    spans = [(one["index"]["byteStart"], one["index"]["byteEnd"]) for one in facets_of(text)]
    assert all(a < b for a, b in spans)
    assert all(b <= c for (_, b), (c, _) in pairwise(spans))
    for first, last in spans:
        text.encode()[first:last].decode()


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_record_keys_have_the_form_and_the_order_of_time(first_us: int, more_us: int) -> None:
    """A key of another form is refused; one that sorts wrongly shows the post in the wrong place."""
    keys = [record_key(AT + timedelta(microseconds=us), marker="m") for us in (first_us, first_us + more_us)]
    assert keys == sorted(keys)
    assert keys[0] != keys[1]
    for key in keys:
        assert len(key) == 13
        assert set(key) <= set("234567abcdefghijklmnopqrstuvwxyz")
        assert key[0] in "234567abcdefghij"


def test_record_key_is_the_one_of_the_specification() -> None:
    """A key that decodes to another moment is no timestamp identifier."""
    alphabet = "234567abcdefghijklmnopqrstuvwxyz"
    number = 0
    for char in record_key(AT, marker="m"):
        number = number * 32 + alphabet.index(char)
    assert number >> 10 == int(AT.timestamp()) * 1_000_000
    assert record_key(AT, marker="m") != record_key(AT, marker="n")


def test_a_record_without_extras_has_none() -> None:
    """Empty fields are refused by the lexicon."""
    record = post_record(DRAFT, created_at="2026-11-23T12:00:00.000Z", video={"ref": 1}, captions=None)
    assert record == {
        "$type": "app.bsky.feed.post",
        "text": "A squid",
        "createdAt": "2026-11-23T12:00:00.000Z",
        "embed": {"$type": "app.bsky.embed.video", "video": {"ref": 1}, "alt": "A squid"},
    }


def test_captions_become_vtt_or_are_left_out() -> None:
    """A file that Bluesky does not take would hold up the post."""
    line = "1\n00:00:01,000 --> 00:00:02,000\nThe sea\n\n"
    made = caption_file(line)
    assert made is not None
    assert made.startswith(b"WEBVTT")
    assert caption_file("") is None
    assert caption_file("nothing of the kind") is None
    assert caption_file("".join(f"{n}\n00:00:01,000 --> 00:00:02,000\n{'x' * 90}\n\n" for n in range(1, 300))) is None


def test_odd_answers_have_counts_or_reasons() -> None:
    """A count that changes its type overnight must not end as a fault of the product, nor as zero."""
    whole = parse_counts(POST)
    assert (whole.likes, whole.comments, whole.shares, whole.saves) == (90, 3, 22, 4)
    assert set(whole.absent) == set(NOT_TOLD)
    for words, variant in drifted(POST):
        metrics = parse_counts(variant)
        for name in ("likes", "comments", "shares", "saves"):
            assert (getattr(metrics, name) is None) == (name in metrics.absent), words
        assert parse_standing(variant).state in {"stands", "blocked"}, words


def test_a_label_that_hides_is_a_block() -> None:
    """A post that nobody sees counts as standing."""
    assert parse_standing({**POST, "labels": [{"val": "!hide"}]}).state == "blocked"
    assert parse_standing({**POST, "labels": [{"val": "!hide", "neg": True}]}).state == "stands"
    assert parse_standing({**POST, "labels": [{"val": "spoiler"}]}).state == "stands"


def test_a_job_is_read_bare_or_nested() -> None:
    """The lexicon nests it, the documented sample does not."""
    job = {"jobId": "1", "state": "JOB_STATE_CREATED"}
    assert parse_job(job) == parse_job({"jobStatus": job}) == job
    assert parse_job(["x"]) == {}


@pytest.mark.parametrize(
    ("status", "body", "renewable"),
    [
        (400, b'{"error":"ExpiredToken","message":"Token has expired"}', True),
        (401, b"", True),
        (400, b'{"error":"AccountTakedown","message":"x"}', False),
        (400, b'{"error":"InvalidRequest","message":"x"}', None),
        (500, b'{"error":"ExpiredToken"}', None),
    ],
)
def test_the_end_of_a_session_is_told_from_a_refusal(status: int, body: bytes, renewable: Any) -> None:
    """A refusal that reads as a lost permission disconnects the account, and the other way round."""
    found = denied(answered(status, body))
    assert (None if found is None else found.renewable) is renewable


def test_patience_is_as_long_as_was_asked_for() -> None:
    """Bluesky names the moment in a header of its own."""
    until = AT + timedelta(minutes=9)
    found = refusal(answered(429, b"", ratelimit_reset=str(int(until.timestamp()))), AT)
    assert isinstance(found, RateLimited)
    assert found.until == until
    wild = refusal(answered(429, b"", ratelimit_reset="9" * 30), AT)
    assert isinstance(wild, RateLimited)
    assert wild.until == AT + timedelta(minutes=5)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[tuple[Http, Settings]]:
    async with running(tmp_path / "sandbox", settings=SandboxSettings()) as address:
        settings = Settings(data_dir=tmp_path, api_urls=api_urls(str(address)))
        async with open_http(settings, Clock()) as http:
            yield http, settings


TYPED = {"handle": "@creator.test", "password": "sandbox-bluesky", "server": ""}


async def test_an_account_signs_in_renews_and_leaves(there: tuple[Http, Settings]) -> None:
    """A session that cannot be renewed disconnects every account after two hours."""
    now = datetime.now(UTC)
    identity, tokens = await SIGN_IN.begin(*there, TYPED, now)
    assert (identity.account_id, identity.title) == ("bluesky:did:plc:creator", "@creator.test")
    assert tokens.kept == {"pds": "https://bsky.social"}
    fresh = await SIGN_IN.renew(*there, tokens, now)
    assert fresh.access_token != tokens.access_token
    assert fresh.kept == tokens.kept
    with pytest.raises(GrantGone):
        await SIGN_IN.renew(*there, tokens, now)
    assert SIGN_IN.end is not None
    await SIGN_IN.end(*there, fresh)
    with pytest.raises(GrantGone):
        await SIGN_IN.end(*there, fresh)


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({**TYPED, "password": "wrong"}, GrantGone),
        ({**TYPED, "handle": " "}, Reject),
        ({**TYPED, "server": "http://pds.example.org"}, Reject),
        ({**TYPED, "server": "a b"}, Reject),
    ],
)
async def test_a_mistyped_sign_in_says_what_to_do(
    there: tuple[Http, Settings], typed: dict[str, str], error: type[Exception]
) -> None:
    """A person stands before a form that does not say what is wrong."""
    with pytest.raises(error) as caught:
        await SIGN_IN.begin(*there, typed, datetime.now(UTC))
    assert "wrong" not in str(caught.value), "the password is in the text"


async def test_an_outage_ends_no_session(there: tuple[Http, Settings]) -> None:
    """A server that is down must not disconnect an account."""
    http, settings = there
    _, tokens = await SIGN_IN.begin(http, settings, TYPED, datetime.now(UTC))
    root = settings.api_urls["bluesky"].partition("/at/")[0]
    fault = {"where": "bluesky.refresh", "kind": "status", "status": 502}
    assert (await http.request("POST", f"{root}/sandbox/faults", json=fault)).status == 201
    with pytest.raises(Retry):
        await SIGN_IN.renew(http, settings, tokens, datetime.now(UTC))
    with pytest.raises(GrantGone):
        none = TokenSet(access_token="a", refresh_token=None, expires_at=AT)
        await SIGN_IN.renew(http, settings, none, datetime.now(UTC))
