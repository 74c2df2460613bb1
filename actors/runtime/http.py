"""HTTP for the actors: one session, a deadline on every request, errors of `contracts.errors`, no secrets in texts.

Sources: RFC 9110 (status codes; 10.2.3 Retry-After; 15.4 redirects), aiohttp 3.14 client reference; read 2026-11-23.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import socket
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import aiohttp
import msgspec
from aiohttp.abc import ResolveResult
from msgspec import Struct
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from actors.runtime.addresses import Origin, configured_origins, origin_of, refuse_inner
from actors.runtime.clock import Clock
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry

__all__ = ["Downloaded", "Http", "Response", "open_http", "raise_for_status", "retry_after", "safe_url"]

Params = Mapping[str, str] | Sequence[tuple[str, str]]
Body = bytes | Mapping[str, str] | AsyncIterable[bytes]

CONNECT_S: Final = 10.0
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_REDIRECTS: Final = 5
CHUNK_BYTES: Final = 256 * 1024
BUSY_WAIT_S: Final = 60.0
LONGEST_WAIT_S: Final = 86_400.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEPT_ACROSS_ORIGINS: Final = frozenset({"accept", "accept-encoding", "range"})


class Response(Struct, frozen=True, kw_only=True):
    """A whole answer. `url` carries neither query nor credentials."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: str

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """Return the decoded body. Raises: Retry if it is not JSON (a proxy's error page, a cut-off answer)."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise Retry(f"{self.url} answered {self.status} with something that is not JSON") from error


class Downloaded(Struct, frozen=True, kw_only=True):
    """What `Http.download` stored."""

    sha256: str
    size_bytes: int
    content_type: str


class Http:
    """One aiohttp session, as an async context manager. Keeps no cookies and reads no proxy settings.

    inner: it connects to public addresses alone, and to these origins, at every redirect; None: to any.
    """

    def __init__(self, user_agent: str, clock: Clock, *, inner: Collection[Origin] | None = None) -> None:
        self._user_agent = user_agent
        self._clock = clock
        self._inner = inner
        self._session: aiohttp.ClientSession | None = None
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"User-Agent": self._user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(
                limit=64, limit_per_host=16, resolver=None if self._inner is None else _PublicResolver(self._inner)
            ),
            middlewares=(_send_once,),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def limit_host(self, url: str, *, parallel: int) -> None:
        """Send at most `parallel` requests at once to what begins with `url`. The first call for an address counts."""
        self._turns.setdefault(str(_parse(url)), asyncio.Semaphore(parallel))

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Body | None = None,
        deadline_s: float = 30.0,
        follow: bool = False,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> Response:
        """Send one request and read the whole answer, whatever its status.

        Args: data: raw bytes, form fields, or a stream (chunked unless `headers` give Content-Length);
        deadline_s: for everything, waiting for the host's turn included; follow: follow redirects, GET and HEAD only.
        Raises: Retry on connection faults, time-outs and cut-off answers; Reject on a bad address, a refused
        redirect or a body above `max_body_bytes`.
        """
        sent = CIMultiDict(headers or {})
        payload = data
        if json is not None:
            payload = msgspec.json.encode(json)
            sent.setdefault("Content-Type", "application/json")
        target = _parse(url)
        if params:
            target = target.extend_query(params)
        async with self._open(method, target, headers=sent, data=payload, deadline_s=deadline_s, follow=follow) as got:
            body = bytearray()
            async for chunk in got.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > max_body_bytes:
                    raise Reject(f"{safe_url(url)} answered with more than {max_body_bytes} bytes")
            return Response(status=got.status, headers=got.headers, body=bytes(body), url=safe_url(url))

    async def download(
        self, url: str, to: Path, *, max_bytes: int, deadline_s: float, headers: Mapping[str, str] | None = None
    ) -> Downloaded:
        """Stream `url` into `to`, which appears whole or not at all. Follows redirects; memory stays flat.

        Raises: Retry (connection fault, time-out, fewer bytes than announced), RateLimited,
        Reject (refused by the server, or larger than `max_bytes`).
        """
        sent = CIMultiDict(headers or {})
        sent.setdefault("Accept-Encoding", "identity")
        name = safe_url(url)
        async with self._open("GET", _parse(url), headers=sent, deadline_s=deadline_s, follow=True) as got:
            if got.status != 200:
                start = await got.content.read(4096)
                answer = Response(status=got.status, headers=got.headers, body=start, url=name)
                raise_for_status(answer, what=f"download of {name}", now=self._clock.now())
                raise Reject(f"download of {name}: answered {got.status} without the file")
            announced = None if "Content-Encoding" in got.headers else got.content_length
            if announced is not None and announced > max_bytes:
                raise Reject(f"{name} has {announced} bytes, more than the limit of {max_bytes}")
            digest, size_bytes = hashlib.sha256(), 0
            with _whole_file(to) as part:
                async for chunk in got.content.iter_chunked(CHUNK_BYTES):
                    size_bytes += len(chunk)
                    if size_bytes > max_bytes:
                        raise Reject(f"{name} has more than the limit of {max_bytes} bytes")
                    digest.update(chunk)
                    await asyncio.to_thread(part.write, chunk)
                if announced is not None and size_bytes != announced:
                    raise Retry(f"{name} was cut off after {size_bytes} of {announced} bytes")
            return Downloaded(sha256=digest.hexdigest(), size_bytes=size_bytes, content_type=got.content_type)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        url: URL,
        *,
        headers: CIMultiDict[str],
        deadline_s: float,
        follow: bool,
        data: Body | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if follow and method not in {"GET", "HEAD"}:
            raise ValueError("only GET and HEAD follow redirects")
        name = safe_url(str(url))
        # The library's own errors quote whole addresses, so none of them is chained.
        try:
            async with (
                asyncio.timeout(deadline_s),
                self._turn(url),
                self._hops(method, url, headers, data, follow=follow) as got,
            ):
                yield got
        except TimeoutError:
            raise Retry(f"{name} did not finish within {deadline_s:g} s") from None
        except aiohttp.InvalidURL:
            raise Reject(f"{name} is not an address that can be fetched") from None
        except aiohttp.ClientError as error:
            raise Retry(f"{name}: {_fault(error)}") from None
        except ConnectionError:
            raise Retry(f"{name}: the connection broke") from None

    def _turn(self, url: URL) -> AbstractAsyncContextManager[None]:
        address = str(url)
        return next((turn for start, turn in self._turns.items() if address.startswith(start)), nullcontext())

    @asynccontextmanager
    async def _hops(
        self, method: str, url: URL, headers: CIMultiDict[str], data: Body | None, *, follow: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send, and follow redirects by hand: the first address names the fault, secrets stay with their origin."""
        if self._session is None:
            raise RuntimeError("Http is used outside its context")
        for _ in range(MAX_REDIRECTS + 1):
            if self._inner is not None:
                _refuse_inner_number(url, self._inner)
            async with self._session.request(method, url, headers=headers, data=data, allow_redirects=False) as got:
                target = _redirect_of(got, url) if follow else None
                if target is None:
                    yield got
                    return
            if target.origin() != url.origin():
                headers = CIMultiDict((k, v) for k, v in headers.items() if k.lower() in _KEPT_ACROSS_ORIGINS)
            url = target
        raise Reject(f"{safe_url(str(url))} redirects more than {MAX_REDIRECTS} times")


