"""Keys, part sizes, and the store in a folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.objects import Folder, check_key, content_key, open_objects, part_size_bytes
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.ids import ObjectKey

KEY = ObjectKey("sources/ab/abcdef.mp4")
MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "media")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"frames" * 1000)
    return path


@pytest.mark.parametrize(
    "key",
    [
        "", "/etc/passwd", "a//b", "a/", "../a", "a/../../b", "a/./b", "a\\b", "..", ".", ".parts/a", "a/.hidden",
        "a b", "a\nb", "a\x00b", "ä", "C:/a", "a/b\n", "x" * 513, "~/a", "a?b",
    ],
)  # fmt: skip
async def test_a_key_cannot_leave_the_store(key: str, folder: Folder, video: Path) -> None:
    """A platform's id or a file name could write anywhere on the machine."""
    with pytest.raises(Reject, match="no valid object key"):
        await folder.put_file(ObjectKey(key), video)
    for work in (folder.exists, folder.size, folder.delete):
        with pytest.raises(Reject):
            await work(ObjectKey(key))
    assert not folder.root.exists()


@given(st.text(max_size=40))
def test_every_accepted_key_lies_below_the_root(key: str) -> None:
    """A key that nobody thought of could leave the store."""
    try:
        check_key(key)
    except Reject:
        return
    root = Path("/store")
    path = Path(os.path.normpath(root / key))
    assert root in path.parents
    assert path.relative_to(root).as_posix() == key


def test_content_lies_where_its_digest_says() -> None:
    """The same media would be stored twice, or not be found again."""
    digest = "ab" + "0" * 62
    assert content_key("sources", digest, ".mp4") == f"sources/ab/{digest}.mp4"
    check_key(content_key("renditions", digest, ".mp4"))


@pytest.mark.parametrize(
    ("size_bytes", "part_bytes"),
    [(0, 5 * MIB), (5 * MIB, 5 * MIB), (50_000 * MIB, 5 * MIB), (50_000 * MIB + 1, 6 * MIB), (10**13, 954 * MIB)],
)
def test_parts_are_as_s3_wants_them(size_bytes: int, part_bytes: int) -> None:
    """S3 would refuse the upload after all of it was sent."""
    assert part_size_bytes(size_bytes) == part_bytes
    assert -(-size_bytes // part_bytes) <= 10_000


async def test_what_is_put_can_be_read_listed_and_deleted(folder: Folder, video: Path, tmp_path: Path) -> None:
    """Stored media would be lost."""
    assert await folder.size(KEY) is None
    await folder.put_file(KEY, video)
    assert (await folder.exists(KEY), await folder.size(KEY)) == (True, 6000)
    await folder.get_file(KEY, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == video.read_bytes()
    async with folder.local(KEY) as path:
        assert path.read_bytes() == video.read_bytes()
    await folder.put_file(ObjectKey("voices/x.wav"), video)
    assert await folder.list("") == [KEY, "voices/x.wav"]
    assert await folder.list("sources/a") == [KEY]
    await folder.delete(KEY)
    await folder.delete(KEY)
    assert not await folder.exists(KEY)
    assert await folder.list("") == ["voices/x.wav"]


async def test_an_object_that_is_not_there_is_named(folder: Folder, tmp_path: Path) -> None:
    """The stage would retry for ever, or work on nothing."""
    with pytest.raises(Reject, match=f"no stored object '{KEY}'"):
        await folder.get_file(KEY, tmp_path / "copy")
    with pytest.raises(Reject, match=f"no stored object '{KEY}'"):
        async with folder.local(KEY):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_a_put_that_fails_leaves_the_old_object_and_no_trace(
    folder: Folder, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader would get half a video, or the disk would fill with remains."""
    await folder.put_file(KEY, video)
    newer = tmp_path / "newer.mp4"
    newer.write_bytes(b"new")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Retry, match="No space left"):
        await folder.put_file(KEY, newer)
    async with folder.local(KEY) as path:
        assert path.read_bytes() == video.read_bytes()
    assert [path for path in folder.root.rglob("*") if path.is_file()] == [path]
    monkeypatch.undo()
    await folder.put_file(KEY, newer)
    assert await folder.size(KEY) == 3


async def test_what_killed_processes_left_goes_after_a_day(folder: Folder, video: Path) -> None:
    """Half-written videos would fill the disk; one that is being written now must stay."""
    await folder.put_file(KEY, video)
    old, new = folder.root / ".parts" / "old", folder.root / ".parts" / "new"
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    async with open_objects(Settings(media_url=str(folder.root))) as objects:
        assert await objects.list("") == [KEY]
    assert (old.exists(), new.exists()) == (False, True)
