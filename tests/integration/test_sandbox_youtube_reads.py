"""Reading and changing videos on the sandbox's YouTube, driven with raw HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec import Struct

from deploy.sandbox import SandboxSettings, running
from deploy.sandbox.media import make_clip

VIDEOS = "/youtube/v3/videos"


class Youtube(Struct):
    """An owner of a channel; `other` owns another one."""

    http: ClientSession
    mine: dict[str, str]
    other: dict[str, str]
    channel_id: str
    clip: bytes

    async def get(self, path: str, *, status: int = 200, who: dict[str, str] | None = None, **params: Any) -> Any:
        headers = self.mine if who is None else who
        answer = await self.http.get(f"/youtube/v3/{path}", params=params, headers=headers)
        assert answer.status == status, await answer.text()
        return await answer.json()

    async def reason(self, path: str, status: int, **params: Any) -> str:
        error = (await self.get(path, status=status, **params))["error"]
        assert error["code"] == status
        return str(error["errors"][0]["reason"])

    async def post(self, title: str = "Deep sea", *, body: bytes | None = None, **status: Any) -> str:
        resource = {
            "snippet": {"title": title, "description": "Bands of colour", "tags": ["ocean"], "categoryId": "28"},
            "status": {"privacyStatus": "public", **status},
        }
        path = "/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status"
        started = await self.http.post(path, json=resource, headers=self.mine)
        answer = await self.http.put(started.headers["Location"], data=self.clip if body is None else body)
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["id"])

    async def later(self, seconds: float) -> None:
        await self.http.post("/sandbox/clock", json={"advance_s": seconds})


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, seconds=3.0, width_px=180, height_px=320)
    return path.read_bytes()


@pytest.fixture
async def youtube(tmp_path: Path, clip: bytes) -> AsyncIterator[Youtube]:
    settings = SandboxSettings(access_token_expires_in_s=10**7, time_scale=1.0)
    async with running(tmp_path, settings=settings) as address, ClientSession(address) as http:
        grants = [
            await (await http.post("/sandbox/oauth/grant", json={"account": account})).json()
            for account in ("creator@sandbox.test", "other@sandbox.test")
        ]
        mine, other = ({"Authorization": f"Bearer {grant['access_token']}"} for grant in grants)
        yield Youtube(http, mine, other, grants[0]["channel_id"], clip)


async def test_a_video_is_processed_after_some_polls(youtube: Youtube) -> None:
    """Lets a publisher skip waiting, or wait for ever, if processing does not move with polls."""
    video = await youtube.post()
    seen = []
    for _ in range(3):
        item = (await youtube.get("videos", part="status,processingDetails,contentDetails", id=video))["items"][0]
        seen.append((item["status"]["uploadStatus"], item["processingDetails"]["processingStatus"]))
    assert seen == [("uploaded", "processing"), ("uploaded", "processing"), ("processed", "succeeded")]
    assert item["contentDetails"]["duration"] == "PT3S"


async def test_a_file_that_is_no_video_fails(youtube: Youtube) -> None:
    """Reports a broken render as posted if the platform takes anything."""
    video = await youtube.post(body=b"no video at all" * 100)
    for _ in range(3):
        item = (await youtube.get("videos", part="status,processingDetails", id=video))["items"][0]
    assert (item["status"]["uploadStatus"], item["status"]["failureReason"]) == ("failed", "invalidFile")
    assert item["processingDetails"]["processingStatus"] == "failed"


async def test_processing_can_get_stuck(youtube: Youtube) -> None:
    """Leaves the wait limit of a publisher untested."""
    video = await youtube.post()
    await youtube.http.post(
        "/sandbox/faults", json={"where": "youtube.videos", "kind": "stuck_processing", "times": None}
    )
    for _ in range(5):
        item = (await youtube.get("videos", part="status", id=video))["items"][0]
    assert item["status"]["uploadStatus"] == "uploaded"
    await youtube.http.delete("/sandbox/faults")
    for _ in range(3):
        item = (await youtube.get("videos", part="status", id=video))["items"][0]
    assert item["status"]["uploadStatus"] == "processed"


async def test_counts_are_strings_that_start_at_zero_and_never_fall(youtube: Youtube) -> None:
    """Breaks trackers that would meet numbers, or shows growth that no clock explains."""
    video = await youtube.post()
    counts = []
    for _ in range(6):
        item = (await youtube.get("videos", part="statistics", id=video))["items"][0]["statistics"]
        assert all(isinstance(value, str) for value in item.values())
        counts.append(int(item["viewCount"]))
        await youtube.later(6 * 3600)
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > counts[1] > 0
    again = await youtube.get("videos", part="statistics", id=video)
    assert int(again["items"][0]["statistics"]["viewCount"]) >= counts[-1]


async def test_foreign_private_videos_are_silently_absent(youtube: Youtube) -> None:
    """Shows private work to others, or raises where the platform keeps silent."""
    private, public = await youtube.post(privacyStatus="private"), await youtube.post()
    ids = f"{private},{public},missing0000"
    mine = await youtube.get("videos", part="id", id=ids)
    others = await youtube.get("videos", part="id", id=ids, who=youtube.other)
    assert [item["id"] for item in mine["items"]] == [private, public]
    assert [item["id"] for item in others["items"]] == [public]
    error = await youtube.get("videos", part="processingDetails", id=public, who=youtube.other, status=403)
    assert error["error"]["errors"][0]["reason"] == "forbidden"


async def test_publish_at_makes_a_private_video_public_at_its_time(youtube: Youtube) -> None:
    """Breaks scheduled posts if publishAt is ignored, or publishes at once what was scheduled."""
    now = (await (await youtube.http.get("/sandbox/state")).json())["now"]
    at = now.replace(now[:4], str(int(now[:4]) + 1), 1)
    video = await youtube.post(privacyStatus="private", publishAt=at)
    status = (await youtube.get("videos", part="status", id=video))["items"][0]["status"]
    assert (status["privacyStatus"], status["publishAt"]) == ("private", at)
    await youtube.later(366 * 86_400)
    grant = await (await youtube.http.post("/sandbox/oauth/grant", json={})).json()
    who = {"Authorization": f"Bearer {grant['access_token']}"}
    item = (await youtube.get("videos", part="status,snippet", id=video, who=who))["items"][0]
    assert item["status"]["privacyStatus"] == "public"
    assert "publishAt" not in item["status"]
    assert item["snippet"]["publishedAt"] == at


async def test_a_past_publish_at_publishes_at_once(youtube: Youtube) -> None:
    """Leaves a late post private for ever."""
    video = await youtube.post(privacyStatus="private", publishAt="2020-01-01T00:00:00Z")
    status = (await youtube.get("videos", part="status", id=video))["items"][0]["status"]
    assert status["privacyStatus"] == "public"


async def test_own_uploads_are_found_through_the_uploads_playlist(youtube: Youtube) -> None:
    """Breaks the search for a lost post among one's own uploads, page by page."""
    posted = [await youtube.post(f"Video {at}", privacyStatus="private") for at in range(3)]
    channel = (await youtube.get("channels", part="id,contentDetails,snippet,status", mine="true"))["items"][0]
    assert channel["id"] == youtube.channel_id
    playlist = channel["contentDetails"]["relatedPlaylists"]["uploads"]
    assert playlist == "UU" + youtube.channel_id[2:]
    first = await youtube.get("playlistItems", part="snippet,contentDetails,status", playlistId=playlist, maxResults=2)
    token = first["nextPageToken"]
    rest = await youtube.get("playlistItems", part="contentDetails", playlistId=playlist, maxResults=2, pageToken=token)
    found = [item["contentDetails"]["videoId"] for page in (first, rest) for item in page["items"]]
    assert found == posted[::-1]
    assert "nextPageToken" not in rest
    assert first["pageInfo"] == {"totalResults": 3, "resultsPerPage": 2}
    assert first["items"][0]["snippet"]["resourceId"] == {"kind": "youtube#video", "videoId": posted[-1]}
    foreign = await youtube.get("playlistItems", part="id", playlistId=playlist, who=youtube.other)
    assert foreign["items"] == []


