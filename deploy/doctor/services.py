"""What is reached over sockets and files: NATS, PostgreSQL, media, and the stack that runs on the data folder."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

from actors.runtime.settings import Settings
from contracts.errors import EttamettaError, Reject
from contracts.flow import STREAM
from deploy.doctor.check import Check, missing, ok, wrong
from deploy.doctor.machine import writable

__all__ = ["check_media", "check_nats", "check_postgres", "check_stack"]

CONNECT_TIMEOUT_S: Final = 3
ASK_TIMEOUT_S: Final = 1.0
RESTARTS_SHOWN: Final = 3
BRING_UP: Final = "`ettametta up` does it by itself; before `ettametta run`, use: ettametta migrate"


async def check_nats(settings: Settings) -> Check:
    """Whether NATS answers and has the stream; without NATS_URL, whether the embedded server is installed."""
    from deploy.embedded import nats_binary

    url = settings.nats_admin_url or settings.nats_url
    if url is None:
        try:
            program = await asyncio.to_thread(nats_binary)
        except Reject as error:
            return missing("NATS", error.reason, error.mend, stops_work=True)
        return await _runs("NATS", program, "--version")
    return await _ask_nats(url)


async def _ask_nats(url: str) -> Check:
    from nats.aio.client import Client
    from nats.errors import Error as NatsError
    from nats.js.errors import NotFoundError, ServiceUnavailableError

    told: list[Exception] = []

    async def note(error: Exception) -> None:
        told.append(error)

    client = Client()
    try:
        await client.connect(
            url,
            name="ettametta-doctor",
            allow_reconnect=False,
            max_reconnect_attempts=1,  # else the first connection is tried for minutes
            reconnect_time_wait=0,
            connect_timeout=CONNECT_TIMEOUT_S,
            error_cb=note,
        )
        info = await client.jetstream(timeout=ASK_TIMEOUT_S).stream_info(STREAM.name)
    except NotFoundError:
        return missing("NATS", f"answers; stream {STREAM.name} is not there yet", BRING_UP)
    except (ServiceUnavailableError, NatsError, OSError) as error:
        cause = told[-1] if told else error
        if not client.is_connected:
            mend = "start it, or mend NATS_URL and the password in it; unset it to use the embedded server"
            return wrong("NATS", f"cannot be reached ({_reason(cause)})", mend, stops_work=True)
        if "permissions violation" in str(cause).lower():
            return ok("NATS", "answers; this user may not ask about the stream (NATS_ADMIN_URL may)")
        return wrong("NATS", f"answers, but JetStream does not ({_reason(cause)})", "enable JetStream", stops_work=True)
    finally:
        await client.close()
    return ok("NATS", f"answers; stream {STREAM.name} holds {info.state.messages} events")


async def check_postgres(settings: Settings) -> Check:
    """Whether the database answers and is up to date; without DATABASE_URL, whether the embedded one is installed."""
    from deploy.embedded import postgres_binary

    if settings.database_url is None:
        try:
            program, _ = await asyncio.to_thread(lambda: (postgres_binary("postgres"), postgres_binary("initdb")))
        except Reject as error:
            return missing("PostgreSQL", error.reason, error.mend, stops_work=True)
        return await _runs("PostgreSQL", program, "--version")
    import asyncpg
    from sqlalchemy.exc import SQLAlchemyError

    from deploy.migrate import pending

    try:
        waiting = await pending(settings.database_url)
    except Reject as error:
        return wrong("PostgreSQL", error.reason, error.mend, stops_work=True)
    except (
        EttamettaError,
        SQLAlchemyError,
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        ValueError,
    ) as error:
        mend = "start it, or mend DATABASE_URL; unset it to use the embedded one"
        return wrong("PostgreSQL", f"cannot be used ({_reason(_first_cause(error))})", mend, stops_work=True)
    if waiting:
        return missing("PostgreSQL", f"answers; migrations wait: {', '.join(waiting)}", BRING_UP)
    return ok("PostgreSQL", "answers; the schema is up to date")


async def _runs(name: str, program: Path, option: str) -> Check:
    """Run an embedded program: a wheel of another machine is found, and does not start."""
    try:
        process = await asyncio.create_subprocess_exec(
            str(program), option, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        return wrong(
            name,
            f"embedded; {program} does not start ({error.strerror})",
            f"reinstall it, or set {_url_of(name)}",
            stops_work=True,
        )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        return wrong(
            name,
            f"embedded; {program} does not run (status {process.returncode})",
            f"reinstall it, or set {_url_of(name)}",
            stops_work=True,
        )
    return ok(name, f"embedded, {said.decode(errors='replace').strip()}")


def _url_of(name: str) -> str:
    return "NATS_URL" if name == "NATS" else "DATABASE_URL"


def _first_cause(error: BaseException) -> BaseException:
    """Return the error that the others were raised from: what the server or the system said."""
    return error if error.__cause__ is None else _first_cause(error.__cause__)


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


async def check_media(settings: Settings) -> Check:
    """Whether media can be kept where MEDIA_URL says."""
    if "://" in settings.media_url:
        return await _check_bucket(settings)
    folder = Path(settings.media_url)
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not parent.is_dir() or not await asyncio.to_thread(writable, parent):
        mend = f"let this user write {parent}, or set MEDIA_URL to another folder"
        return wrong("MEDIA_URL", f"{folder} cannot be written", mend, stops_work=True)
    return ok("MEDIA_URL", f"{folder}{'' if folder.exists() else ' (made on first use)'}")


async def _check_bucket(settings: Settings) -> Check:
    from actors.runtime.objects import open_objects

    mend = "check MEDIA_URL, S3_ENDPOINT_URL, AWS_REGION and the AWS key, and what the key may do"
    try:
        async with open_objects(settings) as objects:
            # Listing, since the answer about one object does not tell a missing bucket from a missing object.
            await objects.list("doctor/")
    except EttamettaError as error:
        return wrong("MEDIA_URL", f"{settings.media_url} cannot be used ({_reason(error)})", mend, stops_work=True)
    return ok("MEDIA_URL", f"{settings.media_url} answers")


async def check_stack(settings: Settings) -> Check:
    """What runs on the data folder now, and whether something keeps dying."""
    from deploy.supervisor import read_state

    state = await asyncio.to_thread(read_state, settings.data_dir)
    if state is None:
        return ok("stack", "nothing runs on this data folder now")
    restarts = Counter({child.name: child.starts - 1 for child in state.children})
    dying = [f"{name} ({count} times)" for name, count in restarts.most_common(RESTARTS_SHOWN) if count > 1]
    if dying:
        mend = f"read the logs in {settings.data_dir / 'logs'}"
        return wrong("stack", f"process {state.pid} runs; restarted: {', '.join(dying)}", mend)
    return ok("stack", f"process {state.pid} runs {len(state.children)} others: {', '.join(sorted(restarts))}")
