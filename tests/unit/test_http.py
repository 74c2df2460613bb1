"""HTTP client, against a real server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict, CIMultiDictProxy

from actors.runtime.clock import Clock
from actors.runtime.http import Http, Response, raise_for_status, retry_after, safe_url
from contracts.errors import RateLimited, Reject, Retry

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
MIB = 1024 * 1024
SECRET = "s3cr3t"


class Site:
    """A server whose answers are picked by path, with what it saw."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.release = asyncio.Event()
        self.busy = 0
        self.busiest = 0
        self.other = ""
        self.app = web.Application()
        self.app.router.add_route("*", "/{tail:.*}", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.read())
        match request.path:
            case "/json":
                return web.json_response({"query": dict(request.query)})
            case "/html":
                return web.Response(text="<html>busy</html>", content_type="text/html")
            case "/hang":
                await self.release.wait()
                return web.Response()
            case "/turn":
                self.busy += 1
                self.busiest = max(self.busiest, self.busy)
                await asyncio.sleep(0)  # lets a second request in, were it allowed
                for _ in range(20):
                    await asyncio.sleep(0)
                self.busy -= 1
                return web.Response()
            case "/redirect":
                return web.Response(status=302, headers={"Location": "/json?b=2"})
            case "/308":
                return web.Response(status=308, headers={"Range": "bytes=0-99"})
            case "/away":
                return web.Response(status=302, headers={"Location": f"{self.other}/json"})
            case "/loop":
                return web.Response(status=302, headers={"Location": "/loop"})
            case "/drop":
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case "/short":
                return await self.cut_off(request, announced=1000, sent=400)
            case "/big":
                return web.Response(body=b"x" * 3 * MIB)
            case "/endless":
                return await self.endless(request)
            case "/busy":
                return web.Response(status=503, headers={"Retry-After": "7"})
            case "/gone":
                return web.json_response({"error": {"code": 404, "message": "no such file"}}, status=404)
        return web.Response(status=404)

    @staticmethod
    async def cut_off(request: web.Request, *, announced: int, sent: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(announced)})
        await response.prepare(request)
        await response.write(b"y" * sent)
        assert request.transport is not None
        request.transport.close()
        return response

    @staticmethod
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"z" * 65536)
        except ConnectionError:
            return response


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[tuple[Site, str]]:
    site = Site()
    async with TestServer(site.app) as server:
        yield site, str(server.make_url("")).rstrip("/")
        site.release.set()


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[Http]:
    async with Http("ettametta/test (me@example.org)", Clock()) as http:
        yield http


async def test_request_carries_agent_and_params(site: tuple[Site, str], http: Http) -> None:
    """Wikimedia refuses clients that do not name themselves."""
    seen, url = site
    answer = await http.request("GET", f"{url}/json", params={"q": "deep sea & more"})
    assert answer.json() == {"query": {"q": "deep sea & more"}}
    assert seen.seen[0].headers["User-Agent"] == "ettametta/test (me@example.org)"
    assert "Cookie" not in seen.seen[0].headers


async def test_bodies_arrive_as_given(site: tuple[Site, str], http: Http) -> None:
    """An upload whose bytes or length change on the way is refused by the platform."""
    seen, url = site

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    await http.request("POST", f"{url}/json", json={"a": 1})
    await http.request("POST", f"{url}/json", data={"grant_type": "refresh token"})
    await http.request("PUT", f"{url}/json", data=parts(), headers={"Content-Length": "6"})
    assert seen.bodies == [b'{"a":1}', b"grant_type=refresh+token", b"onetwo"]
    assert seen.seen[0].headers["Content-Type"] == "application/json"
    assert seen.seen[2].headers["Content-Length"] == "6"


async def test_encoded_address_is_sent_byte_for_byte(site: tuple[Site, str], http: Http) -> None:
    """A signed address that is re-encoded is refused as forged."""
    seen, url = site
    await http.request("GET", f"{url}/json?sig=a%2Fb%7E%20c")
    assert seen.seen[0].raw_path == "/json?sig=a%2Fb%7E%20c"


async def test_not_json_is_a_retry(site: tuple[Site, str], http: Http) -> None:
    """A proxy's error page must not end a scan for ever."""
    _, url = site
    with pytest.raises(Retry, match="not JSON"):
        (await http.request("GET", f"{url}/html")).json()