async def test_search_finds_public_videos_without_numbers(youtube: Youtube) -> None:
    """Lets a scanner rely on fields that search never has, or find private videos."""
    await youtube.post("Hidden tarn", privacyStatus="private")
    video = await youtube.post("Tarn & sand")
    await youtube.post("Mountains")
    found = await youtube.get("search", part="snippet", q="tarn", type="video", who={}, key="sandbox-reader")
    assert [item["id"] for item in found["items"]] == [{"kind": "youtube#video", "videoId": video}]
    assert found["items"][0]["snippet"]["title"] == "Tarn &amp; sand"
    assert "statistics" not in found["items"][0]
    found = await youtube.get("search", part="snippet", q="bands -tarn|sand", type="video")
    assert found["pageInfo"]["totalResults"] == 1
    mine = await youtube.get("search", part="snippet", q="tarn", type="video", forMine="true")
    assert len(mine["items"]) == 2
    free = await youtube.get("search", part="id", type="video", q="tarn", videoLicense="creativeCommon")
    assert free["items"] == []
    assert (await youtube.get("search", part="id", q="tarn", videoDuration="long", type="video"))["items"] == []


@pytest.mark.parametrize(
    ("path", "params", "status", "reason"),
    [
        ("videos", {"id": "a"}, 400, "missingRequiredParameter"),
        ("videos", {"part": "status"}, 400, "missingRequiredParameter"),
        ("videos", {"part": "status", "id": "a", "chart": "mostPopular"}, 400, "incompatibleParameters"),
        ("videos", {"part": "wishes", "id": "a"}, 400, "unknownPart"),
        ("videos", {"part": "id", "id": ",".join(str(at) for at in range(51))}, 400, "invalidFilters"),
        ("videos", {"part": "id", "chart": "mostPopular", "maxResults": "0"}, 400, "badRequest"),
        ("channels", {"part": "id"}, 400, "missingRequiredParameter"),
        ("channels", {"part": "id", "mine": "true", "id": "UC"}, 400, "incompatibleParameters"),
        ("playlistItems", {"part": "id", "playlistId": "UUnobody"}, 404, "playlistNotFound"),
        ("search", {"part": "snippet", "videoDuration": "short"}, 400, "incompatibleParameters"),
        ("search", {"part": "snippet", "pageToken": "nonsense"}, 400, "invalidPageToken"),
        ("search", {"part": "snippet", "maxResults": "51"}, 400, "badRequest"),
        ("nothing", {"part": "snippet"}, 404, "notFound"),
    ],
)
async def test_wrong_parameters_have_their_reasons(
    youtube: Youtube, path: str, params: dict[str, str], status: int, reason: str
) -> None:
    """Lets calls work here that the real platform refuses."""
    assert await youtube.reason(path, status, **params) == reason


