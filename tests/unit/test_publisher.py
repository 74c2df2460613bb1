"""From an event to a draft and an account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from actors.platforms.youtube import LIMITS, check_draft
from actors.publisher.draft import as_request, make_draft, privacy_note
from actors.publisher.posts import Account, Held, choose_account
from actors.runtime.links import marker_of
from contracts.errors import Reject
from contracts.events import Destination, PostRequested, RenderCompleted
from contracts.ids import AccountId, CorrelationId, EventId, ItemId, ObjectKey, PlanId, post_id
from contracts.media import Rendition
from contracts.platform import Draft
from contracts.rights import RightsRecord, attribution_text

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RIGHTS = RightsRecord(licence="CC-BY-4.0", title="Reef", author="Ann", source_url="https://archive.org/details/reef")
TO_YOUTUBE = Destination(platform="youtube")


def request(**changes: Any) -> PostRequested:
    values: dict[str, Any] = {
        "item_id": ItemId("internet_archive:reef"),
        "key": ObjectKey("renditions/ab/abcd.mp4"),
        "rights": RIGHTS,
        "destination": TO_YOUTUBE,
        "title": "A reef",
    }
    return PostRequested(**{**values, **changes})


def drafted(**changes: Any) -> Draft:
    return make_draft(request(**changes), limits=LIMITS, now=NOW)


def test_a_render_and_a_request_become_one_form() -> None:
    """If this fails, a post that waited loses its words or its place in the correlation when it goes on."""
    event = RenderCompleted(
        event_id=EventId("e"),
        correlation_id=CorrelationId("c"),
        item_id=ItemId("i"),
        rendition=Rendition(
            item_id=ItemId("i"),
            plan_id=PlanId("p"),
            key=ObjectKey("k"),
            sha256="0",
            size_bytes=1,
            width_px=1,
            height_px=1,
            duration_us=1,
            frames=1,
            has_audio=False,
            engine="e",
        ),
        rights=RIGHTS,
        title="T",
        description="D",
        hashtags=("a",),
        synthetic=True,
        destination=TO_YOUTUBE,
        language="de",
    )
    found = as_request(event)
    assert found is not None
    assert (found.event_id, found.correlation_id, found.key) == ("e", "c", "k")
    assert (found.title, found.description, found.hashtags, found.synthetic) == ("T", "D", ("a",), True)
    assert found.language == "de"
    assert make_draft(found, limits=LIMITS, now=NOW).language == "de"


def test_a_synthetic_voice_is_disclosed() -> None:
    """If this fails, narrated videos break the platform's rule on altered content, or plain ones are marked."""
    assert drafted(synthetic=True).synthetic
    assert not drafted().synthetic


def test_a_video_without_a_destination_is_kept() -> None:
    """If this fails, videos are posted that nobody asked to post."""
    event = RenderCompleted(
        item_id=ItemId("i"),
        rendition=Rendition(
            item_id=ItemId("i"),
            plan_id=PlanId("p"),
            key=ObjectKey("k"),
            sha256="0",
            size_bytes=1,
            width_px=1,
            height_px=1,
            duration_us=1,
            frames=1,
            has_audio=False,
            engine="e",
        ),
        rights=RIGHTS,
    )
    assert as_request(event) is None


def test_a_post_has_one_id_and_one_marker_for_each_account() -> None:
    """If this fails, a post is not found again, or that of another account is taken for it."""
    one = make_draft(request(), limits=LIMITS, now=NOW)
    named = Destination(platform="youtube", account_id=AccountId("youtube:UC1"))
    there = post_id(request().item_id, "youtube", AccountId("youtube:UC1"))
    assert make_draft(request(destination=named), limits=LIMITS, now=NOW).marker == marker_of(there) != one.marker
    assert make_draft(request(item_id=ItemId("x")), limits=LIMITS, now=NOW).marker != one.marker
    post = post_id(request().item_id, "youtube")
    assert one.marker == marker_of(post) == "ett" + post.replace("-", "")[:16]


def test_the_attribution_is_added_once() -> None:
    """If this fails, a licence that asks for a credit is broken, or the credit stands there twice."""
    credit = attribution_text(RIGHTS)
    assert drafted(description="Words").description == f"Words\n\n{credit}"
    assert drafted(description=f"Words\n\n{credit}").description == f"Words\n\n{credit}"


def test_a_description_that_is_too_long_loses_words_and_not_its_credit() -> None:
    """If this fails, long descriptions lose the credit that the licence asks for, or are refused."""
    credit = attribution_text(RIGHTS)
    draft = drafted(description="ü" * 4000 + f"\n\n{credit}")
    assert draft.description.endswith(f"…\n\n{credit}")
    assert 4900 < len(draft.description.encode()) <= 5000
    check_draft(draft, size_bytes=1)