async def test_deadline_covers_the_whole_request(site: tuple[Site, str], http: Http) -> None:
    """A platform that never answers would hold the actor for ever."""
    _, url = site
    with pytest.raises(Retry, match=r"did not finish within 0\.05 s"):
        await http.request("GET", f"{url}/hang", deadline_s=0.05)


async def test_redirects_are_answers_unless_followed(site: tuple[Site, str], http: Http) -> None:
    """Google's 308 means 'resume incomplete': following it would break every upload."""
    _, url = site
    assert (await http.request("GET", f"{url}/redirect")).status == 302
    resumed = await http.request("PUT", f"{url}/308", data=b"x")
    assert (resumed.status, resumed.headers["Range"]) == (308, "bytes=0-99")
    assert (await http.request("GET", f"{url}/redirect", follow=True)).json() == {"query": {"b": "2"}}
    with pytest.raises(Reject, match="redirects more than"):
        await http.request("GET", f"{url}/loop", follow=True)
    with pytest.raises(ValueError, match="GET and HEAD"):
        await http.request("POST", f"{url}/redirect", follow=True)


async def test_secrets_stay_with_their_origin(site: tuple[Site, str], http: Http) -> None:
    """A redirect to another host would hand it the access token."""
    seen, url = site
    other = Site()
    async with TestServer(other.app) as server:
        seen.other = str(server.make_url("")).rstrip("/")
        await http.request(
            "GET", f"{url}/away", follow=True, headers={"Authorization": SECRET, "X-Api-Key": SECRET, "Accept": "a/b"}
        )
    assert seen.seen[0].headers["Authorization"] == SECRET
    assert SECRET not in str(other.seen[0].headers)
    assert other.seen[0].headers["Accept"] == "a/b"


@pytest.mark.parametrize("path", ["drop", "hang", "short", "loop", "html", "gone"])
async def test_errors_never_show_the_query(site: tuple[Site, str], http: Http, path: str) -> None:
    """Error texts end in logs and on the status page: a token in them is a leak."""
    _, url = site

    async def ask() -> None:
        answer = await http.request(
            "GET", f"{url}/{path}?token={SECRET}", deadline_s=0.2, follow=True, headers={"Authorization": SECRET}
        )
        raise_for_status(answer, what=answer.url, now=NOW)
        answer.json()

    with pytest.raises((Retry, Reject)) as caught:
        await ask()
    shown = [caught.value, caught.value.__cause__]
    assert SECRET not in "".join(repr(error) for error in shown)
    assert caught.value.__suppress_context__ or SECRET not in repr(caught.value.__context__)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_broken_request_is_never_sent_again_unasked(site: tuple[Site, str], http: Http, method: str) -> None:
    """An upload whose outcome is unknown, sent twice behind the caller's back, may be posted twice."""
    seen, url = site
    await http.request("GET", f"{url}/json")
    with pytest.raises(Retry, match="closed the connection without an answer"):
        await http.request(method, f"{url}/drop", data=b"chunk")
    assert [request.path for request in seen.seen] == ["/json", "/drop"]


async def test_connection_faults_are_retries(http: Http) -> None:
    """A platform that is down for a minute must not end the work."""
    server = TestServer(web.Application())
    await server.start_server()
    url = str(server.make_url("/x"))
    await server.close()
    with pytest.raises(Retry, match="cannot connect"):
        await http.request("GET", url)


@pytest.mark.parametrize("url", ["ftp://example.org/a", "nonsense", "http://", "http://[bad/", "file:///etc/passwd"])
async def test_bad_addresses_are_rejected(http: Http, url: str) -> None:
    """A wrong address never becomes right by retrying."""
    with pytest.raises(Reject, match="not an http or https address"):
        await http.request("GET", url)


async def test_large_answers_are_refused(site: tuple[Site, str], http: Http) -> None:
    """An API answer without end would take all memory."""
    _, url = site
    with pytest.raises(Reject, match="more than 1048576 bytes"):
        await http.request("GET", f"{url}/endless", max_body_bytes=MIB)


