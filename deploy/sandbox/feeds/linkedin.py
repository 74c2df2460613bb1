"""LinkedIn as the sandbox plays it: consent, videos and posts. There is nothing to search.

Docs: learn.microsoft.com/linkedin: "Authorization Code Flow", "Error handling", read 2026-11-23. Tokens live 60 days;
this app is one of the few that are approved for refresh tokens, which stay the same for a year.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from deploy.sandbox.feeds._consent import Consent, Style
from deploy.sandbox.feeds._linkedin_posts import LinkedInPosts
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS: dict[str, str] = {
    "linkedin_client_id": "sandbox-linkedin-client",
    "linkedin_client_secret": "sandbox-linkedin-word",
}
SCOPES: Final = {
    "openid": "Know who you are",
    "profile": "See your name and picture",
    "w_member_social": "Post for you",
    "w_organization_social": "Post for your organisations",
    "r_member_social": "Read your posts",
    "r_organization_social": "Read your organisations' posts",
    "r_member_postAnalytics": "Read your posts' statistics",
}
_CODES: Final = {
    400: ("ILLEGAL_ARGUMENT", 100),
    401: ("INVALID_ACCESS_TOKEN", 65_600),
    403: ("ACCESS_DENIED", 100),
    404: ("NOT_FOUND", 0),
    422: ("DUPLICATE_POST", 0),
    426: ("NONEXISTENT_VERSION", 0),
    429: ("TOO_MANY_REQUESTS", 101),
}
_WORDS: Final = {
    401: "Invalid access token",
    403: "Not enough permissions to access this resource",
    404: "The resource cannot be found",
    426: "Requested version is not active",
    429: "Resource level throttle limit for calls to this resource is reached.",
}


def refusal(status: int, reason: str = "") -> web.Response:
    """Write an error; reason: its code, with a message of its own after a space."""
    usual, service = _CODES.get(status, ("INTERNAL_SERVER_ERROR", 0))
    code, _, message = reason.partition(" ")
    words = message or _WORDS.get(status, "The request could not be served")
    body = {"status": status, "serviceErrorCode": service, "code": code or usual, "message": words}
    return web.json_response(body, status=status)


def token_refusal(status: int, reason: str = "") -> web.Response:
    """Write an error of the token endpoint."""
    error = {"invalid_grant": "invalid_request"}.get(reason, reason or "invalid_request")
    words = "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code."
    body = {"error": error if status < 500 else "server_error", "error_description": words}
    return web.json_response(body, status=status)


class LinkedIn:
    """The authorisation, the REST host and the store of videos."""

    def __init__(self, stage: Stage) -> None:
        Consent(
            stage,
            Style(
                title="LinkedIn",
                authorize="/oauth/v2/authorization",
                token="/oauth/v2/accessToken",  # noqa: S106 - a path
                client_id=CREDENTIALS["linkedin_client_id"],
                client_secret=CREDENTIALS["linkedin_client_secret"],
                scopes=SCOPES,
                pkce="none",
                rotates=False,
                refusal=token_refusal,
            ),
        )
        LinkedInPosts(stage, refusal=refusal)


FEED = LinkedIn
