"""X: the body of a post, how it is known again, its counts and X's refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms._x.posts import (
    Duplicate,
    body_of,
    fault,
    is_it,
    parse_metrics,
    parse_post,
    parse_standing,
)
from actors.platforms._x.search import OtherNames
from actors.platforms.x import CAPS, LIMITS, OAUTH
from actors.runtime.http import Response
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Draft, PostMetrics
from deploy.sandbox.feeds._x_people import weight
from tests.unit.platforms.drift import drifted

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DRAFT = Draft(marker="ett1", title="Reef", description="", caption="Reef & fish https://example.org/a #sea")


def post(**more: Any) -> dict[str, Any]:
    stated = {
        "id": "1900000000000000001",
        "text": "Reef &amp; fish https://t.co/one #sea https://t.co/own",
        "created_at": "2026-11-23T12:00:00.000Z",
        "attachments": {"media_keys": ["13_5"]},
        "entities": {
            "urls": [
                {"url": "https://t.co/one", "expanded_url": "https://example.org/a", "display_url": "example.org/a"},
                {"url": "https://t.co/own", "expanded_url": "https://x.com/a/status/1/video/1", "media_key": "13_5"},
            ]
        },
        "public_metrics": {
            "repost_count": 4, "quote_count": 1, "reply_count": 2, "like_count": 30, "bookmark_count": 3,
            "impression_count": 900,
        },
        "non_public_metrics": {"impression_count": 901, "url_link_clicks": 7},
    }  # fmt: skip
    return stated | more


def media(**more: Any) -> dict[str, Any]:
    quarters = {
        f"playback_{part}_count": count for part, count in ((0, 200), (25, 150), (50, 100), (75, 80), (100, 50))
    }
    stated = {"media_key": "13_5", "public_metrics": {"view_count": 180}, "non_public_metrics": quarters}
    return stated | more


def answer(status: int, body: Any, **headers: str) -> Response:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(status=status, headers=CIMultiDictProxy(named), body=msgspec.json.encode(body), url="")


def known(told: Any, *, words: str = DRAFT.caption, key: str = "", since: datetime | None = AT) -> bool:
    return is_it(told, words=words, media_key=key, since=since)


def test_body_says_what_is_known() -> None:
    """A disclosure that is left out is a breach of X's rules, one that is made up is a lie."""
    assert body_of(DRAFT, "5") == {"text": DRAFT.caption, "media": {"media_ids": ["5"]}}
    more = msgspec.structs.replace(DRAFT, synthetic=True, paid=True, options={"reply_settings": "following"})
    body = body_of(more, "5")
    assert (body["made_with_ai"], body["paid_partnership"], body["reply_settings"]) == (True, True, "following")


def test_post_is_known_by_its_words_behind_short_links() -> None:
    """X shortens links, escapes signs and adds a link of its own: letter by letter nothing would be the same."""
    assert known(post())
    assert known(post(), words="Reef  & fish example.org/a/ #sea"), "a link without its scheme is the same link"
    assert known(post(text="Re\u0301ef", entities={}), words="R\u00e9ef"), "X composes letters"
    assert not known(post(), words="Reef & fish https://example.org/b #sea")
    assert not known(post(entities={})), "what a short link stands for cannot be guessed"


def test_post_is_known_by_its_video_before_its_words() -> None:
    """A text that X changed in a way that is not known here would be posted again."""
    assert known(post(text="another"), key="13_5")
    assert not known(post(text="another"), key="13_6")


def test_an_older_post_with_the_same_words_is_another() -> None:
    """A post of last week with the same words would be taken for the one that is sought."""
    assert not known(post(created_at="2026-11-22T12:00:00Z"))
    assert not known(post(created_at=None))
    assert known(post(created_at="2026-11-22T12:00:00Z"), since=None)


