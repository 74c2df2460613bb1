"""Forms with a part of a file in them."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.platforms._multipart import multipart
from actors.runtime.clock import Clock
from actors.runtime.http import Http
from actors.runtime.pace import Pace


async def test_form_arrives_as_it_was_meant(tmp_path: Path) -> None:
    """A store that counts one byte more or fewer than were announced refuses the whole file."""
    file = tmp_path / "video.mp4"
    file.write_bytes(bytes(range(256)) * 3000)
    got: list[tuple[str, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        async for part in await request.multipart():
            assert part.name is not None  # type: ignore[union-attr]  # the form is not nested
            got.append((part.name, bytes(await part.read())))  # type: ignore[union-attr]
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    headers, body = multipart(
        {"key": "a/b é", 'odd "name"': "1\r\n2"},
        name="file",
        file=file,
        first=100,
        end=700_000,
        content_type="video/mp4",
        pace=Pace(0, Clock()),
    )
    async with TestServer(app) as server, Http("tests", Clock()) as http:
        for _ in range(2):  # a body can be made again
            answer = await http.request("POST", str(server.make_url("/")), headers=headers, data=body())
            assert answer.status == 204
    whole = [("key", "a/b é".encode()), ("odd %22name%22", b"1\r\n2"), ("file", file.read_bytes()[100:700_000])]
    assert got == whole * 2
