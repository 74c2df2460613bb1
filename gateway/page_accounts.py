"""The accounts on the status page, and what each platform needs before one can be connected."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from msgspec import Struct

from gateway.html import Child, Html, el
from gateway.views import Account
from gateway.words import empty, platform_title, prose, when

__all__ = ["Connectable", "accounts_section"]


class Connectable(Struct, frozen=True, kw_only=True):
    """A platform that accounts can be connected to. missing: settings that are not set."""

    platform: str
    title: str
    href: str
    redirect_uri: str
    missing: tuple[str, ...]


def accounts_section(accounts: Sequence[Account], connectables: Sequence[Connectable], *, now: datetime) -> Html:
    """Make the list of accounts, with ways to connect more."""
    rows = [_account(account, connectables, now=now) for account in accounts]
    buttons = [
        el("li", el("a", platform_title(each.platform), href=each.href, class_="button quiet"))
        for each in connectables
        if not each.missing
    ]
    unready = [each for each in connectables if each.missing]
    return el(
        "section",
        el("h2", "Accounts"),
        el("ul", *rows, class_="rows")
        if rows
        else empty("No account is connected", "Finished videos wait here until there is one to post to."),
        el("h3", "Connect another account" if rows else "Connect an account") if buttons else None,
        el("ul", *buttons, class_="buttons") if buttons else None,
        _not_set_up(unready) if unready else None,
        id="accounts",
        data_live=True,
    )


def _not_set_up(connectables: Sequence[Connectable]) -> Html:
    """Say what each platform needs before an account of it can be connected."""
    names = [platform_title(each.platform) for each in connectables]
    rows = [
        el(
            "li",
            el("h3", platform_title(each.platform)),
            el(
                "p",
                f"Make a web app (OAuth client) at {each.title} with the redirect address ",
                el("code", each.redirect_uri),
                ", set ",
                *_listed(each.missing),
                ", and restart.",
                class_="meta",
            ),
        )
        for each in connectables
    ]
    return el("details", el("summary", f"Not set up yet: {', '.join(names)}"), el("ul", *rows, class_="rows"))


def _listed(names: Sequence[str]) -> list[Child]:
    parts: list[Child] = []
    for name in names:
        parts += [" and " if parts else None, el("code", name)]
    return parts


def _account(account: Account, connectables: Sequence[Connectable], *, now: datetime) -> Html:
    name = account.title or account.account_id
    word, tone = {
        "connected": ("Connected", "good"),
        "reconnect_needed": ("Must be connected again", "bad"),
        "disconnected": ("Disconnected", "quiet"),
    }.get(account.state, (account.state, "quiet"))
    if account.state == "connected" and account.paused_at is not None:
        word, tone = "Paused", "warn"
    again = next((each for each in connectables if each.platform == account.platform and not each.missing), None)
    return el(
        "li",
        el(
            "div",
            el("img", src=f"/accounts/{quote(account.account_id)}/picture", alt="", class_="account-picture")
            if account.pictured
            else None,
            el("h3", el("a", name, href=account.url) if account.url else name),
            el("p", platform_title(account.platform), " · ", el("code", account.account_id), class_="meta"),
        ),
        el(
            "div",
            el("p", el("span", class_="dot", aria_hidden="true"), word, class_=f"stage {tone}"),
            el("p", prose(account.state_because), class_="because") if account.state_because else None,
            el("p", prose(account.paused_because), class_="because") if account.paused_because else None,
            el("p", el("code", f"ettametta accounts resume {account.account_id}"), class_="meta")
            if account.paused_at is not None
            else None,
            el("p", el("a", "Connect again", href=again.href)) if again and account.state != "connected" else None,
        ),
        el("p", "Since ", when(account.connected_at, now=now), class_="meta"),
        data_key=account.account_id,
        data_rev=_revision(
            account.state,
            account.title,
            account.state_because,
            account.paused_because,
            str(account.paused_at),
            str(account.connected_at),
        ),
    )


def _revision(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
