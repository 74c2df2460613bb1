"""Google sign-in of the sandbox, driven with raw HTTP as Google's web server page says."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession
from yarl import URL

from deploy.sandbox import SandboxSettings, running

BACK = "http://127.0.0.1:8080/oauth/google"
UPLOAD = "https://www.googleapis.com/auth/youtube.upload"
READ = "https://www.googleapis.com/auth/youtube.readonly"
CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-word"}
ASKED = {
    "client_id": "sandbox-client",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": f"{UPLOAD} {READ}",
    "access_type": "offline",
    "state": "state with = & signs",
}
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[ClientSession]:
    async with running(tmp_path, settings=SandboxSettings()) as address, ClientSession(address) as http:
        yield http


async def consent(
    http: ClientSession, asked: Mapping[str, str], *, decision: str = "allow", only: str | None = None
) -> ClientResponse:
    """Open the consent page and press a button on it, as a browser would."""
    page = await http.get("/o/oauth2/v2/auth", params=asked, allow_redirects=False)
    assert page.status == 200
    text = await page.text()
    assert '<form class="narrow" method="post">' in text
    fields = [
        (unescape(name), unescape(value))
        for kind, name, value in re.findall(r'<input type="(\w+)" name="([^"]*)" value="([^"]*)"', text)
        if kind == "hidden" or only in (None, unescape(value))
    ]
    return await http.post(page.url, data=[*fields, ("decision", decision)], allow_redirects=False)


async def code(http: ClientSession, **asked: str) -> str:
    answer = await consent(http, {**ASKED, **asked})
    return URL(answer.headers["Location"]).query["code"]


async def token(http: ClientSession, **form: str) -> ClientResponse:
    return await http.post("/token", data={**CLIENT, **form})


async def exchange(http: ClientSession, given: str, **form: str) -> ClientResponse:
    return await token(http, grant_type="authorization_code", code=given, redirect_uri=BACK, **form)


async def tokens(http: ClientSession, **asked: str) -> dict[str, Any]:
    answer = await exchange(http, await code(http, **asked))
    assert answer.status == 200, await answer.text()
    return dict(await answer.json())


async def channel_status(http: ClientSession, access: str) -> int:
    headers = {"Authorization": f"Bearer {access}"}
    return (await http.get("/youtube/v3/channels?part=id&mine=true", headers=headers)).status


async def test_allow_gives_a_code_and_the_code_gives_tokens(http: ClientSession) -> None:
    """Breaks connecting an account if the whole flow does not end in working tokens."""
    answer = await consent(http, ASKED)
    back = URL(answer.headers["Location"])
    assert answer.status == 302
    assert str(back.with_query(None)) == BACK
    assert back.query["state"] == ASKED["state"]
    assert back.query["scope"] == ASKED["scope"]
    found = await (await exchange(http, back.query["code"])).json()
    assert (found["token_type"], found["expires_in"], found["scope"]) == ("Bearer", 3599, ASKED["scope"])
    assert await channel_status(http, found["access_token"]) == 200
    fresh = await (await token(http, grant_type="refresh_token", refresh_token=found["refresh_token"])).json()
    assert fresh["access_token"] != found["access_token"]
    assert "refresh_token" not in fresh
    assert await channel_status(http, fresh["access_token"]) == 200


async def test_deny_comes_back_as_access_denied(http: ClientSession) -> None:
    """Leaves people on a blank page if a refusal is not told."""
    answer = await consent(http, ASKED, decision="deny")
    assert dict(URL(answer.headers["Location"]).query) == {"state": ASKED["state"], "error": "access_denied"}


async def test_people_may_grant_fewer_scopes(http: ClientSession) -> None:
    """Hides a missing scope until an upload fails, if the token endpoint does not say what was granted."""
    answer = await consent(http, ASKED, only=UPLOAD)
    found = await (await exchange(http, URL(answer.headers["Location"]).query["code"])).json()
    assert found["scope"] == UPLOAD
    assert await channel_status(http, found["access_token"]) == 403


async def test_one_scope_leaves_nothing_to_untick(http: ClientSession) -> None:
    """Asks people about scopes one by one where the real page asks once."""
    answer = await consent(http, {**ASKED, "scope": UPLOAD}, only="nothing")
    found = await (await exchange(http, URL(answer.headers["Location"]).query["code"])).json()
    assert found["scope"] == UPLOAD


async def test_unticking_everything_is_a_refusal(http: ClientSession) -> None:
    """Connects an account that granted nothing."""
    answer = await consent(http, ASKED, only="nothing")
    assert URL(answer.headers["Location"]).query["error"] == "access_denied"


async def test_refresh_tokens_come_offline_and_at_consent_only(http: ClientSession) -> None:
    """Hides the classic bug of a second sign-in that brings no refresh token."""
    assert "refresh_token" not in await tokens(http, access_type="online")
    silent = await http.get("/o/oauth2/v2/auth", params=ASKED, allow_redirects=False)
    assert silent.status == 302
    again = await (await exchange(http, URL(silent.headers["Location"]).query["code"])).json()
    assert "refresh_token" not in again
    assert "refresh_token" in await tokens(http, prompt="consent")


async def test_prompt_none_never_shows_a_page(http: ClientSession) -> None:
    """Hangs silent sign-ins if prompt=none opens a page."""
    answer = await http.get("/o/oauth2/v2/auth", params={**ASKED, "prompt": "none"}, allow_redirects=False)
    assert URL(answer.headers["Location"]).query["error"] == "interaction_required"


async def test_codes_work_once_and_for_ten_minutes(http: ClientSession) -> None:
    """Lets a stolen or stale code pass."""
    given = await code(http)
    assert (await exchange(http, given)).status == 200
    again = await exchange(http, given)
    assert (again.status, (await again.json())["error"]) == (400, "invalid_grant")
    stale = await code(http, prompt="consent")
    await http.post("/sandbox/clock", json={"advance_s": 601})
    assert (await (await exchange(http, stale)).json())["error"] == "invalid_grant"


async def test_the_redirect_address_must_not_change_between_steps(http: ClientSession) -> None:
    """Hides a localhost versus 127.0.0.1 mix-up until production."""
    given = await code(http)
    other = BACK.replace("127.0.0.1", "localhost")
    answer = await token(http, grant_type="authorization_code", code=given, redirect_uri=other)
    assert (answer.status, (await answer.json())["error"]) == (400, "redirect_uri_mismatch")


async def test_pkce_is_checked_when_it_was_sent(http: ClientSession) -> None:
    """Lets a client with a wrong verifier work here and fail at Google."""
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "prompt": "consent"}
    for wrong in ({}, {"code_verifier": "w" * 43}, {"code_verifier": "v" * 42}):
        answer = await exchange(http, await code(http, **pkce), **wrong)
        assert (answer.status, (await answer.json())["error"]) == (400, "invalid_grant")
    assert (await exchange(http, await code(http, **pkce), code_verifier=VERIFIER)).status == 200


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_id": "somebody"}, 401, "invalid_client"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"redirect_uri": ""}, 400, "invalid_request"),
        ({"redirect_uri": "http://example.test/back"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": "https://203.0.113.7/back"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": "https://example.test/back#part"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": "https://me@example.test/back"}, 400, "redirect_uri_mismatch"),
        ({"response_type": "token"}, 400, "unsupported_response_type"),
        ({"scope": "youtube.upload"}, 400, "invalid_scope"),
        ({"code_challenge_method": "S256"}, 400, "invalid_request"),
    ],
)
async def test_bad_requests_are_told_on_the_page(
    http: ClientSession, changed: Mapping[str, str], status: int, error: str
) -> None:
    """Redirects to an unchecked address, or hides a wrong setting of the client."""
    answer = await http.get("/o/oauth2/v2/auth", params={**ASKED, **changed}, allow_redirects=False)
    assert answer.status == status
    assert error in await answer.text()


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "other"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"refresh_token": ""}, 400, "invalid_request"),
        ({"refresh_token": "unknown"}, 400, "invalid_grant"),
    ],
)
async def test_the_token_endpoint_names_what_is_wrong(
    http: ClientSession, form: Mapping[str, str], status: int, error: str
) -> None:
    """Makes a client retry what can never work, or reconnect an account for nothing."""
    answer = await token(http, **{"grant_type": "refresh_token", "refresh_token": "unknown", **form})
    assert (answer.status, (await answer.json())["error"]) == (status, error)


async def test_the_client_may_identify_by_basic_auth(http: ClientSession) -> None:
    """Breaks OAuth libraries whose default is client_secret_basic."""
    found = await tokens(http)
    form = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"]}
    for words, status in ((b"sandbox-client:sandbox-word", 200), (b"sandbox-client:other", 401)):
        headers = {"Authorization": f"Basic {base64.b64encode(words).decode()}"}
        assert (await http.post("/token", data=form, headers=headers)).status == status


async def test_access_tokens_end_and_refresh_tokens_may(http: ClientSession) -> None:
    """Leaves expiry in the middle of a run untested."""
    await http.patch("/sandbox/settings", json={"access_token_expires_in_s": 5, "refresh_token_expires_in_s": 60})
    found = await tokens(http)
    assert (found["expires_in"], found["refresh_token_expires_in"]) == (5, 60)
    await http.post("/sandbox/clock", json={"advance_s": 5})
    assert await channel_status(http, found["access_token"]) == 401
    assert (await token(http, grant_type="refresh_token", refresh_token=found["refresh_token"])).status == 200
    await http.post("/sandbox/clock", json={"advance_s": 55})
    answer = await token(http, grant_type="refresh_token", refresh_token=found["refresh_token"])
    assert (await answer.json())["error"] == "invalid_grant"


async def test_revoking_either_token_ends_the_whole_grant(http: ClientSession) -> None:
    """Leaves an account connected that its owner has disconnected."""
    found = await tokens(http)
    assert (await http.post("/revoke", params={"token": found["access_token"]})).status == 200
    assert await channel_status(http, found["access_token"]) == 401
    answer = await token(http, grant_type="refresh_token", refresh_token=found["refresh_token"])
    assert (await answer.json())["error"] == "invalid_grant"
    again = await http.post("/revoke", data={"token": found["refresh_token"]})
    assert (again.status, (await again.json())["error"]) == (400, "invalid_token")


async def test_the_oldest_of_101_refresh_tokens_dies(http: ClientSession) -> None:
    """Hides that reconnecting again and again kills the token in use elsewhere."""
    first = await (await http.post("/sandbox/oauth/grant", json={})).json()
    for _ in range(100):
        await http.post("/sandbox/oauth/grant", json={})
    answer = await token(http, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (await answer.json())["error"] == "invalid_grant"


async def test_a_fault_can_take_a_grant_away(http: ClientSession) -> None:
    """Leaves the reconnect path untested."""
    found = await tokens(http)
    fault = {"where": "oauth.token", "kind": "status", "status": 400, "reason": "invalid_grant"}
    assert (await http.post("/sandbox/faults", json=fault)).status == 201
    form = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"]}
    answer = await token(http, **form)
    assert (answer.status, (await answer.json())["error"]) == (400, "invalid_grant")
    assert (await token(http, **form)).status == 200
