"""Facebook Login, imitated: consent, long-lived tokens, granted permissions, and pages with tokens of their own.

Docs: developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow, .../access-tokens/get-long-lived,
read 2026-11. Who signs in as "one+two" opens two accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.feeds._consent import Consent, Long, Style
from deploy.sandbox.feeds._graph import GraphStage, refusal, token_refusal
from deploy.sandbox.posted import People

__all__ = ["APP", "Login"]

APP: Final = {"facebook_client_id": "sandbox-meta-app", "facebook_client_secret": "sandbox-meta-word"}
PAGE_TOKEN_LIFE_S: Final = 3650 * 86_400
"""Tokens of pages do not end by themselves."""


class Login:
    """The login of one platform. page: describes the page of an account."""

    def __init__(
        self,
        graph: GraphStage,
        *,
        title: str,
        scopes: dict[str, str],
        page: Callable[[str], dict[str, Any]],
    ) -> None:
        self._graph = graph
        self._page = page
        stage = graph.stage
        self._owners = People(stage.sandbox, stage.name, access_life_s=PAGE_TOKEN_LIFE_S)
        stage.people.access_life_s = 3600
        Consent(
            stage,
            Style(
                title=title,
                authorize="/dialog/oauth",
                token="/oauth/access_token",  # noqa: S106 - a path
                client_id=APP["facebook_client_id"],
                client_secret=APP["facebook_client_secret"],
                scopes=scopes,
                separator=",",
                optional=True,
                pkce="none",
                refreshes=False,
                methods=("GET", "POST"),
                long=Long(prolong=("/oauth/access_token", "fb_exchange_token", "fb_exchange_token")),
                refusal=token_refusal,
            ),
        )
        stage.get("/me/permissions", "permissions", self._permissions, refusal=refusal)
        stage.get("/me/accounts", "accounts", self._accounts, refusal=refusal)

    async def _permissions(self, request: web.Request) -> web.StreamResponse:
        holder = self._graph.account(request)
        granted = [{"permission": scope, "status": "granted"} for scope in holder.scopes]
        return self._graph.reply({"data": [*granted, {"permission": "email", "status": "declined"}]})

    async def _accounts(self, request: web.Request) -> web.StreamResponse:
        """List the pages that the person opened, each with a new token."""
        holder = self._graph.account(request, "pages_show_list")
        pages = [
            {"access_token": self._owners.grant(account, holder.scopes).access, **self._page(account)}
            for account in holder.account.split("+")
        ]
        return self._graph.reply({"data": pages, "paging": {"cursors": {"before": "MA==", "after": "MQ=="}}})
