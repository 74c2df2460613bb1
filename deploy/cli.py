"""The `ettametta` command. Results go to stdout, logs and progress to stderr."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from actors.runtime.settings import Settings, SettingsInvalid, load_settings
from contracts.errors import EttamettaError, Reject
from contracts.flow import ACTORS
from contracts.rights import LICENCES, USES, RightsRecord, parse_licence
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.say import say

__all__ = ["main"]

T = TypeVar("T")

PICTURES: Final = (".png", ".jpg", ".webp")
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


ELSEWHERE: Final = {
    "accounts": ("deploy.accounts", "accounts"),
    "experiments": ("deploy.experiments", "experiments"),
    "growth": ("deploy.growth", "growth"),
    "niches": ("deploy.niches", "niches"),
    "observe": ("deploy.observe", "observe_file"),
    "patterns": ("deploy.patterns", "patterns"),
    "posts": ("deploy.posts", "posts"),
    "revenue": ("deploy.revenue", "revenue"),
    "scan": ("deploy.niches", "scan"),
    "schedule": ("deploy.schedule", "schedule"),
    "train": ("deploy.train", "train"),
}
"""Commands in modules of their own, which are loaded when they are asked for."""


class _Group(click.Group):
    """Turns a user's mistake into one line and exit code 2, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in ELSEWHERE:
            module, command = ELSEWHERE[name]
            found: click.Command = getattr(importlib.import_module(module), command)
            return found
        return super().get_command(ctx, name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsInvalid as error:
            for fault in error.faults:
                say(f"error: {fault}", err=True)
        except EttamettaError as error:
            say(f"error: {error}", err=True)
        sys.exit(2)


@click.group(cls=_Group, context_settings=CONTEXT)
@click.version_option(package_name="ettametta")
def main() -> None:
    """Run media channels: find, rank, edit, render, publish and measure, each step an actor on one bus."""


def _settings() -> Settings:
    """Load the settings, and leave those that bound media in the environment, for the processes that read them."""
    settings = load_settings()
    os.environ.update(settings.media_environment)
    return settings


# Running ------------------------------------------------------------------------------------------


@main.command()
@click.argument("media", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--once", is_flag=True, help="End when the post has been measured, and print a summary.")
@click.option("--licence", default="CC-BY-4.0", show_default=True, help="Licence that the sandbox archive states.")
@json_option
@data_option
def demo(media: Path | None, once: bool, licence: str, as_json: bool, data_dir: Path | None) -> None:
    """Run the whole loop on MEDIA, or on a sample that it makes, against sandbox platforms on this machine.

    The sandbox archive lists MEDIA under the stated licence; nothing leaves this machine.
    """
    from deploy.demo import run_demo

    settings = load_settings()
    folder = (data_dir or settings.data_dir / "demo").expanduser().absolute()
    sys.exit(complete(run_demo(media, folder=folder, licence=_licence(licence), once=once, as_json=as_json)))


@main.command()
@click.option("--only", default="", metavar="A,B", help="Only these actors (and `gateway`), by name.")
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(1, 16), help="Processes of each actor.")
@data_option
def up(only: str, replicas: int, data_dir: Path | None) -> None:
    """Run everything on this machine. NATS and PostgreSQL are started where their addresses are not set."""
    from deploy.up import run_up

    settings = settings_in(data_dir)
    names = tuple(name.strip() for name in only.split(",") if name.strip())
    complete(run_up(settings, only=names, replicas=replicas))


@main.command()
@click.argument("actor", type=click.Choice(sorted(ACTORS)))
def run(actor: str) -> None:
    """Run one replica of one actor. NATS_URL and DATABASE_URL say where."""
    from actors.runtime.app import run_actor

    app = importlib.import_module(f"actors.{actor}.app").APP
    complete(run_actor(app, _settings()))


@main.command()
def gateway() -> None:
    """Run the gateway alone: OAuth, status page, REST, live events."""
    from gateway.app import run as run_gateway

    complete(run_gateway(load_settings()))


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where it keeps its state [DATA_DIR/sandbox].")
@click.option("--port", default=8401, show_default=True, type=click.IntRange(0, 65535), help="0: any free port.")
def sandbox(folder: Path | None, port: int) -> None:
    """Run the sandbox platforms alone, on loopback.

    What it prints on stdout are lines for `.env` that point every platform at it, with credentials that it accepts.
    """
    from deploy.sandbox.server import api_urls, credentials, serve
    from deploy.sandbox.settings import SandboxSettings

    known = SandboxSettings()
    accepted = credentials() | {
        "google_client_id": known.client_id,
        "google_client_secret": known.client_secret,
        "groq_api_key": known.groq_api_key,
    }

    def ready(bound: int) -> None:
        address = f"http://127.0.0.1:{bound}"
        say(f"sandbox: {address}", err=True)
        for name, url in api_urls(address).items():
            say(f"{name.upper()}_API_URL={url}")
        for name, value in sorted(accepted.items()):
            say(f"{name.upper()}={value}")

    where = folder or load_settings().data_dir / "sandbox"
    complete(serve(where, port=port, ready=ready))


@main.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check every setting, credential, font, codec, GPU and service; exit 1 only on what stops work."""
    from deploy.doctor import diagnose, exit_code, render

    settings: Settings | SettingsInvalid
    try:
        settings = load_settings()
    except SettingsInvalid as error:
        settings = error
    checks = complete(diagnose(settings))
    if as_json:
        print_json(checks)
    else:
        say(render(checks))
    sys.exit(exit_code(checks))


@main.command()
@click.option(
    "--from-legacy", metavar="URL", help="Then copy a predecessor's database: sqlite:///FILE, postgresql://..."
)
@click.option("--currency", metavar="CODE", help="Currency of its revenue where a row names none.")
def migrate(from_legacy: str | None, currency: str | None) -> None:
    """Bring the database to the newest schema, and the stream and its consumers to the newest flow."""
    from deploy.up import run_migrate

    settings = load_settings()
    for line in complete(run_migrate(settings)):
        say(line)
    if from_legacy is not None:
        from deploy.legacy import run_legacy

        for line in complete(run_legacy(settings, from_legacy, currency=currency)):
            say(line)


# Asking -------------------------------------------------------------------------------------------


@main.command("import")
@click.argument("source", metavar="FILE-or-URL")
@click.option("--licence", required=True, help="Licence, as an SPDX id, a CC address, `owned` or `permission`.")
@click.option("--attest", default="", metavar="TEXT", help="Why you may use it, in your words (`owned`, `permission`).")
@click.option("--author", help="Who made it, for the credit line.")
@click.option("--title", default="", help="Title [from the source's own words].")
@click.option("--script", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Text file of the words.")
@click.option("--narrate", is_flag=True, help="Speak the script with a synthetic voice.")
@click.option(
    "--subtitles", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=".srt or .vtt [beside the file]."
)
@click.option("--to", metavar="PLATFORM", help="Post it there [DESTINATION; unset: it is rendered and kept].")
@click.option("--page", metavar="URL", help="Page of the work, for the credit line.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M%z"]), help="When a permission ends.")
@click.option("--only-for", multiple=True, type=click.Choice(USES), help="Use that a permission is limited to.")
@click.option("--only-on", multiple=True, metavar="PLATFORM", help="Platform that a permission is limited to.")
@click.option("--replaces", default="", metavar="TEXT", help="Why it may weaken the rights on record for this file.")
@data_option
def import_(source: str, data_dir: Path | None, **options: Any) -> None:
    """Bring media in with its rights record; the editor takes it from there."""
    from deploy.ask import import_media

    settings = settings_in(data_dir)
    rights = _rights(options.pop("licence"), attest=options.pop("attest"), author=options.pop("author"))
    until = options.pop("until")
    until = until.replace(tzinfo=until.tzinfo or UTC) if until else None
    sent = complete(import_media(settings, source, rights=rights, until=until, **options))
    say(f"import requested: {sent.event_id}. Watch it with `ettametta status` or on {settings.public_url}")


@main.command()
@click.argument("video", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "platform", required=True, help="Platform to post to.")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]), help="When it shall be seen.")
@click.option("--licence", default="owned", show_default=True, help="Licence of the video.")
@click.option("--attest", default="", metavar="TEXT", help="Why you may post it, in your words.")
@click.option("--author", help="Who made it, for the credit line.")
@click.option("--title", default="", help="Title [the file's name].")
@click.option("--description", default="", help="Description.")
@click.option("--privacy", type=click.Choice(["private", "unlisted", "public"]), help="Who may see it [PRIVACY].")
@click.option("--changes", multiple=True, metavar="TEXT", help="What was done to another's work, for its credit.")
@click.option("--account", metavar="ID", help="Account to post to [the one that is connected].")
@click.option("--slot", "at_slot", is_flag=True, help="At the next free slot of the account's timetable.")
@click.option("--thumbnail", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its thumbnail.")
@click.option("--subtitles", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its .srt or .vtt.")
@click.option("--paid", is_flag=True, help="A third party paid for it: it is shown as a paid partnership.")
@click.option("--own-brand", is_flag=True, help="It promotes your own business.")
@click.option("--for-children", is_flag=True, help="It is made for children.")
@click.option("--option", "options", multiple=True, metavar="K=V", help="What one platform alone knows, as board_id=1.")
@data_option
def post(video: Path, data_dir: Path | None, **options: Any) -> None:
    """Post a finished video file."""
    from deploy.ask import post_video

    settings = settings_in(data_dir)
    at = options.pop("at")
    rights = _rights(options.pop("licence"), attest=options.pop("attest"), author=options.pop("author"))
    publish_at = at.astimezone(UTC) if at else None
    sent = complete(post_video(settings, video, rights=rights, publish_at=publish_at, **options))
    say(f"post requested: {sent.event_id}. Watch it with `ettametta status` or on {settings.public_url}")


@main.command()
@json_option
@data_option
def status(as_json: bool, data_dir: Path | None) -> None:
    """Show where every item is, and what it brought."""
    from deploy.ask import render_status, system_status

    found = complete(system_status(settings_in(data_dir)))
    if as_json:
        print_json(found)
    else:
        say(render_status(found))


# Dead letters -------------------------------------------------------------------------------------


@main.group()
def dead() -> None:
    """Events that ended without success: read them, try them again, or drop them."""


def _dead(data_dir: Path | None, work: Callable[[Any], Awaitable[T]]) -> T:
    from deploy.dead import opened

    async def go() -> T:
        async with opened(settings_in(data_dir)) as letters:
            return await work(letters)

    return complete(go())


@dead.command("list")
@click.option("--all", "every", is_flag=True, help="Also those already retried or dropped.")
@json_option
@data_option
def dead_list(every: bool, as_json: bool, data_dir: Path | None) -> None:
    """List dead letters, newest first."""
    letters = _dead(data_dir, lambda found: found.listed(every=every))
    if as_json:
        print_json(letters)
        return
    for letter in letters:
        when = f"{letter.created_at:%Y-%m-%d %H:%M}"
        say(f"{letter.id:>5}  {when}  {letter.kind:<8}  {letter.state:<7}  {letter.consumer}")
        say(f"       {letter.error}")
    if not letters:
        say("no dead letters")


@dead.command("show")
@click.argument("number", type=int)
@data_option
def dead_show(number: int, data_dir: Path | None) -> None:
    """Show one dead letter whole: event, error, trace."""
    print_json(_dead(data_dir, lambda found: found.shown(number)))


@dead.command("retry")
@click.argument("number", type=int)
@data_option
def dead_retry(number: int, data_dir: Path | None) -> None:
    """Give the event to its consumer again."""
    say(_dead(data_dir, lambda found: found.retried(number)))


@dead.command("drop")
@click.argument("number", type=int)
@data_option
def dead_drop(number: int, data_dir: Path | None) -> None:
    """Close a dead letter for good; it stays readable."""
    say(_dead(data_dir, lambda found: found.dropped(number)))


# Without services ---------------------------------------------------------------------------------


@main.command()
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
    from deploy.offline import make_plan

    rights = _rights(options.pop("licence"), attest=options.pop("attest"), author=options.pop("author"))
    made = complete(make_plan(media, rights=rights, out=out, settings=_settings(), **options))
    if out is None:
        print_json(made)
    else:
        say(f"plan: {out}", err=True)


@main.command("render")
@click.argument("plan_file", metavar="PLAN.json", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The video to make.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--chunks", type=click.IntRange(1, 64), help="Chunks rendered at a time [one for each core].")
@json_option
def render_(plan_file: Path, out: Path, device: str, chunks: int | None, as_json: bool) -> None:
    """Render a plan. Needs no services. The file is the same, however many chunks are rendered at a time."""
    from deploy.offline import render_plan

    work = render_plan(plan_file, out, device=device, workers=chunks, settings=_settings(), at=datetime.now(UTC))
    rendered = complete(work)
    if as_json:
        print_json(rendered)
        return
    for note in rendered.notes:
        say(f"note: {note}", err=True)
    say(str(out))


@main.command()
@click.option("--sheet", type=click.Path(path_type=Path), metavar="OUT.png", help="Draw all of them into one picture.")
def effects(sheet: Path | None) -> None:
    """List the effects, layouts, transitions, overlays and caption styles; or show them on one sheet."""
    from deploy.effects_sheet import names
    from deploy.effects_sheet import sheet as draw

    if sheet is not None:
        from deploy.offline import refuse_unwritable

        refuse_unwritable(sheet)
        if sheet.suffix.lower() not in PICTURES:
            raise Reject(f"'{sheet.name}' is no name of a picture", mend=f"end it with {' or '.join(PICTURES)}")
        draw(sheet)
        say(str(sheet))
        return
    for kind, of in names().items():
        say(f"{kind:<12}{', '.join(of)}")


@main.command()
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
    from deploy.offline import rank_file

    ranking = rank_file(candidates, niche=niche, as_of=as_of, objective=objective, settings=load_settings())
    for note in ranking.notes:
        say(note, err=True)
    told = bool(ranking.notes)
    for line in ranking.lines:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        told = True
    if not told:
        say(f"{candidates} holds no candidates", err=True)


def _licence(text: str) -> str:
    found = parse_licence(text)
    if found == "unknown":
        raise Reject(
            f"'{text}' is no licence that is known here",
            mend=f"use a CC address or one of: {', '.join(sorted(LICENCES.keys() - {'unknown'}))}",
        )
    return found


def _rights(licence: str, *, attest: str, author: str | None) -> RightsRecord:
    found = _licence(licence)
    if LICENCES[found].attested and not attest.strip():
        raise Reject(
            f"'{LICENCES[found].title}' needs your word for it", mend='add --attest "why you may use this media"'
        )
    now = datetime.now(UTC)
    import getpass

    person = getpass.getuser()
    return RightsRecord(
        licence=found,
        author=author,
        read_at=now,
        proof=f"stated on the command line by {person}",
        attested_by=person if attest.strip() else None,
        attested_at=now if attest.strip() else None,
        attestation=attest.strip(),
    )
