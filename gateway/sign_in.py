"""The forms of connecting: which server an account is at, what a person signs in with, and what came of it.

Servers that people name, and pictures that platforms name, are asked only at public addresses: what is connected to is
the address that was checked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

from actors.runtime.addresses import configured_origins, origin_of, refuse_unless_public
from actors.runtime.clock import Clock
from actors.runtime.http import open_http
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from gateway.html import Child, document, el

__all__ = ["check_server", "connected_page", "form_page", "go_on_page", "kind_of", "picture_at", "server_named"]

LARGEST_PICTURE_BYTES: Final = 512 * 1024
PICTURE_DEADLINE_S: Final = 5.0
HTTPS_PORT: Final = 443
_HOST: Final = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_KINDS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def server_named(text: str) -> str:
    """Return the https address of a server as people write it: `name`, `https://name/...` or `@person@name`.

    Raises: Reject if it is none, or not a name.
    """
    told = text.strip().lower()
    if told.startswith("http://"):
        raise Reject("the server has to be reached by https", mend="Type its name alone, such as mastodon.social")
    told = re.split(r"[/?#]", told.removeprefix("https://"), maxsplit=1)[0].rpartition("@")[2]
    try:
        host = told.encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        raise Reject(f"'{told[:80]}' is no name of a server", mend="Type its name alone, such as mastodon.social")
    return f"https://{host}"


async def check_server(address: str, settings: Settings) -> None:
    """Refuse an address inside this network. Raises: Reject, Retry if its name cannot be looked up."""
    allowed = configured_origins(settings.api_urls)
    try:
        await asyncio.to_thread(refuse_unless_public, address, allowed)
    except Reject:
        raise Reject(f"{urlsplit(address).hostname} is not on the public internet") from None


async def picture_at(url: str | None, settings: Settings, clock: Clock) -> bytes | None:
    """Return the account's picture; None: there is none that can be had and shown. It is never worth a failure.

    It is had by https at the usual port, or from a base address of the settings.
    """
    if url is None:
        return None
    try:
        usual = url[:8].lower() == "https://" and origin_of(url)[1] == HTTPS_PORT
        if not usual and origin_of(url) not in configured_origins(settings.api_urls):
            return None
        async with open_http(settings, clock, only_public=True) as http:
            answer = await http.request("GET", url, deadline_s=PICTURE_DEADLINE_S, max_body_bytes=LARGEST_PICTURE_BYTES)
    except (Reject, Retry, RateLimited):
        return None
    return answer.body if answer.status == 200 and kind_of(answer.body) else None


def kind_of(picture: bytes) -> str | None:
    """Return the media type of a picture by its first bytes; None: it is none that is shown."""
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _KINDS if picture.startswith(start)), None)


def form_page(name: str, title: str, fields: Sequence[tuple[str, str, bool]], *, optional: Collection[str] = ()) -> str:
    """Ask for what connecting needs. fields: name, label, whether it is secret; optional: names of them."""
    rows: list[Child] = []
    for field, label, secret in fields:
        rows += [
            el("label", *_linked(label), for_=field),
            el(
                "input",
                id=field,
                name=field,
                type="password" if secret else "text",
                required=field not in optional,
                maxlength=1000,
                autocomplete="off",
                autocapitalize="none",
                spellcheck="false",
            ),
        ]
    return _notice(
        f"Connect {title}",
        el("form", *rows, el("button", "Go on"), class_="typed", method="post", action=f"/connect/{name}"),
        el("p", f"The password is used once, to sign in at {title}, and is not kept.", class_="meta")
        if any(secret for _, _, secret in fields)
        else None,
        el("p", el("a", "Back to the overview", href="/")),
    )


def go_on_page(title: str, server: str, url: str) -> str:
    """Lead to a server's consent page. A link, because a form may not lead to another site."""
    host = urlsplit(server).hostname or server
    return _notice(
        f"Connect {title}",
        el("p", f"Go on at {host}: sign in there and allow what is asked."),
        el("p", el("a", f"Go on at {host}", href=url, class_="button", rel="noreferrer")),
        el("p", el("a", "Back to the overview", href="/")),
    )


def connected_page(title: str, accounts: Sequence[tuple[str, str]]) -> str:
    """Show which accounts one permission has opened."""
    return _notice(
        f"{len(accounts)} accounts are connected",
        el("p", f"{title} opened these with your permission:"),
        el("ul", *(el("li", name, " · ", el("code", account)) for name, account in accounts)),
        el("p", el("a", "Back to the overview", href="/", class_="button")),
    )


def _linked(text: str) -> list[Child]:
    """Make a link of an address in a label."""
    parts = re.split(r"(https://[^\s,]+)", text)
    return [el("a", part, href=part, rel="noreferrer") if at % 2 else part for at, part in enumerate(parts)]


def _notice(title: str, *children: Child) -> str:
    return document(f"{title} · ettametta", el("main", el("h1", title), *children, class_="notice"))
