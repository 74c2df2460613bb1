"""Objects by key: media in a folder or in an S3 bucket. Nothing is ever half there.

Sources: "Amazon S3 multipart upload limits" (5 MiB least part, 10,000 parts) and the service model of botocore
1.40, read 2026-11-22. botocore itself finds the <Error> that CompleteMultipartUpload may send with status 200.
A process that is killed while it uploads leaves parts that cost storage: give the bucket a lifecycle rule
AbortIncompleteMultipartUpload.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.ids import ObjectKey

__all__ = ["S3", "Folder", "Objects", "check_key", "content_key", "open_objects", "part_size_bytes"]

MIB: Final = 1024 * 1024
MULTIPART_FROM_BYTES: Final = 8 * MIB
LEAST_PART_BYTES: Final = 5 * MIB
MOST_PARTS: Final = 10_000
READ_BYTES: Final = MIB
LONGEST_KEY: Final = 512
PARTS_FOLDER: Final = ".parts"
PARTS_KEPT_S: Final = 86_400
MISCONFIGURED_DELAY_S: Final = 60.0

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_ABSENT: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_TRANSIENT: Final = frozenset({"BadDigest", "IncompleteBody", "NoSuchUpload", "RequestTimeout", "SlowDown"})

T = TypeVar("T")


class Objects(Protocol):
    """A store. Keys are relative, with forward slashes."""

    async def put_file(self, key: ObjectKey, file: Path, *, content_type: str = "application/octet-stream") -> None:
        """Store a file under a key, whole or not at all. Raises: Reject (bad key), Retry."""
        ...

    async def get_file(self, key: ObjectKey, to: Path) -> None:
        """Write the object to a file, which is not there unless it is whole. Raises: Reject if there is none, Retry."""
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

    def local(self, key: ObjectKey) -> AbstractAsyncContextManager[Path]:
        """Give a path to read the object at, for as long as the context lasts. Raises: Reject if there is none."""
        ...

    async def address(self, key: ObjectKey, *, life_s: int) -> str | None:
        """Return where others may read the object for a while, a secret; None: this store is not on the net."""
        ...


def content_key(prefix: str, sha256: str, suffix: str) -> ObjectKey:
    """Return the key of content-addressed data: prefix/ab/abcdef….suffix."""
    return ObjectKey(f"{prefix}/{sha256[:2]}/{sha256}{suffix}")


def check_key(key: str) -> None:
    """Raises: Reject if the key could leave the store or would not be the same everywhere."""
    if not _KEY.fullmatch(key) or len(key) > LONGEST_KEY:
        raise Reject(
            f"'{key}' is no valid object key",
            mend="use letters, digits, '.', '_' and '-' in parts joined by '/', none of which begins with '.'",
        )


def part_size_bytes(size_bytes: int) -> int:
    """Return the part size of a multipart upload: at least 5 MiB, at most 10,000 parts, whole MiB."""
    least = max(LEAST_PART_BYTES, -(-size_bytes // MOST_PARTS))
    return -(-least // MIB) * MIB


class Folder:
    """A store in a folder of this machine. What is being written lies in a folder of its own until it is whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: ObjectKey) -> Path:
        check_key(key)
        return self.root / key

    async def put_file(self, key: ObjectKey, file: Path, *, content_type: str = "application/octet-stream") -> None:  # noqa: ARG002 - a folder keeps no types
        to = self.path(key)
        await _in_folder(key, lambda: self._put(to, file))

    async def get_file(self, key: ObjectKey, to: Path) -> None:
        await _in_folder(key, lambda: _copy_whole(self.path(key), to))

    async def exists(self, key: ObjectKey) -> bool:
        return await asyncio.to_thread(self.path(key).is_file)

    async def size(self, key: ObjectKey) -> int | None:
        path = self.path(key)
        return await asyncio.to_thread(lambda: path.stat().st_size if path.is_file() else None)

    async def address(self, key: ObjectKey, *, life_s: int) -> str | None:  # noqa: ARG002 - a folder is not on the net
        return None

    async def delete(self, key: ObjectKey) -> None:
        await _in_folder(key, lambda: self.path(key).unlink(missing_ok=True))

    async def list(self, prefix: str) -> list[ObjectKey]:
        return await asyncio.to_thread(_keys, self.root, prefix)

    @asynccontextmanager
    async def local(self, key: ObjectKey) -> AsyncIterator[Path]:
        path = self.path(key)
        if not await asyncio.to_thread(path.is_file):
            raise _absent(key)
        yield path

    def clear(self) -> None:
        """Remove what killed processes left half written, once it is a day old."""
        for part in (self.root / PARTS_FOLDER).glob("*"):
            with suppress(FileNotFoundError):  # another process clears too
                if time.time() - part.stat().st_mtime > PARTS_KEPT_S:
                    part.unlink()

    def _put(self, to: Path, file: Path) -> None:
        parts = self.root / PARTS_FOLDER
        parts.mkdir(parents=True, exist_ok=True)
        part = parts / uuid.uuid4().hex
        try:
            shutil.copyfile(file, part)
            with part.open("rb+") as written:
                os.fsync(written.fileno())
            to.parent.mkdir(parents=True, exist_ok=True)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
        folder = to.parent
        while folder != self.root.parent:
            _sync_folder(folder)
            folder = folder.parent


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
        size_bytes = (await asyncio.to_thread(file.stat)).st_size
        async with _s3_errors(key):
            if size_bytes < MULTIPART_FROM_BYTES:
                body = await asyncio.to_thread(file.read_bytes)
                await self._client.put_object(**self._at(key), Body=body, ContentType=content_type)
            else:
                await self._put_parts(key, file, size_bytes, content_type)

    async def get_file(self, key: ObjectKey, to: Path) -> None:
        part = to.with_name(f"{to.name}.{uuid.uuid4().hex}.part")
        try:
            async with _s3_errors(key):
                answer = await self._client.get_object(**self._at(key))
                async with answer["Body"]:
                    with part.open("wb") as out:
                        while block := await answer["Body"].read(READ_BYTES):
                            await asyncio.to_thread(out.write, block)
            if part.stat().st_size != answer["ContentLength"]:
                raise Retry(f"the object store sent only a part of '{key}'")
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    async def exists(self, key: ObjectKey) -> bool:
        return await self.size(key) is not None

    async def size(self, key: ObjectKey) -> int | None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see open_objects

        async with _s3_errors(key):
            try:
                return int((await self._client.head_object(**self._at(key)))["ContentLength"])
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise

    async def address(self, key: ObjectKey, *, life_s: int) -> str | None:
        async with _s3_errors(key):
            place = await self._client.generate_presigned_url("get_object", Params=self._at(key), ExpiresIn=life_s)
        return str(place)

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

    async def _put_parts(self, key: ObjectKey, file: Path, size_bytes: int, content_type: str) -> None:
        part_bytes = part_size_bytes(size_bytes)
        begun = await self._client.create_multipart_upload(**self._at(key), ContentType=content_type)
        upload = {**self._at(key), "UploadId": begun["UploadId"]}
        parts = []
        try:
            for number, start in enumerate(range(0, size_bytes, part_bytes), start=1):
                body = await asyncio.to_thread(_read_part, file, start, part_bytes)
                done = await self._client.upload_part(**upload, PartNumber=number, Body=body)
                parts.append({"PartNumber": number, "ETag": done["ETag"]})
            await self._complete(key, upload, parts, size_bytes)
        except BaseException:
            await asyncio.shield(self._abort(upload))
            raise

    async def _complete(
        self, key: ObjectKey, upload: dict[str, str], parts: Sequence[dict[str, Any]], size_bytes: int
    ) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see open_objects

        try:
            await self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [*parts]})
        except ClientError as error:
            # An earlier try of botocore's own was done, and only its answer was lost.
            if _code(error) == "NoSuchUpload" and await self.size(key) == size_bytes:
                return
            raise

    async def _abort(self, upload: dict[str, str]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see open_objects

        # What failed before says more than that the parts could not be removed.
        with suppress(BotoCoreError, ClientError):
            await self._client.abort_multipart_upload(**upload)


@asynccontextmanager
async def open_objects(settings: Settings) -> AsyncIterator[Objects]:
    """Open the store that MEDIA_URL names."""
    parts = urlsplit(settings.media_url)
    if parts.scheme != "s3":
        folder = Folder(Path(settings.media_url))
        await asyncio.to_thread(folder.clear)
        yield folder
        return
    import aioboto3  # noqa: PLC0415 - half a second to import, and only buckets need it
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - comes with aioboto3

    session = aioboto3.Session(
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=settings.aws_secret_access_key,
        region_name=settings.aws_region or "us-east-1",
    )
    config = AioConfig(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 3},
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


def _keys(root: Path, prefix: str) -> list[ObjectKey]:
    names = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return sorted(ObjectKey(name) for name in names if name.startswith(prefix) and _KEY.fullmatch(name))


def _copy_whole(source: Path, to: Path) -> None:
    part = to.with_name(f"{to.name}.{uuid.uuid4().hex}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)


async def _in_folder(key: str, work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except FileNotFoundError as error:
        raise _absent(key) from error
    except OSError as error:
        raise Retry(f"the media folder cannot be used: {error}") from error


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@asynccontextmanager
async def _s3_errors(key: str) -> AsyncIterator[None]:
    import aiohttp  # noqa: PLC0415 - see open_objects
    from botocore import exceptions as boto  # noqa: PLC0415 - see open_objects

    try:
        yield
    except boto.ClientError as error:
        code = _code(error)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        if code in _ABSENT:
            raise _absent(key) from error
        if status >= 500 or status == 429 or code in _TRANSIENT:
            raise Retry(f"the object store answered {code}") from error
        if status in {401, 403} or code == "NoSuchBucket":
            raise Retry(
                f"the object store refused '{key}': {code}; correct MEDIA_URL or the AWS_ settings",
                delay_s=MISCONFIGURED_DELAY_S,
            ) from error
        raise Reject(f"the object store refused '{key}': {code}", mend="its log says more") from error
    except (boto.HTTPClientError, boto.ConnectionError, aiohttp.ClientError, TimeoutError) as error:
        raise Retry(f"the object store cannot be reached: {error}") from error
    except boto.BotoCoreError as error:
        raise Retry(
            f"the object store cannot be used: {error}; correct MEDIA_URL or the AWS_ settings",
            delay_s=MISCONFIGURED_DELAY_S,
        ) from error
