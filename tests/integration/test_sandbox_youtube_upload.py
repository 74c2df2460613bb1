"""Resumable uploads to the sandbox, driven with raw HTTP as YouTube's protocol page says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from msgspec import Struct

from deploy.sandbox import SandboxSettings, running
from deploy.sandbox.media import make_clip
from deploy.sandbox.youtube_upload import CHUNK_BYTES

PATIENCE_S = 15.0
SNIPPET = {"title": "Deep sea", "description": "Bands of colour", "tags": ["ett0123456789abcdef"], "categoryId": "22"}
STATUS = {"privacyStatus": "private", "selfDeclaredMadeForKids": False}


class Channel(Struct):
    """A client with a token, and the sandbox it talks to."""

    http: ClientSession
    token: str

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def start(
        self, total: int | None, *, snippet: Any = None, status: Any = None, **headers: str
    ) -> ClientResponse:
        sized = {} if total is None else {"X-Upload-Content-Length": str(total)}
        return await self.http.post(
            "/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status",
            json={"snippet": snippet or SNIPPET, "status": status or STATUS},
            headers={**self.auth, "X-Upload-Content-Type": "video/mp4", **sized, **headers},
        )

    async def session(self, total: int | None) -> str:
        answer = await self.start(total)
        assert answer.status == 200
        return answer.headers["Location"]

    async def put(self, session: str, body: bytes, content_range: str | None = None) -> ClientResponse:
        ranged = {} if content_range is None else {"Content-Range": content_range}
        return await self.http.put(session, data=body, headers={**self.auth, **ranged}, allow_redirects=False)

    async def ask(self, session: str, total: int | str) -> ClientResponse:
        return await self.put(session, b"", f"bytes */{total}")

    async def fault(self, **fault: Any) -> None:
        answer = await self.http.post("/sandbox/faults", json=fault)
        assert answer.status == 201, await answer.text()

    async def state(self) -> Any:
        return await (await self.http.get("/sandbox/state")).json()


@asynccontextmanager
async def channel_at(folder: Path, settings: SandboxSettings | None = None) -> AsyncIterator[Channel]:
    async with (
        running(folder, settings=settings or SandboxSettings()) as address,
        ClientSession(address, timeout=ClientTimeout(total=PATIENCE_S)) as http,
    ):
        grant = await (await http.post("/sandbox/oauth/grant", json={})).json()
        yield Channel(http, grant["access_token"])


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncIterator[Channel]:
    async with channel_at(tmp_path) as channel:
        yield channel


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, seconds=2.0, width_px=640, height_px=360)
    return path.read_bytes()


@pytest.fixture
def blob() -> bytes:
    """Three chunks and a bit, no two bytes of it in the same place by chance."""
    return b"".join(hashlib.sha256(bytes([at % 251, at // 251])).digest() for at in range(25_000))


async def test_a_whole_file_becomes_one_video(channel: Channel, clip: bytes) -> None:
    """Breaks every upload if one PUT does not give 201 and the video resource."""
    session = await channel.session(len(clip))
    answer = await channel.put(session, clip)
    assert answer.status == 201
    video = await answer.json()
    assert video["kind"] == "youtube#video"
    assert video["snippet"]["title"] == "Deep sea"
    assert video["status"] == {**video["status"], "uploadStatus": "uploaded", "privacyStatus": "private"}
    state = await channel.state()
    assert [post["sha256"] for post in state["videos"]] == [hashlib.sha256(clip).hexdigest()]
    assert state["counts"]["by_tag"] == {"ett0123456789abcdef": 1}


async def test_asking_again_after_the_end_gives_the_same_answer(channel: Channel, clip: bytes) -> None:
    """Breaks the guard against double posts if a finished session does not answer with the first body."""
    session = await channel.session(len(clip))
    first = await (await channel.put(session, clip)).read()
    asked, sent = await channel.ask(session, len(clip)), await channel.put(session, clip)
    assert (asked.status, sent.status) == (200, 200)
    assert await asked.read() == await sent.read() == first
    assert (await channel.state())["counts"]["videos"] == 1


async def test_chunks_continue_where_range_says(channel: Channel, blob: bytes) -> None:
    """Breaks chunked uploads if 308 does not carry the range that is stored."""
    session = await channel.session(len(blob))
    size = CHUNK_BYTES
    empty = await channel.ask(session, len(blob))
    assert (empty.status, empty.headers.get("Range")) == (308, None)
    for first in range(0, len(blob) - size, size):
        answer = await channel.put(session, blob[first : first + size], f"bytes {first}-{first + size - 1}/{len(blob)}")
        assert (answer.status, answer.reason) == (308, "Resume Incomplete")
        assert answer.headers["Range"] == f"bytes=0-{first + size - 1}"
        assert (await channel.ask(session, len(blob))).headers["Range"] == answer.headers["Range"]
    last = first + size
    answer = await channel.put(session, blob[last:], f"bytes {last}-{len(blob) - 1}/{len(blob)}")
    assert answer.status == 201
    assert (await channel.state())["videos"][0]["sha256"] == hashlib.sha256(blob).hexdigest()


async def test_the_total_may_come_with_the_last_chunk(channel: Channel, blob: bytes) -> None:
    """Breaks clients that stream a file of unknown length with `bytes a-b/*`."""
    session = await channel.session(None)
    answer = await channel.put(session, blob[:CHUNK_BYTES], f"bytes 0-{CHUNK_BYTES - 1}/*")
    assert answer.status == 308
    assert (await channel.ask(session, "*")).headers["Range"] == f"bytes=0-{CHUNK_BYTES - 1}"
    answer = await channel.put(session, blob[CHUNK_BYTES:], f"bytes {CHUNK_BYTES}-{len(blob) - 1}/{len(blob)}")
    assert answer.status == 201


@pytest.mark.parametrize(
    ("length", "content_range"),
    [
        (1000, "bytes 0-999/800000"),
        (CHUNK_BYTES + 1, f"bytes 0-{CHUNK_BYTES}/800000"),
        (1000, "bytes 0-1998/800000"),
        (CHUNK_BYTES, f"bytes 0-{CHUNK_BYTES - 1}/900000"),
        (1000, "bytes 799500-800499/800000"),
        (1000, "bytes five-six/800000"),
    ],
)
async def test_bodies_that_break_the_rules_are_refused(
    channel: Channel, blob: bytes, length: int, content_range: str
) -> None:
    """Hides client bugs if a chunk of odd size, a wrong length or a wrong total is taken."""
    session = await channel.session(len(blob))
    assert len(blob) == 800_000
    answer = await channel.put(session, blob[:length], content_range)
    assert answer.status == 400
    assert "Range" not in (await channel.ask(session, len(blob))).headers


@pytest.mark.parametrize("first", [0, 2 * CHUNK_BYTES])
async def test_overlap_and_gap_store_nothing(channel: Channel, blob: bytes, first: int) -> None:
    """Corrupts resumed uploads if bytes before or beyond the stored end are taken."""
    session = await channel.session(len(blob))
    await channel.put(session, blob[:CHUNK_BYTES], f"bytes 0-{CHUNK_BYTES - 1}/{len(blob)}")
    body = blob[first : first + CHUNK_BYTES]
    answer = await channel.put(session, body, f"bytes {first}-{first + CHUNK_BYTES - 1}/{len(blob)}")
    assert (answer.status, answer.headers["Range"]) == (308, f"bytes=0-{CHUNK_BYTES - 1}")


async def test_no_bytes_is_no_upload(channel: Channel) -> None:
    """Hides an empty render if a PUT without bytes is taken."""
    answer = await channel.put(await channel.session(10), b"")
    assert answer.status == 400
    assert (await answer.json())["error"]["errors"][0]["reason"] == "mediaBodyRequired"


async def test_a_broken_connection_keeps_whole_blocks(channel: Channel, blob: bytes) -> None:
    """Breaks resuming if what arrived before the client vanished is lost, or half a block is kept."""
    session = await channel.session(len(blob))

    async def half() -> AsyncIterator[bytes]:
        yield blob[:600_000]
        raise ConnectionError

    with pytest.raises((ClientError, ConnectionError)):
        await channel.http.put(session, data=half(), headers={**channel.auth, "Content-Length": str(len(blob))})
    stored = 2 * CHUNK_BYTES
    async with asyncio.timeout(PATIENCE_S):
        while (await channel.ask(session, len(blob))).headers.get("Range") != f"bytes=0-{stored - 1}":
            await asyncio.sleep(0.02)
    answer = await channel.put(session, blob[stored:], f"bytes {stored}-{len(blob) - 1}/{len(blob)}")
    assert answer.status == 201
    assert (await channel.state())["videos"][0]["sha256"] == hashlib.sha256(blob).hexdigest()


async def test_a_server_that_drops_or_truncates_the_body_can_be_resumed(channel: Channel, blob: bytes) -> None:
    """Leaves resume code untested if the drop and truncate faults do not strike uploads."""
    session = await channel.session(len(blob))
    await channel.fault(where="youtube.upload", kind="drop_mid_body", after_bytes=300_000)
    with pytest.raises((ClientError, ConnectionError)):
        await channel.put(session, blob)
    assert (await channel.ask(session, len(blob))).headers["Range"] == f"bytes=0-{CHUNK_BYTES - 1}"
    await channel.fault(where="youtube.upload", kind="truncate", after_bytes=300_000)
    rest = f"bytes {CHUNK_BYTES}-{len(blob) - 1}/{len(blob)}"
    answer = await channel.put(session, blob[CHUNK_BYTES:], rest)
    assert (answer.status, answer.headers["Range"]) == (308, f"bytes=0-{2 * CHUNK_BYTES - 1}")


async def test_accept_then_timeout_posts_once(channel: Channel, clip: bytes) -> None:
    """Lets double posts through if an answer that never came does not leave a finished session behind."""
    session = await channel.session(len(clip))
    await channel.fault(where="youtube.upload", kind="accept_then_timeout", delay_s=0)
    with pytest.raises((ClientError, ConnectionError)):
        await channel.put(session, clip)
    answer = await channel.ask(session, len(clip))
    state = await channel.state()
    assert answer.status == 200
    assert (await answer.json())["id"] == state["videos"][0]["id"]
    assert state["counts"]["videos"] == 1


async def test_dead_sessions_are_not_found(tmp_path: Path, channel: Channel, blob: bytes) -> None:
    """Sends a client into endless retries if an expired session is not a 404."""
    session = await channel.session(len(blob))
    await channel.fault(where="youtube.upload", kind="session_expired")
    assert (await channel.put(session, blob)).status == 404
    assert (await channel.ask(session, len(blob))).status == 404
    old = await channel.session(len(blob))
    await channel.http.post("/sandbox/clock", json={"advance_s": 8 * 86_400})
    renewed = await (await channel.http.post("/sandbox/oauth/grant", json={})).json()
    channel.token = renewed["access_token"]
    assert (await channel.ask(old, len(blob))).status == 404


async def test_a_dead_token_is_told_and_the_session_lives_on(channel: Channel, clip: bytes) -> None:
    """Throws uploads away if a token that ends midway ends the session too."""
    session = await channel.session(len(clip))
    live, channel.token = channel.token, "sandbox-access-unknown"
    answer = await channel.put(session, clip)
    assert answer.status == 401
    assert (await answer.json())["error"]["errors"][0]["reason"] == "authError"
    channel.token = live
    assert (await channel.put(session, clip)).status == 201


@pytest.mark.parametrize(
    ("snippet", "status", "reason"),
    [
        ({**SNIPPET, "title": ""}, STATUS, "invalidTitle"),
        ({**SNIPPET, "title": "x" * 101}, STATUS, "invalidTitle"),
        ({**SNIPPET, "title": "a <b"}, STATUS, "invalidTitle"),
        ({**SNIPPET, "description": "ä" * 2501}, STATUS, "invalidDescription"),
        ({**SNIPPET, "description": "->"}, STATUS, "invalidDescription"),
        ({**SNIPPET, "tags": ["x" * 250, "y" * 250]}, STATUS, "invalidTags"),
        ({**SNIPPET, "tags": ["x y" + "z" * 496]}, STATUS, "invalidTags"),
        ({**SNIPPET, "categoryId": "18"}, STATUS, "invalidCategoryId"),
        (SNIPPET, {"privacyStatus": "secret"}, "invalidVideoMetadata"),
        (SNIPPET, {"privacyStatus": "public", "publishAt": "2036-01-01T00:00:00Z"}, "invalidPublishAt"),
        (SNIPPET, {"privacyStatus": "private", "publishAt": "tomorrow"}, "invalidPublishAt"),
        (SNIPPET, {"privacyStatus": "private", "publishAt": "2036-01-01T00:00:00"}, "invalidPublishAt"),
    ],
)
async def test_metadata_outside_the_limits_is_refused_with_its_reason(
    channel: Channel, snippet: Any, status: Any, reason: str
) -> None:
    """Lets metadata through that the real platform refuses, or names the wrong field."""
    answer = await channel.start(1000, snippet=snippet, status=status)
    error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["errors"][0]["reason"]) == (400, 400, reason)
    assert (await channel.state())["counts"]["sessions"] == 0


async def test_metadata_at_the_limits_is_taken(channel: Channel) -> None:
    """Refuses what the real platform takes if a limit is off by one or counts bytes for characters."""
    snippet = {"title": "ä" * 100, "description": "ä" * 2500, "tags": ["x" * 249, "y" * 250], "categoryId": "28"}
    assert (await channel.start(1000, snippet=snippet)).status == 200


async def test_headers_that_describe_the_file_are_checked(channel: Channel) -> None:
    """Hides a wrong file type or size until the real platform refuses it."""
    wrong_type = await channel.start(1000, **{"X-Upload-Content-Type": "image/png"})
    assert (wrong_type.status, (await wrong_type.json())["error"]["errors"][0]["reason"]) == (400, "badContent")
    assert (await channel.start(274_877_906_945)).status == 413
    assert (await channel.start(274_877_906_944)).status == 200


async def test_who_may_upload(channel: Channel) -> None:
    """Hides missing tokens or scopes until the first real upload."""
    live, channel.token = channel.token, "sandbox-access-unknown"
    answer = await channel.start(1000)
    assert (answer.status, (await answer.json())["error"]["errors"][0]["reason"]) == (401, "authError")
    reader = {"scopes": ["https://www.googleapis.com/auth/youtube.readonly"]}
    channel.token = (await (await channel.http.post("/sandbox/oauth/grant", json=reader)).json())["access_token"]
    answer = await channel.start(1000)
    assert (answer.status, (await answer.json())["error"]["errors"][0]["reason"]) == (403, "insufficientPermissions")
    await channel.http.patch("/sandbox/settings", json={"has_channel": False})
    channel.token = live
    answer = await channel.start(1000)
    assert (answer.status, (await answer.json())["error"]["errors"][0]["reason"]) == (401, "youtubeSignupRequired")


async def test_uploads_have_their_own_quota_bucket_until_midnight_pacific(tmp_path: Path) -> None:
    """Lets a client believe in quota that is gone, or never lets it back in."""
    async with channel_at(tmp_path, SandboxSettings(quota_uploads=2, access_token_expires_in_s=10**6)) as channel:
        for _ in range(2):
            await channel.session(1000)
        answer = await channel.start(1000)
        error = (await answer.json())["error"]
        assert (answer.status, error["errors"][0]["domain"]) == (403, "youtube.quota")
        assert error["errors"][0]["reason"] == "quotaExceeded"
        await channel.http.post("/sandbox/clock", json={"advance_s": 86_400})
        assert (await channel.start(1000)).status == 200


async def test_a_channel_has_a_daily_limit_of_its_own(tmp_path: Path, clip: bytes) -> None:
    """Mixes up a channel's upload limit with project quota if the reason is wrong."""
    async with channel_at(tmp_path, SandboxSettings(channel_daily_uploads=1)) as channel:
        await channel.put(await channel.session(len(clip)), clip)
        answer = await channel.start(1000)
        assert (answer.status, (await answer.json())["error"]["errors"][0]["reason"]) == (400, "uploadLimitExceeded")


