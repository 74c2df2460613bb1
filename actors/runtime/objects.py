"""Objects by key: media in a folder or in an S3 bucket. Nothing is ever half there.

Sources: PLATFORMS facts on S3 multipart (5 MiB least part, 10,000 parts), service model of botocore 1.40.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.ids import ObjectKey

__all__ = ["S3", "Folder", "Objects", "check_key", "content_key", "open_objects", "part_size_bytes"]

MIB: Final = 1024 * 1024
MULTIPART_FROM_BYTES: Final = 16 * MIB
LEAST_PART_BYTES: Final = 5 * MIB
MOST_PARTS: Final = 10_000
READ_BYTES: Final = MIB
_KEY = re.compile(r"^(?!.*(^|/)\.{1,2}(/|$))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")


class Objects(Protocol):
    """A store. Keys are relative, with forward slashes."""

    async def put_file(self, key: ObjectKey, file: Path, *, content_type: str = "application/octet-stream") -> None:
        """Store a file under a key, whole or not at all. Raises: Reject (bad key), Retry."""
        ...

    async def get_file(self, key: ObjectKey, to: Path) -> None:
        """Write the object to a file. Raises: Reject if there is none, Retry."""
        ...

    async def exists(self, key: ObjectKey) -> bool: ...

    async def size(self, key: ObjectKey) -> int | None:
        """Return the size in bytes; None: there is no such object."""
        ...

    async def delete(self, key: ObjectKey) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    async def list(self, prefix: str) -> list[ObjectKey]:
        """Return the keys that begin with `prefix`, sorted."""
        ...

    def local(self, key: ObjectKey) -> Any:
        """Return an async context manager that gives a readable path of the object."""
        ...


def content_key(prefix: str, sha256: str, suffix: str) -> ObjectKey:
    """Return the key of content-addressed data: prefix/ab/abcdef….suffix."""
    return ObjectKey(f"{prefix}/{sha256[:2]}/{sha256}{suffix}")


def check_key(key: str) -> None:
    """Raises: Reject if the key could leave the store or would not be the same everywhere."""
    if not _KEY.match(key) or len(key) > 512:
        raise Reject(f"'{key}' is no valid object key", mend="use letters, digits, '.', '_', '-' and '/' only")


def part_size_bytes(size_bytes: int) -> int:
    """Return the part size of a multipart upload: at least 5 MiB, at most 10,000 parts, whole MiB."""
    least = max(LEAST_PART_BYTES, -(-size_bytes // MOST_PARTS))
    return -(-least // MIB) * MIB


class Folder:
    """A store in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: ObjectKey) -> Path:
        check_key(key)
        return self.root / key

    async def put_file(self, key: ObjectKey, file: Path, *, content_type: str = "application/octet-stream") -> None:  # noqa: ARG002 - a folder keeps no types
        to = self.path(key)

        def put() -> None:
            to.parent.mkdir(parents=True, exist_ok=True)
            part = to.with_name(f".{to.name}.{uuid.uuid4().hex}.part")
            try:
                shutil.copyfile(file, part)
                with part.open("rb+") as written:
                    os.fsync(written.fileno())
                part.replace(to)
            finally:
                part.unlink(missing_ok=True)
            _sync_folder(to.parent)

        await _named(key, put)

    async def get_file(self, key: ObjectKey, to: Path) -> None:
        await _named(key, lambda: shutil.copyfile(self.path(key), to))

    async def exists(self, key: ObjectKey) -> bool:
        return await asyncio.to_thread(self.path(key).is_file)

    async def size(self, key: ObjectKey) -> int | None:
        path = self.path(key)
        return await asyncio.to_thread(lambda: path.stat().st_size if path.is_file() else None)

    async def delete(self, key: ObjectKey) -> None:
        await _named(key, lambda: self.path(key).unlink(missing_ok=True))

    async def list(self, prefix: str) -> list[ObjectKey]:
        def walk() -> list[ObjectKey]:
            files = (path for path in self.root.rglob("*") if path.is_file() and not path.name.endswith(".part"))
            keys = (path.relative_to(self.root).as_posix() for path in files)
            return sorted(ObjectKey(key) for key in keys if key.startswith(prefix))

        return await asyncio.to_thread(walk)

    @asynccontextmanager
    async def local(self, key: ObjectKey) -> AsyncIterator[Path]:
        path = self.path(key)
        if not await asyncio.to_thread(path.is_file):
            raise _absent(key)
        yield path


