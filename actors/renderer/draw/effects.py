"""What the effects of a plan do at one moment of output time. Pure: the same moment always gives the same answer."""

from __future__ import annotations

from typing import NamedTuple

from contracts.plan import Effect, Flash, Mirror, PunchIn, Zoom

__all__ = ["Moment", "ease", "moment"]


class Moment(NamedTuple):
    """The state of all effects. scale: magnification about the centre; white: share of white over the picture, 0..1."""

    scale: float = 1.0
    mirrored: bool = False
    white: float = 0.0


def ease(x: float) -> float:
    """Go from 0 to 1 with no speed at both ends: smoothstep, 3x² - 2x³."""
    x = min(1.0, max(0.0, x))
    return x * x * (3.0 - 2.0 * x)


def moment(effects: tuple[Effect, ...], t_us: int, total_us: int) -> Moment:
    """Return what the effects do at `t_us` of an output that lasts `total_us`. Every effect here commutes."""
    scale, mirrored, white = 1.0, False, 0.0
    for effect in effects:
        match effect:
            case Mirror():
                mirrored = not mirrored
            case Zoom(start_scale=start, end_scale=end):
                scale *= start + (end - start) * ease(t_us / total_us)
            case PunchIn(scale=punch):
                if _age_us(effect, t_us) is not None:
                    scale *= punch
            case Flash(strength=strength, duration_us=duration_us):
                age_us = _age_us(effect, t_us)
                if age_us is not None:
                    share = strength * (1.0 - age_us / duration_us)
                    white = 1.0 - (1.0 - white) * (1.0 - share)
    return Moment(scale, mirrored, white)


def _age_us(effect: PunchIn | Flash, t_us: int) -> int | None:
    """Return how long the effect has been on; None: it is off."""
    since_first_us = t_us - effect.first_us
    if since_first_us < 0:
        return None
    age_us = since_first_us % effect.every_us
    return age_us if age_us < effect.duration_us else None
