"""What is added to a video that stands, what its owner alone is told, and what became of it: over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.platforms import youtube
from actors.platforms._youtube.dress import parse_standing
from actors.runtime.db import Database
from contracts.errors import RateLimited, Reject
from contracts.ids import AccountId
from contracts.platform import Draft, RemotePost
from tests.channel import Channel, connected_channel
from tests.journal import Notes

DRAFT = Draft(
    marker="ett0",
    title="A reef",
    description="Words",
    tags=("sea",),
    privacy="public",
    language="en",
    for_children=True,
    synthetic=True,
)
JPEG = b"\xff\xd8\xff and more"
SRT = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"
POSTING = youtube.OAUTH.scopes[:2]


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, processing_polls=0, time_scale=1.0) as found:
        yield found


class Posted:
    """One video of one account, and files to dress it with."""

    def __init__(self, channel: Channel, folder: Path, account: AccountId) -> None:
        self.made = youtube.YouTube(channel.services.means)
        self.channel = channel
        self.account = account
        self.video, self.picture, self.words = (folder / name for name in ("a.mp4", "a.jpg", "a.srt"))
        self.video.write_bytes(b"a video")
        self.picture.write_bytes(JPEG)
        self.words.write_text(SRT, encoding="utf-8")
        self.post = RemotePost(platform_post_id="", url="")

    async def send(self, **changes: Any) -> str:
        draft = msgspec.structs.replace(DRAFT, **changes)
        checkpoint = await self.made.open_session(self.account, draft, size_bytes=7)
        self.post = await self.made.send(self.account, draft, checkpoint, self.video, Notes())
        return self.post.platform_post_id

    async def dress(self, *, thumbnail: bool = True, subtitles: bool = True, **changes: Any) -> str:
        return await self.made.dress(
            self.account,
            msgspec.structs.replace(DRAFT, **changes),
            self.post,
            thumbnail=self.picture if thumbnail else None,
            subtitles=self.words if subtitles else None,
        )

    async def resource(self, part: str) -> Any:
        (video,) = await self.made._calls.videos(self.account, (self.post.platform_post_id,), part)
        return video

    async def calls(self, place: str) -> int:
        return int((await self.channel.state())["calls"].get(f"youtube.{place}", 0))


@pytest.fixture
async def posted(channel: Channel, tmp_path: Path) -> Posted:
    found = Posted(channel, tmp_path, await channel.connect(account="earns@sandbox.test"))
    await found.send()
    return found


async def test_what_is_declared_arrives(posted: Posted) -> None:
    """A video for children that is not declared is against the law in places; synthetic media against the rules."""
    status = (await posted.resource("status"))["status"]
    assert (status["selfDeclaredMadeForKids"], status["containsSyntheticMedia"]) == (True, True)
    at = posted.channel.clock.now() + timedelta(days=1)
    await posted.send(privacy="private", publish_at=at)
    told = await posted.resource("status,snippet")
    assert told["status"]["publishAt"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert told["snippet"]["defaultLanguage"] == "en"
    assert (await posted.made.look(posted.account, (posted.post.platform_post_id,)))[
        posted.post.platform_post_id
    ].state == "stands", "a video that waits for its time was not made private by anybody"


async def test_thumbnail_and_subtitles_are_set_once(posted: Posted) -> None:
    """A delivery that comes twice would cost 400 units more and a second track."""
    assert await posted.dress() == ""
    assert await posted.dress() == ""
    assert (await posted.calls("thumbnails"), await posted.calls("captions_insert")) == (2, 1)


@pytest.mark.parametrize(
    ("place", "fault", "says"),
    [
        ("thumbnails", {"status": 403, "reason": "forbidden"}, "no thumbnail: thumbnail: YouTube says forbidden"),
        ("thumbnails", {"status": 400, "reason": "invalidImage"}, "no thumbnail"),
        ("captions_insert", {"status": 403, "reason": "insufficientPermissions"}, "has not granted that"),
        ("captions_insert", {"status": 409, "reason": "captionExists"}, ""),
    ],
)
async def test_what_is_not_taken_is_said(posted: Posted, place: str, fault: dict[str, Any], says: str) -> None:
    """The post stands all the same, and a person is told what it goes without."""
    await posted.channel.fault(f"youtube.{place}", "status", **fault)
    told = await posted.dress()
    assert says in told
    assert bool(told) == bool(says)


async def test_a_rate_of_thumbnails_is_waited_for(posted: Posted) -> None:
    """A limit of a minute would leave the video without its picture for good."""
    await posted.channel.fault("youtube.thumbnails", "status", status=429, reason="uploadRateLimitExceeded")
    with pytest.raises(RateLimited):
        await posted.dress()


async def test_missing_permissions_cost_what_they_are_for_alone(channel: Channel, tmp_path: Path) -> None:
    """A person who unticks the reports must not lose the account."""
    posted = Posted(channel, tmp_path, await channel.connect(scopes=POSTING))
    video = await posted.send()
    assert "connect the channel again" in await posted.dress(thumbnail=False)
    with pytest.raises(Reject, match="has not granted changes"):
        await posted.made.revise(posted.account, video, title="Another", description=None)
    found = (await posted.made.measure(posted.account, (video,)))[video]
    assert found.views is not None
    assert found.retention is None
    assert "insufficientPermissions" in found.absent["retention"]
    assert "YouTube's statistics have no share count" in found.absent["shares"]
    state = await channel.db.fetchval("select state from accounts where account_id = $1", posted.account)
    assert state == "connected"


async def test_subtitles_need_a_language(posted: Posted) -> None:
    """A wrong language is worse than none: people who do not speak it get it by default."""
    assert "language of the post is not known" in await posted.dress(thumbnail=False, language=None)


async def test_words_change_and_nothing_else(posted: Posted) -> None:
    """An update replaces the whole snippet: a lost tag is a lost marker, and the video cannot be found again."""
    before = (await posted.resource("snippet"))["snippet"]
    await posted.made.revise(posted.account, posted.post.platform_post_id, title="A <better> title", description=None)
    after = (await posted.resource("snippet"))["snippet"]
    assert after["title"] == "A \u2039better\u203a title"
    for name in ("description", "tags", "categoryId", "defaultLanguage"):
        assert after[name] == before[name]
    await posted.made.revise(posted.account, posted.post.platform_post_id, title="A <better> title", description=None)
    assert await posted.calls("update") == 1, "nothing was to change: 50 units"
    with pytest.raises(Reject, match="no longer shows"):
        await posted.made.revise(posted.account, "nothing", title="A", description=None)
    with pytest.raises(Reject, match="description is too long"):
        await posted.made.revise(posted.account, posted.post.platform_post_id, title=None, description="x" * 5001)


@pytest.mark.parametrize(
    ("status", "state", "says"),
    [
        ({"uploadStatus": "processed", "privacyStatus": "public"}, "stands", ""),
        ({"uploadStatus": "processed", "privacyStatus": "private"}, "private", "owner alone"),
        ({"uploadStatus": "processed", "privacyStatus": "private", "publishAt": "2030"}, "stands", ""),
        ({"uploadStatus": "uploaded", "privacyStatus": "public"}, "processing", "works on it"),
        ({"uploadStatus": "rejected", "rejectionReason": "copyright"}, "claimed", "copyright"),
        ({"uploadStatus": "rejected", "rejectionReason": "termsOfUse"}, "blocked", "termsOfUse"),
        ({"uploadStatus": "failed", "failureReason": "codec"}, "blocked", "codec"),
        ({"uploadStatus": "deleted"}, "removed", "deleted"),
    ],
)
def test_standing_is_read(status: dict[str, str], state: str, says: str) -> None:
    """The sentinel pauses what is related to a post that was taken down, and only then."""
    found = parse_standing({"id": "a", "status": status})
    assert found.state == state
    assert says in found.because
    restricted = {"regionRestriction": {"blocked": ["DE", "US"]}}
    shown = parse_standing({"id": "a", "status": {"uploadStatus": "processed"}, "contentDetails": restricted})
    assert shown.because == "it is blocked in 2 countries"


async def test_a_video_that_is_gone_is_removed(posted: Posted) -> None:
    """A strike is noticed days later, or never."""
    found = await posted.made.look(posted.account, (posted.post.platform_post_id, "gone"))
    assert (found[posted.post.platform_post_id].state, found["gone"].state) == ("stands", "removed")


async def test_reports_are_late_then_whole(posted: Posted) -> None:
    """Watch time of a young video shown as zero would teach that nobody watches."""
    video = posted.post.platform_post_id
    young = (await posted.made.measure(posted.account, (video,)))[video]
    assert (young.watched_us, young.retention) == (None, None)
    assert "two to three days late" in young.absent["watched_us"]
    posted.channel.clock.turn(3 * 86_400)
    found = (await posted.made.measure(posted.account, (video,)))[video]
    assert found.watched_us is not None
    assert found.watched_us > 0
    assert found.average_watched_us == 12_000_000
    assert found.retention is not None
    assert len(found.retention) == 100
    assert found.retention[0][1] > found.retention[-1][1]
    assert set(found.absent) == {"saves", "reach", "impressions", "clicks"}


async def test_earnings_are_exact_or_refused(posted: Posted, tmp_path: Path) -> None:
    """A fraction of a cent lost in each row is money lost in a year; a refusal is no lost account."""
    posted.channel.clock.turn(3 * 86_400)
    day = posted.channel.clock.now().date()
    asked: dict[str, Any] = {
        "metrics": ("estimatedRevenue", "views"),
        "dimensions": ("video",),
        "start": day - timedelta(days=9),
        "end": day,
    }
    (row,) = await posted.made.reports.report(posted.account, **asked, currency="USD")
    assert isinstance(row["estimatedRevenue"], Decimal)
    assert row["video"] == posted.post.platform_post_id
    other = Posted(posted.channel, tmp_path, await posted.channel.connect(account="poor@sandbox.test"))
    await other.send()
    with pytest.raises(Reject, match="does not tell it"):
        await other.made.reports.report(other.account, **asked)
    state = await posted.channel.db.fetchval("select state from accounts where account_id = $1", other.account)
    assert state == "connected"


async def test_uploads_of_the_day_are_counted(posted: Posted) -> None:
    """The 101st call fails at Google, and costs the attempt of a post."""
    await posted.made._quota.spend("youtube", posted.made._uploads, 99)
    with pytest.raises(RateLimited, match="'uploads' of 100 is spent"):
        await posted.send()
