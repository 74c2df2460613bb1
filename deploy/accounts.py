"""Connected accounts on the command line: what there is, pausing, disconnecting, and changing the key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from msgspec import Struct

from actors import platforms
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.http import open_http
from actors.runtime.keys import (
    KEY_FILE,
    Resealed,
    Secrets,
    drop_old_keys,
    open_secrets,
    put_new_key_first,
    reseal,
    settle_s,
)
from actors.runtime.oauth import NO_END, OAuthClient
from actors.runtime.settings import Settings
from actors.runtime.tokens import KnownAccount, Tokens, Way, open_tokens, way_in
from contracts.errors import Reject
from contracts.ids import AccountId
from deploy.ask import page_of
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import own_database

__all__ = ["Rotated", "accounts", "disconnect_account", "rotate_key", "way_of"]

NAME = "ettametta accounts"


class Rotated(Struct, frozen=True, kw_only=True):
    """What a change of the key came to. unreadable: secrets by table that no known key opens."""

    resealed: int
    unreadable: dict[str, int]
    old_keys_dropped: bool
    next_action: str = ""


@click.group()
def accounts() -> None:
    """Show connected accounts, pause, resume or disconnect one, change the key that encrypts their tokens.

    Accounts are connected in the browser, on the page of the gateway.
    """


@accounts.command(name="list")
@json_option
@data_option
def list_accounts(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every account and how it stands."""
    settings = settings_in(data_dir)

    async def work() -> tuple[KnownAccount, ...]:
        async with _tokens(settings) as tokens:
            return await tokens.known()

    found = complete(work())
    if as_json:
        print_json(found)
        return
    if not found:
        say(f"no account is connected; connect one at {page_of(settings)}")
    for account in found:
        say(render_account(account))


def render_account(account: KnownAccount) -> str:
    """Say in a line or two how an account stands."""
    state = account.state.replace("_", " ")
    told = [f"{account.account_id}  {account.title}  {state}"]
    if account.state_because:
        told.append(f"  {account.state_because}")
    if account.paused_at is not None:
        told.append(
            f"  paused since {account.paused_at:%Y-%m-%d %H:%M} UTC: {account.paused_because}; "
            f"to go on: {NAME} resume {account.account_id}"
        )
    if account.state == "connected" and not account.renews and (end := _end_of(account)):
        told.append(f"  its permission {end}")
    if account.url:
        told.append(f"  {account.url}")
    return "\n".join(told)


def _end_of(account: KnownAccount) -> str:
    """Say when a permission without a refresh token ends."""
    if account.expires_at is None:
        return ""
    if account.expires_at >= NO_END:
        return "does not end by itself"
    way, day = way_in(platforms.module(account.platform)), f"{account.expires_at:%Y-%m-%d}"
    if isinstance(way, OAuthClient) and way.prolong is not None and way.prolong.renew_path is not None:
        return f"is renewed before it ends on {day}"
    return f"ends on {day}; connect it again before that"


@accounts.command()
@click.argument("account_id")
@click.option("--because", default="paused by a person", show_default=True, help="Why, for whoever reads it later.")
@data_option
def pause(account_id: str, because: str, data_dir: Path | None) -> None:
    """Post nothing more to an account until it is resumed. Measuring goes on."""

    async def work() -> str:
        async with _tokens(settings_in(data_dir)) as tokens:
            await _check(tokens, account_id)
            done = await tokens.pause(AccountId(account_id), because)
            return f"'{account_id}' {'is paused' if done else 'was paused before'}"

    say(complete(work()))


@accounts.command()
@click.argument("account_id")
@data_option
def resume(account_id: str, data_dir: Path | None) -> None:
    """Let posts go on to an account that was paused; what waits for it is taken up."""

    async def work() -> str:
        async with _tokens(settings_in(data_dir)) as tokens:
            found = await _check(tokens, account_id)
            done = await tokens.resume(AccountId(account_id))
            if found.state != "connected":
                return f"'{account_id}' is not paused any more, but {found.state.replace('_', ' ')}: connect it again"
            return f"'{account_id}' {'goes on' if done else 'is not paused'}"

    say(complete(work()))