def open_http(settings: Settings, clock: Clock, *, only_public: bool = False) -> AbstractAsyncContextManager[Http]:
    """Open the client that a process uses: it names itself as `settings` say.

    only_public: for addresses that strangers give; it connects to what is public, and to what the operator configured.
    """
    return Http(settings.user_agent, clock, inner=configured_origins(settings.api_urls) if only_public else None)


def safe_url(url: str) -> str:
    """Return the address without user, password, query and fragment: what may be shown and logged."""
    try:
        parsed = URL(url, encoded=True)
        host = parsed.host_subcomponent or ""
        port = f":{parsed.explicit_port}" if parsed.explicit_port is not None else ""
    except ValueError:
        return "(unreadable address)"
    return f"{parsed.scheme}://{host}{port}{parsed.raw_path}" if host else parsed.raw_path or "(no address)"


def retry_after(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """Return the moment that Retry-After names, at most a day ahead; None: it is absent or unreadable."""
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdigit():
        until = now + timedelta(seconds=min(float(told), LONGEST_WAIT_S))
    else:
        try:
            parsed = parsedate_to_datetime(told)
        except ValueError:
            return None
        until = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    return min(max(until, now), now + timedelta(seconds=LONGEST_WAIT_S))


def raise_for_status(response: Response, *, what: str, now: datetime) -> None:
    """Raise unless the answer is 2xx.

    Args: what: the call in words, for the text.
    Raises: RateLimited (429 or 503 with Retry-After), Retry (429, 408, 5xx), Reject (any other).
    """
    status = response.status
    if 200 <= status < 300:
        return
    text = f"{what} answered {status}"
    if told := _told(response):
        text = f"{text}: {told}"
    if status in {429, 503} and (until := retry_after(response.headers, now=now)) is not None:
        raise RateLimited(text, until=until)
    if status == 429:
        raise Retry(text, delay_s=BUSY_WAIT_S)
    if status == 408 or status >= 500:
        raise Retry(text)
    raise Reject(text)


def _told(response: Response) -> str:
    """Return the platform's own words from a JSON error body, in one short line; empty where there are none."""
    try:
        found = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return ""
    for key in ("error", "message", "error_description", "info"):
        while isinstance(found, dict) and key in found:
            found = found[key]
    return " ".join(found.split())[:200] if isinstance(found, str) else ""


def _parse(url: str) -> URL:
    """Read an address. One that is already encoded is sent byte for byte: signatures depend on it."""
    try:
        parsed = URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)
        good = parsed.scheme in {"http", "https"} and bool(parsed.host) and parsed.port is not None
    except ValueError:
        good = False
    if not good:
        raise Reject(f"{safe_url(url)} is not an http or https address")
    return parsed


