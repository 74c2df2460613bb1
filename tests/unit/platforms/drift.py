"""Answers that a platform changed without notice: every field of a good one, missing or of another type."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from contracts.errors import Retry
from contracts.platform import Candidate, Topic

__all__ = ["assert_withstands", "drifted"]

STRANGE: Final[tuple[Any, ...]] = (None, True, -1, 2**70, 1.5, "", "strange\x00 words", [], [[7]], {}, {"a": {"b": 1}})
MISSING: Final = object()


def _paths(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in below:
        yield (*above, key)
        yield from _paths(value, (*above, key))


def drifted(answer: Any) -> Iterator[tuple[str, Any]]:
    """Give each variant of `answer` with one place changed, and words for it."""
    for path in _paths(answer):
        for strange in (MISSING, *STRANGE):
            variant = copy.deepcopy(answer)
            node = variant
            for key in path[:-1]:
                node = node[key]
            if strange is MISSING:
                del node[path[-1]]
            else:
                node[path[-1]] = strange
            yield f"{'.'.join(map(str, path))} = {'missing' if strange is MISSING else repr(strange)}", variant


def assert_withstands(answer: Any, parse: Callable[[Any], tuple[Candidate | Topic, ...]]) -> None:
    """Check that `parse` gives sound candidates or a Retry, whatever place of `answer` is changed."""
    assert parse(answer), "the answer itself must be understood"
    for words, variant in drifted(answer):
        try:
            found = parse(variant)
        except Retry:
            continue
        for one in found:
            again = msgspec.json.decode(msgspec.json.encode(one), type=type(one))
            assert again == one, words
            assert "\\x00" not in repr(one), words
