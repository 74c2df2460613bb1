"""`ettametta posts`: what became of posts, and a person's word where a platform does not tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from actors.publisher.remedy import Remedy
from actors.runtime.clock import Clock
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import own_database

__all__ = ["posts"]

T = TypeVar("T")
STATES: Final = (
    "draft",
    "scheduled",
    "waiting",
    "claimed",
    "uploading",
    "processing",
    "published",
    "unconfirmed",
    "failed",
    "removed",
)


@click.group()
def posts() -> None:
    """Posts: list them, look at one, settle one whose outcome nobody knows, give one up."""


def _with(data_dir: Path | None, work: Callable[[Remedy], Awaitable[T]]) -> T:
    async def go() -> T:
        async with own_database(settings_in(data_dir), name="ettametta-posts") as db:
            return await work(Remedy(db, Clock()))

    return complete(go())


@posts.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only these [all].")
@json_option
@data_option
def list_(*, state: str | None, as_json: bool, data_dir: Path | None) -> None:
    """List posts, the one that changed last first."""
    found = _with(data_dir, lambda remedy: remedy.listed(state=state))
    if as_json:
        print_json(found)
        return
    for one in found:
        say(f"{one.post_id}  {one.state:<11}  {one.account_id or one.platform}  {one.title}")
        if told := " ".join(part for part in (one.url if one.state == "published" else "", one.because) if part):
            say(f"    {told}")
        if one.next_action:
            say(f"    next: {one.next_action}")
    if not found:
        say("there are no posts" if state is None else f"no post is {state}")


@posts.command()
@click.argument("post")
@data_option
def show(*, post: str, data_dir: Path | None) -> None:
    """Show everything that is known of POST, as JSON. The beginning of its id is enough."""
    print_json(_with(data_dir, lambda remedy: remedy.shown(post)))


@posts.command()
@click.argument("post")
@click.option("--url", metavar="ADDRESS", help="It is there, at this address.")
@click.option("--id", "platform_post_id", default="", help="Its id there, where the address does not tell it.")
@click.option("--absent", is_flag=True, help="It is not there: it is sent anew.")
@data_option
def settle(*, post: str, url: str | None, platform_post_id: str, absent: bool, data_dir: Path | None) -> None:
    """Say whether POST is on its platform. Look there first: what is sent anew is posted a second time otherwise."""
    if absent == (url is not None):
        raise click.UsageError("give --url ADDRESS, or --absent")
    if url is None:
        say(_with(data_dir, lambda remedy: remedy.absent(post)))
    else:
        say(_with(data_dir, lambda remedy: remedy.there(post, url=url, platform_post_id=platform_post_id)))


@posts.command()
@click.argument("post")
@data_option
def drop(*, post: str, data_dir: Path | None) -> None:
    """Give POST up; it can be asked for again. One that was taken down is put away: it needs nobody any more."""
    say(_with(data_dir, lambda remedy: remedy.dropped(post)))
