"""Meta's APIs: what their errors mean, usage headers, cursors, and where the token may stand."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms._meta.graph import Graph, GraphRefused, fault_of, used_up
from actors.runtime.http import Response
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Need
from tests.unit.platforms.imitated import HandClock, Told, told

NAME = "somewhere"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TOKEN = Need(setting="somewhere_access_token", means="Ask somewhere for it")


class Somewhere:
    def __init__(self, means: Means) -> None:
        self.graph = Graph(
            means, name=NAME, base="https://x.example", what="Somewhere", token=TOKEN, permission="leave_to_look"
        )

    async def all(self, *, enough: int = 100, most_pages: int = 10, fresh_s: float = 0.0) -> list[Any]:
        return await self.graph.collect(
            "/x", {"limit": "2"}, lambda data, _: data, enough=enough, most_pages=most_pages, fresh_s=fresh_s
        )


@asynccontextmanager
async def somewhere(folder: Path, *answers: Any) -> AsyncIterator[tuple[Told, Somewhere, HandClock]]:
    options = {TOKEN.setting: "sesame"}
    async with told(Somewhere, folder, *answers, options=options) as (platform, made, clock):
        yield platform, made, clock


def reply(body: Any, *, status: int = 400, **headers: str) -> Response:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(status=status, headers=CIMultiDictProxy(named), body=encoded, url="https://x.example/x")


def fault(code: Any, *, status: int = 400, headers: dict[str, str] | None = None, **more: Any) -> Exception | None:
    error = {"message": "No.", "type": "OAuthException", "code": code, **more}
    return fault_of(
        reply({"error": error}, status=status, **(headers or {})),
        AT,
        what="Somewhere",
        token="X_ACCESS_TOKEN",
        permission="leave_to_look",
    )


@pytest.mark.parametrize("code", [4, 17, 32, 613, "4"])
@pytest.mark.parametrize("status", [200, 400, 403, 429])
def test_rate_limits_wait(code: Any, status: int) -> None:
    """A limit read as a refusal loses the scan; read as a passing fault it is asked again at once."""
    error = fault(code, status=status)
    assert isinstance(error, RateLimited)
    assert error.until == AT + timedelta(hours=1)


def test_told_time_of_access_counts() -> None:
    """The platform says in minutes when it answers again; coming earlier lengthens the wait."""
    usage = {"178": [{"type": "pages", "call_count": 120, "estimated_time_to_regain_access": 19}]}
    error = fault(32, headers={"X_Business_Use_Case_Usage": msgspec.json.encode(usage).decode()})
    assert isinstance(error, RateLimited)
    assert error.until == AT + timedelta(minutes=19)
    error = fault(4, headers={"Retry_After": "30"})
    assert isinstance(error, RateLimited)
    assert error.until == AT + timedelta(seconds=30)


@pytest.mark.parametrize("code", [10, 200, 210, 299])
def test_missing_permission_is_named(code: int) -> None:
    """A person can only grant a permission that the text names."""
    error = fault(code)
    assert isinstance(error, GraphRefused)
    assert "leave_to_look" in error.mend
    assert not error.token_lost


@pytest.mark.parametrize(
    ("code", "subcode", "says"), [(190, 463, "expired"), (190, 458, "app was removed"), (102, None, "renew")]
)
def test_lost_token_must_be_renewed(code: int, subcode: int | None, says: str) -> None:
    """Without this the person looks for the fault in permissions."""
    error = fault(code, status=401, error_subcode=subcode)
    assert isinstance(error, GraphRefused)
    assert error.token_lost
    assert says in str(error).lower()
    assert "X_ACCESS_TOKEN" in error.mend


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (fault(1), Retry),
        (fault(2, status=503), Retry),
        (fault(999, is_transient=True), Retry),
        (fault(999, status=502), Retry),
        (fault(18), RateLimited),
        (fault(368), RateLimited),
        (fault(100), GraphRefused),
        (fault(100, status=200), GraphRefused),
        (fault("what", status=200), GraphRefused),
        (fault(None, status=429), RateLimited),
    ],
)
def test_other_errors(error: Exception, kind: type[Exception]) -> None:
    """An error with status 200 that is not seen counts as an empty answer."""
    assert type(error) is kind


@pytest.mark.parametrize("body", [b"", b"<html>", [], {"data": []}, {"error": "text"}, {"error": None}, 7])
def test_no_error_object_is_left_to_the_status(body: Any) -> None:
    """A proxy's page is no word of the platform."""
    assert fault_of(reply(body), AT, what="x", token="X", permission="y") is None


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({"X_App_Usage": '{"call_count":100,"total_time":3,"total_cputime":1}'}, AT + timedelta(hours=1)),
        ({"X_App_Usage": '{"call_count":99,"total_time":3,"total_cputime":1}'}, None),
        ({"X_App_Usage": '{"call_count":1,"total_time":3,"total_cputime":101.5}'}, AT + timedelta(hours=1)),
        (
            {"X_Business_Use_Case_Usage": '{"1":[{"call_count":100,"estimated_time_to_regain_access":5}]}'},
            AT + timedelta(minutes=5),
        ),
        ({"X_App_Usage": "{"}, None),
        ({"X_App_Usage": '[{"call_count":100}]'}, None),
        ({"X_App_Usage": '{"call_count":"100"}'}, None),
        ({"X_Business_Use_Case_Usage": '{"1":[7,{"call_count":true}]}'}, None),
        ({}, None),
    ],
)
def test_usage_headers(headers: dict[str, str], until: datetime | None) -> None:
    """The last good answer says that the next one will be refused."""
    assert used_up(reply({}, status=200, **headers), AT) == until


