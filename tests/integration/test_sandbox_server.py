"""The sandbox as a server: crashes, who may call, faults, pages."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout
from msgspec import structs

from contracts.errors import Reject
from deploy.sandbox import SandboxSettings, running, serve
from deploy.sandbox.media import make_clip
from deploy.sandbox.store import Store
from deploy.sandbox.youtube_upload import Session

DEADLINE_S = 60.0
CHUNK_BYTES = 262_144
STATUS = "youtube.categories"
CATEGORIES = "/youtube/v3/videoCategories?part=snippet&regionCode=US&key=sandbox-reader"


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[ClientSession]:
    async with (
        running(tmp_path / "sandbox", settings=SandboxSettings()) as address,
        ClientSession(address, timeout=ClientTimeout(total=DEADLINE_S)) as http,
    ):
        yield http


@asynccontextmanager
async def process(folder: Path, *arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """Run the sandbox as its own process; kill it at the end if it lives."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.sandbox", "--folder", str(folder), *arguments, stdout=PIPE, stderr=PIPE
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            address = (await child.stdout.readline()).decode().strip()
        yield child, address
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.communicate()


async def grant(http: ClientSession) -> dict[str, str]:
    answer = await (await http.post("/sandbox/oauth/grant", json={})).json()
    return {"Authorization": f"Bearer {answer['access_token']}"}


async def start(http: ClientSession, auth: dict[str, str], title: str = "Deep sea") -> str:
    answer = await http.post(
        "/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status",
        json={"snippet": {"title": title, "tags": ["ettmarker"]}, "status": {"privacyStatus": "public"}},
        headers=auth,
    )
    assert answer.status == 200, await answer.text()
    return answer.headers["Location"]


async def state(http: ClientSession) -> Any:
    return await (await http.get("/sandbox/state")).json()


async def test_confirmed_bytes_survive_kill_9(tmp_path: Path) -> None:
    """Loses uploads, tokens or posts in a crash test of the publisher, and blames the publisher."""
    body = bytes(range(256)) * 4096
    half = len(body) // 2
    async with process(tmp_path) as (child, address), ClientSession(address) as http:
        auth = await grant(http)
        session = await start(http, auth)
        chunk = {**auth, "Content-Range": f"bytes 0-{half - 1}/{len(body)}"}
        assert (await http.put(session, data=body[:half], headers=chunk)).status == 308
        child.send_signal(signal.SIGKILL)
        assert await child.wait() == -signal.SIGKILL
    async with process(tmp_path) as (child, address), ClientSession(address) as http:
        moved = address + session[session.index("/upload") :]
        asked = await http.put(moved, headers={**auth, "Content-Range": f"bytes */{len(body)}"}, allow_redirects=False)
        assert (asked.status, asked.headers["Range"]) == (308, f"bytes=0-{half - 1}")
        rest = {**auth, "Content-Range": f"bytes {half}-{len(body) - 1}/{len(body)}"}
        answer = await http.put(moved, data=body[half:], headers=rest)
        assert answer.status == 201
        video = await answer.json()
        child.send_signal(signal.SIGKILL)
        await child.wait()
    async with process(tmp_path) as (_, address), ClientSession(address) as http:
        (post,) = (await state(http))["videos"]
        assert (post["id"], post["sha256"]) == (video["id"], hashlib.sha256(body).hexdigest())
        assert await (await http.get(f"/sandbox/media/{post['id']}")).read() == body
        moved = address + session[session.index("/upload") :]
        again = await http.put(moved, headers={**auth, "Content-Range": f"bytes */{len(body)}"})
        assert (again.status, (await again.json())["id"]) == (200, video["id"])


