"""TikTok's posting answers, as they may drift, and what a draft becomes."""

from __future__ import annotations

from typing import Any

import pytest

from actors.platforms._tiktok.chunks import Chunks
from actors.platforms._tiktok.init import Creator, init_body, parse_creator
from actors.platforms._tiktok.measure import parse_metrics
from actors.platforms._tiktok.publish import id_of, parse_status
from contracts.errors import Reject, Retry
from contracts.media import Probe, VideoStream
from contracts.platform import Draft
from tests.unit.platforms.tiktok_answers import BIG_ID, answer

CREATOR = Creator(username="ada", levels=("PUBLIC_TO_EVERYONE", "SELF_ONLY"), max_duration_s=60)
DRAFT = Draft(marker="m", title="A reef", description="", caption="A reef #sea", privacy="public")
CHUNKS = Chunks.of(6_000_000)


def probed(duration_us: int) -> Probe:
    video = VideoStream(index=0, codec="h264", coded_width_px=720, coded_height_px=1280, width_px=720, height_px=1280)
    return Probe(container="mov,mp4", size_bytes=6_000_000, start_us=0, duration_us=duration_us, video=video)


@pytest.mark.parametrize("ids", [[BIG_ID], [str(BIG_ID)], [str(BIG_ID), "1"]])
def test_ids_above_2_to_the_53_survive(ids: list[Any]) -> None:
    """Read as a floating number the id names the video of somebody else."""
    assert parse_status(answer({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": ids})).post_id == str(
        BIG_ID
    )
    assert id_of(7.4e18) is id_of(True) is id_of("v_pub_file~v2") is None


@pytest.mark.parametrize("data", [None, [], {}, {"state": "FAILED"}])
def test_an_unknown_shape_is_asked_again(data: Any) -> None:
    """A changed answer that reads as done loses the post."""
    for parse in (parse_status, parse_creator):
        with pytest.raises(Retry):
            parse(answer(data))


@pytest.mark.parametrize("levels", [[], "SELF_ONLY", [1], None])
def test_a_privacy_is_never_guessed(levels: Any) -> None:
    """What the creator's options do not name would be chosen by nobody."""
    with pytest.raises(Retry):
        parse_creator(answer({"privacy_level_options": levels}))


def test_status_bears_small_drift() -> None:
    """A field of another type is unknown, not a crash."""
    told = parse_status(answer({"status": "FAILED", "fail_reason": None, "uploaded_bytes": "many"}))
    assert (told.because, told.uploaded_bytes, told.post_id) == ("", 0, None)
    assert parse_status(answer({"status": "X", "publicaly_available_post_id": {}})).post_id is None


def test_a_longer_video_than_the_creator_may_post_is_refused() -> None:
    """TikTok takes all of it and then says duration_check_failed."""
    good = Draft(**{name: getattr(DRAFT, name) for name in DRAFT.__struct_fields__} | {"probe": probed(60_000_000)})
    assert init_body(good, CREATOR, CHUNKS)["post_info"]["title"] == "A reef #sea"
    long = Draft(**{name: getattr(DRAFT, name) for name in DRAFT.__struct_fields__} | {"probe": probed(61_000_000)})
    with pytest.raises(Reject, match="61 s long and the account may post 60 s"):
        init_body(long, CREATOR, CHUNKS)


def test_what_the_creator_closed_stays_closed() -> None:
    """TikTok refuses the post, or worse, opens it."""
    closed = Creator(username="ada", levels=CREATOR.levels, closed=frozenset({"duet"}))
    draft = Draft(
        **{name: getattr(DRAFT, name) for name in DRAFT.__struct_fields__}
        | {"options": {"duet": "on", "stitch": "on", "cover_ms": "1500"}}
    )
    info = init_body(draft, closed, CHUNKS)["post_info"]
    assert (info["disable_duet"], info["disable_stitch"], info["disable_comment"]) == (True, False, True)
    assert info["video_cover_timestamp_ms"] == 1500
    assert "post_info" not in init_body(draft, None, CHUNKS), "a draft for the inbox has no words of its own"


def test_counts_that_are_absent_have_a_reason() -> None:
    """An unknown count shown as zero teaches the wrong thing."""
    found = parse_metrics({"id": "1", "view_count": 12, "like_count": None})
    assert (found.views, found.likes) == (12, None)
    nulls = {name for name in found.__struct_fields__ if getattr(found, name) is None}
    assert nulls == set(found.absent)
