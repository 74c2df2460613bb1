"""The sheet of effects and docs/effects.md show everything that the contract has, as it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from PIL import Image

from contracts import plan as contract
from contracts.plan_rules import check
from deploy.effects_sheet import Studio, names, page, sheet
from deploy.effects_tiles import TILES, Tile, plan_of

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("studio"))


@pytest.mark.parametrize("kind", ["Effect", "Layout", "Overlay"])
def test_everything_of_the_contract_is_shown(kind: str) -> None:
    """A new effect is drawn and documented nowhere."""
    tags = {str(of.__struct_config__.tag) for of in get_args(getattr(contract, kind))}
    assert set(names()[f"{kind.lower()}s"]) == tags


def test_every_transition_and_at_least_six_caption_styles_are_shown() -> None:
    """A new transition is drawn and documented nowhere."""
    assert names()["transitions"] == get_args(get_type_hints(contract.Transition)["kind"])
    assert len(names()["captions"]) >= 6


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.file)
def test_tiles_are_plans_that_may_be_rendered(tile: Tile) -> None:
    """The sheet shows what no plan can do."""
    check(plan_of(tile))


@pytest.mark.parametrize("tile", [tile for tile in TILES if tile.effects], ids=lambda tile: tile.file)
def test_every_effect_is_seen(tile: Tile, studio: Studio) -> None:
    """An effect of the plan changes nothing in the picture."""
    plain = tile._replace(effects=())
    one, other = (np.asarray(studio.strip(of._replace(at_s=tile.at_s[1:2]), 3), np.int16) for of in (tile, plain))
    assert np.abs(one - other).max() > 16


def test_the_sheet_is_one_picture(tmp_path: Path) -> None:
    """`ettametta effects --sheet` writes nothing, or an empty picture."""
    out = tmp_path / "sheet.png"
    sheet(out)
    with Image.open(out) as drawn:
        assert drawn.width > 2000
        assert len(np.unique(np.asarray(drawn.convert("L")))) > 200


def test_the_page_and_its_pictures_are_those_of_the_contract() -> None:
    """docs/effects.md tells of settings that are gone: run `python -m deploy.effects_sheet --docs docs/effects`."""
    assert (DOCS / "effects.md").read_text(encoding="utf-8") == page("effects")
    assert sorted(path.stem for path in (DOCS / "effects").iterdir()) == sorted(tile.file for tile in TILES)
