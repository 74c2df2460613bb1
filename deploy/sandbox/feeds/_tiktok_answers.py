"""How TikTok, imitated, answers: its envelope, its refusals, who calls.

Docs: developers.tiktok.com/doc: tiktok-api-v2-error-handling, oauth-error-handling, read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import Grant

__all__ = ["body_of", "caller", "fields_of", "number_of", "oauth_refusal", "ok", "only", "refusal"]

_LOG_ID: Final = "20261123SANDBOX"
_CODES: Final = {
    400: "invalid_params",
    401: "access_token_invalid",
    403: "scope_not_authorized",
    429: "rate_limit_exceeded",
}


def refusal(status: int, reason: str, words: str = "") -> web.Response:
    """Answer with the envelope of data endpoints; reason: an error code, empty for the usual one."""
    code = reason or _CODES.get(status, "internal_error")
    error = {"code": code, "message": words or f"The sandbox says {code}.", "log_id": _LOG_ID}
    return web.json_response({"data": {}, "error": error}, status=status)


def oauth_refusal(status: int, reason: str) -> web.Response:
    """Answer with the flat error of the token endpoint."""
    code = reason or {401: "invalid_client", 403: "access_denied", 429: "rate_limit_exceeded"}.get(status, "")
    code = code or ("server_error" if status >= 500 else "invalid_request")
    body = {"error": code, "error_description": f"The sandbox says {code}.", "log_id": _LOG_ID}
    return web.json_response(body, status=status)


def ok(data: Mapping[str, Any]) -> web.Response:
    return web.json_response({"data": data, "error": {"code": "ok", "message": "", "log_id": _LOG_ID}})


def caller(stage: Stage, request: web.Request, *scopes: str) -> Grant:
    """Return whose token it is. Raises: Refused if there is none, or none of `scopes` was granted."""
    holder = stage.people.holder(request.headers.get("Authorization", "").removeprefix("Bearer "))
    if holder is None:
        raise Refused(refusal(401, "access_token_invalid"))
    if not set(scopes) & set(holder.scopes):
        raise Refused(refusal(401, "scope_not_authorized"))
    return holder


def fields_of(request: web.Request, known: frozenset[str]) -> list[str]:
    fields = [name.strip() for name in request.query.get("fields", "").split(",") if name.strip()]
    if not fields or not known.issuperset(fields):
        raise Refused(refusal(400, "invalid_params"))
    return fields


def only(fields: Sequence[str], item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in fields}


async def body_of(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(refusal(400, "invalid_params"))
    return body


def number_of(body: Mapping[str, Any], name: str, *, usual: int, most: int) -> int:
    told = body.get(name, usual)
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= most:
        raise Refused(refusal(400, "invalid_params"))
    return told
