"""Fixtures with real servers: one NATS and PostgreSQL for the session, a fresh database and stream for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from nats.aio.client import Client
from yarl import URL

from actors.runtime.db import Database, open_database
from actors.runtime.settings import Settings
from deploy import embedded
from deploy.supervisor import Stack
from tests.stack import ACK_WAIT_S, cloned, connected, fresh_stream, media_folder

settings.register_profile("here", suppress_health_check=[HealthCheck.too_slow], deadline=None)  # no test by the clock
settings.load_profile("here")


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """NATS and PostgreSQL of this test session.

    Without fsync, which only a machine that loses power would miss: dropping a database waits seconds for it.
    """
    async with AsyncExitStack() as opened:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(embedded.POSTGRES_OPTIONS, "fsync", "off")
            running = await opened.enter_async_context(Stack(tmp_path_factory.mktemp("stack"), ack_wait_s=ACK_WAIT_S))
        yield running


@pytest.fixture
async def database_url(stack: Stack) -> AsyncIterator[str]:
    """Address of a migrated, empty database of this test alone."""
    assert stack.database_url is not None
    async with cloned(stack.database_url) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on the test's own database."""
    async with open_database(database_url, name="test") as pool:
        yield pool


@pytest.fixture
async def nats_admin(stack: Stack) -> AsyncIterator[Client]:
    """A connection with all rights; the stream and its consumers are new and empty."""
    assert stack.admin_url is not None
    async with connected(stack.admin_url) as client:
        await fresh_stream(client)
        yield client


@pytest.fixture
def nats_urls(stack: Stack, nats_admin: Client) -> dict[str, str]:
    """Addresses of NATS by user (each actor, gateway, outside, admin); the stream is new and empty."""
    return stack.nats_urls


@pytest.fixture
def settings_of(nats_urls: dict[str, str], database_url: str, tmp_path: Path) -> Callable[[str], Settings]:
    """Make the settings of one party: its own NATS user, the test's database, media in a temporary folder."""

    def make(party: str) -> Settings:
        return Settings(
            data_dir=tmp_path,
            media_url=media_folder(tmp_path),
            nats_url=nats_urls[party],
            database_url=database_url,
            ack_wait_s=ACK_WAIT_S,
        )

    return make


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[URL]:
    """Address of the sandbox platforms, empty."""
    from deploy.sandbox.server import running

    async with running(tmp_path / "sandbox") as url:
        yield url
