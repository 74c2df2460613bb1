"""The doctor on real servers: what it says of NATS, PostgreSQL, a bucket and a running stack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from aioboto3 import Session
from moto.server import ThreadedMotoServer
from nats.aio.client import Client

from actors.runtime.settings import Settings
from contracts.flow import STREAM
from deploy.doctor.services import check_media, check_nats, check_postgres, check_stack
from deploy.supervisor import Stack
from tests.stack import sibling


@asynccontextmanager
async def empty_database(server_url: str) -> AsyncIterator[str]:
    admin = await asyncpg.connect(sibling(server_url, "postgres"))
    try:
        await admin.execute("create database doctor_empty")
        yield sibling(server_url, "doctor_empty")
    finally:
        await admin.execute("drop database if exists doctor_empty with (force)")
        await admin.close()


async def test_nats_with_its_stream(stack: Stack, nats_admin: Client) -> None:
    """If it fails, a sound NATS is called wrong, or one without the stream passes."""
    settings = Settings(nats_url=stack.nats_urls["renderer"], nats_admin_url=stack.admin_url)
    found = await check_nats(settings)
    assert (found.state, found.detail) == ("ok", "answers; stream ETT holds 0 events")
    await nats_admin.jetstream().delete_stream(STREAM.name)
    found = await check_nats(settings)
    assert (found.state, found.stops_work) == ("missing", False)
    assert "ettametta migrate" in found.mend


@pytest.mark.usefixtures("nats_admin")
async def test_nats_as_a_user_of_few_rights(stack: Stack) -> None:
    """If it fails, the permissions that protect the bus look like a broken server."""
    for user in ("renderer", "outside"):
        found = await check_nats(Settings(nats_url=stack.nats_urls[user]))
        assert found.state == "ok"
        assert "may not ask" in found.detail


async def test_nats_with_a_wrong_password(stack: Stack) -> None:
    """If it fails, a mistyped password is called a server that is down, or passes."""
    address = urlsplit(stack.nats_urls["renderer"]).netloc.rpartition("@")[2]
    found = await check_nats(Settings(nats_url=f"nats://renderer:wrong@{address}"))
    assert found.stops_work
    assert "authorization" in found.detail.lower()


async def test_postgres(stack: Stack, database_url: str) -> None:
    """If it fails, work starts on a database without tables, or a sound one is called wrong."""
    assert stack.database_url is not None
    assert (await check_postgres(Settings(database_url=database_url))).state == "ok"
    async with empty_database(stack.database_url) as url:
        found = await check_postgres(Settings(database_url=url))
    assert (found.state, found.stops_work) == ("missing", False)
    assert "0001_spine" in found.detail
    for broken in (sibling(database_url, "nowhere"), database_url.replace(":p", ":x", 1)):
        found = await check_postgres(Settings(database_url=broken))
        assert found.stops_work
        assert "cannot be used" in found.detail
        assert "does not exist" in found.detail or "password" in found.detail


@pytest.fixture
def bucket_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def test_a_bucket(bucket_server: str, tmp_path: Path) -> None:
    """If it fails, a bucket that is not there is found out when the first video is stored."""
    settings = Settings(
        data_dir=tmp_path,
        media_url="s3://channel/prefix",
        s3_endpoint_url=bucket_server,
        aws_access_key_id="id",
        aws_secret_access_key="secret",
    )
    assert (await check_media(settings)).stops_work
    session = Session(aws_access_key_id="id", aws_secret_access_key="secret", region_name="us-east-1")
    async with session.client("s3", endpoint_url=bucket_server) as client:
        await client.create_bucket(Bucket="channel")
    found = await check_media(settings)
    assert (found.state, found.detail) == ("ok", "s3://channel/prefix answers")


async def test_the_stack_that_runs_is_named(stack: Stack, settings_of: Callable[[str], Settings]) -> None:
    """If it fails, a person cannot tell whether anything runs."""
    idle = settings_of("renderer")
    assert "nothing runs" in (await check_stack(idle)).detail
    found = await check_stack(msgspec.structs.replace(idle, data_dir=stack.data_dir))
    assert found.state == "ok"
    assert "nats, postgres" in found.detail
