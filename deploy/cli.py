"""The `ettametta` command. Results go to stdout, logs and progress to stderr."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from actors.runtime.settings import Settings, SettingsInvalid, load_settings
from contracts.errors import EttamettaError
from contracts.flow import ACTORS
from deploy.command import complete, data_option, json_option, media_settings, print_json, settings_in
from deploy.say import say

__all__ = ["main"]

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Elsewhere(Struct, frozen=True):
    """A command in a module of its own, loaded when it is asked for. words: its line in the list of commands."""

    module: str
    command: str
    words: str

    def load(self) -> click.Command:
        found: click.Command = getattr(importlib.import_module(self.module), self.command)
        return found


ELSEWHERE: Final = {
    "accounts": Elsewhere(
        "deploy.accounts",
        "accounts",
        "Show connected accounts, pause, resume or disconnect one, change the key that encrypts their tokens.",
    ),
    "dead": Elsewhere(
        "deploy.letters", "dead", "Events that ended without success: read them, try them again, or drop them."
    ),
    "effects": Elsewhere(
        "deploy.alone",
        "effects",
        "List the effects, layouts, transitions, overlays and caption styles; or show them on one sheet.",
    ),
    "experiments": Elsewhere(
        "deploy.experiments",
        "experiments",
        "Compare two variants: titles, descriptions or thumbnails in turns on one post, hooks or captions in pairs.",
    ),
    "growth": Elsewhere(
        "deploy.growth",
        "growth",
        "Show posts and views of each week, and how accounts, niches and platforms grow from week to week.",
    ),
    "import": Elsewhere(
        "deploy.asking", "import_", "Bring media in with its rights record; the editor takes it from there."
    ),
    "niches": Elsewhere(
        "deploy.niches", "niches", "Niches that are scanned on a schedule, and proposals for more of them."
    ),
    "observe": Elsewhere(
        "deploy.observe",
        "observe_file",
        "Store candidates and their observations from a file, lines as `rank` takes them.",
    ),
    "patterns": Elsewhere(
        "deploy.patterns",
        "patterns",
        "Show how niches move, and which forms of title, hook, length, pacing and captions grew in them.",
    ),
    "plan": Elsewhere("deploy.alone", "plan", "Make a render plan for MEDIA, a video or a still picture."),
    "post": Elsewhere("deploy.asking", "post", "Post a finished video file."),
    "posts": Elsewhere(
        "deploy.posts", "posts", "Posts: list them, look at one, settle one whose outcome nobody knows, give one up."
    ),
    "rank": Elsewhere(
        "deploy.alone", "rank", "Rank candidates of a file, one JSON object a line, best first on stdout."
    ),
    "render": Elsewhere("deploy.alone", "render", "Render a plan."),
    "revenue": Elsewhere("deploy.revenue", "revenue", "What posts earned and cost."),
    "scan": Elsewhere(
        "deploy.niches", "scan", "Look for candidates once, and tell what was asked, found, left out, and why."
    ),
    "schedule": Elsewhere(
        "deploy.schedule", "schedule", "When accounts post: timetables, planned posts, what is late."
    ),
    "status": Elsewhere("deploy.asking", "status", "Show where every item is, and what it brought."),
    "train": Elsewhere(
        "deploy.train",
        "train",
        "Train a ranking model on what was observed, judge it on later days, and use it if it is better there.",
    ),
}


class _Group(click.Group):
    """Turns a user's mistake into one line and exit code 2, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return ELSEWHERE[name].load() if name in ELSEWHERE else super().get_command(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading those that lie elsewhere."""
        told = {name: click.Command(name, help=each.words) for name, each in ELSEWHERE.items()}
        click.Group(commands={**self.commands, **told}).format_commands(ctx, formatter)

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
    from deploy.stated import stated_licence

    settings = load_settings()
    folder = (data_dir or settings.data_dir / "demo").expanduser().absolute()
    sys.exit(complete(run_demo(media, folder=folder, licence=stated_licence(licence), once=once, as_json=as_json)))


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
    complete(run_actor(app, media_settings()))


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
@click.option("--all", "every", is_flag=True, help="Name each credential that is not set, and where it is had.")
@json_option
def doctor(every: bool, as_json: bool) -> None:
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
        say(render(checks, every=every))
    sys.exit(exit_code(checks))


@main.command()
@click.option(
    "--from-legacy", metavar="URL", help="Then copy a predecessor's database: sqlite:///FILE, postgresql://..."
)
@click.option("--currency", metavar="CODE", help="Currency of its revenue where a row names none.")
def migrate(from_legacy: str | None, currency: str | None) -> None:
    """Bring the database to the newest schema, and the stream and its consumers to the newest flow."""
    from deploy.legacy import check_legacy, run_legacy
    from deploy.up import run_migrate

    if from_legacy is None and currency is not None:
        raise click.UsageError("--currency is of a predecessor's revenue: name its database with --from-legacy")
    if from_legacy is not None:
        complete(check_legacy(from_legacy, currency=currency))
    settings = load_settings()
    for line in complete(run_migrate(settings)):
        say(line)
    if from_legacy is not None:
        for line in complete(run_legacy(settings, from_legacy, currency=currency)):
            say(line)
