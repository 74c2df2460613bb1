"""Begin, feed and stop experiments, as a person asks."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast, get_args

import msgspec
from msgspec import Struct

from actors import platforms
from actors.runtime.db import Connection, Database, into
from actors.tracker.experiments.design import SPREADS, Experiment, Turn
from actors.tracker.experiments.run import Q
from actors.tracker.experiments.sequential import pairs_needed
from contracts.clock import Utc
from contracts.errors import Reject
from contracts.events import PostRequested
from contracts.ids import PostId, derived
from contracts.rights import attribution_text

__all__ = [
    "KINDS",
    "Blueprint",
    "Kind",
    "begin_pairs",
    "begin_swap",
    "blueprints",
    "experiments",
    "stop",
    "turns",
    "withdraw",
]

Kind = Literal["title", "description", "thumbnail", "hook", "caption_style"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
SWAPPED: Final = {"title": "revises", "description": "revises", "thumbnail": "dresses"}
"""What a platform must be able to for a swap; the other kinds are in the picture and cannot be swapped."""
MOST_TIMES: Final = 3
"""A size that is planned anew grows to this many times the first one at most."""
_LONGEST_SEED: Final = 2**53


class Blueprint(Struct, frozen=True, kw_only=True):
    """A row of `blueprints`: what was shown to be better, with its 95 % interval as a ratio less one.

    withdrawn_at: since when it is not followed any more; None: it is in force.
    """

    blueprint_id: str
    kind: str
    value: str
    against: str
    platform: str
    account_id: str | None
    effect: float
    low: float
    high: float
    experiment_id: str
    written_at: Utc
    withdrawn_at: Utc | None
    withdrawn_because: str


async def begin_swap(
    conn: Connection, *, kind: Kind, post: PostId, a: str, b: str, effect: float, window: timedelta, at: datetime
) -> Experiment:
    """Begin to swap two variants on one published post. a and b: the words; of thumbnails, their keys.

    Raises: Reject, saying why the platform, the post or a variant will not do.
    """
    row = await conn.fetchrow(Q["swapped_post"], post)
    if row is None:
        raise Reject(f"there is no post {post}", mend="See `ettametta posts list`")
    if row["state"] != "published" or row["account_id"] is None:
        raise Reject(f"post {post} is {row['state']}", mend="Choose one that is published")
    platform = platforms.module(row["platform"])
    if kind not in SWAPPED:
        raise Reject(
            f"the {kind.replace('_', ' ')} of a post that stands cannot be changed",
            mend="Leave --post out: then like posts are compared in pairs",
        )
    if not getattr(platform.CAPS, SWAPPED[kind]):
        raise Reject(f"{platform.NAME} does not let the {kind} of a post be changed", mend="Compare pairs of posts")
    request = msgspec.convert(await conn.fetchval(Q["request_of"], post), PostRequested)
    for variant in (a, b):
        _check_words(kind, variant, platform.LIMITS.title_chars, attribution_text(request.rights))
    return await _put(
        conn,
        kind=kind,
        design="swap",
        platform=row["platform"],
        account=row["account_id"],
        post=post,
        a=a,
        b=b,
        effect=effect,
        window=window,
        at=at,
    )


async def begin_pairs(
    conn: Connection,
    *,
    kind: Kind,
    platform: str,
    account: str | None,
    a: str,
    b: str,
    effect: float,
    age: timedelta,
    at: datetime,
    made_here: bool = False,
) -> Experiment:
    """Begin to compare posts of two kinds at one age, pair by pair.

    Args: made_here: the variants are names of what the editor can make, and it makes them in turn.
    Raises: Reject.
    """
    able = [name for name in platforms.names() if platforms.module(name).CAPS.publish]
    if platform not in able:
        raise Reject(f"'{platform}' cannot be posted to", mend=f"Known: {', '.join(able)}")
    if not platforms.module(platform).CAPS.measure:
        raise Reject(f"posts on {platform} cannot be measured", mend="Choose a platform that tells its counts")
    return await _put(
        conn,
        kind=kind,
        design="pairs",
        platform=platform,
        account=account,
        post=None,
        a=a,
        b=b,
        effect=effect,
        window=age,
        at=at,
        made_here=made_here,
    )


def _check_words(kind: Kind, variant: str, title_chars: int | None, credit: str) -> None:
    if kind == "title" and title_chars is not None and len(variant) > title_chars:
        raise Reject(f"'{variant[:40]}…' is longer than {title_chars} characters", mend="Shorten it")
    if kind == "description" and credit and credit not in variant:
        raise Reject("a variant lacks the credit that the licence asks for", mend=f"Put this into both:\n{credit}")


async def _put(
    conn: Connection,
    *,
    kind: Kind,
    design: Literal["swap", "pairs"],
    platform: str,
    account: str | None,
    post: PostId | None,
    a: str,
    b: str,
    effect: float,
    window: timedelta,
    at: datetime,
    made_here: bool = False,
) -> Experiment:
    if a == b:
        raise Reject("both variants are the same", mend="Name two")
    if effect <= 0:
        raise Reject("the effect to look for is a gain above 0", mend="As in 0.2 for a fifth")
    planned = pairs_needed(effect, SPREADS[design])
    seed = random.SystemRandom().randrange(_LONGEST_SEED)
    name = derived("experiment", kind, platform, str(account), str(post), a, b, at.isoformat())[:8]
    if post is not None and await conn.fetchval(Q["swapping"], post):
        raise Reject(f"post {post} has an experiment already", mend="Let it end, or stop it")
    most = planned * MOST_TIMES
    values = (name, kind, design, platform, account, post, a, b, effect, planned, most, int(window.total_seconds()))
    await conn.execute(Q["put_experiment"], *values, seed, made_here, at)
    return into(Experiment, cast("Any", await conn.fetchrow(Q["read_experiment"], name)))


async def experiments(db: Database | Connection, *, state: str | None = None) -> tuple[Experiment, ...]:
    """Return the experiments, newest first. state: only these; None: all."""
    return tuple(into(Experiment, row) for row in await db.fetch(Q["list_experiments"], state))


async def turns(db: Database | Connection, experiment: str) -> tuple[Turn, ...]:
    """Return the turns of a swap, oldest first."""
    return tuple(into(Turn, row) for row in await db.fetch(Q["turns"], experiment))


async def stop(conn: Connection, experiment: str, *, because: str, at: datetime) -> None:
    """End an experiment without a verdict; the post keeps what it shows. Raises: Reject if none runs."""
    if not await conn.fetchval(Q["end_experiment"], experiment, "stopped", None, because, at):
        raise Reject(f"no experiment {experiment} runs", mend="See `ettametta experiments list`")


async def blueprints(db: Database | Connection) -> tuple[Blueprint, ...]:
    """Return what was learned, newest first."""
    return tuple(into(Blueprint, row) for row in await db.fetch(Q["list_blueprints"]))


async def withdraw(conn: Connection, blueprint: str, *, because: str, at: datetime | None) -> Blueprint:
    """Put a blueprint out of force; the beginning of its id is enough. at None: back into force.

    What was planned stays as it is. Raises: Reject if there is no such blueprint, or it is so already.
    """
    found = await conn.fetch(Q["like_blueprint"], blueprint)
    if len(found) != 1:
        told = "there is no blueprint" if not found else "several blueprints begin with"
        raise Reject(f"{told} {blueprint}", mend="See `ettametta experiments blueprints`")
    if (found[0]["withdrawn_at"] is None) == (at is None):
        raise Reject(f"blueprint {blueprint} is {'in force' if at is None else 'withdrawn'} already")
    name = found[0]["blueprint_id"]
    await conn.execute(Q["set_withdrawn"], name, at, because)
    return next(into(Blueprint, row) for row in await conn.fetch(Q["list_blueprints"]) if row["blueprint_id"] == name)
