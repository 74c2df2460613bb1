"""Pinterest: the body of a pin, how it is known again, its counts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from actors.platforms._pinterest.pins import body_of, described, is_it, parse_metrics, parse_pin, window_of
from actors.platforms.pinterest import CAPS, NEEDS, OAUTH, lacking
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.media import Probe, VideoStream
from contracts.platform import Draft, PostMetrics
from tests.unit.platforms.drift import drifted
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DRAFT = Draft(marker="ett1", title="Reef", description='By "Ann"', tags=("deep sea", "fish"), privacy="public")
PIN = {"id": "81", "title": "Reef", "description": 'By "Ann"\n\n#deepsea #fish', "created_at": "2026-11-23T12:00:01"}
SUMMARY = {"IMPRESSION": 400, "OUTBOUND_CLICK": 5, "SAVE": 8.0, "USER_FOLLOW": 1, "VIDEO_MRC_VIEW": 100}
ANALYTICS = {"all": {"summary_metrics": SUMMARY, "lifetime_metrics": {"TOTAL_COMMENTS": 2, "TOTAL_REACTIONS": 9}}}


def with_options(**options: str) -> Draft:
    return msgspec.structs.replace(DRAFT, options=options)


def test_body_has_words_board_and_cover() -> None:
    """A video pin without exactly one cover is refused."""
    body = body_of(DRAFT, board="5", media_id="7")
    assert body["media_source"] == {"source_type": "video_id", "media_id": "7", "cover_image_key_frame_time": 0.0}
    assert (body["board_id"], body["title"], body["description"]) == ("5", "Reef", PIN["description"])
    assert "link" not in body
    more = body_of(with_options(link="https://example.org", board_section_id="6"), board="5", media_id="7")
    assert (more["link"], more["board_section_id"]) == ("https://example.org", "6")
    with pytest.raises(Reject, match="no web address"):
        body_of(with_options(link="javascript:alert(1)"), board="5", media_id="7")


def test_cover_is_a_frame_of_the_video() -> None:
    """A time after the end gives a grey cover, or a refusal after the whole file was sent."""
    video = VideoStream(index=0, codec="h264", coded_width_px=16, coded_height_px=16, width_px=16, height_px=16)
    probe = Probe(container="mp4", size_bytes=1, start_us=0, duration_us=1_500_000, video=video)
    seen = msgspec.structs.replace(DRAFT, probe=probe)
    source = body_of(seen, board="5", media_id="7")["media_source"]
    assert source["cover_image_key_frame_time"] == 0.75
    for wrong in ("2", "-1", "soon", "nan"):
        with pytest.raises(Reject, match="cover_at_s"):
            body_of(msgspec.structs.replace(seen, options={"cover_at_s": wrong}), board="5", media_id="7")


def test_hashtags_go_in_where_they_fit() -> None:
    """A description that is too long is refused; an attribution that is cut breaks a licence."""
    assert described(DRAFT).endswith("#deepsea #fish")
    long = msgspec.structs.replace(DRAFT, description="x" * 795)
    assert described(long) == "x" * 795


def test_pin_is_known_by_its_words_and_age() -> None:
    """An older pin with the same words would be taken for the one that is sought."""
    assert is_it(PIN, DRAFT, since=AT)
    assert not is_it(PIN | {"created_at": "2026-11-23T11:00:00"}, DRAFT, since=AT)
    assert not is_it(PIN | {"description": "other"}, DRAFT, since=AT)
    assert not is_it(PIN | {"title": None}, DRAFT, since=AT)
    for told in (None, {}, {"id": 5}, {"id": "../a"}):
        with pytest.raises(Retry):
            parse_pin(told)


def test_analytics_are_asked_for_from_the_first_day() -> None:
    """Dates outside 90 days are refused, and a sum over fewer days than the pin's life is no total."""
    today = date(2026, 11, 23)
    assert window_of(PIN, today) == (today, True)
    assert window_of({"created_at": "2026-08-01T00:00:00"}, today) == (date(2026, 8, 26), False)
    assert window_of({}, today) == (date(2026, 8, 26), False)


def test_counts_are_read() -> None:
    """Watch times have no stated unit: a number without one is worse than none."""
    found = parse_metrics(PIN, ANALYTICS, whole=True)
    assert (found.views, found.likes, found.comments, found.saves) == (100, 9, 2, 8)
    assert (found.impressions, found.clicks, found.followers) == (400, 5, 1)
    assert set(found.absent) == {"shares", "reach", "watched_us", "average_watched_us", "retention"}


def test_counts_of_an_old_pin_are_those_of_its_whole_life() -> None:
    """The last 90 days of an old pin that pass for all of it look like a collapse."""
    example = recorded("pinterest/v5_openapi_excerpt.json")["schemas"]["Pin"]["properties"]["pin_metrics"]["example"]
    found = parse_metrics(PIN | {"pin_metrics": example}, ANALYTICS, whole=False)
    assert (found.impressions, found.clicks, found.likes, found.comments) == (2, 3, 10, 2)
    assert found.views is None
    assert "last 90 days" in found.absent["views"]


def test_counts_withstand_drift() -> None:
    """A field of another type must not end the measuring of all pins."""
    for words, variant in drifted(
        {"pin": PIN | {"pin_metrics": {"lifetime_metrics": {"impression": 2}}}, "told": ANALYTICS}
    ):
        pin: Any = variant.get("pin")
        found = parse_metrics(pin if isinstance(pin, dict) else {}, variant.get("told"), whole=True)
        assert msgspec.json.decode(msgspec.json.encode(found), type=PostMetrics) == found, words
        is_it(pin, DRAFT, since=AT)


def test_what_trial_access_means_is_said_beforehand() -> None:
    """Pins that nobody sees look like a fault of the product."""
    assert "trial access" in CAPS.posting
    assert OAUTH.scope_separator == ","


def test_trends_need_a_token_or_an_app() -> None:
    """With an app an account may be connected, and then no pasted token is needed."""
    app = {"pinterest_client_id": "a", "pinterest_client_secret": "b"}
    assert [need.setting for need in lacking(Settings())] == ["pinterest_access_token"]
    assert lacking(Settings(options=app)) == ()
    assert lacking(Settings(options={"pinterest_access_token": "a"})) == ()
    assert {need.setting for need in NEEDS if not need.optional} == {"pinterest_access_token"}