def test_counts_are_read_under_both_names() -> None:
    """Impressions that pass for views, or a count that is invented, spoil every comparison."""
    found = parse_metrics(post(), {"13_5": media()})
    assert (found.views, found.likes, found.comments, found.shares, found.saves) == (180, 30, 2, 5, 3)
    assert (found.impressions, found.clicks) == (901, 7)
    assert found.retention == ((0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (0.75, 0.4), (1.0, 0.25))
    assert set(found.absent) == {"reach", "followers", "watched_us", "average_watched_us"}
    older = {"retweet_count": 5, "reply_count": 1, "like_count": 2}
    found = parse_metrics(post(public_metrics=older, non_public_metrics=None), {})
    assert (found.shares, found.clicks, found.retention, found.views) == (5, None, None, None)
    assert "30 days" in found.absent["clicks"]
    assert "30 days" in found.absent["retention"]


def test_counts_withstand_drift() -> None:
    """A field of another type must not end the measuring of all posts."""
    fields = {name for name in PostMetrics.__struct_fields__ if name != "absent"}
    for words, variant in drifted({"post": post(), "media": media()}):
        found = parse_metrics(
            variant.get("post"), {"13_5": variant["media"]} if isinstance(variant.get("media"), dict) else {}
        )
        assert set(found.absent) == {name for name in fields if getattr(found, name) is None}, words
        assert msgspec.json.decode(msgspec.json.encode(found), type=PostMetrics) == found, words
        known(variant.get("post"))


def test_posts_without_an_id_are_none() -> None:
    """A post that is noted under no id can never be found again."""
    answers: tuple[Any, ...] = (None, {}, {"id": 5}, {"id": ""}, [])
    for told in answers:
        with pytest.raises(Retry):
            parse_post(told)


def test_standing_is_told_apart() -> None:
    """A deleted post, one that is withheld and one that cannot be seen need different answers."""
    problem = "https://api.x.com/2/problems/"
    told: dict[str, Any] = {
        "data": [{"id": "1"}, {"id": "2", "withheld": {"country_codes": ["XX"]}}],
        "errors": [
            {"resource_id": "3", "type": f"{problem}resource-not-found", "detail": "Could not find post"},
            {"resource_id": "4", "type": f"{problem}not-authorized-for-resource", "detail": "not authorized"},
            {"resource_id": "1", "type": f"{problem}not-authorized-for-field", "field": "non_public_metrics"},
        ],
    }
    found = parse_standing(("1", "2", "3", "4", "5"), told)
    states = {name: one.state for name, one in found.items()}
    assert states == {"1": "stands", "2": "blocked", "3": "removed", "4": "private", "5": "unknown"}
    assert "XX" in found["2"].because


def test_refusals_have_their_own_names() -> None:
    """A post that waits for money, one that is a duplicate and one that is too fast need different answers."""
    capped = {"title": "Usage Capped", "type": "https://api.x.com/2/problems/usage-capped", "detail": "Spend cap"}
    for status in (402, 403, 429):
        found = fault(answer(status, capped), AT)
        assert isinstance(found, RateLimited)
        assert found.until == datetime(2026, 11, 24, tzinfo=UTC)
    double = {"detail": "You are not allowed to create a Tweet with duplicate content.", "type": "about:blank"}
    assert isinstance(fault(answer(403, double), AT), Duplicate)
    denied = fault(answer(403, {"detail": "no"}), AT)
    assert isinstance(denied, Reject)
    assert not isinstance(denied, Duplicate)
    spelled = {"errors": [{"parameters": {"post.fields": ["a"]}, "message": "not one of"}]}
    assert isinstance(fault(answer(400, spelled), AT), OtherNames)
    assert fault(answer(503, {}), AT) is None
    assert fault(answer(408, {}), AT) is None


def test_limits_end_when_x_says() -> None:
    """The limit of the window ends in minutes, that of the day does not."""
    reset = str(int((AT + timedelta(minutes=7)).timestamp()))
    day = str(int((AT + timedelta(hours=9)).timestamp()))
    window = {"x_rate_limit_reset": reset}
    whole = {**window, "x_app_limit_24hour_remaining": "0", "x_app_limit_24hour_reset": day}
    for headers, wait in ((window, timedelta(minutes=7)), (whole, timedelta(hours=9)), ({}, timedelta(minutes=15))):
        found = fault(answer(429, {}, **headers), AT)
        assert isinstance(found, RateLimited)
        assert found.until - AT == wait


def test_what_posting_costs_is_said_beforehand() -> None:
    """Each attribution link makes a post thirteen times as dear."""
    assert "USD 0.015" in CAPS.posting
    assert "USD 0.20 if its text has a link" in CAPS.posting
    assert (LIMITS.caption, LIMITS.unit, LIMITS.link_weight) == (280, "x", 23)
    assert "offline.access" in OAUTH.scopes, "without it nothing is renewed after 2 hours"


@pytest.mark.parametrize(
    ("text", "weighs"), [("abc", 3), ("\u6d77", 2), ("see https://example.org/long/way", 27), ("é", 1)]
)
def test_imitation_weighs_as_x_does(text: str, weighs: int) -> None:
    """An imitation that takes any text proves nothing of the limit."""
    assert weight(text) == weighs