async def test_keys_and_missing_credentials(youtube: Youtube) -> None:
    """Confuses a missing sign-in with missing rights."""
    nobody: dict[str, str] = {}
    assert await youtube.reason("videos", 403, part="id", id="a", who=nobody) == "forbidden"
    assert await youtube.reason("videos", 400, part="id", id="a", key="other", who=nobody) == "badRequest"
    mine = {"part": "id", "mine": "true", "key": "sandbox-reader"}
    assert await youtube.reason("channels", 401, **mine, who=nobody) == "authorizationRequired"
    answer = await youtube.http.get(VIDEOS, params={"part": "id", "id": "a"}, headers={"Authorization": "Bearer no"})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_search_and_units_are_separate_buckets(youtube: Youtube) -> None:
    """Stops everything when only search quota is spent."""
    await youtube.http.patch("/sandbox/settings", json={"quota_searches": 1, "quota_units": 2})
    await youtube.get("search", part="snippet")
    assert await youtube.reason("search", 403, part="snippet") == "quotaExceeded"
    await youtube.get("videos", part="id", id="a")
    await youtube.get("videos", part="id", id="a")
    assert await youtube.reason("videos", 403, part="id", id="a") == "quotaExceeded"
    spent = (await (await youtube.http.get("/sandbox/state")).json())["quota"]["spent"]
    assert (spent["searches"], spent["units"]) == (1, 2)


