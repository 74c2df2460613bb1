"""What the imitations of Meta's APIs share: errors, the token, fields, cursors and the usage header.

Docs: developers.facebook.com/docs/graph-api: error handling, rate limiting, paging and fields, read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import Grant

__all__ = ["GraphStage", "error", "fields_of", "gone", "moment", "picked", "refusal", "token_refusal"]

CALLS_AN_HOUR = 200
_WORDS = {
    1: "An unknown error occurred",
    2: "An unexpected error has occurred. Please retry your request later.",
    4: "(#4) Application request limit reached",
    10: "(#10) Application does not have permission for this action",
    17: "(#17) User request limit reached",
    18: "(#18) Max number of unique hashtags queried",
    24: "(#24) The requested resource does not exist",
    32: "(#32) Page request limit reached",
    100: "(#100) Invalid parameter",
    190: "Invalid OAuth access token - Cannot parse access token",
    200: "(#200) Permissions error",
    368: "The action attempted has been deemed abusive or is otherwise disallowed",
    613: "(#613) Calls to this api have exceeded the rate limit.",
}
_USUAL = {400: 100, 401: 190, 403: 10, 404: 100, 429: 4}


def error(status: int, code: int, message: str = "", *, subcode: int | None = None) -> web.Response:
    """Answer with Meta's error object."""
    body: dict[str, Any] = {
        "message": message or _WORDS.get(code, f"(#{code}) Error"),
        "type": "OAuthException",
        "code": code,
        "is_transient": code in {1, 2, 4, 17, 32, 613},
        "fbtrace_id": "Sandbox",
    }
    if subcode is not None:
        body["error_subcode"] = subcode
    return web.json_response({"error": body}, status=status)


def refusal(status: int, reason: str) -> web.Response:
    """Answer with an error; reason: Meta's number (with its subcode after a dot), empty for the usual one."""
    code, _, subcode = reason.partition(".")
    told = int(code) if code.isdigit() else _USUAL.get(status, 1 if status == 500 else 2 if status > 500 else 100)
    return error(status, told, subcode=int(subcode) if subcode.isdigit() else None)


def moment(unix_s: float) -> str:
    """Write Unix seconds as these APIs do."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def gone(name: str) -> Refused:
    """Refuse an object that is not there, or that the token is not shown: Meta does not tell which."""
    words = (
        f"Unsupported get request. Object with ID '{name}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation"
    )
    return Refused(error(400, 100, words, subcode=33))


def token_refusal(status: int, reason: str = "") -> web.Response:
    """Write an error of the token endpoint."""
    if reason in {"invalid_grant", ""} and status == 400:
        return error(400, 100, "This authorization code has been used, or is not valid.", subcode=36009)
    if reason == "invalid_client":
        return error(400, 101, "Error validating application. Cannot get application info due to a system error.")
    return refusal(status, "")


async def fields_of(request: web.Request) -> dict[str, str]:
    """Return what a request says in its address and its body, either as a form or as JSON."""
    if request.content_type == "application/json":
        body = await request.json()
        sent = body if isinstance(body, dict) else {}
    else:
        sent = dict(await request.post())
    return {**request.query, **{str(name): str(value) for name, value in sent.items()}}


class GraphStage:
    """One of Meta's APIs in the sandbox."""

    def __init__(self, stage: Stage, *, token: str) -> None:
        self.stage = stage
        self._token = token

    def check_token(self, request: web.Request) -> Grant | None:
        """Return whose account's token it is; None: it is the one of the settings. Raises: Refused."""
        token = self._told(request, {"Bearer", "OAuth"})
        return None if token == self._token else self._holder(token)

    def account(self, request: web.Request, *scopes: str, scheme: str = "Bearer") -> Grant:
        """Return whose account's token it is, which must have been granted `scopes`. Raises: Refused."""
        holder = self._holder(self._told(request, {scheme}))
        if lacking := next((scope for scope in scopes if scope not in holder.scopes), None):
            raise Refused(error(403, 200, f"(#200) Requires {lacking} permission to manage the object"))
        return holder

    def _told(self, request: web.Request, schemes: set[str]) -> str:
        scheme, _, told = request.headers.get("Authorization", "").partition(" ")
        token = told if scheme in schemes else request.query.get("access_token", "")
        if not token:
            words = "An access token is required to request this resource."
            raise Refused(error(400, 104, words))
        return token

    def _holder(self, token: str) -> Grant:
        if (holder := self.stage.people.holder(token)) is not None:
            return holder
        known = next(
            (
                one
                for one in self.stage.sandbox.store.all(Grant)
                if one.access == token and one.platform == self.stage.name
            ),
            None,
        )
        if known is None:
            raise Refused(error(401, 190))
        if known.revoked:
            words = "Error validating access token: The user has not authorized application."
            raise Refused(error(401, 190, words, subcode=458))
        raise Refused(error(401, 190, "Error validating access token: Session has expired.", subcode=463))

    def reply(self, body: Any, *, status: int = 200) -> web.Response:
        """Answer a call of an account, with the usage header."""
        left, _ = self.stage.take("account_calls", limit=CALLS_AN_HOUR * 50, window_s=3600)
        return self._with_usage(web.json_response(body, status=status), max(left // 50, 1))

    def answer(
        self, request: web.Request, items: Sequence[Mapping[str, Any]], *, usual: int, most: int
    ) -> web.Response:
        """Answer with one page of `items`, with the asked fields only, and with the usage header."""
        left, _ = self.stage.take("calls", limit=CALLS_AN_HOUR, window_s=3600)
        if left < 0:
            raise Refused(self._with_usage(error(403, 4), left))
        told = request.query.get("limit", str(usual))
        if not (told.isascii() and told.isdigit() and 1 <= int(told) <= most):
            raise Refused(error(400, 100, f"(#100) Param limit must be a number from 1 to {most}"))
        begins = _begins(request.query.get("after", ""))
        ends = begins + int(told)
        body: dict[str, Any] = {"data": [picked(request, item) for item in items[begins:ends]]}
        if body["data"]:
            after = base64.urlsafe_b64encode(str(ends).encode()).decode()
            body["paging"] = {"cursors": {"before": "QkVGT1JF", "after": after}}
            if ends < len(items):
                query = {**request.query, "access_token": self._token, "after": after}
                body["paging"]["next"] = str(request.url.with_query(query))
        return self._with_usage(web.json_response(body), left)

    @staticmethod
    def _with_usage(response: web.Response, left: int) -> web.Response:
        share = (CALLS_AN_HOUR - left) * 100 // CALLS_AN_HOUR
        usage = {"call_count": share, "total_cputime": share // 4, "total_time": share // 3}
        response.headers["X-App-Usage"] = json.dumps(usage)
        return response


def picked(request: web.Request, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the id and the asked fields of an item; a field that is None is not told. Raises: Refused."""
    names = [name for name in _names(request.query.get("fields", "")) if name]
    if wrong := next((name for name in names if name not in item), None):
        raise Refused(error(400, 100, f"(#100) Tried accessing nonexisting field ({wrong})"))
    return {name: item[name] for name in dict.fromkeys(["id", *names]) if item[name] is not None}


def _names(fields: str) -> list[str]:
    """Return the names in `a,b.limit(0).summary(true),c{d,e}` without what is asked of each."""
    plain = re.sub(r"\{[^{}]*\}|\([^()]*\)", "", fields)
    return [part.partition(".")[0].strip() for part in plain.split(",")]


def _begins(after: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(after.encode())) if after else 0
    except (ValueError, binascii.Error):
        raise Refused(error(400, 100, "(#100) Invalid cursors values")) from None
