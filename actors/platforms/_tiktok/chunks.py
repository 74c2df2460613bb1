"""How TikTok wants a file cut. Pure.

Docs: developers.tiktok.com/doc/content-posting-api-media-transfer-guide ("Chunk restrictions"), read 2026-11-23:
`total_chunk_count` is `video_size / chunk_size` rounded down; the remainder goes with the last chunk, which may be
larger than `chunk_size`. Each chunk has 5 to 64 MB, the last one at most 128 MB; a video below 5 MB is one chunk, one
above 64 MB several; 1 to 1,000 chunks, in order; at most 4 GB. A MB is taken as 1,048,576 bytes, as in its example.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from contracts.errors import Reject

__all__ = ["CHUNK_BYTES", "LAST_MAX_BYTES", "MAX_BYTES", "MAX_CHUNKS", "MAX_CHUNK_BYTES", "MIN_CHUNK_BYTES", "Chunks"]

MIB: Final = 1 << 20
MIN_CHUNK_BYTES: Final = 5 * MIB
MAX_CHUNK_BYTES: Final = 64 * MIB
LAST_MAX_BYTES: Final = 128 * MIB
MAX_CHUNKS: Final = 1000
MAX_BYTES: Final = 4096 * MIB
CHUNK_BYTES: Final = 16 * MIB


class Chunks(Struct, frozen=True, kw_only=True):
    """How one file is cut: `count` chunks of `chunk_bytes`, the last one with the remainder."""

    size_bytes: int
    chunk_bytes: int
    count: int

    @classmethod
    def of(cls, size_bytes: int, *, chunk_bytes: int = CHUNK_BYTES) -> Chunks:
        """Cut a file into chunks of about `chunk_bytes`. Raises: Reject if TikTok takes no file of that size."""
        if not 0 < size_bytes <= MAX_BYTES:
            raise Reject(f"the file has {size_bytes} bytes", mend=f"TikTok takes 1 to {MAX_BYTES}")
        fewest = max(MIN_CHUNK_BYTES, -(-size_bytes // MAX_CHUNKS))
        chunk_bytes = min(max(chunk_bytes, fewest), MAX_CHUNK_BYTES)
        count = max(1, size_bytes // chunk_bytes)
        if count == 1 and size_bytes <= MAX_CHUNK_BYTES:
            chunk_bytes = size_bytes
        elif count == 1:
            chunk_bytes, count = size_bytes // 2, 2
        return cls(size_bytes=size_bytes, chunk_bytes=chunk_bytes, count=count)

    def chunk_at(self, byte: int) -> tuple[int, int]:
        """Return where the chunk with that byte begins and ends (first byte, byte after the last)."""
        index = min(byte // self.chunk_bytes, self.count - 1)
        first = index * self.chunk_bytes
        return first, self.size_bytes if index == self.count - 1 else first + self.chunk_bytes

    def begin_of(self, told: int) -> int:
        """Return how many bytes are there if the platform tells of `told`: a count, or the last byte's index."""
        return next((n for n in (told, told + 1) if n == self.size_bytes or self.chunk_at(n)[0] == n), told)
