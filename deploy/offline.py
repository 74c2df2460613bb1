"""Commands that need no services: plan, render, rank."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
import msgspec

from actors.renderer.render import Rendered, render_file
from actors.runtime.settings import Settings
from contracts.changes import rights_of
from contracts.errors import Reject
from contracts.plan import Plan, PlanSource
from contracts.plan_rules import check
from contracts.rights import RightsRecord, may

if TYPE_CHECKING:
    from actors.ranker.rank_file import Ranking
    from actors.ranker.signals import Objective

# What a command needs alone is imported by it: half of a second is much beside a short render.
__all__ = ["make_plan", "rank_file", "refuse_unwritable", "render_plan"]


async def make_plan(
    media: Path,
    *,
    rights: RightsRecord,
    preset: str,
    out: Path | None,
    script: Path | None,
    narrate: bool,
    subtitles: Path | None,
    effects: str | None,
    style: str | None,
    seconds: float | None,
    settings: Settings,
) -> Plan:
    """Make a plan for one file; write it to `out` if given. Raises: Reject."""
    from actors.editor.effect_list import parse_effects  # noqa: PLC0415
    from actors.editor.planfile import plan_file  # noqa: PLC0415

    refuse_unwritable(out)
    plan = await plan_file(
        media,
        rights=rights,
        preset=preset,
        script=script.read_text(encoding="utf-8") if script else "",
        subtitles=subtitles,
        narrate=narrate,
        effects=parse_effects(effects) if effects is not None else None,
        style=style,
        still_us=None if seconds is None else round(seconds * 1_000_000),
        settings=settings,
        folder=out.parent if out else None,
    )
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n")
    return plan


async def render_plan(
    plan_file: Path, out: Path, *, device: str, workers: int | None, settings: Settings, at: datetime
) -> Rendered:
    """Render a plan whose source keys are paths. Raises: Reject, naming the element that is wrong."""
    refuse_unwritable(out)
    try:
        plan = msgspec.json.decode(plan_file.read_bytes(), type=Plan)
    except msgspec.DecodeError as error:
        raise Reject(f"{plan_file} is not a valid plan: {error}", mend="see docs/schema/plan.json") from error
    check(plan)
    for source in plan.sources:
        verdict = may("derivative", source.rights, at=at)
        if not verdict.allowed:
            raise Reject(
                f"source '{source.id}' must not be edited: {verdict.because}", mend="correct its rights record"
            )
    verdict = may("derivative", rights_of(plan), at=at)
    if not verdict.allowed:
        raise Reject(f"these works must not be put into one video: {verdict.because}", mend="leave one of them out")

    def resolve(source: PlanSource) -> Path:
        path = Path(source.key)
        found = path if path.is_absolute() else plan_file.parent / path
        if not found.is_file():
            raise Reject(f"source '{source.id}': there is no file {found}", mend="correct its key")
        return found

    with _Bar() as bar:
        return await render_file(
            plan,
            resolve=resolve,
            out=out,
            font_path=settings.font_path,
            device=device,
            workers=workers,
            on_progress=bar.show,
        )


class _Bar:
    """A progress bar on a terminal; nothing where stderr is a file or a pipe."""

    def __enter__(self) -> Self:
        self._bar: Any = None
        return self

    async def show(self, done: int, total: int) -> None:
        if self._bar is None:
            if not sys.stderr.isatty():
                return
            self._bar = click.progressbar(length=total, label="rendering", file=sys.stderr, show_pos=True)
            self._bar.__enter__()
        self._bar.update(done - self._bar.pos)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


def refuse_unwritable(out: Path | None) -> None:
    """Find out before the work, not after it. Raises: Reject if no file can be written there."""
    if out is None:
        return
    if not out.parent.is_dir():
        raise Reject(f"cannot write {out}: there is no folder {out.parent}", mend="make the folder, or name another")
    if out.is_dir():
        raise Reject(f"cannot write {out}: it is a folder", mend="name a file in it")
    if not os.access(out.parent, os.W_OK):
        raise Reject(f"cannot write {out}: the folder may not be written to", mend="name another folder")


def rank_file(path: Path, *, niche: str | None, as_of: str | None, objective: Objective, settings: Settings) -> Ranking:
    """Rank the candidates of a file. Raises: Reject, naming the first line that cannot be read."""
    from actors.ranker.lines import end_of  # noqa: PLC0415
    from actors.ranker.rank_file import rank_lines  # noqa: PLC0415

    try:
        at = None if as_of is None else end_of(as_of)
    except ValueError as error:
        raise Reject(
            f"'{as_of}' is no time of ranking ({error})", mend="give one such as 2026-11-23T12:00:00Z, or a date"
        ) from error
    with path.open("rb") as lines:
        return rank_lines(lines, niche=niche or None, as_of=at, objective=objective, monetised=settings.monetised)
