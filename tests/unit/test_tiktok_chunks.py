"""TikTok's chunk arithmetic against the written rules, for every size that it takes."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.platforms._tiktok.chunks import CHUNK_BYTES, MAX_BYTES, Chunks
from contracts.errors import Reject

MB = 1024 * 1024
EDGES = [n * MB + more for n in (1, 5, 10, 16, 32, 64, 80, 96, 128, 1000, 1024, 4096) for more in (-1, 0, 1)]
SIZES = st.one_of(
    st.integers(1, 4096 * MB), st.sampled_from([size for size in EDGES if size <= 4096 * MB]), st.integers(1, 6 * MB)
)
WISHES = st.one_of(st.just(CHUNK_BYTES), st.integers(1, 200 * MB))


@settings(max_examples=3000, deadline=None)
@given(size=SIZES, wish=WISHES)
@example(size=1, wish=CHUNK_BYTES)
@example(size=4096 * MB, wish=CHUNK_BYTES)
@example(size=4096 * MB, wish=1)
@example(size=128 * MB - 1, wish=64 * MB)
def test_every_file_is_cut_by_the_written_rules(size: int, wish: int) -> None:
    """TikTok refuses an upload whose numbers break one rule (docs/platforms: media transfer guide)."""
    cut = Chunks.of(size, chunk_bytes=wish)
    assert cut.count == size // cut.chunk_bytes, "the count is rounded down: the remainder goes with the last chunk"
    assert 1 <= cut.count <= 1000
    if size < 5 * MB:
        assert (cut.chunk_bytes, cut.count) == (size, 1)
    else:
        assert 5 * MB <= cut.chunk_bytes <= 64 * MB
    if size > 64 * MB:
        assert cut.count > 1
    last = size - cut.chunk_bytes * (cut.count - 1)
    assert cut.chunk_bytes <= last <= 128 * MB


@settings(max_examples=300, deadline=None)
@given(size=SIZES, wish=WISHES, at=st.floats(0, 1, exclude_max=True))
def test_the_chunks_cover_the_file_in_order(size: int, wish: int, at: float) -> None:
    """A gap or an overlap breaks the video; a byte belongs to the chunk that holds it."""
    cut = Chunks.of(size, chunk_bytes=wish)
    ends, done = [], 0
    while done < size:
        first, end = cut.chunk_at(done)
        assert first == done < end
        ends.append(end)
        done = end
    assert (len(ends), done) == (cut.count, size)
    byte = int(size * at)
    first, end = cut.chunk_at(byte)
    assert first <= byte < end


@settings(max_examples=300, deadline=None)
@given(size=SIZES, index=st.integers(0, 1000))
def test_the_count_is_understood_either_way(size: int, index: int) -> None:
    """The documents leave open whether the answer names the number of bytes or the last one's index."""
    cut = Chunks.of(size)
    done = size if index >= cut.count else index * cut.chunk_bytes
    assert cut.begin_of(done) == done
    if done and cut.chunk_at(done - 1)[0] != done - 1:
        assert cut.begin_of(done - 1) == done


def test_the_worked_example_of_the_documents() -> None:
    """50,000,123 bytes in chunks of 10,000,000: five, the last one with 10,000,123."""
    cut = Chunks.of(50_000_123, chunk_bytes=10_000_000)
    assert (cut.chunk_bytes, cut.count) == (10_000_000, 5)
    assert cut.chunk_at(40_000_000) == (40_000_000, 50_000_123)


@pytest.mark.parametrize("size", [0, -1, MAX_BYTES + 1])
def test_other_sizes_are_refused(size: int) -> None:
    """An init for them costs one of six a minute and ends in an error."""
    with pytest.raises(Reject, match="the file has"):
        Chunks.of(size)
