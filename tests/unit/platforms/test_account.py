"""Calls in the name of an account: one fresh token, no repeated request, and what the journal is told."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict, CIMultiDictProxy

from actors import platforms
from actors.platforms._account import AccountApi, authorised, surely_refused, whose
from actors.platforms._bluesky.session import SIGN_IN
from actors.platforms.tiktok import OAUTH
from actors.runtime.cache import OwnCache
from actors.runtime.clock import Clock
from actors.runtime.http import Http, Response, open_http
from actors.runtime.means import Means
from actors.runtime.oauth import NO_END, ClientRefused, TokenSet
from actors.runtime.quota import OwnQuota
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens
from contracts.errors import AuthExpired, RateLimited, Reject, Retry
from contracts.ids import AccountId
from contracts.platform import Draft
from tests.journal import Notes

ACCOUNT = AccountId("tiktok:ada")


def answer(status: int, body: Any = None) -> Response:
    raw = b"" if body is None else msgspec.json.encode(body)
    return Response(status=status, headers=CIMultiDictProxy(CIMultiDict()), body=raw, url="https://x.example/a")


class Wallet:
    """Tokens that count up, and what became of them."""

    def __init__(self, kept: dict[str, str] | None = None) -> None:
        self.number = 1
        self.fails: Exception | None = None
        self.kept = kept or {}
        self.told: list[tuple[str, str]] = []

    async def access_token(self, account: AccountId, way: object) -> str:
        if self.fails is not None and self.number > 1:
            raise self.fails
        return f"t{self.number}"

    async def get(self, account: AccountId, way: object) -> TokenSet:
        token = await self.access_token(account, way)
        return TokenSet(access_token=token, refresh_token=None, expires_at=NO_END, kept=self.kept)

    async def refused(self, account: AccountId, token: str) -> None:
        self.told.append(("refused", token))
        self.number += 1

    async def lost(self, account: AccountId, token: str, because: str) -> None:
        self.told.append(("lost", token))


class Line:
    """A line that gives answers in their order, or breaks."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    async def request(self, method: str, url: str, **more: Any) -> Response:
        self.asked.append({"method": method, "url": url, **more})
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def means(line: Line, wallet: Wallet, settings: Settings | None = None) -> Means:
    clock = Clock()
    return Means(
        http=cast("Http", line),
        settings=settings or Settings(),
        tokens=cast("Tokens", wallet),
        clock=clock,
        quota=OwnQuota(clock),
        cache=OwnCache(),
    )


def api(line: Line, wallet: Wallet, *, named: bool = False, settings: Settings | None = None) -> AccountApi:
    given = means(line, wallet, settings)
    return AccountApi(given, name="x", base="https://x.example", what="X", client=OAUTH, named=named)


@pytest.mark.parametrize(
    ("answers", "tokens", "told"),
    [
        ([200], ["t1"], []),
        ([401, 200], ["t1", "t2"], [("refused", "t1")]),
        ([401, 401], ["t1", "t2"], [("refused", "t1"), ("lost", "t2")]),
    ],
)
async def test_a_denied_token_is_replaced_once(
    answers: list[int], tokens: list[str], told: list[tuple[str, str]]
) -> None:
    """A token that ended in the night would cost a person's connection; one that is dead must not be tried for ever."""
    wallet, used = Wallet(), []

    async def send(token: str) -> Response:
        used.append(token)
        return answer(answers[len(used) - 1])

    if answers[-1] == 401:
        with pytest.raises(AuthExpired):
            await authorised(cast("Tokens", wallet), ACCOUNT, OAUTH, send)
    else:
        assert (await authorised(cast("Tokens", wallet), ACCOUNT, OAUTH, send)).status == 200
    assert (used, wallet.told) == (tokens, told)


