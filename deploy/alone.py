"""Commands that need no services: plan, render, effects, rank."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from actors.runtime.settings import load_settings
from contracts.errors import Reject
from deploy.command import complete, json_option, media_settings, print_json
from deploy.offline import make_plan, rank_file, refuse_unwritable, render_plan
from deploy.say import say
from deploy.stated import stated_rights

__all__ = ["effects", "plan", "rank", "render"]

PICTURES: Final = (".png", ".jpg", ".webp")


@click.command()
@click.argument("media", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--preset", default="short", show_default=True, help="short, story, square, wide or plain.")
@click.option(
    "--effects", metavar="LIST", help="Instead of the preset's, as in `mirror,zoom:end_scale=1.2`; or `none`."
)
@click.option("--style", metavar="NAME", help="How captions look; `ettametta effects` names the styles.")
@click.option("--seconds", type=click.FloatRange(0.1, 43_200), help="How long a still picture is shown [5].")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where the plan goes [stdout].")
@click.option("--licence", required=True, help="Licence, as an SPDX id, a CC address, `owned` or `permission`.")
@click.option("--attest", default="", metavar="TEXT", help="Why you may use it, in your words.")
@click.option("--author", help="Who made it, for the credit line.")
@click.option("--script", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Text file of the words.")
@click.option("--narrate", is_flag=True, help="Speak the script with a synthetic voice.")
@click.option(
    "--captions", "subtitles", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=".srt or .vtt."
)
def plan(media: Path, out: Path | None, **options: Any) -> None:
    """Make a render plan for MEDIA, a video or a still picture. Needs no services."""
    rights = stated_rights(options.pop("licence"), attest=options.pop("attest"), author=options.pop("author"))
    made = complete(make_plan(media, rights=rights, out=out, settings=media_settings(), **options))
    if out is None:
        print_json(made)
    else:
        say(f"plan: {out}", err=True)


@click.command("render")
@click.argument("plan_file", metavar="PLAN.json", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The video to make.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--chunks", type=click.IntRange(1, 64), help="Chunks rendered at a time [one for each core].")
@json_option
def render(plan_file: Path, out: Path, device: str, chunks: int | None, *, as_json: bool) -> None:
    """Render a plan. Needs no services. The file is the same, however many chunks are rendered at a time."""
    work = render_plan(plan_file, out, device=device, workers=chunks, settings=media_settings(), at=datetime.now(UTC))
    rendered = complete(work)
    if as_json:
        print_json(rendered)
        return
    for note in rendered.notes:
        say(f"note: {note}", err=True)
    say(str(out))


@click.command()
@click.option("--sheet", type=click.Path(path_type=Path), metavar="OUT.png", help="Draw all of them into one picture.")
def effects(sheet: Path | None) -> None:
    """List the effects, layouts, transitions, overlays and caption styles; or show them on one sheet."""
    from deploy.effects_sheet import names  # noqa: PLC0415 - the other commands here do not draw
    from deploy.effects_sheet import sheet as draw  # noqa: PLC0415

    if sheet is not None:
        refuse_unwritable(sheet)
        if sheet.suffix.lower() not in PICTURES:
            raise Reject(f"'{sheet.name}' is no name of a picture", mend=f"end it with {' or '.join(PICTURES)}")
        draw(sheet)
        say(str(sheet))
        return
    for kind, of in names().items():
        say(f"{kind:<12}{', '.join(of)}")


@click.command()
@click.argument("candidates", metavar="FILE.jsonl", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as-of", metavar="TIME", help="Look at nothing observed later [the newest observation]. ISO 8601, UTC.")
@click.option("--niche", help="What the channel is about [not known: no work is more relevant than another].")
@click.option(
    "--objective",
    type=click.Choice(["growth", "balanced", "views"]),
    default="growth",
    show_default=True,
    help="What comes first: what multiplies fastest, what gets the most further views, or some of both.",
)
@click.option("--json", is_flag=True, expose_value=False, help="Changes nothing: it prints JSON lines anyway.")
def rank(candidates: Path, as_of: str | None, niche: str | None, objective: Any) -> None:
    """Rank candidates of a file, one JSON object a line, best first on stdout. Needs no services.

    A line: {"id", "platform", "title", "description", "channel", "tags", "published_at", "duration_s", "licence",
    "observations": [{"at", "views", "likes", "comments", "shares"}]}; missing = null. docs/ranking.md has the rest.
    """
    ranking = rank_file(candidates, niche=niche, as_of=as_of, objective=objective, settings=load_settings())
    for note in ranking.notes:
        say(note, err=True)
    told = bool(ranking.notes)
    for line in ranking.lines:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        told = True
    if not told:
        say(f"{candidates} holds no candidates", err=True)
