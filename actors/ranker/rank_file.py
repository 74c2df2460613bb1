"""Rank candidates from a file, with no services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from actors.ranker.policy import Contender, Outcome, choose
from actors.ranker.score import Observation, score, uses_for
from contracts.errors import Reject
from contracts.events import CandidateFound, Reason
from contracts.ids import ItemId
from contracts.platform import Candidate

__all__ = ["Ranked", "rank_lines"]


class Ranked(Struct, frozen=True, kw_only=True):
    """One candidate of a file, with what would become of it."""

    item_id: ItemId
    title: str
    url: str
    score: float
    reasons: tuple[Reason, ...]
    outcome: Outcome
    because: str


_CANDIDATE: Final = msgspec.json.Decoder(Candidate)
_EVENT: Final = msgspec.json.Decoder(CandidateFound)


def rank_lines(lines: Iterable[str | bytes], *, niche: str | None, monetised: bool) -> tuple[Ranked, ...]:
    """Rank candidates, one JSON object a line, best first.

    A line is a Candidate or a `candidate.found` event. The same work on several lines is one candidate observed
    several times: the newest counts, the older ones give its measured velocity.
    Args: niche: words of the niche; None: those of the events (a plain Candidate has none: middling relevance).
    Raises: Reject, naming the first line that cannot be read.
    """
    seen: dict[ItemId, list[tuple[Candidate, str]]] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            candidate, words = _read(line, number)
            seen.setdefault(candidate.item_id, []).append((candidate, words if niche is None else niche))
    uses = uses_for(monetised=monetised)
    ranked = {}
    for item_id, sightings in seen.items():
        *older, (newest, words) = sorted(sightings, key=lambda one: one[0].observed_at)
        earlier = [Observation(observed_at=old.observed_at, views=old.metrics.views) for old, _ in older]
        ranked[item_id] = newest, score(newest, niche=words, earlier=earlier, uses=uses)
    if not ranked:
        return ()
    choices = choose(
        [
            Contender(
                item_id=item_id,
                score=scored.score,
                decision="found",
                rights=candidate.rights,
                has_media=candidate.media_url is not None,
            )
            for item_id, (candidate, scored) in ranked.items()
        ],
        uses=uses,
        at=max(candidate.observed_at for candidate, _ in ranked.values()),
    )
    return tuple(
        Ranked(
            item_id=choice.item_id,
            title=candidate.title,
            url=candidate.url,
            score=scored.score,
            reasons=scored.reasons,
            outcome=choice.outcome,
            because=choice.because,
        )
        for choice in choices
        for candidate, scored in (ranked[choice.item_id],)
    )


def _read(line: str | bytes, number: int) -> tuple[Candidate, str]:
    try:
        head = msgspec.json.decode(line)
        if isinstance(head, dict) and "type" in head:
            event = _EVENT.decode(line)
            return event.candidate, event.niche
        return _CANDIDATE.decode(line), ""
    except msgspec.DecodeError as error:
        raise Reject(
            f"line {number} is no candidate: {error}", mend="give one JSON object a line, as candidate.found has it"
        ) from error
