"""Calls in the name of an account: one fresh token, no repeated request, and what the journal is told."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms._account import AccountApi, authorised, surely_refused
from actors.platforms.tiktok import OAUTH
from actors.runtime.cache import OwnCache
from actors.runtime.clock import Clock
from actors.runtime.http import Http, Response
from actors.runtime.means import Means
from actors.runtime.quota import OwnQuota
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens
from contracts.errors import AuthExpired, Reject, Retry
from contracts.ids import AccountId
from tests.journal import Notes

ACCOUNT = AccountId("tiktok:ada")


def answer(status: int, body: Any = None) -> Response:
    raw = b"" if body is None else msgspec.json.encode(body)
    return Response(status=status, headers=CIMultiDictProxy(CIMultiDict()), body=raw, url="https://x.example/a")


class Wallet:
    """Tokens that count up, and what became of them."""

    def __init__(self) -> None:
        self.number = 1
        self.told: list[tuple[str, str]] = []

    async def access_token(self, account: AccountId, way: object) -> str:
        return f"t{self.number}"

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


def api(line: Line, wallet: Wallet) -> AccountApi:
    clock = Clock()
    means = Means(
        http=cast("Http", line),
        settings=Settings(),
        tokens=cast("Tokens", wallet),
        clock=clock,
        quota=OwnQuota(clock),
        cache=OwnCache(),
    )
    return AccountApi(means, name="x", base="https://x.example", what="X", client=OAUTH)


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


def test_only_certain_answers_are_refusals() -> None:
    """After these the platform is asked before anything is sent again."""
    assert [
        status for status in (200, 302, 400, 404, 408, 409, 425, 429, 500, 503) if surely_refused(answer(status))
    ] == [
        400,
        404,
        429,
    ]