async def test_update_replaces_the_named_parts_only(youtube: Youtube) -> None:
    """Loses a title or a schedule if update does not behave like the real one."""
    video = await youtube.post("Before", privacyStatus="private")
    body = {"id": video, "snippet": {"title": "After", "categoryId": "27"}}
    answer = await youtube.http.put(VIDEOS, params={"part": "snippet"}, json=body, headers=youtube.mine)
    assert answer.status == 200, await answer.text()
    item = (await youtube.get("videos", part="snippet,status", id=video))["items"][0]
    assert (item["snippet"]["title"], item["snippet"]["description"], "tags" in item["snippet"]) == ("After", "", False)
    assert item["status"]["privacyStatus"] == "private"
    body = {"id": video, "snippet": {"title": "No category"}}
    answer = await youtube.http.put(VIDEOS, params={"part": "snippet"}, json=body, headers=youtube.mine)
    assert (await answer.json())["error"]["errors"][0]["reason"] == "invalidCategoryId"
    foreign = await youtube.http.put(VIDEOS, params={"part": "snippet"}, json=body, headers=youtube.other)
    assert foreign.status == 403


async def test_delete_removes_a_video(youtube: Youtube) -> None:
    """Leaves a post up that somebody took down."""
    video = await youtube.post()
    assert (await youtube.http.delete(VIDEOS, params={"id": video}, headers=youtube.other)).status == 403
    assert (await youtube.http.delete(VIDEOS, params={"id": video}, headers=youtube.mine)).status == 204
    assert (await youtube.get("videos", part="id", id=video))["items"] == []
    again = await youtube.http.delete(VIDEOS, params={"id": video}, headers=youtube.mine)
    assert (again.status, (await again.json())["error"]["errors"][0]["reason"]) == (404, "videoNotFound")


async def test_charts_statistics_and_categories(youtube: Youtube) -> None:
    """Breaks trend scans and cheap tracking."""
    videos = {await youtube.post(f"Video {at}") for at in range(3)}
    await youtube.later(86_400)
    chart = (await youtube.get("videos", part="statistics", chart="mostPopular", maxResults=50))["items"]
    views = [int(item["statistics"]["viewCount"]) for item in chart]
    assert {item["id"] for item in chart} == videos
    assert views == sorted(views, reverse=True)
    stats = await youtube.get("videos:batchGetStats", part="statistics,contentDetails", id=",".join(videos))
    assert {item["id"]: item["statistics"]["viewCount"] for item in stats["items"]} == {
        item["id"]: item["statistics"]["viewCount"] for item in chart
    }
    categories = await youtube.get("videoCategories", part="snippet", regionCode="US")
    assert {"27", "28"} <= {item["id"] for item in categories["items"] if item["snippet"]["assignable"]}


async def test_thumbnails_are_pictures_of_the_video(youtube: Youtube) -> None:
    """Shows broken pictures wherever a post is listed."""
    video = await youtube.post()
    snippet = (await youtube.get("videos", part="snippet", id=video))["items"][0]["snippet"]
    answer = await youtube.http.get(snippet["thumbnails"]["high"]["url"])
    assert (answer.status, answer.content_type) == (200, "image/jpeg")
    assert (await answer.read())[:2] == b"\xff\xd8"