def _redirect_of(got: aiohttp.ClientResponse, url: URL) -> URL | None:
    place = got.headers.get("Location")
    if got.status not in _REDIRECTS or not place:
        return None
    target = _parse(str(url.join(URL(place, encoded=place.isascii()))))
    if url.scheme == "https" and target.scheme == "http":
        raise Reject(f"{safe_url(str(url))} redirects to an unencrypted address")
    return target


def _fault(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not accepted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect ({error.strerror})"
    if isinstance(error, aiohttp.ServerDisconnectedError | _Broken):
        return "the server closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer was cut off"
    return f"the connection failed ({type(error).__name__})"


class _PublicResolver(aiohttp.ThreadedResolver):
    """Looks a name up once, for the check and for the connection."""

    def __init__(self, inner: Collection[Origin]) -> None:
        super().__init__()
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if (host.lower(), port) not in self._inner:
            refuse_inner((host.lower(), port), [one["host"] for one in found])
        return found


def _refuse_inner_number(url: URL, inner: Collection[Origin]) -> None:
    """Check an address that is written as a number, which is never looked up."""
    try:
        number = str(ipaddress.ip_address(url.host or ""))
    except ValueError:
        return
    if (origin := origin_of(str(url))) not in inner:
        refuse_inner(origin, (number,))


class _Broken(aiohttp.ClientError):
    """A connection that broke under a request which must not be sent again unasked."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep the library from sending a PUT or DELETE again by itself: the outcome is unknown, the caller decides."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        if request.method in {"GET", "HEAD"}:
            raise
        raise _Broken from None


@contextmanager
def _whole_file(to: Path) -> Iterator[IO[bytes]]:
    """Give a temporary file beside `to` that takes its name on success and goes on failure."""
    with tempfile.NamedTemporaryFile(dir=to.parent, prefix=f".{to.name[:60]}.", suffix=".part", delete=False) as part:
        path = Path(part.name)
        try:
            yield part
            part.flush()
            path.replace(to)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
