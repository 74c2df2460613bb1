"""The file of a finished chunk or sound: an MP4, and behind it a box with what the join must know of it.

Any player ignores the box (ISO/IEC 14496-12:2022, 4.2: unknown types are skipped). Behind its facts lie the SHA-256 of
everything before it and the length of the box, so that a file that was cut short or changed is never taken for whole.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

__all__ = ["ChunkFacts", "Shown", "SoundFacts", "facts_of", "seal"]

F = TypeVar("F", bound="ChunkFacts | SoundFacts")
_KIND: Final = hashlib.sha256(b"ettametta facts 1").digest()[:16]
_HEAD: Final = struct.Struct(">I4s16s")
_LENGTH: Final = struct.Struct(">I")


class Shown(Struct, frozen=True, kw_only=True):
    """How one source looked, frame by frame, before effects. first_frame: of the plan's output."""

    clip: int
    pane: int
    first_frame: int
    signatures: bytes


class ChunkFacts(Struct, frozen=True, kw_only=True, tag="chunk"):
    """What the join must know of a chunk. signatures: one of gate.SIGNATURE_BYTES for each frame, as composed."""

    key: str
    engine: str
    first_frame: int
    frames: int
    delay: int
    packets_sha256: str
    signatures: bytes
    shown: tuple[Shown, ...]
    asked_us: int
    usable_us: int
    whole: int
    damaged: int
    last_error: str = ""


class SoundFacts(Struct, frozen=True, kw_only=True, tag="sound"):
    """What the join must know of the sound."""

    key: str
    engine: str
    samples: int
    packets_sha256: str
    notes: tuple[str, ...] = ()


_DECODER: Final = msgspec.msgpack.Decoder(ChunkFacts | SoundFacts)


def seal(path: Path, facts: ChunkFacts | SoundFacts) -> str:
    """Write the facts behind a finished MP4; return the file's SHA-256, hex."""
    body = msgspec.msgpack.encode(facts)
    length = _HEAD.size + len(body) + hashlib.sha256().digest_size + _LENGTH.size
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256")
        for piece in (_HEAD.pack(length, b"uuid", _KIND), body):
            file.write(piece)
            digest.update(piece)
        for piece in (digest.digest(), _LENGTH.pack(length)):
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def facts_of(path: Path, kind: type[F]) -> F | None:
    """Return the facts of a file; None if it is not there, not whole or of another kind."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LENGTH.size))
            (length,) = _LENGTH.unpack(file.read())
            mark = hashlib.sha256().digest_size
            file.seek(size - length)
            box = file.read(length)
            found = _HEAD.unpack(box[: _HEAD.size])
            facts = _DECODER.decode(box[_HEAD.size : -mark - _LENGTH.size])
            if found != (length, b"uuid", _KIND) or not isinstance(facts, kind):
                return None
            file.seek(0)
            digest = hashlib.sha256()
            left = size - _LENGTH.size - mark
            while left and (piece := file.read(min(left, 1 << 20))):
                digest.update(piece)
                left -= len(piece)
    except (OSError, ValueError, struct.error, msgspec.DecodeError):
        return None
    whole = digest.digest() == box[-mark - _LENGTH.size : -_LENGTH.size]
    return facts if whole else None
