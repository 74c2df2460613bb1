"""LinkedIn: no discovery, and said so; the words and parts of a post, its counts and LinkedIn's refusals."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms import module
from actors.platforms._linkedin.posts import (
    VERSION,
    author_of,
    body_of,
    fault,
    little_text,
    parse_metrics,
    parse_post,
    parse_standing,
    parse_statistic,
    path_of,
)
from actors.platforms.linkedin import CAPS, NEEDS, OAUTH, LinkedIn
from actors.runtime import oauth
from actors.runtime.http import Response
from actors.runtime.oauth import TokenSet
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Draft, PostMetrics
from tests.unit.platforms.adapters import adapter_at
from tests.unit.platforms.drift import drifted
from tests.unit.platforms.imitated import told

AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
DRAFT = Draft(marker="ett1", title="Reef", description="", caption="Reef (2) #deep_sea", privacy="public")
METADATA = {
    "reactionSummaries": {"LIKE": {"reactionType": "LIKE", "count": 5}, "PRAISE": {"count": 2}},
    "commentSummary": {"count": 3, "topLevelCount": 2},
}


async def test_it_pretends_no_discovery(tmp_path: Path) -> None:
    """An adapter that answers with an empty list hides that nobody was asked."""
    assert not any((CAPS.discover, CAPS.trends, CAPS.keyless, CAPS.account))
    assert "LinkedIn has no public endpoint that searches" in CAPS.cannot
    assert (CAPS.sees, CAPS.costs) == ("", "")
    assert all(need.optional for need in NEEDS), "nothing is needed for a discovery that there is not"
    async with adapter_at(LinkedIn, "http://127.0.0.1:9", tmp_path) as adapter:
        assert isinstance(adapter, module("linkedin").ADAPTER)  # type: ignore[arg-type]  # it is a class
        assert not any(hasattr(adapter, name) for name in ("discover", "trends"))


def test_the_end_of_a_permission_is_said_beforehand() -> None:
    """Posts that stop after 60 days for no visible reason look like a fault of the product."""
    assert "60 days" in CAPS.posting
    assert OAUTH.pkce == "none"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ("a_b (c) [d] {e} <f> *g* ~h~ @i |j \\k", r"a\_b \(c\) \[d\] \{e\} \<f\> \*g\* \~h\~ \@i \|j \\k"),
        ("#sea and #deep_sea", r"{hashtag|\#|sea} and {hashtag|\#|deep\_sea}"),
        ("C# 5#6 # alone https://a.org/x#part", r"C\# 5\#6 \# alone https://a.org/x\#part"),
    ],
)
def test_marks_of_little_text_are_escaped(text: str, written: str) -> None:
    """An open bracket makes LinkedIn refuse the post, or cut its text off."""
    assert little_text(text) == written


def test_author_is_the_person_or_the_page_that_is_named() -> None:
    """A page's post that goes out under a person's name cannot be taken back unseen."""
    for author in ("", "person", "urn:li:person:ab-1"):
        assert author_of(msgspec.structs.replace(DRAFT, options={"author": author}), "ab-1") == "urn:li:person:ab-1"
    for author in ("urn:li:organization:12", "organization:12", "12"):
        assert author_of(msgspec.structs.replace(DRAFT, options={"author": author}), "ab-1") == "urn:li:organization:12"
    for author in ("urn:li:person:other", "my page", "-1"):
        with pytest.raises(Reject, match="urn:li:organization:"):
            author_of(msgspec.structs.replace(DRAFT, options={"author": author}), "ab-1")


def test_body_is_that_of_the_posts_api() -> None:
    """LinkedIn refuses a post that lacks a part."""
    body = body_of(DRAFT, author="urn:li:person:a", video="urn:li:video:V")
    assert body["content"] == {"media": {"id": "urn:li:video:V", "title": "Reef"}}
    assert body["commentary"] == r"Reef \(2\) {hashtag|\#|deep\_sea}"
    assert (body["visibility"], body["lifecycleState"]) == ("PUBLIC", "PUBLISHED")


def test_names_are_encoded_in_paths() -> None:
    """Rest.li takes a bare colon for its own syntax."""
    assert path_of("videos", "urn:li:video:V1") == "/rest/videos/urn%3Ali%3Avideo%3AV1"
    with pytest.raises(Retry):
        parse_post("../posts")
    with pytest.raises(Retry):
        parse_post(None)


def test_counts_that_are_not_told_have_their_reason() -> None:
    """Most apps may read nothing of a post: zeros in their place would look like a failure of the post."""
    found = parse_metrics(METADATA, {"impressions": 100, "reach": 80, "shares": None}, "needs a scope")
    assert (found.likes, found.comments, found.impressions, found.reach) == (7, 3, 100, 80)
    assert found.absent["shares"] == "needs a scope"
    nothing = parse_metrics(None, {}, "needs a scope")
    assert nothing.likes is None
    assert "r_member_social" in nothing.absent["likes"]
    assert set(nothing.absent) == {name for name in PostMetrics.__struct_fields__ if name != "absent"}


def test_counts_withstand_drift() -> None:
    """A field of another type must not end the measuring of all posts."""
    for words, variant in drifted({"metadata": METADATA, "statistic": {"elements": [{"count": 3}]}}):
        found = parse_metrics(variant.get("metadata"), {"reach": parse_statistic(variant.get("statistic"))}, "no")
        assert msgspec.json.decode(msgspec.json.encode(found), type=PostMetrics) == found, words
        parse_standing(variant.get("metadata"))


def refused(status: int, **body: Any) -> Exception | None:
    headers: CIMultiDict[str] = CIMultiDict()
    answer = Response(status=status, headers=CIMultiDictProxy(headers), body=msgspec.json.encode(body), url="")
    return fault(answer, AT)


def test_refusals_say_what_to_do() -> None:
    """`{"status":403,"serviceErrorCode":100}` helps nobody."""
    retired = refused(426, code="NONEXISTENT_VERSION")
    assert isinstance(retired, Reject)
    assert VERSION in retired.reason
    assert "newer ettametta" in retired.mend
    assert re.fullmatch(r"20\d\d(0[1-9]|1[0-2])", VERSION)
    denied = refused(403, code="ACCESS_DENIED", message="Not enough permissions")
    assert isinstance(denied, Reject)
    assert "ACCESS_DENIED: Not enough permissions" in denied.reason
    assert "w_organization_social" in denied.mend
    assert "LINKEDIN_ORGANISATIONS_ENABLED" in denied.mend
    unscoped = refused(400, message="Organization permissions must be used when using organization as author")
    assert isinstance(unscoped, Reject)
    assert unscoped.mend == denied.mend
    double = refused(422, message="Content is a duplicate of urn:li:share:1")
    assert isinstance(double, Reject)
    assert "change the words" in double.mend
    busy = refused(429)
    assert isinstance(busy, RateLimited)
    assert busy.until == AT + timedelta(hours=1)
    assert refused(500) is None


def instructions(*parts: tuple[int, int], url: str = "https://www.linkedin.com/dms-uploads/a") -> dict[str, Any]:
    named = [{"uploadUrl": url, "firstByte": first, "lastByte": last} for first, last in parts]
    return {"value": {"video": "urn:li:video:V", "uploadToken": "", "uploadInstructions": named}}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        instructions(),
        instructions((0, 4), (6, 9)),
        instructions((0, 4), (4, 9)),
        instructions((0, 4)),
        instructions((0, 9), (10, 19)),
        instructions((0, 9), url="http://elsewhere.test/a"),
    ],
    ids=["empty", "none", "hole", "overlap", "short", "long", "unsafe"],
)
async def test_parts_that_do_not_cover_the_file_are_not_sent(answer: dict[str, Any], tmp_path: Path) -> None:
    """A byte that is left out or sent twice makes a video that LinkedIn takes and cannot play."""
    async with told(LinkedIn, tmp_path, answer, options={}) as (_, adapter, _clock):
        adapter._api.post = _says(answer)
        with pytest.raises(Retry):
            await adapter.open_session("linkedin:a", DRAFT, size_bytes=10)


async def test_parts_are_taken_as_they_are_named(tmp_path: Path) -> None:
    """The page's own example is off by one: the offsets of the answer are what counts."""
    answer = instructions((5, 9), (0, 4))
    async with told(LinkedIn, tmp_path, answer, options={}) as (_, adapter, _clock):
        adapter._api.post = _says(answer)
        opened = await adapter.open_session("linkedin:a", DRAFT, size_bytes=10)
        parts = msgspec.json.decode(opened.ids["parts"])
        assert [(first, last) for _, first, last in parts] == [(0, 4), (5, 9)]
        private = msgspec.structs.replace(DRAFT, privacy="private")
        with pytest.raises(Reject, match="Make it public"):
            await adapter.open_session("linkedin:a", private, size_bytes=10)


def _says(answer: dict[str, Any]) -> Any:
    async def post(*_: Any, **__: Any) -> dict[str, Any]:
        return answer

    return post


@pytest.mark.parametrize(
    ("enabled", "more"),
    [
        (None, set()),
        ("false", set()),
        ("True", {"w_organization_social", "r_organization_social"}),
    ],
)
def test_consent_for_organisations_is_asked_where_a_person_says_so(enabled: str | None, more: set[str]) -> None:
    """An app that LinkedIn has not approved for it gets an error in place of a consent page; others cannot post."""
    options = {"linkedin_client_id": "c", "linkedin_client_secret": "s"}
    options |= {} if enabled is None else {"linkedin_organisations_enabled": enabled}
    settings = Settings(options=options)
    begun = oauth.authorize(OAUTH, settings, redirect_uri="https://here.example/back")
    (scope,) = parse_qs(urlsplit(begun.url).query)["scope"]
    assert set(scope.split()) == {"openid", "profile", "w_member_social", *more}
    granted = TokenSet(access_token="a", refresh_token=None, expires_at=oauth.NO_END, scopes=OAUTH.scopes)
    assert oauth.missing_scopes(OAUTH, granted) == (), "an account that posts for its person alone stays connected"
