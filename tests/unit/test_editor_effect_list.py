"""Effects as people write them on a command line."""

from __future__ import annotations

import pytest

from actors.editor.effect_list import EFFECT_NAMES, parse_effects
from contracts.errors import Reject
from contracts.plan import Effect, Grade, Mirror, Shake, Zoom


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("none", ()),
        ("", ()),
        ("mirror", (Mirror(),)),
        ("mirror, zoom:end_scale=1.25:focus_x=0", (Mirror(), Zoom(end_scale=1.25, focus_x=0))),
        ("grade:saturation=1.3:exposure=-0.5", (Grade(saturation=1.3, exposure=-0.5),)),
        ("shake:beats_us=1000000;2000000:amplitude=0.02", (Shake(beats_us=(1_000_000, 2_000_000), amplitude=0.02),)),
        ("mirror:start_us=5:end_us=10", (Mirror(start_us=5, end_us=10),)),
    ],
)
def test_a_list_says_which_effects(text: str, effects: tuple[Effect, ...]) -> None:
    """If it fails, a person gets other effects than were asked for."""
    assert parse_effects(text) == effects


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sepia", r"there is no effect 'sepia'.*known: mirror, zoom"),
        ("zoom:scale=2", r"effect 'zoom' has no setting 'scale'.*end_scale"),
        ("zoom:end_scale", r"'end_scale' has no value.*zoom:end_scale=VALUE"),
        ("zoom:end_scale=big", r"effect 'zoom:end_scale=big': Expected `float`"),
        ("zoom:end_scale=9", r"<= 4"),
        ("mirror,none", r"there is no effect 'none'"),
    ],
)
def test_a_mistake_in_the_list_is_named(text: str, told: str) -> None:
    """If it fails, a typing mistake is a traceback, or an effect is left out without a word."""
    with pytest.raises(Reject, match=told):
        parse_effects(text)


def test_every_effect_of_the_contract_can_be_asked_for() -> None:
    """If it fails, an effect was added that nobody can use from the command line."""
    assert len(EFFECT_NAMES) == 14
    assert [type(parse_effects(name)[0]).__struct_config__.tag for name in EFFECT_NAMES] == list(EFFECT_NAMES)