class S3:
    """A store in a bucket, below a prefix. The client is aioboto3's."""

    def __init__(self, client: Any, bucket: str, prefix: str, scratch: Path) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._scratch = scratch

    def _at(self, key: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    async def put_file(self, key: ObjectKey, file: Path, *, content_type: str = "application/octet-stream") -> None:
        size = (await asyncio.to_thread(file.stat)).st_size
        part_bytes = part_size_bytes(size)
        async with _s3_errors(key):
            if size <= MULTIPART_FROM_BYTES:
                body = await asyncio.to_thread(file.read_bytes)
                await self._client.put_object(**self._at(key), Body=body, ContentType=content_type)
                return
            begun = await self._client.create_multipart_upload(**self._at(key), ContentType=content_type)
            upload = {**self._at(key), "UploadId": begun["UploadId"]}
            try:
                parts = []
                for number, start in enumerate(range(0, size, part_bytes), start=1):
                    body = await asyncio.to_thread(_read_part, file, start, part_bytes)
                    done = await self._client.upload_part(**upload, PartNumber=number, Body=body)
                    parts.append({"PartNumber": number, "ETag": done["ETag"]})
                await self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
            except BaseException:
                await asyncio.shield(self._client.abort_multipart_upload(**upload))
                raise

    async def get_file(self, key: ObjectKey, to: Path) -> None:
        async with _s3_errors(key):
            answer = await self._client.get_object(**self._at(key))
            async with answer["Body"] as body:
                with to.open("wb") as out:
                    while block := await body.read(READ_BYTES):
                        await asyncio.to_thread(out.write, block)

    async def exists(self, key: ObjectKey) -> bool:
        return await self.size(key) is not None

    async def size(self, key: ObjectKey) -> int | None:
        try:
            async with _s3_errors(key):
                return int((await self._client.head_object(**self._at(key)))["ContentLength"])
        except Reject:
            return None

    async def delete(self, key: ObjectKey) -> None:
        async with _s3_errors(key):
            await self._client.delete_object(**self._at(key))

    async def list(self, prefix: str) -> list[ObjectKey]:
        found: list[ObjectKey] = []
        async with _s3_errors(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                found += [ObjectKey(each["Key"].removeprefix(self._prefix)) for each in page.get("Contents", ())]
        return sorted(found)

    @asynccontextmanager
    async def local(self, key: ObjectKey) -> AsyncIterator[Path]:
        await asyncio.to_thread(self._scratch.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            to = Path(folder) / Path(key).name
            await self.get_file(key, to)
            yield to


@asynccontextmanager
async def open_objects(settings: Settings) -> AsyncIterator[Objects]:
    """Open the store that MEDIA_URL names."""
    parts = urlsplit(settings.media_url)
    if parts.scheme != "s3":
        yield Folder(Path(settings.media_url))
        return
    import aioboto3  # noqa: PLC0415 - half a second to import, and only buckets need it
    from botocore.config import Config  # noqa: PLC0415 - comes with aioboto3

    session = aioboto3.Session(
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=settings.aws_secret_access_key,
        region_name=settings.aws_region or "us-east-1",
    )
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 4},
        # Compatible stores need path-style addresses and refuse checksums that they do not know.
        s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    async with session.client("s3", endpoint_url=settings.s3_endpoint_url, config=config) as client:
        yield S3(client, parts.netloc, parts.path, settings.data_dir / "tmp")


def _read_part(file: Path, start: int, size_bytes: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(size_bytes)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _absent(key: str) -> Reject:
    return Reject(f"there is no stored object '{key}'", mend="it was deleted, or MEDIA_URL names another store")


async def _named(key: str, work: Any) -> None:
    try:
        await asyncio.to_thread(work)
    except FileNotFoundError as error:
        raise _absent(key) from error
    except OSError as error:
        raise Retry(f"the media folder cannot be used: {error}") from error


@asynccontextmanager
async def _s3_errors(key: str) -> AsyncIterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see open_objects

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        if code in {"NoSuchKey", "404", "NotFound"}:
            raise _absent(key) from error
        if status >= 500 or status == 429 or code in {"SlowDown", "RequestTimeout", "InternalError"}:
            raise Retry(f"the object store answered {code}") from error
        raise Reject(
            f"the object store refused '{key}': {code}", mend="check MEDIA_URL and the AWS_ settings"
        ) from error
    except BotoCoreError as error:
        raise Retry(f"the object store cannot be reached: {error}") from error
