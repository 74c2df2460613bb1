"""Take running experiments one step further: set a variant, count, compare, stop by the rule.

The row of a step stands before the platform is asked for anything, and every step can be done again without harm, so
that a death between two steps costs nothing. A lock per experiment keeps replicas apart.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from actors import platforms
from actors.runtime.db import Connection, into, is_unavailable, load_queries
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.tracker.experiments.design import (
    SETTLES_S,
    Experiment,
    Turn,
    Variant,
    compared,
    late,
    ratios_of,
    variant_of,
)
from actors.tracker.experiments.pairs import pair_drawn
from actors.tracker.experiments.sequential import PILOT_PAIRS, Verdict, judge, replanned
from contracts.errors import AuthExpired, RateLimited, Reject, Retry, Unconfirmed
from contracts.events import ExperimentConcluded
from contracts.ids import AccountId, CorrelationId, ObjectKey, PostId, derived
from contracts.platform import Draft, Dresses, Measures, RemotePost, Revises

__all__ = ["Q", "run_experiments"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


class _Post(Struct, frozen=True, kw_only=True):
    post_id: PostId
    platform: str
    account_id: AccountId | None
    platform_post_id: str | None
    url: str | None
    state: str
    draft: Draft


async def run_experiments(services: Services) -> None:
    """Step every running experiment. One that cannot go on now does not hold up the others."""
    for row in await services.db.fetch(Q["list_experiments"], "running"):
        experiment = into(Experiment, row)
        log = get_logger().bind(experiment_id=experiment.experiment_id)
        try:
            await _step(services, experiment)
        except (Retry, RateLimited, AuthExpired) as error:
            log.warning("experiment.waits", because=str(error))
        except Reject as error:
            await services.db.fetchval(
                Q["end_experiment"], experiment.experiment_id, "stopped", None, str(error), services.clock.now()
            )
            log.warning("experiment.stopped", because=str(error))
        except Unconfirmed as unclear:
            log.warning("experiment.waits", because=unclear.what)
        except Exception as error:
            if is_unavailable(error):
                raise
            log.exception("experiment.failed")


async def _step(services: Services, experiment: Experiment) -> None:
    async with services.db.transaction() as lock:
        if not await lock.fetchval(Q["hold"], experiment.experiment_id):
            return
        row = await lock.fetchrow(Q["read_experiment"], experiment.experiment_id)
        if row is None or row["state"] != "running":
            return
        experiment = into(Experiment, row)
        if experiment.design == "swap":
            await _Swap(services, experiment).step()
        else:
            await _compare(services, experiment)


# Turns on one post --------------------------------------------------------------------------------


class _Swap:
    """A swap between two steps."""

    def __init__(self, services: Services, experiment: Experiment) -> None:
        self._services = services
        self._experiment = experiment
        self._id = experiment.experiment_id

    async def step(self) -> None:
        post = await self._post()
        now = self._services.clock.now()
        turns = [into(Turn, row) for row in await self._services.db.fetch(Q["turns"], self._id)]
        turn = turns[-1] if turns else None
        if turn is None or turn.until_at is not None or turn.void:
            if turns and len(turns) % 2 == 0 and await self._judged(turns, post):
                return
            turn = Turn(number=len(turns), variant=variant_of(self._experiment.seed, len(turns)))
            await self._write("put_turn", turn.number, turn.variant)
        if turn.set_at is None:
            await self._set(post, turn.variant)
            await self._write("set_turn", turn.number, self._services.clock.now())
        elif turn.from_at is None:
            if now >= turn.set_at + timedelta(seconds=SETTLES_S):
                await self._write("begin_turn", turn.number, now, await self._views(post))
        elif now >= turn.from_at + timedelta(seconds=self._experiment.window_s):
            await self._end(turn, await self._views(post))

    async def _end(self, turn: Turn, views: int | None) -> None:
        """End a turn; one that does not count takes its pair along, in the same transaction."""
        now = self._services.clock.now()
        turn = msgspec.structs.replace(turn, until_at=now, until_views=views)
        first = turn.number - turn.number % 2
        why = late(turn, window_s=self._experiment.window_s)
        async with self._services.db.transaction() as conn:
            await conn.execute(Q["end_turn"], self._id, turn.number, now, views)
            if why:
                other = variant_of(self._experiment.seed, first + 1)
                await conn.execute(Q["put_turn"], self._id, first + 1, other)
                await conn.execute(Q["void_turns"], self._id, first, first + 1, why)
        if why:
            get_logger().warning("experiment.pair_void", experiment_id=self._id, pair=first // 2, because=why)

    async def _judged(self, turns: list[Turn], post: _Post) -> bool:
        """Judge what is known; return whether the experiment has ended."""
        verdict = await _verdict(self._services, self._experiment, ratios_of(turns))
        if verdict.state not in {"A", "B", "no difference"}:
            return False
        await self._set(post, "B" if verdict.state == "B" else "A")
        await _conclude(self._services, self._experiment, verdict)
        return True

    async def _post(self) -> _Post:
        row = await self._services.db.fetchrow(Q["swapped_post"], self._experiment.post_id)
        if row is None or row["state"] != "published" or row["platform_post_id"] is None:
            raise Reject("its post no longer stands", mend="Begin another experiment on a post that does")
        return into(_Post, row)

    async def _set(self, post: _Post, variant: Variant) -> None:
        """Have the platform show a variant. Done again, it changes nothing."""
        experiment = self._experiment
        value = experiment.value(variant)
        account, name = _account(experiment), post.platform_post_id
        assert name is not None
        adapter = platforms.build(experiment.platform, self._services)
        if experiment.kind == "thumbnail":
            dresses: Dresses = adapter
            remote = RemotePost(platform_post_id=name, url=post.url or "")
            async with self._services.objects.local(ObjectKey(value)) as picture:
                refused = await dresses.dress(account, post.draft, remote, thumbnail=picture, subtitles=None)
            if refused:
                raise Reject(f"{experiment.platform} did not take the thumbnail: {refused}")
            return
        revises: Revises = adapter
        title, description = (value, None) if experiment.kind == "title" else (None, value)
        await revises.revise(account, name, title=title, description=description)

    async def _views(self, post: _Post) -> int | None:
        adapter: Measures = platforms.build(self._experiment.platform, self._services)
        name = post.platform_post_id
        assert name is not None
        found = (await adapter.measure(_account(self._experiment), (name,))).get(name)
        return None if found is None else found.views

    async def _write(self, query: str, *values: object) -> None:
        await self._services.db.execute(Q[query], self._id, *values)


def _account(experiment: Experiment) -> AccountId:
    assert experiment.account_id is not None
    return experiment.account_id


# Pairs of posts -----------------------------------------------------------------------------------


async def _compare(services: Services, experiment: Experiment) -> None:
    """Pair what the editor made, compare the pairs whose posts are old enough, then judge."""
    name = experiment.experiment_id
    if experiment.made_here:
        async with services.db.transaction() as conn:
            await pair_drawn(conn, experiment)
    changed = False
    for row in await services.db.fetch(Q["open_pairs"], name, experiment.window_s):
        gone = [post for post in ("a", "b") if row[f"{post}_state"] in {"removed", "failed"}]
        if gone:
            await services.db.execute(Q["void_pair"], name, row["number"], f"post {gone[0]} does not stand")
            continue
        if row["a_age_s"] is None or row["b_age_s"] is None:
            continue
        ratio, why = compared(
            a_views=row["a_views"], a_age_s=row["a_age_s"], b_views=row["b_views"], b_age_s=row["b_age_s"]
        )
        if ratio is None:
            await services.db.execute(Q["void_pair"], name, row["number"], why)
        else:
            await services.db.execute(Q["set_ratio"], name, row["number"], ratio)
            changed = True
    if not changed:
        return
    pairs = await services.db.fetch(Q["pairs"], name)
    verdict = await _verdict(services, experiment, [row["ratio"] for row in pairs if row["ratio"] is not None])
    if verdict.state in {"A", "B", "no difference"}:
        await _conclude(services, experiment, verdict)


# The end ------------------------------------------------------------------------------------------


async def _verdict(services: Services, experiment: Experiment, ratios: list[float]) -> Verdict:
    """Judge at a look, the size planned anew before it where that is due, and write down what was seen."""
    planned, anew = experiment.planned, experiment.sized_anew
    if not anew and len(ratios) >= PILOT_PAIRS and judge(ratios, planned=planned).pairs == len(ratios):
        planned = replanned(ratios, planned=planned, effect=experiment.effect, most=experiment.most)
        await services.db.execute(Q["size_anew"], experiment.experiment_id, planned)
    verdict = judge(ratios, planned=planned)
    await services.db.execute(
        Q["note_verdict"], experiment.experiment_id, msgspec.to_builtins(verdict), verdict.because
    )
    return verdict


async def _conclude(services: Services, experiment: Experiment, verdict: Verdict) -> None:
    """End it, write the winner's blueprint and tell, in one transaction."""
    now = services.clock.now()
    winner = verdict.state if verdict.state in {"A", "B"} else None
    async with services.unit(
        seed=f"{experiment.experiment_id}/concluded", correlation_id=CorrelationId(""), causation_id=None
    ) as tx:
        ended = await tx.conn.fetchval(
            Q["end_experiment"],
            experiment.experiment_id,
            "concluded",
            msgspec.to_builtins(verdict),
            verdict.because,
            now,
        )
        if not ended:
            return
        if winner is not None:
            await _write_blueprint(tx.conn, experiment, verdict, second=winner == "B", at=now)
        tx.emit(
            ExperimentConcluded(
                experiment_id=experiment.experiment_id,
                winner=winner,
                effect=verdict.effect,
                low=verdict.low,
                high=verdict.high,
                because=verdict.because,
            )
        )
    get_logger().info("experiment.concluded", experiment_id=experiment.experiment_id, winner=winner)


async def _write_blueprint(
    conn: Connection, experiment: Experiment, verdict: Verdict, *, second: bool, at: datetime
) -> None:
    """Keep the better variant with its effect over the other one."""
    assert verdict.effect is not None
    assert verdict.low is not None
    assert verdict.high is not None
    effect, low, high = verdict.effect, verdict.low, verdict.high
    if not second:  # A over B: the ratio the other way round, and with it the ends of its interval
        effect, low, high = (1 / (1 + one) - 1 for one in (effect, high, low))
    value, other = (experiment.b, experiment.a) if second else (experiment.a, experiment.b)
    await conn.execute(
        Q["put_blueprint"],
        derived("blueprint", experiment.experiment_id),
        experiment.kind,
        value,
        other,
        experiment.platform,
        experiment.account_id,
        effect,
        low,
        high,
        experiment.experiment_id,
        at,
    )
