"""Which of two variants comes next: drawn by an experiment's seed, alike wherever it is asked. Pure."""

from __future__ import annotations

import random
from typing import Final, Literal

__all__ = ["Variant", "variant_of"]

Variant = Literal["A", "B"]

_HALF: Final = 0.5


def variant_of(seed: int, number: int) -> Variant:
    """Return the variant of a turn (or of the number-th post): each pair has both, in an order drawn by the seed."""
    first: Variant = "A" if random.Random(f"{seed}/{number // 2}").random() < _HALF else "B"  # noqa: S311 - no secret
    other: Variant = "B" if first == "A" else "A"
    return first if number % 2 == 0 else other
