"""Google's own client library drives the imitated YouTube: upload, list, statistics, reports."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped] # it ships no types
from googleapiclient.discovery_cache import get_static_doc  # type: ignore[import-untyped] # it ships no types
from googleapiclient.errors import HttpError  # type: ignore[import-untyped] # it ships no types
from googleapiclient.http import MediaIoBaseUpload  # type: ignore[import-untyped] # it ships no types
from yarl import URL

from actors.platforms.youtube import OAUTH
from deploy.sandbox import SandboxSettings, running
from deploy.sandbox.youtube_upload import CHUNK_BYTES

VIDEO = bytes(range(256)) * (5 * CHUNK_BYTES // 512) + b"the end"
BODY: dict[str, Any] = {
    "snippet": {"title": "A reef", "description": "Words", "tags": ["ett0"], "categoryId": "22"},
    "status": {"privacyStatus": "unlisted", "selfDeclaredMadeForKids": False, "containsSyntheticMedia": True},
}


class Site:
    """The sandbox and a token of an account that earns."""

    def __init__(self, address: URL, http: ClientSession) -> None:
        self.address = str(address).rstrip("/")
        self.http = http
        self.token = ""

    async def sign_in(self) -> None:
        asked = {"account": "earns@sandbox.test", "scopes": list(OAUTH.scopes)}
        async with self.http.post("/sandbox/oauth/grant", json=asked) as granted:
            self.token = (await granted.json())["access_token"]

    @contextmanager
    def client(self, name: str = "youtube", version: str = "v3") -> Iterator[Any]:
        """Make the library's client from its own description of the service, with the sandbox's address."""
        described = json.loads(get_static_doc(name, version))
        described["rootUrl"] = f"{self.address}/"
        described["baseUrl"] = f"{self.address}/{described['servicePath']}"
        client = build_from_document(described, credentials=Credentials(self.token))  # type: ignore[no-untyped-call] # the library has no types
        try:
            yield client
        finally:
            client.close()

    async def fault(self, **fault: Any) -> None:
        async with self.http.post("/sandbox/faults", json=fault) as answer:
            assert answer.status == 201, await answer.text()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    settings = SandboxSettings(check_media=False, processing_polls=0, time_scale=1.0)
    async with running(tmp_path, settings=settings) as address, ClientSession(address) as http:
        made = Site(address, http)
        await made.sign_in()
        yield made


def sent(site: Site, content: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> dict[str, Any]:
    media = MediaIoBaseUpload(BytesIO(content), "video/mp4", chunksize=chunk_bytes, resumable=True)
    answer = None
    with site.client() as client:
        request = client.videos().insert(part="snippet,status", body=BODY, media_body=media)
        while answer is None:
            try:
                _, answer = request.next_chunk()
            except HttpError as error:  # as in Google's sample: the next call asks where the session stands
                if error.resp.status != 503:
                    raise
    return dict(answer)


async def test_upload_list_and_statistics(site: Site) -> None:
    """An imitation that the platform's own client cannot use imitates something else."""
    made = await asyncio.to_thread(sent, site, VIDEO)
    async with site.http.get("/sandbox/state") as answer:
        (video,) = (await answer.json())["videos"]
    assert (video["id"], video["sha256"]) == (made["id"], hashlib.sha256(VIDEO).hexdigest())
    assert made["status"]["containsSyntheticMedia"] is True

    def read() -> tuple[Any, Any]:
        with site.client() as client:
            channel = client.channels().list(part="contentDetails", mine=True).execute()
            uploads = channel["items"][0]["contentDetails"]["relatedPlaylists"]["uploads"]
            items = client.playlistItems().list(part="contentDetails", playlistId=uploads).execute()
            parts = "snippet,status,statistics,processingDetails"
            return items, client.videos().list(part=parts, id=made["id"]).execute()

    items, videos = await asyncio.to_thread(read)
    assert [item["contentDetails"]["videoId"] for item in items["items"]] == [made["id"]]
    (told,) = videos["items"]
    assert (told["snippet"]["title"], told["status"]["uploadStatus"]) == ("A reef", "processed")
    assert told["statistics"]["viewCount"].isdigit()


async def test_an_interrupted_upload_goes_on(site: Site) -> None:
    """The library resumes by the answers' Range: bytes that are counted wrongly break the video."""
    await site.fault(where="youtube.upload", kind="status", status=503, skip=1)
    await asyncio.to_thread(sent, site, VIDEO)
    async with site.http.get("/sandbox/state") as answer:
        (video,) = (await answer.json())["videos"]
    assert video["sha256"] == hashlib.sha256(VIDEO).hexdigest()


async def test_thumbnail_captions_and_words(site: Site) -> None:
    """What is added to a video is added in the library's shape of requests too."""
    made = await asyncio.to_thread(sent, site, VIDEO)

    def dress() -> tuple[Any, Any, Any]:
        with site.client() as client:
            picture = MediaIoBaseUpload(BytesIO(b"\xff\xd8\xff and more"), "image/jpeg")
            client.thumbnails().set(videoId=made["id"], media_body=picture).execute()
            words = MediaIoBaseUpload(BytesIO(b"1\n00:00:00,000 --> 00:00:01,000\nHello\n"), "application/octet-stream")
            about = {"snippet": {"videoId": made["id"], "language": "en", "name": "", "isDraft": False}}
            track = client.captions().insert(part="snippet", body=about, media_body=words).execute()
            try:
                client.captions().insert(part="snippet", body=about, media_body=words).execute()
            except HttpError as error:
                doubled = error
            changed = {"id": made["id"], "snippet": {**BODY["snippet"], "title": "Another"}}
            return track, doubled, client.videos().update(part="snippet", body=changed).execute()

    track, doubled, updated = await asyncio.to_thread(dress)
    assert track["snippet"]["status"] == "serving"
    assert doubled.resp.status == 409
    assert updated["snippet"]["title"] == "Another"


async def test_reports_of_young_and_older_videos(site: Site) -> None:
    """No rows for two days, then a table: a zero would be read as a video that nobody watched."""
    made = await asyncio.to_thread(sent, site, VIDEO)

    def report(metrics: str) -> Any:
        dates = {"startDate": "2026-01-01", "endDate": "2030-01-01"}
        with site.client("youtubeAnalytics", "v2") as client:
            query = client.reports().query
            return query(ids="channel==MINE", metrics=metrics, filters=f"video=={made['id']}", **dates).execute()

    assert "rows" not in await asyncio.to_thread(report, "views,estimatedMinutesWatched")
    async with site.http.post("/sandbox/clock", json={"advance_s": 3 * 86_400}):
        pass
    await site.sign_in()
    table = await asyncio.to_thread(report, "views,estimatedMinutesWatched,estimatedRevenue")
    assert [header["name"] for header in table["columnHeaders"]] == [
        "views",
        "estimatedMinutesWatched",
        "estimatedRevenue",
    ]
    assert table["rows"][0][0] > 0