@pytest.mark.parametrize(
    ("given", "error", "may_exist"),
    [
        (answer(200, {"id": "1"}), None, True),
        (answer(400, {"error": "no"}), Reject, False),
        (answer(403), Reject, False),
        (answer(409), Reject, True),
        (answer(408), Retry, True),
        (answer(429), Retry, False),
        (answer(500), Retry, True),
        (Retry("the line broke"), Retry, True),
        (answer(200, [1]), Retry, True),
    ],
)
async def test_the_journal_knows_whether_a_post_may_exist(given: Any, error: Any, may_exist: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """A lost answer that counts as a refusal makes a second post; a refusal that counts as lost makes none at all."""
    line, notes = Line(given), Notes()
    made = api(line, Wallet())
    if error is None:
        assert await made.post(ACCOUNT, "/a", json={"a": 1}, commits=notes) == {"id": "1"}
    else:
        with pytest.raises(error):
            await made.post(ACCOUNT, "/a", json={"a": 1}, commits=notes)
    assert notes.told[0] == ("committing", None)
    assert notes.may_exist is may_exist
    assert len(line.asked) == 1, "a POST is never repeated unasked"


async def test_a_denial_made_no_post() -> None:
    """An account that must be connected again would leave its post unknown for ever."""
    notes = Notes()
    with pytest.raises(AuthExpired):
        await api(Line(answer(401), answer(401)), Wallet()).post(ACCOUNT, "/a", commits=notes)
    assert not notes.may_exist


@pytest.mark.parametrize(
    "lost",
    [AuthExpired(ACCOUNT, "gone"), Retry("away"), ClientRefused("wrong secret")],
    ids=lambda one: type(one).__name__,
)
async def test_a_denial_made_no_post_whatever_becomes_of_the_token(lost: Exception) -> None:
    """A refresh that fails after a 401 would leave a post that nobody made as one that may be there."""
    wallet, notes = Wallet(), Notes()
    wallet.fails = lost
    with pytest.raises(type(lost)):
        await api(Line(answer(401)), wallet).send(ACCOUNT, "POST", "/a", commits=notes)
    assert notes.told == [("committing", None), ("refused", None)]


async def test_each_try_is_told_by_itself() -> None:
    """A first try that is denied would hide that the second one's answer was lost."""
    notes = Notes()
    with pytest.raises(Retry):
        await api(Line(answer(401), Retry("the line broke")), Wallet()).send(ACCOUNT, "POST", "/a", commits=notes)
    assert notes.told == [("committing", None), ("refused", None), ("committing", None)]
    assert notes.may_exist


async def test_a_token_that_cannot_be_had_sends_nothing() -> None:
    """A token endpoint that is away before the first try would leave a doubt about a request that never left."""
    wallet, notes = Wallet(), Notes()
    wallet.number, wallet.fails = 2, Retry("away")
    with pytest.raises(Retry):
        await api(Line(), wallet).send(ACCOUNT, "POST", "/a", commits=notes)
    assert notes.told == []


async def test_a_server_that_a_person_named_is_asked_at_a_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the name of a server could have this machine's own services asked, long after it was connected."""
    asked: list[str] = []
    real = socket.getaddrinfo

    async def inside(request: web.Request) -> web.Response:
        asked.append(request.host)
        return web.json_response({})

    def rebound(host: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "rebound.example" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    app = web.Application()
    app.router.add_get("/{path:.*}", inside)
    async with TestServer(app) as server, open_http(Settings(), Clock()) as http:
        url = f"http://rebound.example:{server.port}/a"
        unnamed = api(cast("Line", http), Wallet())
        assert (await unnamed.send(ACCOUNT, "GET", url)).status == 200
        with pytest.raises(Retry, match=r"rebound\.example:\d+ is not a public address, so nothing is sent there"):
            await api(cast("Line", http), Wallet(), named=True).send(ACCOUNT, "GET", url)
        with pytest.raises(Retry, match="is not a public address"):
            await api(cast("Line", http), Wallet(), named=True).send(ACCOUNT, "GET", str(server.make_url("/a")))
        configured = Settings(api_urls={"x": str(server.make_url(""))})
        here = api(cast("Line", http), Wallet(), named=True, settings=configured)
        assert (await here.get(ACCOUNT, "/a")) == {}
    assert len(asked) == 2, "the settings say where else"


@pytest.mark.parametrize("name", ["bluesky", "mastodon"])
async def test_servers_of_accounts_are_guarded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that led outside when it was connected reaches this network's own by a change of its name."""
    reached: list[bytes] = []
    real = socket.getaddrinfo

    async def inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(1))
        writer.close()

    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **more: real("127.0.0.1", *args, **more))
    async with await asyncio.start_server(inside, "127.0.0.1", 0) as server, open_http(Settings(), Clock()) as http:
        place = f"https://pds.example:{server.sockets[0].getsockname()[1]}"
        wallet = Wallet({"server": place, "pds": place})
        account, post = AccountId(f"{name}:did:plc:ada"), "did:plc:ada:key" if name == "bluesky" else "110"
        adapter = platforms.module(name).ADAPTER(means(cast("Line", http), wallet))
        draft = Draft(marker="ett1", title="Reef", description="")
        for asking in (
            adapter.open_session(account, draft, size_bytes=1000),
            adapter.measure(account, (post,)),
            adapter.look(account, (post,)),
        ):
            with pytest.raises(Retry, match="not a public address"):
                await asking
        if name == "bluesky":
            old = TokenSet(access_token="a", refresh_token="r", expires_at=NO_END, kept={"pds": place})
            assert SIGN_IN.end is not None
            for speaking in (SIGN_IN.renew(http, Settings(), old, NO_END), SIGN_IN.end(http, Settings(), old)):
                with pytest.raises(Retry, match="not a public address"):
                    await speaking
    assert reached == []


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (answer(200, {"sub": "1"}), {"sub": "1"}),
        (answer(200, []), {}),
        (answer(403), Reject),
        (answer(500), Retry),
        (answer(418), RateLimited),
    ],
)
async def test_who_a_token_belongs_to_is_asked_once(told: Response, found: Any) -> None:
    """A platform's own refusal must come before what the status alone says."""
    limited = RateLimited("its own words", until=datetime.now(UTC))

    async def ask() -> dict[str, Any]:
        return await whose(
            cast("Http", Line(told)),
            "https://x.example/me",
            "t",
            what="X",
            fault=lambda one, _: limited if one.status == 418 else None,
            now=datetime.now(UTC),
        )

    if isinstance(found, dict):
        assert await ask() == found
    else:
        with pytest.raises(found):
            await ask()


def test_only_certain_answers_are_refusals() -> None:
    """After these the platform is asked before anything is sent again."""
    assert [
        status for status in (200, 302, 400, 404, 408, 409, 425, 429, 500, 503) if surely_refused(answer(status))
    ] == [
        400,
        404,
        429,
    ]
