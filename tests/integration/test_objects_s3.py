"""The store in a bucket, against a real HTTP server that speaks S3, and against one that breaks in chosen ways."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aioboto3
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer
from types_aiobotocore_s3 import S3Client

from actors.runtime.objects import S3, Objects, open_objects, part_size_bytes
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.ids import ObjectKey

MIB = 1024 * 1024
KEY = ObjectKey("renditions/ab/abcdef.mp4")
BUCKET = "channel"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of an S3 server."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


def settings_for(url: str, folder: Path, *, bucket: str = BUCKET) -> Settings:
    return Settings(
        data_dir=folder,
        media_url=f"s3://{bucket}/some/prefix",
        s3_endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@asynccontextmanager
async def client(url: str) -> AsyncIterator[S3Client]:
    session = aioboto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    async with session.client("s3", endpoint_url=url) as raw:
        yield raw


@pytest.fixture
async def raw(server: str) -> AsyncIterator[S3Client]:
    """A plain client, with an empty bucket."""
    async with client(server) as plain:
        await plain.create_bucket(Bucket=BUCKET)
        yield plain
        for each in (await plain.list_objects_v2(Bucket=BUCKET)).get("Contents", ()):
            await plain.delete_object(Bucket=BUCKET, Key=each["Key"])
        await plain.delete_bucket(Bucket=BUCKET)


@pytest.fixture
async def objects(raw: S3Client, server: str, tmp_path: Path) -> AsyncIterator[Objects]:
    async with open_objects(settings_for(server, tmp_path)) as store:
        yield store


def made(path: Path, size_bytes: int) -> Path:
    path.write_bytes(os.urandom(size_bytes))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_small_file_goes_there_and_back(objects: Objects, raw: S3Client, tmp_path: Path) -> None:
    """Nothing could be stored in a bucket."""
    file = made(tmp_path / "small.mp4", 100_000)
    assert await objects.size(KEY) is None
    assert not await objects.exists(KEY)
    await objects.put_file(KEY, file, content_type="video/mp4")
    assert (await objects.size(KEY), await objects.exists(KEY)) == (100_000, True)
    head = await raw.head_object(Bucket=BUCKET, Key=f"some/prefix/{KEY}")
    assert head["ContentType"] == "video/mp4"
    await objects.get_file(KEY, tmp_path / "back")
    assert digest(tmp_path / "back") == digest(file)
    async with objects.local(KEY) as path:
        assert (digest(path), path.suffix) == (digest(file), ".mp4")
    assert not path.exists()


async def test_a_large_file_goes_in_parts(objects: Objects, raw: S3Client, tmp_path: Path) -> None:
    """A video over a few megabytes would be held in memory, or arrive with its parts in disorder."""
    file = made(tmp_path / "large.mp4", 17 * MIB + 12_345)
    await objects.put_file(KEY, file, content_type="video/mp4")
    head = await raw.head_object(Bucket=BUCKET, Key=f"some/prefix/{KEY}")
    assert head["ETag"].strip('"').endswith("-4")
    assert part_size_bytes(file.stat().st_size) == 5 * MIB
    await objects.get_file(KEY, tmp_path / "back")
    assert digest(tmp_path / "back") == digest(file)
    assert "Uploads" not in await raw.list_multipart_uploads(Bucket=BUCKET)


async def test_a_second_put_takes_the_place_of_the_first(objects: Objects, tmp_path: Path) -> None:
    """Work done again after a crash would fail on what it stored the first time."""
    await objects.put_file(KEY, made(tmp_path / "one", 10))
    await objects.put_file(KEY, made(tmp_path / "two", 20))
    assert await objects.size(KEY) == 20


async def test_listing_goes_beyond_one_page_and_stays_below_the_prefix(
    objects: Objects, raw: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean-up would miss objects, or touch those of others in the same bucket."""
    await raw.put_object(Bucket=BUCKET, Key="others/sources/x", Body=b"")
    names = [f"sources/{number:02}" for number in range(25)]
    for name in names:
        await raw.put_object(Bucket=BUCKET, Key=f"some/prefix/{name}", Body=b"")
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    assert await objects.list("sources/") == names
    assert await objects.list("sources/0") == names[:10]
    for _ in range(2):
        await objects.delete(ObjectKey(names[0]))
    assert await objects.list("sources/0") == names[1:10]


