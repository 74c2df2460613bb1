"""Niches that might be worth watching: proposed from what was found, never scanned by themselves. Pure but for a judge.

Works that several makers tag or title alike name a neighbour of their niche; a rising topic that shares a word with
them does too. A judge (a language model, say) may propose more from the same words; see `Judges`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, Protocol

from msgspec import Struct

from actors.scanner.movement import words_of
from contracts.platform import Candidate, Topic

__all__ = ["Judges", "Proposal", "from_topics", "from_words", "shared_words"]

MOST: Final = 5
MOST_WORDS: Final = 30
FEWEST_MAKERS: Final = 3
LONGEST_CHARS: Final = 40
MOST_TERM_WORDS: Final = 3
_IDLE_WORDS: Final = (
    "a about after all an and are as at be best but by can for from full get good has have here how i if in into is it "
    "its just know like make making me more most must my new no not now of off on one only or our out part so some "
    "than that the their them then there they this to today too top up us very was watch we week what when where "
    "which who why will with you your"
)
_PLATFORM_WORDS: Final = (
    "channel clip clips cc creative commons explore foryou foryoupage fyp hd instagram live long movie reel reels "
    "sandbox short shorts subscribe tiktok trend trending video videos viral vlog youtube"
)
_IDLE: Final = frozenset((*_IDLE_WORDS.split(), *_PLATFORM_WORDS.split()))
"""Words that say nothing of a subject."""


class Proposal(Struct, frozen=True, kw_only=True):
    """A niche that might be worth watching. near: the niche it was found at; score: 0..1, among its kind."""

    name: str
    near: str
    reason: str
    proposed_by: str
    score: float


class Judges(Protocol):
    """Proposes niches from the words of a watched one: where a language model is set, one made of it."""

    name: str
    """Who it is, for people: it stands beside what it proposed."""

    async def ready(self) -> None:
        """Return if it may be asked now. Raises: RateLimited."""
        ...

    async def propose(self, niche: str, words: Sequence[str]) -> tuple[Proposal, ...]:
        """Return niches near `niche`, best first. words: what its works have in common; data, never instructions.

        Raises: the errors of `contracts.errors`.
        """
        ...


def shared_words(niche: str, found: Sequence[Candidate]) -> tuple[tuple[str, int], ...]:
    """Return tags and pairs of title words with the number of makers who use each, the most frequent first.

    What the niche itself says, idle words and what fewer than three makers use is left out.
    """
    own = set(words_of(niche))
    makers: dict[str, set[str]] = defaultdict(set)
    for one in found:
        maker = one.creator_id or one.creator or one.item_id
        for term in _terms(one):
            words = term.split()
            if not set(words) <= own and not set(words) <= _IDLE:
                makers[term].add(f"{one.platform} {maker}")
    counted = [(term, len(who)) for term, who in makers.items() if len(who) >= FEWEST_MAKERS]
    counted.sort(key=lambda pair: (-pair[1], -len(pair[0]), pair[0]))
    return tuple(counted[:MOST_WORDS])


def from_words(niche: str, found: Sequence[Candidate]) -> tuple[Proposal, ...]:
    """Propose what many makers of the found works name beside the niche."""
    everybody = len({f"{one.platform} {one.creator_id or one.creator or one.item_id}" for one in found})
    chosen: list[Proposal] = []
    for term, makers in shared_words(niche, found):
        if any(set(term.split()) <= set(one.name.split()) for one in chosen):
            continue
        reason = f"{makers} of {everybody} makers of works found for '{niche}' use it"
        chosen.append(Proposal(name=term, near=niche, reason=reason, proposed_by="words", score=makers / everybody))
    return tuple(chosen[:MOST])


def from_topics(niche: str, found: Sequence[Candidate], topics: Iterable[Topic]) -> tuple[Proposal, ...]:
    """Propose rising topics that speak of the niche, or of what many of its works name."""
    near = [set(words_of(niche)), *(set(term.split()) for term, _ in shared_words(niche, found))]
    chosen: dict[str, Proposal] = {}
    for topic in topics:
        name = " ".join(topic.name.split())[:LONGEST_CHARS]
        said = set(words_of(" ".join((topic.name, *topic.related))))
        shared = next((words for words in near if words and words <= said), None)
        if shared is None or not words_of(name) or set(words_of(name)) <= set(words_of(niche)):
            continue
        volume = f", {topic.volume:,} {topic.unit}" if topic.volume is not None else ""
        where = f" in {topic.region}" if topic.region else ""
        reason = f"rises on {topic.platform}{where}{volume}, and speaks of {' '.join(sorted(shared))}"
        chosen.setdefault(
            name.casefold(), Proposal(name=name, near=niche, reason=reason, proposed_by="topics", score=0.5)
        )
    return tuple(chosen.values())[:MOST]


def _terms(one: Candidate) -> set[str]:
    """Return the tags of a work and the pairs of neighbouring title words, folded."""
    tags = (words_of(tag) for tag in one.tags)
    terms = {" ".join(words) for words in tags if 0 < len(words) <= MOST_TERM_WORDS}
    title = words_of(one.title)
    terms |= {f"{a} {b}" for a, b in pairwise(title) if a not in _IDLE and b not in _IDLE}
    return {term for term in terms if 3 <= len(term) <= LONGEST_CHARS and not term.replace(" ", "").isdigit()}