async def test_full_usage_keeps_the_answer_and_then_pauses(tmp_path: Path) -> None:
    """To throw the last answer away would lose what was paid for; to go on would get the app blocked."""
    async with somewhere(tmp_path, {"data": [1]}) as (platform, made, clock):
        platform.headers = {"X-App-Usage": '{"call_count":100}'}
        assert await made.all() == [1]
        with pytest.raises(RateLimited) as limited:
            await made.all()
        assert limited.value.until == clock.now() + timedelta(hours=1)
        assert len(platform.asked) == 1
        platform.headers = {}
        clock.turn(hours=1, seconds=1)
        assert await made.all() == [1]


def page(*items: int, after: Any = None, following: Any = "https://evil.example/x?access_token=sesame") -> Any:
    return {"data": list(items), "paging": {"cursors": {"after": after}, "next": following}}


async def test_pages_follow_cursors_and_no_address(tmp_path: Path) -> None:
    """`paging.next` is an address that the answer chose: following it sends the token wherever it says."""
    async with somewhere(tmp_path, page(1, 2, after="A"), page(3, after="B", following=None)) as (platform, made, _):
        assert await made.all() == [1, 2, 3]
        assert [dict(request.query) for request in platform.asked] == [{"limit": "2"}, {"limit": "2", "after": "A"}]
        assert {request.headers["Authorization"] for request in platform.asked} == {"Bearer sesame"}
        assert all("sesame" not in str(request.url) for request in platform.asked)


async def test_pages_end(tmp_path: Path) -> None:
    """A platform that gives the same page for ever would be asked for ever."""
    async with somewhere(tmp_path, page(1, after="A")) as (platform, made, _):
        assert await made.all() == [1, 1]
        assert len(platform.asked) == 2
    async with somewhere(tmp_path, *(page(n, after=str(n)) for n in range(9))) as (platform, made, _):
        assert await made.all(most_pages=3) == [0, 1, 2]
    async with somewhere(tmp_path, *(page(n, after=str(n)) for n in range(9))) as (platform, made, _):
        assert await made.all(enough=2) == [0, 1]


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": {}}, [], 7, None])
async def test_other_shapes_are_tried_again(answer: Any, tmp_path: Path) -> None:
    """A changed answer that reads as empty hides the platform's videos without a word."""
    async with somewhere(tmp_path, answer) as (_, made, _):
        with pytest.raises(Retry):
            await made.all()


async def test_paging_of_another_shape_is_the_end(tmp_path: Path) -> None:
    """What cannot be read as a cursor must not raise a KeyError."""
    pagings: tuple[Any, ...] = (
        None,
        [],
        {"next": "x"},
        {"next": "x", "cursors": []},
        {"next": "x", "cursors": {"after": 7}},
    )
    for paging in pagings:
        async with somewhere(tmp_path, {"data": [1], "paging": paging}) as (_, made, _):
            assert await made.all() == [1]


async def test_token_that_is_not_set(tmp_path: Path) -> None:
    """The text says what to set and where to get it; no request is sent."""
    async with told(Somewhere, tmp_path, {"data": []}, options={}) as (platform, made, _):
        with pytest.raises(Reject, match=r"SOMEWHERE_ACCESS_TOKEN is not set\. Ask somewhere"):
            await made.all()
        assert platform.asked == []


async def test_lists_are_kept_for_their_token(tmp_path: Path) -> None:
    """What one account may see is not for another; what is known is not asked for again."""
    async with somewhere(tmp_path, {"data": [1]}) as (platform, made, clock):
        assert await made.all(fresh_s=60) == await made.all(fresh_s=60) == [1]
        assert len(platform.asked) == 1
        settings = msgspec.structs.replace(made.graph._means.settings, options={TOKEN.setting: "poppy"})
        other = Somewhere(dataclasses.replace(made.graph._means, settings=settings))
        await other.all(fresh_s=60)
        assert [request.headers["Authorization"] for request in platform.asked] == ["Bearer sesame", "Bearer poppy"]
        clock.turn(seconds=61)
        await made.all(fresh_s=60)
        assert len(platform.asked) == 3