async def test_an_object_that_is_not_there_is_named(objects: Objects, tmp_path: Path) -> None:
    """The stage would retry for ever, or work on an empty file."""
    with pytest.raises(Reject, match=f"no stored object '{KEY}'"):
        await objects.get_file(KEY, tmp_path / "back")
    with pytest.raises(Reject, match=f"no stored object '{KEY}'"):
        async with objects.local(KEY):
            pass
    assert not (tmp_path / "back").exists()


async def test_keys_are_checked_before_anything_is_sent(objects: Objects, tmp_path: Path) -> None:
    """The same key would be good in a bucket and bad in a folder."""
    with pytest.raises(Reject, match="no valid object key"):
        await objects.put_file(ObjectKey("../x"), made(tmp_path / "small", 1))


async def test_a_wrong_bucket_is_told_with_its_mend(raw: S3Client, server: str, tmp_path: Path) -> None:
    """A slip in MEDIA_URL would end work for good that only has to wait until it is corrected."""
    async with open_objects(settings_for(server, tmp_path, bucket="no-such-bucket")) as store:
        with pytest.raises(Retry, match="NoSuchBucket; correct MEDIA_URL"):
            await store.put_file(KEY, made(tmp_path / "small", 1))


async def test_a_server_that_is_away_is_a_retry(unused_tcp_port: int, tmp_path: Path) -> None:
    """A restart of the object store would end work for good."""
    async with open_objects(settings_for(f"http://127.0.0.1:{unused_tcp_port}", tmp_path)) as store:
        with pytest.raises(Retry, match="cannot be reached"):
            await store.put_file(KEY, made(tmp_path / "small", 1))


# A server that breaks in chosen ways ---------------------------------------------------------------

XML = "application/xml"
BEGUN = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
DONE = '<CompleteMultipartUploadResult><Location>l</Location><ETag>"e-2"</ETag></CompleteMultipartUploadResult>'


