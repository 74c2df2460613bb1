"""The caption style of a plan, where it is not left to the preset: asked for, being tried, or shown to be better.

A person's wish comes first, then a running experiment, then the blueprint in force: the account's own before one of
the whole platform, the newest first.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from actors.editor.planning import style_named
from actors.editor.styles import STYLES
from actors.runtime.db import Connection, load_queries
from actors.runtime.draw import Variant, variant_of
from contracts.events import Destination
from contracts.ids import AccountId, ItemId
from contracts.plan import Chosen, Plan

__all__ = ["styled"]

Q: Final = load_queries(Path(__file__).with_name("choice.sql"))


async def styled(
    conn: Connection, plan: Plan, *, item: ItemId, destination: Destination | None, wanted: str, at: datetime
) -> Plan:
    """Return the plan with the style that was chosen for it, and why; the very same plan where nothing chose one.

    What is drawn for an experiment is recorded in the transaction of the caller, once per item.

    Args: wanted: the style that a person asked for; empty: none.
    Raises: Reject if there is no such style.
    """
    if plan.captions is None:
        return plan
    chosen = Chosen(what="caption_style", value=wanted, because="it was asked for") if wanted else None
    if chosen is None and destination is not None:
        account = await conn.fetchval(Q["account_of"], destination.platform, destination.account_id)
        chosen = await _drawn(conn, item, destination.platform, account, at) or await _shown_better(
            conn, destination.platform, account
        )
    if chosen is None:
        return plan
    return replace(plan, captions=replace(plan.captions, style=style_named(chosen.value)), chosen=(chosen,))


async def _drawn(
    conn: Connection, item: ItemId, platform: str, account: AccountId | None, at: datetime
) -> Chosen | None:
    """Draw a variant for the item, or find the one that it was given before. None: no experiment runs there."""
    row = await conn.fetchrow(Q["running_experiment"], platform, account, list(STYLES))
    if row is None:
        return None
    name = row["experiment_id"]
    await conn.execute(Q["hold_draws"], name)
    found = await conn.fetchrow(Q["drawn"], name, item)
    if found is None:
        number: int = await conn.fetchval(Q["next_number"], name)
        variant = variant_of(row["seed"], number)
        await conn.execute(Q["put_draw"], name, number, variant, item, at)
    else:
        number, variant = found["number"], found["variant"]
    values: dict[Variant, str] = {"A": row["a"], "B": row["b"]}
    return Chosen(
        what="caption_style",
        value=values[variant],
        because=f"{variant} of experiment {name} on {platform}, drawn by its seed, number {number}",
        experiment_id=name,
        variant=variant,
    )


async def _shown_better(conn: Connection, platform: str, account: AccountId | None) -> Chosen | None:
    row = await conn.fetchrow(Q["blueprint_in_force"], platform, account, list(STYLES))
    if row is None:
        return None
    return Chosen(
        what="caption_style",
        value=row["value"],
        because=f"experiment {row['experiment_id']} on {row['account_id'] or platform}: {row['effect']:+.0%} over "
        f"'{row['against']}' (95 %: {row['low']:+.0%} to {row['high']:+.0%})",
        blueprint_id=row["blueprint_id"],
    )
