"""A replica's beginning and end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from actors.runtime.app import ActorApp, serving
from actors.runtime.settings import Settings
from actors.runtime.work import Services, Work
from contracts.events import ScanRequested
from deploy.supervisor import Stack


async def test_a_replica_stops_although_its_servers_are_gone(tmp_path: Path) -> None:
    """After a crash of the servers, stopping an actor could hang for ever and leave it behind."""

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        pass

    stack = Stack(tmp_path / "stack")
    async with stack:
        settings = Settings(
            data_dir=tmp_path,
            media_url=str(tmp_path / "media"),
            nats_url=stack.nats_urls["scanner"],
            database_url=stack.database_url,
        )
        async with asyncio.timeout(60):
            async with serving(ActorApp(name="scanner", handlers={ScanRequested: handle}), settings):
                await stack.__aexit__(None, None, None)