def fault(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>broken on purpose</Message></Error>"


class Breaking:
    """Speaks enough of S3 for one upload or download; `complete`, `part` and `get` say how it breaks."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.complete: list[web.Response] = []
        self.part: list[web.Response] = []
        self.size: int | None = None
        self.sent = b""
        self.promised: int | None = None
        self.refuses = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        await request.read()
        if self.refuses:
            return web.Response(status=403)
        if request.method == "POST" and "uploads" in query:
            self.calls.append("begin")
            return web.Response(text=BEGUN, content_type=XML)
        if request.method == "PUT" and "partNumber" in query:
            self.calls.append(f"part {query['partNumber']}")
            return self.part.pop(0) if self.part else web.Response(headers={"ETag": '"e"'})
        if request.method == "POST":
            self.calls.append("complete")
            return self.complete.pop(0) if self.complete else web.Response(text=DONE, content_type=XML)
        if request.method == "DELETE":
            self.calls.append("abort")
            return web.Response(status=204)
        if request.method == "HEAD":
            self.calls.append("head")
            if self.size is None:
                return web.Response(status=404)
            return web.Response(headers={"Content-Length": str(self.size)})
        self.calls.append("get")
        response = web.StreamResponse(headers={"Content-Length": str(self.promised)})
        await response.prepare(request)
        await response.write(self.sent)
        assert request.transport is not None
        request.transport.close()
        return response


@pytest.fixture
def breaking() -> Breaking:
    return Breaking()


@pytest.fixture
async def broken(breaking: Breaking, tmp_path: Path) -> AsyncIterator[Objects]:
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_route("*", "/{tail:.*}", breaking.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with open_objects(settings_for(f"http://127.0.0.1:{port}", tmp_path)) as store:
        yield store
    await runner.cleanup()


async def test_an_error_inside_an_answer_of_200_is_an_error(
    breaking: Breaking, broken: Objects, tmp_path: Path
) -> None:
    """S3 says 200, then finds that it cannot: the video would count as stored and be nowhere."""
    breaking.complete = [web.Response(text=fault("InternalError"), content_type=XML) for _ in range(9)]
    with pytest.raises(Retry, match="InternalError"):
        await broken.put_file(KEY, made(tmp_path / "large", 9 * MIB))
    assert breaking.calls.count("complete") >= 2
    assert breaking.calls[-1] == "abort"


async def test_an_error_inside_an_answer_of_200_that_passes_is_no_fault(
    breaking: Breaking, broken: Objects, tmp_path: Path
) -> None:
    """One hiccup of S3 would send the whole video again."""
    breaking.complete = [web.Response(text=fault("InternalError"), content_type=XML)]
    await broken.put_file(KEY, made(tmp_path / "large", 9 * MIB))
    assert breaking.calls == ["begin", "part 1", "part 2", "complete", "complete"]


async def test_a_completion_whose_answer_was_lost_counts(breaking: Breaking, broken: Objects, tmp_path: Path) -> None:
    """The repeated request finds no upload any more: a stored video would count as failed."""
    gone = web.Response(status=404, text=fault("NoSuchUpload"), content_type=XML)
    breaking.complete = [web.Response(status=500), gone]
    breaking.size = 9 * MIB
    await broken.put_file(KEY, made(tmp_path / "large", 9 * MIB))
    assert breaking.calls[-2:] == ["complete", "head"]


async def test_an_upload_that_vanished_is_not_taken_for_done(
    breaking: Breaking, broken: Objects, tmp_path: Path
) -> None:
    """A video that a clean-up of the bucket removed half-way would count as stored."""
    breaking.complete = [web.Response(status=404, text=fault("NoSuchUpload"), content_type=XML)]
    with pytest.raises(Retry, match="NoSuchUpload"):
        await broken.put_file(KEY, made(tmp_path / "large", 9 * MIB))


async def test_an_upload_cut_short_is_removed(breaking: Breaking, broken: Objects, tmp_path: Path) -> None:
    """Parts of unfinished uploads would be paid for every month."""
    breaking.part = [
        web.Response(headers={"ETag": '"e"'}),
        web.Response(status=400, text=fault("InvalidDigest"), content_type=XML),
    ]
    with pytest.raises(Reject, match="InvalidDigest"):
        await broken.put_file(KEY, made(tmp_path / "large", 9 * MIB))
    assert breaking.calls == ["begin", "part 1", "part 2", "abort"]


async def test_a_cancelled_upload_leaves_no_parts_on_a_real_server(
    objects: Objects, raw: S3Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping a stage in the middle of an upload would leave its parts behind, and no object half there."""
    assert isinstance(objects, S3)
    second = asyncio.Event()
    send = objects._client.upload_part

    async def stall(**call: object) -> object:
        if call["PartNumber"] == 2:
            second.set()
            await asyncio.Event().wait()
        return await send(**call)

    monkeypatch.setattr(objects._client, "upload_part", stall)
    upload = asyncio.create_task(objects.put_file(KEY, made(tmp_path / "large", 12 * MIB)))
    await asyncio.wait_for(second.wait(), 30)
    assert len((await raw.list_multipart_uploads(Bucket=BUCKET))["Uploads"]) == 1
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert "Uploads" not in await raw.list_multipart_uploads(Bucket=BUCKET)
    assert not await objects.exists(KEY)


async def test_a_download_cut_short_leaves_no_file(breaking: Breaking, broken: Objects, tmp_path: Path) -> None:
    """The renderer would work on half a video."""
    breaking.promised, breaking.sent = 3 * MIB, b"x" * MIB
    with pytest.raises(Retry):
        await broken.get_file(KEY, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == []


async def test_a_refusal_is_not_taken_for_an_absent_object(breaking: Breaking, broken: Objects) -> None:
    """With wrong credentials every object would seem to be missing, and work would be done again or rejected."""
    breaking.refuses = True
    with pytest.raises(Retry, match="correct MEDIA_URL or the AWS_ settings"):
        await broken.exists(KEY)