async def test_a_crash_in_the_middle_of_one_body_keeps_what_was_confirmed(tmp_path: Path) -> None:
    """Starts a big upload from zero after a crash, or claims bytes that are not on disk."""
    total = 64 * 1024 * 1024
    confirmed = 8 * 1024 * 1024
    block = bytes(range(256)) * 1024
    async with process(tmp_path) as (child, address), ClientSession(address) as http:
        auth = await grant(http)
        session = await start(http, auth)

        async def slowly() -> AsyncIterator[bytes]:
            for _ in range(confirmed // len(block) + 4):
                yield block
            async with asyncio.timeout(DEADLINE_S):
                while (await state(http))["sessions"][0]["received_bytes"] < confirmed:
                    await asyncio.sleep(0.02)
            child.send_signal(signal.SIGKILL)
            await child.wait()
            yield block

        with pytest.raises((ClientError, ConnectionError)):
            await http.put(session, data=slowly(), headers={**auth, "Content-Length": str(total)})
    async with process(tmp_path) as (_, address), ClientSession(address) as http:
        moved = address + session[session.index("/upload") :]
        asked = await http.put(moved, headers={**auth, "Content-Range": f"bytes */{total}"}, allow_redirects=False)
        assert (asked.status, asked.headers["Range"]) == (308, f"bytes=0-{confirmed - 1}")


async def test_a_crash_between_the_last_byte_and_the_post_leaves_one_post(tmp_path: Path) -> None:
    """Loses a whole upload, or posts it twice, when the end comes just before the video is made."""
    settings = SandboxSettings()
    async with running(tmp_path, settings=settings) as address, ClientSession(address) as http:
        auth = await grant(http)
        session = await start(http, auth)
        chunk = {**auth, "Content-Range": f"bytes 0-{CHUNK_BYTES - 1}/*"}
        assert (await http.put(session, data=bytes(CHUNK_BYTES), headers=chunk)).status == 308
    store = Store(tmp_path / "sandbox.sqlite3")
    (stored,) = store.all(Session)
    store.put(stored.id, structs.replace(stored, total_bytes=CHUNK_BYTES))
    store.close()
    async with running(tmp_path, settings=settings) as address, ClientSession(address) as http:
        moved = str(address.origin()) + session[session.index("/upload") :]
        asked = {**auth, "Content-Range": f"bytes */{CHUNK_BYTES}"}
        answers = await asyncio.gather(*(http.put(moved, headers=asked) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]
        assert len({(await answer.json())["id"] for answer in answers}) == 1
        assert (await state(http))["counts"]["videos"] == 1


async def test_the_process_prints_its_address_and_settings(tmp_path: Path) -> None:
    """Leaves people to guess the port, or a wrong setting unexplained."""
    async with process(tmp_path, "--set", "audit_locked=true") as (child, address), ClientSession(address) as http:
        assert child.stdout is not None
        assert (await child.stdout.readline()).decode() == f"GOOGLE_ACCOUNTS_API_URL={address}\n"
        assert (await (await http.get("/sandbox/settings")).json())["audit_locked"] is True
    arguments = ("-m", "deploy.sandbox", "--folder", str(tmp_path), "--set", "time_scale=fast")
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, stderr=PIPE)
    _, told = await asyncio.wait_for(child.communicate(), DEADLINE_S)
    assert child.returncode == 1
    assert b"time_scale" in told


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.test"])
async def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    """Opens a server without real sign-in to the network."""
    with pytest.raises(Reject, match="must stay on this machine"):
        await serve(tmp_path, host)


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """Ends in a stack trace when two sandboxes want one port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Reject, match=f"port {port}"):
            await serve(tmp_path, port=port)


async def test_serve_tells_its_port_and_ends_when_cancelled(tmp_path: Path) -> None:
    """Hangs the demo at its start or its end."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(tmp_path, ready=port.set_result, settings=SandboxSettings()))
    async with ClientSession(f"http://127.0.0.1:{await asyncio.wait_for(port, DEADLINE_S)}") as http:
        assert (await http.get("/")).status == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, DEADLINE_S)


async def test_foreign_names_and_foreign_pages_are_refused(http: ClientSession) -> None:
    """Lets a web page on the internet post through a visitor's browser."""
    rebound = await http.get("/sandbox/state", headers={"Host": "evil.test"})
    assert (rebound.status, "127.0.0.1" in await rebound.text()) == (421, True)
    posted = await http.post("/sandbox/samples", headers={"Origin": "https://evil.test"})
    assert posted.status == 403
    plain = await http.post(
        "/sandbox/faults", data='{"where": "*", "kind": "slow"}', headers={"Content-Type": "text/plain"}
    )
    assert plain.status == 400