async def test_limited_host_gets_one_request_at_a_time(site: tuple[Site, str], http: Http) -> None:
    """Wikimedia asks for requests in series and blocks clients that do otherwise."""
    seen, url = site
    await asyncio.gather(*(http.request("GET", f"{url}/turn") for _ in range(4)))
    assert seen.busiest > 1
    seen.busiest = 0
    http.limit_host(f"{url}/turn", parallel=1)
    await asyncio.gather(*(http.request("GET", f"{url}/turn") for _ in range(4)))
    assert seen.busiest == 1
    http.limit_host(f"{url}/elsewhere", parallel=1)
    await asyncio.gather(*(http.request("GET", f"{url}/turn") for _ in range(4)))
    assert seen.busiest == 1, "a second address of one host takes nothing from the first"


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_download_stores_the_whole_file(site: tuple[Site, str], http: Http, tmp_path: Path) -> None:
    """The sha256 names the source for ever: a wrong one loses the file."""
    _, url = site
    got = await http.download(f"{url}/big", tmp_path / "a.mp4", max_bytes=3 * MIB, deadline_s=10)
    stored = (tmp_path / "a.mp4").read_bytes()
    assert (got.size_bytes, got.sha256) == (3 * MIB, hashlib.sha256(stored).hexdigest())
    assert names_in(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("big", Reject, "more than the limit"),
        ("endless", Reject, "more than the limit"),
        ("short", Retry, "cut off"),
        ("gone", Reject, "answered 404: no such file"),
        ("busy", RateLimited, "answered 503"),
        ("308", Reject, "answered 308"),
        ("hang", Retry, "did not finish"),
    ],
)
async def test_failed_download_leaves_nothing(
    *, site: tuple[Site, str], http: Http, tmp_path: Path, path: str, error: type[Exception], says: str
) -> None:
    """Half a file taken for a whole one would be rendered and posted."""
    _, url = site
    deadline_s = 0.2 if path == "hang" else 10.0
    with pytest.raises(error, match=says):
        await http.download(f"{url}/{path}", tmp_path / "a.mp4", max_bytes=2 * MIB, deadline_s=deadline_s)
    assert names_in(tmp_path) == []


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Response:
    return Response(status=status, headers=CIMultiDictProxy(CIMultiDict(headers or {})), body=body, url="http://x/y")


@pytest.mark.parametrize(
    ("status", "kind"), [(408, Retry), (429, Retry), (500, Retry), (503, Retry), (301, Reject), (404, Reject)]
)
def test_status_decides_what_happens_next(status: int, kind: type[Exception]) -> None:
    """A refused request that is retried for ever, or a busy server that ends the work, both lose it."""
    with pytest.raises(kind, match=f"the search answered {status}"):
        raise_for_status(answer(status), what="the search", now=NOW)
    raise_for_status(answer(206), what="the search", now=NOW)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        ("120", 120),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0),
        ("999999999999999999999", 86_400),
    ],
)
def test_retry_after_is_honoured(status: int, told: str, wait_s: int) -> None:
    """Coming back before the platform said gets the client blocked; coming back in a year is never."""
    with pytest.raises(RateLimited) as caught:
        raise_for_status(answer(status, {"retry-after": told}), what="the search", now=NOW)
    assert caught.value.until == NOW + timedelta(seconds=wait_s)


@pytest.mark.parametrize("told", ["", "soon", "-5", "1.5", "²"])
def test_unreadable_retry_after_is_ignored(told: str) -> None:
    """A wrong header must not break the error that carries it."""
    assert retry_after(CIMultiDict({"Retry-After": told}), now=NOW) is None


@pytest.mark.parametrize(
    "body",
    [b'{"error":{"code":404,"message":"no such  file"}}', b'{"error":"no such file"}', b'{"message":"no such file"}'],
)
def test_the_platforms_own_words_are_shown(body: bytes) -> None:
    """Without them a person cannot tell what to mend."""
    with pytest.raises(Reject, match="answered 404: no such file"):
        raise_for_status(answer(404, body=body), what="the search", now=NOW)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@host:8443/a/b?token=1#f", "https://host:8443/a/b"),
        ("http://host", "http://host/"),
        ("http://[::1]:80/x?y", "http://[::1]:80/x"),
    ],
)
def test_safe_url(url: str, shown: str) -> None:
    """Signed addresses and passwords in logs are leaks."""
    assert safe_url(url) == shown
