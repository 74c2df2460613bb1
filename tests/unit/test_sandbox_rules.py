"""Pure rules of the sandbox: search queries, tag lengths, durations, growing counts, redirect addresses, settings."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Reject
from deploy.sandbox.google_oauth import redirect_uri_fault
from deploy.sandbox.lucene import QueryInvalid, parse_query
from deploy.sandbox.media import Probe
from deploy.sandbox.settings import load_sandbox_settings
from deploy.sandbox.youtube_metadata import Metadata, tag_characters
from deploy.sandbox.youtube_resource import Statistics, Video, iso_duration, statistics

DOCUMENT = {
    "identifier": "deep-sea_2020",
    "title": "Deep-Sea Lights",
    "description": "Fish that glow",
    "subject": ["ocean", "Fish"],
    "creator": "A. Diver",
    "mediatype": "movies",
    "licenseurl": "https://creativecommons.org/licenses/by/4.0/",
    "collection": ["opensource_movies"],
    "downloads": 120,
    "year": 2020,
    "publicdate": "2020-05-17T10:00:00Z",
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("glow", True),
        ("GLOW fish", True),
        ("glow whale", False),
        ("glow OR whale", True),
        ("whale OR glow AND lights", True),
        ("(whale OR glow) AND whale", False),
        ('"deep sea"', True),
        ('"sea deep"', False),
        ("title:glow", False),
        ("title:(deep lights)", True),
        ("title:(deep OR whale)", True),
        ("glo*", True),
        ("gl?w", True),
        ("-whale", True),
        ("NOT glow", False),
        ("glow AND NOT whale", True),
        ("+glow -fish", False),
        ("mediatype:movies", True),
        ("mediatype:(movies OR audio)", True),
        ("mediatype:audio", False),
        ("licenseurl:*", True),
        ("rights:*", False),
        ("_exists_:licenseurl", True),
        ("licenseurl:(*creativecommons.org*)", True),
        ("licenseurl:http*\\:\\/\\/creativecommons.org\\/licenses\\/by\\/*", True),
        ('licenseurl:"https://creativecommons.org/licenses/by/4.0/"', True),
        ("licenseurl:https://creativecommons.org/licenses/by/4.0/", True),
        ("licenseurl:*publicdomain*", False),
        ("-collection:(opensource_movies OR other)", False),
        ("downloads:[100 TO *]", True),
        ("downloads:{120 TO *]", False),
        ("downloads:[* TO 119]", False),
        ("year:[2019 TO 2020]", True),
        ("publicdate:[2020-01-01 TO 2020-12-31]", True),
        ("publicdate:[2021-01-01 TO *]", False),
        ("*:*", True),
        ("deep^4 lights~", True),
    ],
)
def test_queries_select_as_lucene_does(query: str, found: bool) -> None:  # noqa: FBT001 - a table of examples
    """Returns items that the real search would not, or misses those that it would."""
    assert parse_query(query)(DOCUMENT) is found


@pytest.mark.parametrize("query", ["(sea", "sea)", 'sea "open', "sea AND", "OR sea", ""])
def test_unreadable_queries_are_told(query: str) -> None:
    """Hides a broken query behind an empty result."""
    with pytest.raises(QueryInvalid):
        parse_query(query)


@given(st.text(alphabet='ab :()"*?-+[]{}\\&|!^~', max_size=30))
def test_no_query_breaks_the_parser(query: str) -> None:
    """Takes the server down with a strange query."""
    try:
        matches = parse_query(query)
    except QueryInvalid:
        return
    assert matches(DOCUMENT) in {True, False}


@pytest.mark.parametrize(
    ("tags", "count"),
    [([], 0), (["abc"], 3), (["abc", "de"], 6), (["a b"], 5), (["a b", "c d"], 11)],
)
def test_tags_are_counted_with_commas_and_quotes(tags: list[str], count: int) -> None:
    """Refuses or takes tag lists that the real platform does not."""
    assert tag_characters(tags) == count


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "P0D"),
        (9.6, "PT10S"),
        (60, "PT1M"),
        (253, "PT4M13S"),
        (3723, "PT1H2M3S"),
        (93_600, "P1DT2H"),
        (86_400, "P1D"),
    ],
)
def test_durations_are_iso_8601(seconds: float, text: str) -> None:
    """Feeds parsers a form that the platform never sends."""
    assert iso_duration(seconds) == text


def video(key: str, meta: Metadata | None = None) -> Video:
    return Video(
        id=key,
        channel_id="UCsandbox",
        upload_id="u",
        meta=meta or Metadata(title="t"),
        created_at=1000.0,
        file="f",
        file_name="f",
        content_type="video/mp4",
        size_bytes=1,
        sha256="",
        probe=Probe(),
    )


@given(st.text(min_size=1, max_size=11), st.floats(0, 1e9), st.floats(0, 1e9))
def test_counts_depend_on_id_and_age_and_never_fall(key: str, first: float, more: float) -> None:
    """Shows views that fall, or that differ between two looks at the same moment."""
    post = video(key)
    zero, early, late, again = (
        statistics(post, 1000.0 + age, time_scale=60.0, private_views=False)
        for age in (0.0, first, first + more, first + more)
    )
    assert zero == Statistics(views=0, likes=0, comments=0)
    assert late == again
    counts = [[one.views, one.likes or 0, one.comments or 0] for one in (early, late)]
    assert all(after >= before for before, after in zip(*counts, strict=True))
    assert counts[1] == sorted(counts[1], reverse=True)


def test_a_demo_sees_growth_in_seconds_at_the_usual_scale() -> None:
    """Shows a flat line in the demo."""
    counts = [statistics(video("abc"), 1000.0 + age, time_scale=3600.0, private_views=True).views for age in range(5)]
    assert counts[0] == 0
    assert all(before < after for before, after in pairwise(counts))


def test_private_and_scheduled_videos_wait_for_views() -> None:
    """Shows views of a video that nobody could see."""
    private, later = (
        video("abc", Metadata(privacy="private")),
        video("abc", Metadata(privacy="private", publish_at=5000.0)),
    )

    def views(post: Video, now: float, *, private_views: bool) -> int:
        return statistics(post, now, time_scale=3600.0, private_views=private_views).views

    assert views(private, 3000.0, private_views=False) == 0
    assert views(private, 3000.0, private_views=True) > 0
    assert views(later, 4999.0, private_views=True) == 0
    assert views(later, 5000.0, private_views=True) == 0
    assert views(later, 5100.0, private_views=True) > 0


@pytest.mark.parametrize(
    ("uri", "registered", "fine"),
    [
        ("http://127.0.0.1:8080/back", (), True),
        ("http://localhost:8080/back", (), True),
        ("http://[::1]:8080/back", (), True),
        ("https://example.test/back", (), True),
        ("http://example.test/back", (), False),
        ("https://203.0.113.7/back", (), False),
        ("https://example.test/*", (), False),
        ("https://example.test/a/../b", (), False),
        ("ftp://localhost/back", (), False),
        ("/back", (), False),
        ("http://localhost:8080/back", ("http://127.0.0.1:8080/back",), False),
        ("http://127.0.0.1:8080/back/", ("http://127.0.0.1:8080/back",), False),
        ("http://127.0.0.1:8080/back", ("http://127.0.0.1:8080/back",), True),
    ],
)
def test_redirect_addresses_follow_googles_rules(uri: str, registered: tuple[str, ...], fine: bool) -> None:  # noqa: FBT001 - a table of examples
    """Lets a redirect work here that Google refuses."""
    assert (redirect_uri_fault(uri, registered) is None) is fine


def test_settings_come_from_the_environment_and_say_what_is_wrong() -> None:
    """Ignores a setting that was given, or hides a misspelt one."""
    env = {"SANDBOX_TIME_SCALE": "60", "SANDBOX_AUDIT_LOCKED": "true", "SANDBOX_REDIRECT_URIS": "http://a/, http://b/"}
    settings = load_sandbox_settings(env, changes={"quota_uploads": "6"})
    assert (settings.time_scale, settings.audit_locked, settings.quota_uploads) == (60.0, True, 6)
    assert settings.redirect_uris == ("http://a/", "http://b/")
    with pytest.raises(Reject, match="time_scale"):
        load_sandbox_settings({"SANDBOX_TIME_SCALE": "fast"})
    with pytest.raises(Reject, match="tempo"):
        load_sandbox_settings({}, changes={"tempo": "1"})
