"""What Meta's platforms share in the name of an account: refusals of tokens, uploads, containers."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms._meta.account import GraphAccount, denied_of
from actors.platforms._meta.container import words_of
from actors.platforms._meta.upload import Upload, parse_phase
from actors.platforms.instagram import NAME, OAUTH
from actors.runtime.http import Response
from actors.runtime.means import Means
from actors.runtime.tokens import Tokens
from contracts.errors import RateLimited, Retry
from contracts.ids import AccountId
from tests.unit.platforms.imitated import told


def reply(body: Any, status: int = 400) -> Response:
    return Response(
        status=status, headers=CIMultiDictProxy(CIMultiDict()), body=msgspec.json.encode(body), url="https://x.example/"
    )


@pytest.mark.parametrize(
    ("subcode", "says"),
    [(463, "it expired"), (460, "the password was changed"), (458, "the app was removed"), (0, "refused")],
)
def test_a_refused_token_says_why(subcode: int, says: str) -> None:
    """No token of these APIs comes back: a second try with the same one tells nothing."""
    found = denied_of(reply({"error": {"code": 190, "error_subcode": subcode, "message": "No."}}, 401))
    assert found is not None
    assert (found.renewable, says in found.because) == (False, True)


@pytest.mark.parametrize(("code", "status"), [(10, 403), (200, 403), (4, 400), (100, 400), (1, 500), (10, 401)])
def test_other_refusals_keep_the_account(code: int, status: int) -> None:
    """An account that is taken for lost stops all its posts until a person comes."""
    assert denied_of(reply({"error": {"code": code, "message": "No."}}, status)) is None
    assert denied_of(reply({"debug_info": {"type": "x"}}, 400)) is None


def test_a_bare_401_is_a_refusal() -> None:
    """The upload host answers without Meta's error object."""
    assert denied_of(reply({"debug_info": {"type": "NotAuthorizedError"}}, 401)) is not None


@pytest.mark.parametrize(
    ("told", "there"),
    [
        ({"uploading_phase": {"status": "in_progress", "bytes_transferred": 50_002}}, 50_002),
        ({"uploading_phase": {"status": "in_progress", "bytes_transfered": "50002"}}, 50_002),
        ({"uploading_phase": {"status": "in_progress"}}, 0),
        ({"uploading_phase": {"status": "complete", "bytes_transferred": 9}}, None),
        ({"uploading_phase": {"status": "completed"}}, None),
        ({"uploading_phase": {"status": "error", "bytes_transferred": -4}}, 0),
        ({"uploading_phase": {"bytes_transferred": None}}, 0),
        ({}, 0),
        (None, 0),
    ],
)
def test_what_is_there_is_read_in_both_spellings(told: Any, there: int | None) -> None:
    """An offset that is not read starts the upload anew each time."""
    assert parse_phase(told) == there


class Base:
    base_url = "http://127.0.0.1:9/at/instagram"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://rupload.facebook.com/ig-api-upload/v25.0/1", True),
        ("http://127.0.0.1:9/at/instagram/x", True),
        ("http://rupload.facebook.com/x", False),
        ("https://facebook.com.evil.example/x", False),
        ("https://evilfacebook.com/x", False),
        ("http://127.0.0.1:10/x", False),
        ("", False),
    ],
)
def test_the_token_goes_to_meta_alone(url: str, *, good: bool) -> None:
    """Whoever can change one answer would be sent the account's token and the video."""
    upload = Upload.__new__(Upload)
    upload._api, upload._what = Base(), "Instagram"  # type: ignore[assignment] # the one thing that is looked at
    if good:
        upload.check_home(url)
    else:
        with pytest.raises(Retry, match="usable address"):
            upload.check_home(url)


def test_words_are_compared_as_people_read_them() -> None:
    """Line ends and composed letters change on the way; a post that is not known again is posted twice."""
    assert words_of("Cafe\u0301\r\n\n #sea ") == words_of("Café\n#sea")
    assert words_of("a b") != words_of("ab")
    assert words_of(None) == words_of(7) == ""


class Always:
    """Tokens of accounts that are all connected."""

    async def access_token(self, account: str, client: object) -> str:
        return f"{account} {client.__class__.__name__}"


def account_api(means: Means) -> GraphAccount:
    means = dataclasses.replace(means, tokens=cast("Tokens", Always()))
    return GraphAccount(means, name=NAME, base="https://x.example", what="Instagram", client=OAUTH)


account_api.__module__ = "actors.platforms.instagram"


async def test_a_full_usage_header_leaves_the_account_alone(tmp_path: Path) -> None:
    """The call after the last allowed one is refused, and lengthens the wait of this account; others may go on."""
    usage = {"178": [{"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": 7}]}
    ada, bob = AccountId("instagram:ada"), AccountId("instagram:bob")
    async with told(account_api, tmp_path, {"id": "1"}, options={}) as (platform, api, clock):
        platform.headers = {"X-Business-Use-Case-Usage": msgspec.json.encode(usage).decode()}
        assert await api.get(ada, "/1") == {"id": "1"}
        platform.headers = {}
        with pytest.raises(RateLimited, match="nothing is left") as limited:
            await api.get(ada, "/1")
        assert limited.value.until == clock.now() + timedelta(minutes=7)
        assert len(platform.asked) == 1
        assert await api.get(bob, "/1")
        clock.turn(minutes=7, seconds=1)
        assert await api.get(ada, "/1")
        assert all("instagram" not in str(request.url) for request in platform.asked), "a token is in an address"
