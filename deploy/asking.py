"""What is asked of a running system: `ettametta import`, `post` and `status`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from actors.editor.styles import STYLES
from contracts.events import Event
from contracts.rights import USES
from deploy.ask import import_media, page_of, post_video, render_status, system_status
from deploy.beforehand import Placed, look_at, place
from deploy.command import complete, data_option, json_option, media_settings, print_json, settings_in
from deploy.say import say
from deploy.stated import stated_rights
from deploy.times import IN_UTC, IN_WALL_TIME, read_time

__all__ = ["import_", "post", "status"]

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import")
@click.argument("source", metavar="FILE-or-URL")
@click.option("--licence", required=True, help="Licence, as an SPDX id, a CC address, `owned` or `permission`.")
@click.option("--attest", default="", metavar="TEXT", help="Why you may use it, in your words (`owned`, `permission`).")
@click.option("--author", help="Who made it, for the credit line.")
@click.option("--title", default="", help="Title [from the source's own words].")
@click.option("--script", type=_file, help="Text file of the words.")
@click.option("--narrate", is_flag=True, help="Speak the script with a synthetic voice.")
@click.option("--subtitles", type=_file, help=".srt or .vtt [beside the file].")
@click.option("--style", type=click.Choice(tuple(STYLES)), help="How captions look [blueprint, experiment or preset].")
@click.option("--to", metavar="PLATFORM", help="Post it there [DESTINATION; unset: it is rendered and kept].")
@click.option("--page", metavar="URL", help="Page of the work, for the credit line.")
@click.option("--until", metavar="TIME", help="When a permission ends, as 2026-12-31; in UTC, or with an offset.")
@click.option("--only-for", multiple=True, type=click.Choice(USES), help="Use that a permission is limited to.")
@click.option("--only-on", multiple=True, metavar="PLATFORM", help="Platform that a permission is limited to.")
@click.option("--replaces", default="", metavar="TEXT", help="Why it may weaken the rights on record for this file.")
@data_option
def import_(source: str, data_dir: Path | None, **options: Any) -> None:
    """Bring media in with its rights record; the editor takes it from there."""
    settings = settings_in(data_dir)
    rights = stated_rights(options.pop("licence"), attest=options.pop("attest"), author=options.pop("author"))
    until = options.pop("until")
    if until is not None:
        until = read_time(until, mend=IN_UTC)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
    sent = complete(import_media(settings, source, rights=rights, until=until, **options))
    if until is not None:
        say(f"note: the permission ends at {until:%Y-%m-%d %H:%M} UTC", err=True)
    say(f"import requested: {sent.event_id}. Watch it with `ettametta status` or on {page_of(settings)}")


@click.command()
@click.argument("video", type=_file)
@click.option("--to", "platform", required=True, help="Platform to post to.")
@click.option("--at", metavar="TIME", help="When it goes, as 2026-12-01T18:00 in the account's wall time, or with Z.")
@click.option("--licence", default="owned", show_default=True, help="Licence of the video.")
@click.option("--attest", default="", metavar="TEXT", help="Why you may post it, in your words.")
@click.option("--author", help="Who made it, for the credit line.")
@click.option("--title", default="", help="Title [the file's name].")
@click.option("--description", default="", help="Description.")
@click.option("--privacy", type=click.Choice(["private", "unlisted", "public"]), help="Who may see it [PRIVACY].")
@click.option("--changes", multiple=True, metavar="TEXT", help="What was done to another's work, for its credit.")
@click.option("--account", metavar="ID", help="Account to post to [the one that is connected].")
@click.option("--slot", "at_slot", is_flag=True, help="At the next free slot of the account's timetable.")
@click.option("--thumbnail", type=_file, help="Its thumbnail.")
@click.option("--subtitles", type=_file, help="Its .srt or .vtt.")
@click.option("--language", metavar="TAG", help="Language of its words and subtitles, as en, pt-BR or zh-Hant.")
@click.option("--paid", is_flag=True, help="A third party paid for it: it is shown as a paid partnership.")
@click.option("--own-brand", is_flag=True, help="It promotes your own business.")
@click.option("--for-children", is_flag=True, help="It is made for children.")
@click.option("--option", "options", multiple=True, metavar="K=V", help="What one platform alone knows, as board_id=1.")
@data_option
def post(video: Path, data_dir: Path | None, *, at: str | None, **options: Any) -> None:
    """Post a finished video file."""
    settings = media_settings(data_dir)
    moment = None if at is None else read_time(at, mend=IN_WALL_TIME)
    rights = stated_rights(options.pop("licence"), attest=options.pop("attest"), author=options.pop("author"))

    async def ask() -> tuple[Placed, Event]:
        probe = await look_at(video, thumbnail=options["thumbnail"], subtitles=options["subtitles"])
        placed = await place(
            settings,
            video,
            platform=options["platform"],
            account=options["account"],
            privacy=options["privacy"] or settings.privacy,
            at=moment,
            at_slot=options["at_slot"],
            now=datetime.now(UTC),
        )
        return placed, await post_video(settings, video, rights=rights, publish_at=placed.at, probe=probe, **options)

    placed, sent = complete(ask())
    notes = list(placed.notes)
    if options["subtitles"] is not None and options["language"] is None:
        notes.append("a platform that asks for the language of subtitles is not given them. To tell it: --language TAG")
    for note in notes:
        say(f"note: {note}", err=True)
    due = f", due on {placed.due}" if placed.due else ""
    say(f"post requested: {sent.event_id}{due}. Watch it with `ettametta status` or on {page_of(settings)}")


@click.command()
@json_option
@data_option
def status(*, as_json: bool, data_dir: Path | None) -> None:
    """Show where every item is, and what it brought."""
    found = complete(system_status(settings_in(data_dir)))
    if as_json:
        print_json(found)
    else:
        say(render_status(found))