@pytest.mark.parametrize("title", ["word " * 40, "x" * 300, "a b " + "c" * 200])
def test_a_title_that_is_too_long_is_cut_and_marked(title: str) -> None:
    """If this fails, works with long names can never be posted."""
    draft = drafted(title=title)
    assert len(draft.title) <= 100
    assert draft.title.endswith("…")
    check_draft(draft, size_bytes=1)


def test_a_missing_title_is_taken_from_the_work() -> None:
    """If this fails, a post without a title is refused although the work has one."""
    assert drafted(title="").title == "Reef"


def test_tags_that_do_not_fit_are_left_out_whole() -> None:
    """If this fails, too many hashtags make YouTube refuse the post."""
    draft = drafted(hashtags=("#sea", "sea", "", "deep sea", "x" * 600, *(f"tag{number:04}" for number in range(200))))
    assert draft.tags[:3] == ("sea", "deep sea", "tag0000")
    assert len(draft.tags) > 30
    check_draft(draft, size_bytes=1)


@pytest.mark.parametrize(
    ("privacy", "offset", "expected"),
    [
        ("public", None, ("public", None)),
        ("public", 3600, ("private", NOW + timedelta(hours=1))),
        ("public", -3600, ("public", None)),
        ("private", 3600, ("private", None)),
        ("private", -3600, ("private", None)),
        ("unlisted", None, ("unlisted", None)),
        ("unlisted", 3600, ("unlisted", None)),
    ],
)
def test_a_time_shows_only_what_asked_to_be_public(privacy: Any, offset: int | None, expected: tuple[Any, Any]) -> None:
    """If this fails, a scheduled video is public at once, a late one stays hidden, or a private one is shown."""
    at = None if offset is None else NOW + timedelta(seconds=offset)
    draft = drafted(destination=Destination(platform="youtube", privacy=privacy, publish_at=at))
    assert (draft.privacy, draft.publish_at) == expected


def test_a_privacy_that_differs_is_said() -> None:
    """If this fails, a channel whose uploads are locked looks healthy."""
    draft = drafted(destination=Destination(platform="youtube", privacy="public"))
    assert "locked private" in privacy_note(draft, "private")
    assert privacy_note(draft, "public") == ""
    assert privacy_note(draft, None) == ""


def account(name: str, state: str = "connected") -> Account:
    return Account(account_id=AccountId(name), state=state, state_because="")


def test_the_one_connected_account_is_used() -> None:
    """If this fails, people with one channel have to name it."""
    accounts = [account("youtube:a", "reconnect_needed"), account("youtube:b")]
    chosen = choose_account(accounts, wanted=None, platform="youtube")
    assert isinstance(chosen, Account)
    assert chosen.account_id == "youtube:b"


def test_an_account_that_was_named_is_waited_for() -> None:
    """If this fails, a video meant for one channel is posted to another."""
    accounts = [account("youtube:a", "reconnect_needed"), account("youtube:b")]
    held = choose_account(accounts, wanted=AccountId("youtube:a"), platform="youtube")
    assert held == Held("youtube:a is not connected")


def test_a_paused_account_holds_posts_but_is_asked_for_those_that_may_be_there() -> None:
    """If this fails, a pause is not kept, or a post that is there already passes for waiting."""
    paused = [msgspec.structs.replace(account("youtube:a"), paused_at=NOW, paused_because="a post was removed")]
    held = choose_account(paused, wanted=None, platform="youtube")
    assert isinstance(held, Held)
    assert held.because == "youtube:a is paused: a post was removed"
    assert "accounts resume youtube:a" in held.next_action
    assert choose_account(paused, wanted=None, platform="youtube", asks_only=True) == paused[0]


def test_a_draft_carries_what_is_declared_and_what_one_platform_alone_knows() -> None:
    """If this fails, a paid post goes out without its mark, or a pin without its board."""
    there = Destination(platform="youtube", paid=True, own_brand=True, for_children=True, options={"board_id": "1"})
    draft = drafted(destination=there, thumbnail_key="posts/a.png", subtitles_key="posts/a.srt")
    assert (draft.paid, draft.own_brand, draft.for_children, draft.options) == (True, True, True, {"board_id": "1"})
    assert (draft.thumbnail, draft.subtitles) == ("posts/a.png", "posts/a.srt")


def test_several_accounts_need_a_name() -> None:
    """If this fails, a video lands on whichever channel comes first."""
    with pytest.raises(Reject, match="youtube:a, youtube:b"):
        choose_account([account("youtube:a"), account("youtube:b")], wanted=None, platform="youtube")
    paused = msgspec.structs.replace(account("youtube:a"), paused_at=NOW, paused_because="a post was removed")
    with pytest.raises(Reject, match="youtube:a, youtube:b"):  # a pause moves no video to the other channel
        choose_account([paused, account("youtube:b")], wanted=None, platform="youtube")
