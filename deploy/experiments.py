"""`ettametta experiments`: two variants, compared by a stated rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import click
from msgspec import Struct

from actors.editor.planning import style_named
from actors.editor.styles import STYLES
from actors.runtime.db import Database
from actors.tracker.experiments import begin, pairs
from actors.tracker.experiments.begin import KINDS, Blueprint, Kind
from actors.tracker.experiments.design import Experiment, Turn
from actors.tracker.experiments.pairs import Draw, Paired
from actors.tracker.experiments.sequential import looks_of
from contracts.errors import Reject
from contracts.ids import PostId
from deploy.ask import store_file
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say
from deploy.system import outside, own_database

__all__ = ["experiments"]

PICTURES: Final = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


class Shown(Struct, frozen=True, kw_only=True):
    """An experiment with its looks, its turns (of a swap) and what the editor was given to make (of pairs).

    by_word: pairs whose variants a person vouches for.
    """

    experiment: Experiment
    looks: tuple[int, ...]
    turns: tuple[Turn, ...]
    draws: tuple[Draw, ...]
    by_word: int


@click.group()
def experiments() -> None:
    """Compare two variants: titles, descriptions or thumbnails in turns on one post, hooks or captions in pairs.

    A stated rule says when to stop: four looks, at most 5 in 100 experiments without a difference call a winner.
    "No difference" is a result.
    """


@experiments.command("start")
@click.option("--kind", required=True, type=click.Choice(KINDS), help="What the variants differ in.")
@click.option("-a", required=True, help="The first variant: the words; of thumbnails, a file.")
@click.option("-b", required=True, help="The second variant.")
@click.option("--post", help="The post to swap them on. Without it, posts are compared in pairs.")
@click.option("--platform", help="Of pairs: where the posts are.")
@click.option("--account", help="Of pairs: whose posts they are [any account's].")
@click.option("--effect", default=0.2, show_default=True, help="The gain that is to be found: 0.2 is a fifth.")
@click.option(
    "--hours", default=24, show_default=True, type=click.IntRange(1, 720), help="Length of a turn; age of pairs."
)
@json_option
@data_option
def start(
    *,
    kind: str,
    a: str,
    b: str,
    post: str | None,
    platform: str | None,
    account: str | None,
    effect: float,
    hours: int,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Begin an experiment."""

    async def go() -> Experiment:
        settings, now, window = settings_in(data_dir), datetime.now(UTC), timedelta(hours=hours)
        chosen = cast("Kind", kind)
        first, second = a, b
        if kind == "thumbnail" and post:
            first, second = [await _store(data_dir, Path(file)) for file in (a, b)]
        async with own_database(settings, name="ettametta-experiments") as db, db.transaction() as conn:
            if post:
                return await begin.begin_swap(
                    conn, kind=chosen, post=PostId(post), a=first, b=second, effect=effect, window=window, at=now
                )
            if platform is None:
                raise Reject("neither a post nor a platform is named", mend="Add --post POST, or --platform NAME")
            return await begin.begin_pairs(
                conn,
                kind=chosen,
                platform=platform,
                account=account,
                a=first,
                b=second,
                effect=effect,
                age=window,
                at=now,
                made_here=_made_here(chosen, a, b),
            )

    _tell(complete(go()), as_json=as_json)


def _made_here(kind: Kind, a: str, b: str) -> bool:
    """Whether the editor makes both variants. Raises: Reject if it makes one of them alone."""
    if kind != "caption_style" or not STYLES.keys() & {a, b}:
        return False
    return all(style_named(name) is not None for name in (a, b))


async def _store(data_dir: Path | None, file: Path) -> str:
    """Store a thumbnail and return its key. Raises: Reject."""
    if file.suffix.lower() not in PICTURES or not file.is_file():
        raise Reject(f"{file} is no picture that can be used", mend="Name a .jpg or .png")
    async with outside(settings_in(data_dir)) as (services, _):
        return await store_file(services, "thumbnails", file)


@experiments.command("list")
@click.option("--state", type=click.Choice(["running", "concluded", "stopped"]), help="Only these [all].")
@json_option
@data_option
def list_all(*, state: str | None, as_json: bool, data_dir: Path | None) -> None:
    """List experiments, newest first."""

    async def go() -> tuple[Experiment, ...]:
        async with _database(data_dir) as db:
            return await begin.experiments(db, state=state)

    found = complete(go())
    if as_json:
        print_json(found)
    elif not found:
        say("no experiments: begin one with `ettametta experiments start`")
    else:
        for one in found:
            say(_line(one))


@experiments.command()
@click.argument("experiment")
@json_option
@data_option
def show(*, experiment: str, as_json: bool, data_dir: Path | None) -> None:
    """Show one experiment: what is known, and when it is looked at next."""

    async def go() -> Shown:
        async with _database(data_dir) as db:
            one = await _one(db, experiment)
            async with db.transaction() as conn:
                draws, by_word = await pairs.draws(conn, experiment), await pairs.by_word(conn, experiment)
            turns = await begin.turns(db, experiment)
            return Shown(experiment=one, looks=looks_of(one.planned), turns=turns, draws=draws, by_word=by_word)

    found = complete(go())
    if as_json:
        print_json(found)
        return
    say(_line(found.experiment))
    say(f"  A: {found.experiment.a}\n  B: {found.experiment.b}")
    say(f"  looks after {', '.join(str(look) for look in found.looks)} pairs")
    for turn in found.turns:
        counted = "" if turn.from_views is None else f"{turn.from_views} -> {turn.until_views or '…'} views"
        say(f"  turn {turn.number}: {turn.variant} {counted} {turn.void}".rstrip())
    if found.by_word:
        say(f"  pairs where a person said which post has which variant, and nothing here shows it: {found.by_word}")
    for draw in found.draws:
        became = (
            f"post {draw.post_id}{', in a pair' if draw.paired else ''}" if draw.post_id else "no post of it stands"
        )
        say(f"  drawn {draw.number}: {draw.variant} for {draw.item_id}: {became}")


