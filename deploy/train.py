"""`ettametta train`: a ranking model from the own observations, put to use only where it is better."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from actors.ranker.chores import can_learn
from actors.ranker.model import Report, retire
from actors.ranker.train import retrain
from actors.runtime.extras import install
from actors.runtime.settings import Settings
from contracts.errors import Reject
from deploy.command import complete, data_option, json_option, settings_in
from deploy.say import say
from deploy.system import own_database

__all__ = ["train", "trained"]


@click.command()
@click.option("--retire", "retiring", is_flag=True, help="Train nothing: go back to the forecast without a model.")
@json_option
@data_option
def train(*, retiring: bool, as_json: bool, data_dir: Path | None) -> None:
    """Train a ranking model on what was observed, judge it on later days, and use it if it is better there."""
    settings = settings_in(data_dir)
    if not retiring and not can_learn():
        raise Reject("what training needs is not installed", mend=f"install it: {install('learn')}")
    report = complete(trained(settings, retiring=retiring))
    if report is None:
        say("the forecast alone ranks")
    elif as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        say(f"{'in use from now on' if report.better else 'not put to use'}: {report.because}")


async def trained(settings: Settings, *, retiring: bool = False) -> Report | None:
    """Train in the system that runs or in DATABASE_URL; None: a model was retired. Raises: Reject."""
    now = datetime.now(UTC)
    async with own_database(settings, name="ettametta-train") as db, db.pool.acquire() as conn:
        if retiring:
            await retire(conn, at=now)
            return None
        return await retrain(conn, now=now)