async def test_faults_count_down_skip_and_clear(http: ClientSession) -> None:
    """Strikes the wrong calls, or never stops."""

    async def statuses(count: int) -> list[int]:
        return [(await http.get(CATEGORIES)).status for _ in range(count)]

    fault = {"where": STATUS, "kind": "status", "status": 500, "times": 2, "skip": 1}
    made = await (await http.post("/sandbox/faults", json=fault)).json()
    assert await statuses(4) == [200, 500, 500, 200]
    fault = {"where": "youtube.*", "kind": "status", "status": 503, "times": None}
    made = await (await http.post("/sandbox/faults", json=fault)).json()
    listed = await (await http.get("/sandbox/faults")).json()
    assert [entry["id"] for entry in listed["faults"]] == [made["id"]]
    assert "accept_then_timeout" in listed["places"]["youtube.upload"]
    assert await statuses(2) == [503, 503]
    assert (await http.delete(f"/sandbox/faults/{made['id']}")).status == 204
    assert await statuses(1) == [200]
    told = await state(http)
    assert told["struck"] == {f"{STATUS}:status": 4}
    assert told["calls"][STATUS] == 7


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"where": "youtube.nowhere", "kind": "slow"}, "no place is called"),
        ({"where": "archive.search", "kind": "quota"}, "cannot fail with 'quota'"),
        ({"where": STATUS, "kind": "explode"}, "explode"),
        ({"where": STATUS, "kind": "slow", "times": 0}, "times"),
        ({"where": STATUS, "kind": "slow", "seconds": 3}, "seconds"),
    ],
)
async def test_faults_that_cannot_be_are_refused(http: ClientSession, fault: dict[str, Any], words: str) -> None:
    """Makes a test pass because its fault was misspelt and never struck."""
    answer = await http.post("/sandbox/faults", json=fault)
    assert answer.status == 400
    assert words in (await answer.json())["error"]


async def test_slow_answers_late(http: ClientSession) -> None:
    """Leaves client deadlines untested."""
    await http.post("/sandbox/faults", json={"where": STATUS, "kind": "slow", "delay_s": 30})
    with pytest.raises(TimeoutError):
        await http.get(CATEGORIES, timeout=ClientTimeout(total=0.3))
    assert (await http.get(CATEGORIES)).status == 200


async def test_the_page_shows_posts_safely_and_plays_them(tmp_path: Path, http: ClientSession) -> None:
    """Shows nothing of what was posted, or runs a script that came in a title."""
    clip = tmp_path / "clip.mp4"
    make_clip(clip, seconds=1.0)
    whole = clip.read_bytes()
    auth = await grant(http)
    session = await start(http, auth, 'Fish & "chips"')
    assert (await http.put(session, data=whole, headers=auth)).status == 201
    await start(http, auth, 'Half "way"')
    listing = {"identifier": "sea", "title": "<script>alert(1)</script>", "file": str(clip)}
    assert (await http.post("/sandbox/archive/items", json=listing)).status == 201
    await http.post("/sandbox/faults", json={"where": "youtube.search", "kind": "quota"})
    (post,) = (await state(http))["videos"]
    page = await http.get("/")
    text = await page.text()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for words in (
        "Fish &amp; &quot;chips&quot;",
        "Half &quot;way&quot;",
        "&lt;script&gt;alert",
        "public",
        post["id"],
        "youtube.search",
        "none stated",
    ):
        assert words in text, words
    assert "<script>alert" not in text
    assert f'src="/sandbox/media/{post["id"]}"' in text
    part = await http.get(f"/sandbox/media/{post['id']}", headers={"Range": "bytes=10-19"})
    assert (part.status, await part.read()) == (206, whole[10:20])
    for path in (f"/watch?v={post['id']}", f"/shorts/{post['id']}", "/details/sea", "/sandbox/page.css"):
        assert (await http.get(path)).status == 200, path
    assert (await http.get("/watch?v=missing")).status == 404


async def test_the_form_on_the_page_sets_and_clears_faults(http: ClientSession) -> None:
    """Leaves the switchboard to people who can write JSON."""
    form = {"where": STATUS, "kind": "status", "status": "", "times": "2"}
    answer = await http.post("/sandbox/faults", data=form, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    (fault,) = (await state(http))["faults"]
    assert (fault["status"], fault["times"]) == (503, 2)
    await http.post(f"/sandbox/faults/{fault['id']}/clear")
    assert (await state(http))["faults"] == []


async def test_secrets_are_not_shown(http: ClientSession) -> None:
    """Prints tokens or the client's word on a page that gets screenshotted."""
    auth = await grant(http)
    token = auth["Authorization"].removeprefix("Bearer ")
    for path in ("/", "/sandbox/state", "/sandbox/settings"):
        text = await (await http.get(path)).text()
        assert token not in text
        assert "sandbox-word" not in text