async def test_unaudited_projects_are_locked_private(tmp_path: Path, clip: bytes) -> None:
    """Claims a public post that nobody can see if the lock does not show in the answer."""
    async with channel_at(tmp_path, SandboxSettings(audit_locked=True)) as channel:
        answer = await channel.start(len(clip), status={"privacyStatus": "public"})
        video = await (await channel.put(answer.headers["Location"], clip)).json()
        assert video["status"]["privacyStatus"] == "private"


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ({"kind": "status", "status": 401}, 401, "authError"),
        ({"kind": "status", "status": 403, "reason": "forbidden"}, 403, "forbidden"),
        ({"kind": "status", "status": 429, "retry_after_s": 7}, 429, "rateLimitExceeded"),
        ({"kind": "status", "status": 500}, 500, "internalError"),
        ({"kind": "status", "status": 503, "retry_after_s": 7}, 503, "backendError"),
        ({"kind": "quota"}, 403, "quotaExceeded"),
    ],
)
async def test_faults_speak_the_platforms_language(
    channel: Channel, fault: dict[str, Any], status: int, reason: str
) -> None:
    """Trains clients on errors that the real platform never sends."""
    await channel.fault(where="youtube.session", **fault)
    answer = await channel.start(1000)
    error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["errors"][0]["reason"]) == (status, status, reason)
    if "retry_after_s" in fault:
        assert answer.headers["Retry-After"] == "7"
    assert (await channel.start(1000)).status == 200