@accounts.command()
@click.argument("account_id")
@data_option
def disconnect(account_id: str, data_dir: Path | None) -> None:
    """Withdraw the permission at the platform and delete the tokens here. What was posted stays posted."""
    settings = settings_in(data_dir)

    async def work() -> str:
        async with _tokens(settings) as tokens:
            found = await _check(tokens, account_id)
            return await disconnect_account(tokens, found)

    say(complete(work()))


async def disconnect_account(tokens: Tokens, account: KnownAccount) -> str:
    """Disconnect an account; return what was done, in words."""
    done = await tokens.forget(account.account_id, way_of(account.platform))
    return f"'{account.account_id}': {done}" if done else f"'{account.account_id}' was not connected"


@accounts.command(name="rotate-key")
@json_option
@data_option
def rotate(*, as_json: bool, data_dir: Path | None) -> None:
    """Encrypt every stored secret with a new key, while everything runs.

    Where the key lies in the data folder, a new one is made, running processes take it up, and the old one is dropped
    in the end. Where SECRET_KEY is set, put a new key in front of it first (NEW,OLD) and restart.
    Cut off, it goes on where it was when it is run again.
    """
    settings = settings_in(data_dir)

    async def work() -> Rotated:
        async with own_database(settings, name=NAME) as db:
            return await rotate_key(settings, db, Clock())

    done = complete(work())
    if as_json:
        print_json(done)
        return
    say(f"{done.resealed} secrets are encrypted anew")
    for table, number in done.unreadable.items():
        say(f"{number} in {table} can be read with no known key: connect those accounts again", err=True)
    if done.old_keys_dropped:
        say("the old key is dropped")
    if done.next_action:
        say(done.next_action)


async def rotate_key(settings: Settings, db: Database, clock: Clock) -> Rotated:
    """Change the key. Raises: Reject where SECRET_KEY has no second key."""
    if settings.secret_key:
        if "," not in settings.secret_key:
            raise Reject(
                "SECRET_KEY holds one key, and only who sets it can change it",
                mend="Make a key, set SECRET_KEY=NEW,OLD for every process, restart them, then run this again",
            )
        done = await reseal(db, open_secrets(settings))
        action = "now set SECRET_KEY to its first key alone, and restart"
        return Rotated(resealed=done.changed, unreadable=done.unreadable, old_keys_dropped=False, next_action=action)
    file = settings.data_dir / KEY_FILE
    secrets = open_secrets(settings)
    if put_new_key_first(file):
        say("a new key is in front; processes that run take it up by themselves", err=True)
    else:
        say("going on with the change of the key that was begun", err=True)
    first = await reseal(db, secrets)
    if (wait_s := settle_s(file)) > 0:
        say(f"waiting {wait_s:.0f} s for what was encrypted with the old key and is still being stored", err=True)
        await clock.sleep(wait_s)
    last = await _sweep(db, secrets)
    drop_old_keys(file)
    return Rotated(resealed=first.changed + last.changed, unreadable=last.unreadable, old_keys_dropped=True)


async def _sweep(db: Database, secrets: Secrets) -> Resealed:
    """Encrypt anew until nothing is left: what changed under a sweep may have been sealed by the old key again."""
    changed = 0
    while True:
        done = await reseal(db, secrets)
        changed += done.changed
        if not done.changed:
            return Resealed(changed=changed, unreadable=done.unreadable)


def way_of(platform: str) -> Way:
    """Return how accounts of a platform are connected. Raises: Reject if they cannot be."""
    if (way := way_in(platforms.module(platform))) is None:
        raise Reject(f"accounts of {platform} cannot be connected")
    return way


async def _check(tokens: Tokens, account_id: str) -> KnownAccount:
    found = await tokens.known()
    for account in found:
        if account.account_id == account_id:
            return account
    names = ", ".join(account.account_id for account in found) or "none"
    raise Reject(f"there is no account '{account_id}'", mend=f"Known: {names}")


@asynccontextmanager
async def _tokens(settings: Settings) -> AsyncIterator[Tokens]:
    clock = Clock()
    async with own_database(settings, name=NAME) as db, open_http(settings, clock) as http:
        yield open_tokens(settings, db, http, clock)
