"""`ettametta post`: what is wrong is said at once, and nothing of it is stored or sent; times are the account's."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from nats.aio.client import Client
from PIL import Image

from actors import platforms
from actors.publisher.agenda import Agenda
from actors.publisher.timetable import parse_slots
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from contracts.clock import Utc
from contracts.events import PostRequested
from contracts.flow import STREAM
from contracts.ids import AccountId
from deploy.children import Child
from deploy.cli import main
from deploy.supervisor import Stack
from tests.channel import Channel, connected_channel
from tests.renderer_media import flat, write_video

Ask = Callable[..., Awaitable[Result]]
Refused = Callable[..., Awaitable[None]]
BERLIN = "Europe/Berlin"
ACCOUNT = AccountId("x:creator")


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path / "channel") as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a person has their files: good ones, and of each kind one that is not what its name says."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "reef.mov", [flat(320, 320, y=40 + number) for number in range(60)])
    (tmp_path / "words.mov").write_text("words, and no video")
    Image.new("RGB", (64, 64)).save(tmp_path / "still.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "still.png").read_bytes()[:60])
    (tmp_path / "reef.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nA reef\n")
    (tmp_path / "broken.srt").write_text("A reef, at no time\n")
    return tmp_path


@pytest.fixture
def ask(settings_of: Callable[[str], Settings], folder: Path) -> Ask:
    """Run `ettametta post reef.mov --to x` with further words, as a person's shell does."""
    known = settings_of("outside")
    env = {
        "NATS_URL": known.nats_url,
        "DATABASE_URL": known.database_url,
        "DATA_DIR": str(folder / "data"),
        "MEDIA_URL": str(folder / "media"),
        "PRIVACY": "public",
    }

    async def invoke(*words: str, video: str = "reef.mov", to: str = "x", command: str = "post", **more: str) -> Result:
        told = [command, video, "--to", to, "--attest", "I made it", *words]
        done = await asyncio.to_thread(CliRunner(env=env | more).invoke, main, told)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done

    return invoke


async def sent(client: Client) -> list[PostRequested]:
    """Return what was asked for, oldest first."""
    stream = client.jetstream()
    count = (await stream.stream_info(STREAM.name)).state.messages
    return [
        msgspec.json.decode((await stream.get_msg(STREAM.name, number + 1)).data or b"", type=PostRequested)
        for number in range(count)
    ]


async def at_of(client: Client) -> Utc | None:
    return (await sent(client))[-1].destination.publish_at