@experiments.command("next")
@click.argument("experiment")
@json_option
@data_option
def next_one(*, experiment: str, as_json: bool, data_dir: Path | None) -> None:
    """Say which variant the next post of an experiment of pairs is to have: chance decides, not a person."""

    async def go() -> tuple[Experiment, str, str]:
        async with _database(data_dir) as db, db.transaction() as conn:
            one = await _one(conn, experiment)
            if one.design != "pairs":
                raise Reject(f"experiment {experiment} swaps by itself", mend="See `ettametta experiments show`")
            return one, *await pairs.next_variant(conn, one)

    one, variant, because = complete(go())
    value = one.value(cast("Any", variant))
    if as_json:
        print_json({"variant": variant, "value": value, "because": because})
    else:
        say(f"{variant}: {value} ({because})")


@experiments.command()
@click.argument("experiment")
@click.argument("post_a")
@click.argument("post_b")
@data_option
def pair(*, experiment: str, post_a: str, post_b: str, data_dir: Path | None) -> None:
    """Add two like posts, the first with variant A, the second with B. What the editor made is paired by itself."""

    async def go() -> Paired:
        async with _database(data_dir) as db, db.transaction() as conn:
            return await pairs.add_pair(conn, experiment, PostId(post_a), PostId(post_b))

    made = complete(go())
    say(f"pair {made.number} of experiment {experiment}")
    for post in made.by_word:
        say(f"  nothing here says which variant post {post} has: your word is taken")


@experiments.command()
@click.argument("experiment")
@click.option("--because", default="stopped by a person", show_default=True)
@data_option
def stop(*, experiment: str, because: str, data_dir: Path | None) -> None:
    """End an experiment without a verdict."""

    async def go() -> None:
        async with _database(data_dir) as db, db.transaction() as conn:
            await begin.stop(conn, experiment, because=because, at=datetime.now(UTC))

    complete(go())
    say(f"experiment {experiment} has ended without a verdict; its post keeps what it shows now")


@experiments.command()
@click.argument("blueprint")
@click.option("--because", default="withdrawn by a person", show_default=True)
@click.option("--undo", is_flag=True, help="Put it into force again.")
@data_option
def withdraw(*, blueprint: str, because: str, undo: bool, data_dir: Path | None) -> None:
    """Put BLUEPRINT out of force: plans made from now on do not follow it. The beginning of its id is enough."""

    async def go() -> Blueprint:
        at = None if undo else datetime.now(UTC)
        async with _database(data_dir) as db, db.transaction() as conn:
            return await begin.withdraw(conn, blueprint, because="" if undo else because, at=at)

    one = complete(go())
    say(f"blueprint {one.blueprint_id[:8]}: {standing(one)}")


@experiments.command()
@json_option
@data_option
def blueprints(*, as_json: bool, data_dir: Path | None) -> None:
    """List what was shown to be better, and what follows it."""

    async def go() -> tuple[Blueprint, ...]:
        async with _database(data_dir) as db:
            return await begin.blueprints(db)

    found = complete(go())
    if as_json:
        print_json(found)
    elif not found:
        say("nothing was shown to be better yet")
    else:
        for one in found:
            say(
                f"{one.blueprint_id[:8]}  {one.kind} on {one.account_id or one.platform}: '{one.value}' over "
                f"'{one.against}', {one.effect:+.0%} (95 %: {one.low:+.0%} to {one.high:+.0%})\n"
                f"          {standing(one)}"
            )


def standing(one: Blueprint) -> str:
    """Say what follows a blueprint."""
    if one.withdrawn_at is not None:
        return f"withdrawn on {one.withdrawn_at:%Y-%m-%d}: {one.withdrawn_because}"
    if one.kind == "caption_style" and one.value in STYLES:
        return (
            f"in force: the editor plans captions so for {one.account_id or one.platform}, unless a newer one says else"
        )
    if one.kind == "caption_style":
        return f"for you to follow: '{one.value}' is no style that the editor knows"
    if one.kind == "hook":
        return "for you to follow: the words that a video begins with are those of its source or its script"
    return f"for you to learn from: the {one.kind} of one post says nothing of the next one's"


@asynccontextmanager
async def _database(data_dir: Path | None) -> AsyncIterator[Database]:
    async with own_database(settings_in(data_dir), name="ettametta-experiments") as db:
        yield db


async def _one(db: Any, name: str) -> Experiment:
    found = next((one for one in await begin.experiments(db) if one.experiment_id == name), None)
    if found is None:
        raise Reject(f"there is no experiment {name}", mend="See `ettametta experiments list`")
    return found


def _tell(one: Experiment, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        first = looks_of(one.planned)[0]
        say(
            f"experiment {one.experiment_id} runs: up to {one.planned} pairs of {one.window_s // 3600} h find "
            f"{one.effect:+.0%}; the first look is after {first}"
        )
        if one.made_here:
            say(
                "the editor makes the variants in what it plans there from now on; their posts are paired by themselves"
            )
        elif one.design == "pairs":
            say(f"make the variants yourself: ettametta experiments next {one.experiment_id} says which is next")


def _line(one: Experiment) -> str:
    about = f"on post {one.post_id}" if one.post_id else f"in pairs on {one.platform}"
    verdict = one.verdict or {}
    state = verdict.get("state", "too early")
    told = f"winner {state}" if state in {"A", "B"} else state
    return f"{one.experiment_id}  {one.state:<9} {one.kind} {about}: {told}. {one.because}".rstrip()
