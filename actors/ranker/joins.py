"""Which entries of a batch are one work, with each other and with what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from actors.ranker.entries import Entry
from actors.ranker.identity import Mark, Verdict, length_tolerance_us, number_of, same_work
from actors.runtime.db import Connection, Record, load_queries
from contracts.ids import ItemId

__all__ = ["MOST_NAMESAKES", "Joins", "Q", "join_by_key", "join_by_title", "node_of"]

Q: Final = load_queries(Path(__file__).with_name("joins.sql"))

MOST_NAMESAKES: Final = 8
"""Items of one title and length that a new one is compared with: works that share so much are a series."""


class Joins:
    """Works and new items, joined step by step (union-find). A node is a work id, or a new item's number negated."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def root(self, node: int) -> int:
        above = self._above
        while (higher := above.get(node, node)) != node:
            above[node] = node = above.get(higher, higher)
        return node

    def join(self, a: int, b: int) -> bool:
        """Join two nodes; return whether they were apart. Works lie above new items, old above young."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return False
        top, below = sorted((a, b), key=lambda node: (node < 0, abs(node)))
        self._above[below] = top
        return True

    def settle(self, fresh: Sequence[Entry], linking: Sequence[Entry]) -> tuple[int, list[tuple[int, int]]]:
        """Give every item its work. Returns: how many works are new, and (lost, kept) of merged ones."""
        founded: set[int] = set()
        for entry in fresh:
            root = self.root(-entry.item_no)
            entry.work_id = abs(root)
            if root < 0:
                founded.add(entry.work_id)
        for entry in linking:
            entry.work_id = self.root(node_of(entry))
        return len(founded), self.lost()

    def lost(self) -> list[tuple[int, int]]:
        """Return (lost, kept) of works that became one."""
        pairs = ((node, self.root(node)) for node in self._above if node > 0)
        return sorted(pair for pair in pairs if pair[0] != pair[1])


def node_of(entry: Entry) -> int:
    return -entry.item_no if entry.work_id is None else entry.work_id


async def join_by_key(
    conn: Connection, entries: Sequence[Entry], works: dict[str, int | None], joins: Joins
) -> set[str]:
    """Join what shares an id or address; return those of them that lead to a work already."""
    asked = {
        key: number
        for entry in entries
        for key, number in zip(entry.keys, entry.numbers, strict=False)
        if number is not None
    }
    by_number = {row["key"]: row["work_id"] for row in await conn.fetch(Q["keys"], list(asked.values()))}
    held: dict[str, int] = {key: work for key, work in works.items() if work is not None}
    for key, number in asked.items() if by_number else ():
        if number in by_number:
            joins.join(held.setdefault(key, by_number[number]), by_number[number])
    known = set(held)
    for entry in entries:
        node = node_of(entry)
        for at, key in enumerate(entry.keys):
            if joins.join(held.setdefault(key, node), node):
                entry.because = f"it {'is' if at < len(entry.mark.own) else 'links to'} {key}"
    return known


async def join_by_title(conn: Connection, fresh: Sequence[Entry], joins: Joins, *, merging: bool = False) -> None:
    titled = [entry for entry in fresh if entry.title_key is not None and entry.mark.duration_us is not None]
    bounds = [_length_bounds(entry.mark) for entry in titled]
    rows = await conn.fetch(
        Q["namesakes"],
        list(range(len(titled))),
        [entry.title_key for entry in titled],
        [least for least, _ in bounds],
        [most for _, most in bounds],
        MOST_NAMESAKES,
    )
    others: dict[ItemId, list[tuple[int, Verdict]]] = {}
    for row in rows:
        mark = titled[row["at"]].mark
        verdict = same_work(mark, _stored(row, mark))
        if merging and verdict.same and row["picture"] is None:
            continue
        others.setdefault(mark.item_id, []).append((row["work_id"], verdict))
    for group in _namesakes(titled):
        for at, entry in enumerate(group):
            told = others.get(entry.mark.item_id, [])
            told += [(node_of(o), same_work(entry.mark, o.mark)) for o in group[max(at - MOST_NAMESAKES, 0) : at]]
            _join_one(joins, entry, told, merging=merging)


def _join_one(joins: Joins, entry: Entry, others: Sequence[tuple[int, Verdict]], *, merging: bool) -> None:
    """Join an item to the first work of its title that fits, and to none that holds another part of a series.

    Two works that are there already are not merged for a title's sake, but by a picture that was looked at (merging).
    """
    against = {joins.root(node) for node, verdict in others if verdict.against}
    for node, verdict in others:
        root, own = joins.root(node), joins.root(node_of(entry))
        if verdict.same and root not in against and (merging or not (root > 0 and own > 0)) and joins.join(root, own):
            entry.because = verdict.because
            return


def _namesakes(titled: Sequence[Entry]) -> Iterator[list[Entry]]:
    groups: dict[int | None, list[Entry]] = {}
    for entry in titled:
        groups.setdefault(entry.title_key, []).append(entry)
    for group in groups.values():
        yield sorted(group, key=lambda entry: entry.mark.duration_us or 0)


def _length_bounds(mark: Mark) -> tuple[int, int]:
    """Return lengths between which all that can agree lie; `same_work` decides."""
    length = mark.duration_us or 0
    slack = length_tolerance_us(length)
    return length - slack, length + slack


def _stored(row: Record, like: Mark) -> Mark:
    """Return the mark of a stored item of the same title; of its creator only whether it is the same one is known."""
    creator_key = row["creator_key"]
    same = creator_key is not None and creator_key == number_of(like.creator)
    return Mark(
        item_id=row["item_id"],
        platform=row["platform"],
        own=(row["item_id"],),
        title=like.title,
        telling=like.telling,
        duration_us=row["duration_us"],
        creator=like.creator if same else "" if creator_key is None else "another",
        language=row["language"],
        picture=row["picture"],
        published_at=row["published_at"],
    )
