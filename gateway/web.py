"""What every answer has in common: who may ask, security headers, and errors in the asker's form.

Programs get problem details (RFC 9457), people get a page; both say what is wrong and what to do.
"""

from __future__ import annotations

import errno
import ipaddress
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from msgspec import Struct

from actors.runtime.db import DRIVER_ERRORS
from actors.runtime.log import get_logger
from actors.runtime.settings import Settings
from actors.runtime.telemetry import count, observe
from gateway.html import document, el
from gateway.words import prose

__all__ = [
    "Problem",
    "answer",
    "form_of",
    "guard_host",
    "page_of",
    "same_origin",
    "secure",
    "show_problems",
    "whole_number",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LONGEST_NUMBER: Final = 9
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by machines inside a cluster, by whatever name they use."""


class _Body(Struct, frozen=True, omit_defaults=True):
    title: str
    status: int
    detail: str = ""
    mend: str = ""
    type: str = "about:blank"


class Problem(Exception):
    """An answer that is an error.

    Args: title: what is wrong, short; detail: in the words of who refused; mend: what to do next;
    action: label and address of the next step on a page.
    """

    def __init__(
        self, status: int, title: str, *, detail: str = "", mend: str = "", action: tuple[str, str] | None = None
    ) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.status = status
        self.title = title
        self.detail = detail
        self.mend = mend
        self.action = action


def answer(value: Any, *, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def page_of(problem: Problem) -> str:
    """Return the page that tells a person of a problem."""
    label, address = problem.action or ("Back to the overview", "/")
    return document(
        f"{problem.title} · ettametta",
        el(
            "main",
            el("p", f"Error {problem.status}", class_="notice-kind"),
            el("h1", problem.title),
            el("p", problem.detail, class_="notice-detail") if problem.detail else None,
            el("p", prose(problem.mend)) if problem.mend else None,
            el("p", el("a", label, href=address, class_="button")),
            class_="notice",
        ),
    )


@web.middleware
async def secure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send the security headers with every answer, and count it."""
    started = time.perf_counter()
    response = await handler(request)
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    count("requests", route=route, status=str(response.status))
    observe("request", time.perf_counter() - started, route=route)
    return response


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Run just before an answer's head is sent, streams and files too."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "ettametta"


@web.middleware
async def show_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into problem details or pages."""
    try:
        return await handler(request)
    except Problem as problem:
        return _told(request, problem)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        plain = Problem(error.status, error.reason, mend=_MENDS.get(error.status, ""))
        return _told(request, plain, headers={k: v for k, v in error.headers.items() if k == "Allow"})
    except DRIVER_ERRORS as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return _told(request, Problem(404, "Not Found", mend=_MENDS[404]))
        get_logger().warning("gateway.database_unavailable", path=request.path, error=repr(error))
        detail = str(error) or type(error).__name__
        mend = "Start PostgreSQL or correct DATABASE_URL; this page works again by itself once it is back."
        return _told(request, Problem(503, "The database cannot be used", detail=detail, mend=mend))
    except Exception:  # noqa: BLE001 - the last place that can answer; the trace goes to the log
        get_logger().exception("gateway.failed", path=request.path)
        mend = "This is a fault of the gateway; its log holds the trace."
        return _told(request, Problem(500, "Something went wrong here", mend=mend))


_MENDS: Final = {
    404: "There is nothing at this address.",
    405: "This address answers to another method.",
    413: "Send less at once.",
}


def _told(request: web.Request, problem: Problem, headers: Mapping[str, str] | None = None) -> web.Response:
    if request.path.startswith(("/api/", "/media/", "/static/")) or request.path in PROBES:
        body = _Body(title=problem.title, status=problem.status, detail=problem.detail, mend=problem.mend)
        return web.Response(
            body=msgspec.json.encode(body),
            status=problem.status,
            content_type="application/problem+json",
            headers={"Cache-Control": "no-store", **(headers or {})},
        )
    return web.Response(
        text=page_of(problem),
        status=problem.status,
        content_type="text/html",
        charset="utf-8",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def guard_host(settings: Settings) -> Any:
    """Refuse addresses that cannot be, and names that are not this server's.

    A web page elsewhere could point its own name here (DNS rebinding).
    """
    known = {"localhost", settings.gateway_host, urlsplit(settings.public_url).hostname}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "\0" in request.path + request.query_string:  # which nothing stored here can hold
            raise Problem(400, "The address holds a NUL character", mend="Leave %00 out.")
        for what, text in (("address", request.path + request.query_string), *_read_headers(request)):
            if not text.isprintable() and not _is_text(text):
                raise Problem(400, f"The {what} is no text", mend="Send it in UTF-8.")
        try:
            name = urlsplit(f"//{request.host}").hostname or ""
        except ValueError as error:
            raise Problem(400, "The header Host is no name", mend=f"Use {settings.public_url}.") from error
        if request.path not in PROBES and name not in known and not _is_address(name):
            raise Problem(
                421,
                f"This server is not '{name}'",
                mend=f"Use {settings.public_url}, or set PUBLIC_URL to the address that browsers use.",
                action=("Go there", settings.public_url),
            )
        return await handler(request)

    return middleware


def same_origin(request: web.Request, settings: Settings) -> None:
    """Refuse requests that another site's page makes. Raises: Problem 403."""
    origin = request.headers.get("Origin")
    public = urlsplit(settings.public_url)
    own = {f"{public.scheme}://{public.netloc}", f"{request.scheme}://{request.host}"}
    site = request.headers.get("Sec-Fetch-Site", "none")
    if (origin is not None and origin not in own) or site not in {"none", "same-origin"}:
        raise Problem(
            403,
            "A page of another site may not ask this",
            detail=f"The request came from {origin or 'another site'}.",
            mend="Use this server's own page, or a program that sends no Origin header.",
        )


def whole_number(text: str) -> int | None:
    """Return the number that a text writes in at most nine digits; None: it does not."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else None


async def form_of(request: web.Request) -> dict[str, str]:
    """Return the texts of a form. Raises: Problem 400 if it cannot be read."""
    try:
        form = await request.post()
    except (ValueError, LookupError, RuntimeError, AssertionError) as error:
        raise Problem(400, "The form cannot be read", mend="Send it as a browser does, in UTF-8.") from error
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _read_headers(request: web.Request) -> Iterator[tuple[str, str]]:
    for name in ("Host", "Origin", "Cookie", "Idempotency-Key"):
        yield f"header {name}", request.headers.get(name, "")


def _is_text(text: str) -> bool:
    """Whether it can be written; bytes that are no UTF-8 were read as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