@pytest.fixture
def refused(nats_admin: Client, folder: Path) -> Refused:
    """Check that a command ended with 2 and one line that holds these words, and stored and sent nothing."""

    async def check(done: Result, *words: str) -> None:
        assert done.exit_code == 2, done.output
        assert done.output.startswith("error: ")
        assert len(done.output.strip().splitlines()) == 1
        assert [word for word in words if word not in done.output] == [], done.output
        assert await sent(nats_admin) == []
        assert not [file for file in folder.glob("media/**/*") if file.is_file()]

    return check


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("words.mov",), ("words.mov: ", "no video at all")),
        (("still.png",), ("still.png: ", "is a picture (PNG), not a video")),
        (("reef.mov", "--thumbnail", "reef.srt"), ("reef.srt: the file is no picture", "PNG, JPEG or WebP")),
        (("reef.mov", "--thumbnail", "cut.png"), ("cut.png: the picture is damaged or cut off",)),
        (("reef.mov", "--subtitles", "broken.srt"), ("broken.srt: ", "neither .srt nor .vtt")),
    ],
)
async def test_a_file_that_is_not_what_it_should_be_is_named(
    channel: Channel, ask: Ask, refused: Refused, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    """It is said hours later, in the row of a post, or a video goes out without its thumbnail."""
    await channel.connect_to("x")
    await refused(await ask(*words[1:], video=words[0]), *told)


async def test_what_the_platform_does_not_take_is_named(channel: Channel, ask: Ask, refused: Refused) -> None:
    """A platform's limit that a file passes is told in the row of a post that nobody looks at."""
    await channel.connect_to("x")
    least_us = platforms.module("x").LIMITS.min_duration_us
    assert least_us is not None
    write_video(Path("short.mov"), [flat(320, 320), flat(320, 320, y=60)])
    least = f"at least {least_us / 1e6:g} s are taken"
    await refused(await ask("--privacy", "private", video="short.mov"), "x: it was asked to be private", least)
    assert (await ask()).exit_code == 0


async def test_what_is_refused_for_its_form_is_taken_after_the_commands_that_are_named(
    ask: Ask, refused: Refused, nats_admin: Client
) -> None:
    """A person is sent to commands that do not work, or whose video is refused again."""
    write_video(Path("my reef.mov"), [flat(320, 180, y=40 + number) for number in range(120)])
    done = await ask(video="my reef.mov", to="facebook")
    await refused(done, "(16:9); it must be 9:16 (width to height), at least 540 px on each side", "'my reef.mov'")
    plan, render = (shlex.split(line) for line in done.output.split("`")[1::2])
    for words in (plan, render):
        assert words[0] == "ettametta"
        made = await asyncio.to_thread(CliRunner().invoke, main, words[1:])
        assert made.exit_code == 0, made.output
    assert done.output.strip().endswith(f"post {render[-1]}")
    done = await ask(video=render[-1], to="facebook")
    assert done.exit_code == 0, done.output
    assert [event.destination.platform for event in await sent(nats_admin)] == ["facebook"]


async def test_a_form_that_no_rendering_mends_names_no_command(ask: Ask, refused: Refused) -> None:
    """A person renders for an hour, and the platform refuses the result."""
    write_video(Path("short.mov"), [flat(320, 180), flat(320, 180, y=60)])
    done = await ask(video="short.mov", to="facebook")
    await refused(done, "at least 3 s are taken", "it must be 9:16")
    assert "`" not in done.output


async def test_the_language_of_subtitles_is_told(ask: Ask, refused: Refused, nats_admin: Client) -> None:
    """Subtitles are uploaded nowhere and nothing says why; or a typo is told when the video is posted without them."""
    for told in ("english", "pt_BR", "und", ""):
        done = await ask("--subtitles", "reef.srt", "--language", told, to="youtube")
        await refused(done, f"'{told}' is no tag of a language", "write it as en, pt-BR or zh-Hant")
    done = await ask("--subtitles", "reef.srt", "--language", "pt-BR", to="youtube")
    assert done.exit_code == 0, done.output
    assert "--language" not in done.stderr
    done = await ask("--subtitles", "reef.srt", to="youtube")
    assert "is not given them. To tell it: --language TAG" in done.stderr
    assert [event.language for event in await sent(nats_admin)] == ["pt-BR", None]


async def test_the_page_is_that_of_the_system_that_runs(ask: Ask, folder: Path) -> None:
    """A person with two systems opens the page of the other one."""
    assert "on http://127.0.0.1:8400" in (await ask()).stdout
    page = "http://127.0.0.1:18477"
    child = Child(name="worker", argv=(sys.executable, "-c", "import signal; signal.pause()"))
    data = folder / "data"
    async with Stack(data, children=[child], need_nats=False, need_postgres=False, urls={"gateway": f"{page}/"}):
        done = await ask()
        assert f"on {page}\n" in done.stdout
        assert f"{page}/connect/x" in done.stderr
        done = await ask("--licence", "owned", command="import")
        assert f"on {page}\n" in done.stdout


async def test_an_account_that_cannot_be_meant_is_refused(channel: Channel, ask: Ask, refused: Refused) -> None:
    """A post waits for ever for an account that nobody has."""
    await refused(await ask("--account", "nobody"), "no account 'x:nobody'", "/connect/x")
    await channel.connect_to("x")
    await refused(await ask("--account", "nobody"), "no account 'x:nobody'", "Known: x:creator")
    await refused(await ask("--account", "youtube:a"), "youtube:a is no x account")
    await channel.connect_to("x", account="second")
    done = await ask()
    await refused(done, "2 x accounts are connected: x:creator, x:second", "--account")
    await channel.db.execute("update accounts set state = 'disconnected' where account_id = $1", ACCOUNT)
    done = await ask("--account", "creator")
    await refused(done, "x:creator is disconnected", "Known: x:second")
    assert (await ask()).exit_code == 0, "one account is left"


async def test_a_slot_needs_an_account_with_slots(
    channel: Channel, ask: Ask, nats_admin: Client, refused: Refused
) -> None:
    """A post that nobody can place is asked for, and fails out of sight."""
    await refused(await ask("--slot"), "--slot needs an account's timetable", "/connect/x")
    await channel.connect_to("x")
    slots = 'ettametta schedule set x:creator --slot "mon,thu 18:00"'
    await refused(await ask("--slot"), "x:creator has no slots", slots)
    await Agenda(channel.db, now=channel.clock.now()).set_timetable(ACCOUNT, {"zone": BERLIN})
    await refused(await ask("--slot"), "x:creator has no slots")
    await Agenda(channel.db, now=channel.clock.now()).set_timetable(ACCOUNT, {"slots": parse_slots("daily 18:00")})
    done = await ask("--slot")
    assert done.exit_code == 0, done.output
    assert f"18:00 {BERLIN}" in done.stdout
    assert done.stderr == ""
    (event,) = await sent(nats_admin)
    assert (event.destination.at_slot, event.destination.publish_at) == (True, None)


async def test_a_post_that_waits_for_its_account_says_so(channel: Channel, ask: Ask, nats_admin: Client) -> None:
    """A person who connected nothing, or paused the account, waits for a post without knowing why."""
    done = await ask()
    assert done.exit_code == 0, done.output
    assert "note: no x account is connected, so the post waits" in done.stderr
    assert "/connect/x" in done.stderr
    await channel.connect_to("x")
    assert (await ask()).stderr == ""
    await channel.services.tokens.pause(ACCOUNT, "too many posts")
    done = await ask("--thumbnail", "still.png", "--subtitles", "reef.srt")
    assert "note: x:creator is paused: too many posts, so the post waits" in done.stderr
    assert "ettametta accounts resume x:creator" in done.stderr
    await channel.db.execute("update accounts set state = 'reconnect_needed', paused_at = null")
    assert "note: x:creator is not connected, so the post waits" in (await ask("--account", "creator")).stderr
    last = (await sent(nats_admin))[-2]
    assert last.thumbnail_key is not None
    assert last.subtitles_key is not None


async def test_a_time_without_an_offset_is_the_accounts_wall_time(
    channel: Channel, ask: Ask, nats_admin: Client, refused: Refused
) -> None:
    """A post goes out an hour early or late, and nothing said which clock was meant."""
    done = await ask("--at", "2031-03-30T02:30")
    await refused(done, "'2031-03-30T02:30' names no offset", "Add +01:00 or Z")
    assert "due on Sun 2031-03-30 00:30 UTC" in (await ask("--at", "2031-03-30T02:30+02:00")).stdout
    await channel.connect_to("x")
    done = await ask("--at", "2031-03-30T02:30")
    assert "due on Sun 2031-03-30 02:30 UTC" in done.stdout
    assert "note: x:creator has no timetable, so the time is taken as UTC" in done.stderr
    await Agenda(channel.db, now=channel.clock.now()).set_timetable(ACCOUNT, {"zone": BERLIN})
    for told, shown, utc in (
        ("2031-12-01T18:00", "Mon 2031-12-01 18:00 Europe/Berlin (12-01 17:00 UTC)", "2031-12-01 17:00"),
        ("2031-03-30T02:30", "Sun 2031-03-30 03:00 Europe/Berlin (03-30 01:00 UTC)", "2031-03-30 01:00"),
        ("2031-10-26T02:30", "Sun 2031-10-26 02:30 Europe/Berlin (10-26 00:30 UTC)", "2031-10-26 00:30"),
        ("2031-12-01T18:00Z", "Mon 2031-12-01 19:00 Europe/Berlin (12-01 18:00 UTC)", "2031-12-01 18:00"),
    ):
        done = await ask("--at", told)
        assert f"due on {shown}" in done.stdout
        assert done.stderr == ""
        assert f"{await at_of(nats_admin):%Y-%m-%d %H:%M}" == utc


async def test_a_time_that_cannot_be_is_refused_with_what_to_write(
    channel: Channel, ask: Ask, nats_admin: Client, refused: Refused
) -> None:
    """A person reads `%Y-%m-%dT%H:%M%z`, or learns of a full day when the day is over."""
    await channel.connect_to("x")
    for told in ("tomorrow", "18:00", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"):
        done = await ask("--at", told)
        await refused(done, f"'{told}' is no time", "Write it as 2026-12-01T18:00")
        assert "%" not in done.output
    await refused(await ask("--at", "2020-01-01T00:00Z"), "2020-01-01 00:00 UTC is past", "--at out")
    await Agenda(channel.db, now=channel.clock.now()).set_timetable(ACCOUNT, {"per_day": 1, "spacing_s": 86_400})
    post = (
        "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes, "
        "correlation_id, request, intent_at, updated_at) "
        "values ('p', 'i', 'x', $1, 'scheduled', '{}', 'k', 1, 'c', '{}', now(), now())"
    )
    await channel.db.execute(post, ACCOUNT)
    put = "insert into post_times (post_id, account_id, correlation_id, due_at, timed) values ('p', $1, 'c', $2, true)"
    await channel.db.execute(put, ACCOUNT, msgspec.convert("2031-12-01T12:00:00Z", Utc))
    done = await ask("--at", "2031-12-01T18:00")
    await refused(done, "1 post is planned on Mon 2031-12-01 already", "--at 2031-12-02T12:00:00Z")
    assert (await ask("--at", "2031-12-02T12:00:00Z")).exit_code == 0


async def test_a_time_of_what_is_not_public_is_explained(ask: Ask) -> None:
    """A person plans a premiere that nobody sees."""
    for privacy in ("private", "unlisted"):
        done = await ask("--at", "2031-12-01T18:00Z", "--privacy", privacy, to="youtube")
        assert done.exit_code == 0, done.output
        assert f"note: at its time it is posted as {privacy}, and stays so" in done.stderr
        assert "--privacy public" in done.stderr
    for words in (("--privacy", "private"), ("--at", "2031-12-01T18:00Z")):
        assert "posted as" not in (await ask(*words, to="youtube")).stderr, "there is nothing to explain"


async def test_a_database_that_is_away_is_named(ask: Ask, refused: Refused) -> None:
    """The command is silent for a minute, and then speaks of something else than the others do."""
    done = await ask(DATABASE_URL="postgresql://127.0.0.1:1/none")
    await refused(done, "the database cannot be used (", "correct DATABASE_URL")


async def test_until_reads_times_alike(
    settings_of: Callable[[str], Settings], folder: Path, nats_admin: Client
) -> None:
    """A permission ends at an hour that was not told, or a person reads the formats of a library."""
    known = settings_of("outside")
    env = {"NATS_URL": known.nats_url, "DATABASE_URL": known.database_url, "DATA_DIR": str(folder / "data")}

    async def ask(until: str) -> Result:
        told = ["import", "reef.mov", "--licence", "permission", "--attest", "a deal", "--until", until]
        return await asyncio.to_thread(CliRunner(env=env).invoke, main, told)

    done = await ask("never")
    assert done.exit_code == 2
    assert (
        done.output
        == "error: 'never' is no time. Write it as 2026-12-31 or 2026-12-31T18:00, in UTC, or with +01:00 or Z\n"
    )
    assert "note: the permission ends at 2031-12-31 00:00 UTC" in (await ask("2031-12-31")).stderr
    assert "note: the permission ends at 2031-12-31 17:00 UTC" in (await ask("2031-12-31T18:00+01:00")).stderr
    stream = nats_admin.jetstream()
    ends: list[Any] = [
        msgspec.json.decode((await stream.get_msg(STREAM.name, number)).data or b"")["rights"]["expires_at"]
        for number in (1, 2)
    ]
    assert ends == ["2031-12-31T00:00:00Z", "2031-12-31T17:00:00Z"]
