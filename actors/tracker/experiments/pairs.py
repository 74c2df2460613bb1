"""Put posts together in pairs, and see that each has the variant that it is said to have."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from msgspec import Struct

from actors.runtime.db import Connection, Record, into, load_queries
from actors.tracker.experiments.design import Experiment, Variant, variant_of
from contracts.errors import Reject
from contracts.ids import ItemId, PostId
from contracts.plan import Chosen

__all__ = ["Draw", "Paired", "add_pair", "by_word", "draws", "next_variant", "pair_drawn"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


class Paired(Struct, frozen=True, kw_only=True):
    """A pair that was added. by_word: posts of which nothing is known here, so that a person's word is taken."""

    number: int
    by_word: tuple[PostId, ...]


class Draw(Struct, frozen=True, kw_only=True):
    """A variant that the editor was given to make, with a post of it; post_id None: none stands yet."""

    number: int
    variant: Variant
    item_id: ItemId
    post_id: PostId | None
    paired: bool


async def add_pair(conn: Connection, experiment: str, a: PostId, b: PostId) -> Paired:
    """Add two posts, one of each variant. Raises: Reject, also where a plan says that a post has another one."""
    await conn.execute(Q["lock_pairs"], experiment)
    row = await conn.fetchrow(Q["read_experiment"], experiment)
    if row is None or row["design"] != "pairs":
        raise Reject(f"there is no experiment of pairs {experiment}", mend="See `ettametta experiments list`")
    if row["state"] != "running":
        raise Reject(f"experiment {experiment} is {row['state']}", mend="Begin another one")
    one = into(Experiment, row)
    if a == b:
        raise Reject("a pair is two posts", mend="Name two")
    pairs = await conn.fetch(Q["pairs"], experiment)
    used = {post for pair in pairs for post in (pair["post_a"], pair["post_b"])}
    unknown = []
    variants: tuple[tuple[PostId, Variant], ...] = ((a, "A"), (b, "B"))
    for post, variant in variants:
        found = await _like(conn, one, post)
        if found["counted"]:
            raise Reject(
                f"how post {post} did at that age is known already",
                mend="Pair posts before that, so that nobody can choose",
            )
        if post in used:
            raise Reject(f"post {post} is in a pair already", mend="Every post counts once")
        if not await _carries(conn, one, post, found["object_key"], variant):
            unknown.append(post)
    await conn.execute(Q["put_pair"], experiment, len(pairs), a, b, bool(unknown))
    return Paired(number=len(pairs), by_word=tuple(unknown))


async def pair_drawn(conn: Connection, experiment: Experiment) -> int:
    """Put the posts of draws 2n and 2n + 1 together and return how many pairs that made.

    Which two belong together was settled when they were drawn: their results may be known, nobody chose them.
    """
    await conn.execute(Q["lock_pairs"], experiment.experiment_id)
    count = before = len(await conn.fetch(Q["pairs"], experiment.experiment_id))
    posted: dict[int, Draw] = {}
    for draw in await draws(conn, experiment.experiment_id):
        if draw.post_id is not None and (draw.paired or draw.number not in posted):
            posted[draw.number] = draw
    for number in sorted(posted):
        two = (posted[number], posted.get(number + 1))
        if number % 2 or two[1] is None or two[0].paired or two[1].paired:
            continue
        post = {draw.variant: draw.post_id for draw in two if draw and await _made(conn, experiment, draw)}
        if len(post) == 2:
            await conn.execute(Q["put_pair"], experiment.experiment_id, count, post["A"], post["B"], False)
            count += 1
    return count - before


async def draws(conn: Connection, experiment: str) -> tuple[Draw, ...]:
    """Return what the editor was given to make, in the order of drawing."""
    return tuple(into(Draw, row) for row in await conn.fetch(Q["draws"], experiment))


async def by_word(conn: Connection, experiment: str) -> int:
    """Return how many pairs rest on a person's word."""
    return sum(row["by_word"] for row in await conn.fetch(Q["pairs"], experiment))


async def next_variant(conn: Connection, experiment: Experiment) -> tuple[Variant, str]:
    """Return which variant the next post of an experiment of pairs is to have, and why it is that one."""
    if experiment.made_here:
        number: int = await conn.fetchval(Q["drawn_count"], experiment.experiment_id)
        because = f"drawn by the experiment's seed; the editor makes it in the next video for {experiment.platform}"
        return variant_of(experiment.seed, number), because
    made = 2 * len(await conn.fetch(Q["pairs"], experiment.experiment_id))
    because = f"drawn by the experiment's seed; after it the other one, for pair {made // 2}"
    return variant_of(experiment.seed, made), because


async def _like(conn: Connection, experiment: Experiment, post: PostId) -> Record:
    """Return the row of a post that can be compared. Raises: Reject."""
    found = await conn.fetchrow(Q["published_post"], post, experiment.window_s)
    if found is None or found["published_at"] is None:
        raise Reject(f"there is no published post {post}", mend="See `ettametta posts list`")
    if found["platform"] != experiment.platform:
        raise Reject(
            f"post {post} is on {found['platform']}, not on {experiment.platform}", mend="Compare like with like"
        )
    if experiment.account_id is not None and found["account_id"] != experiment.account_id:
        raise Reject(f"post {post} is not of {experiment.account_id}", mend="Compare posts of the experiment's account")
    return found


async def _made(conn: Connection, experiment: Experiment, draw: Draw) -> bool:
    """Whether the file that was posted has the variant that was drawn: an item can be edited again in another way."""
    assert draw.post_id is not None
    found = await conn.fetchrow(Q["published_post"], draw.post_id, experiment.window_s)
    try:
        return found is not None and await _carries(conn, experiment, draw.post_id, found["object_key"], draw.variant)
    except Reject:
        return False


async def _carries(conn: Connection, experiment: Experiment, post: PostId, key: str, variant: Variant) -> bool:
    """Whether the plan of a post's file says that it has the variant; False: nothing is known of it here.

    Raises: Reject if the plan says otherwise.
    """
    if not experiment.made_here:
        return False
    plans = await conn.fetch(Q["plans_of"], PurePosixPath(key).stem)
    if not plans:
        return False
    chosen = [choice for row in plans for choice in msgspec.convert(row["chosen"], tuple[Chosen, ...])]
    drawn = [choice.variant for choice in chosen if choice.experiment_id == experiment.experiment_id]
    if variant in drawn:
        return True
    if drawn:
        raise Reject(
            f"post {post} has variant {drawn[0]}, not {variant}: its plan says so", mend="Name the post with A first"
        )
    why = f": its {experiment.kind.replace('_', ' ')} is '{chosen[0].value}', {chosen[0].because}" if chosen else ""
    raise Reject(
        f"post {post} was not made for experiment {experiment.experiment_id}{why}",
        mend="See which were: ettametta experiments show " + experiment.experiment_id,
    )
