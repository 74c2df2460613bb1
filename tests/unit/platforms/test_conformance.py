"""Every platform module has the same shape."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from actors import platforms
from actors.runtime.means import Means
from contracts.errors import Reject
from contracts.platform import (
    Caps,
    Discovers,
    Dresses,
    Limits,
    Looks,
    Measures,
    Need,
    Publishes,
    Revises,
    Trends,
)

PROMISES = {
    "discover": Discovers,
    "trends": Trends,
    "publish": Publishes,
    "measure": Measures,
    "looks": Looks,
    "dresses": Dresses,
    "revises": Revises,
}
HERE = Path(__file__).parent


def methods_of(protocol: type) -> list[str]:
    return [name for name, value in vars(protocol).items() if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.parametrize("name", platforms.names())
def test_module_has_the_shape(name: str) -> None:
    """A platform that lacks a part fails in the middle of the loop instead of here."""
    module = platforms.module(name)
    assert name == module.NAME
    assert isinstance(module.CAPS, Caps)
    assert isinstance(module.LIMITS, Limits)
    able = any(getattr(module.CAPS, cap) for cap in PROMISES)
    assert able or module.CAPS.cannot, "it can do nothing, and does not say why"
    seeing = module.CAPS.discover or module.CAPS.trends
    assert bool(module.CAPS.sees) == seeing, "CAPS say what discovery sees where there is discovery"
    assert seeing or module.CAPS.cannot, "there is no discovery, and CAPS do not say why"
    assert not seeing or module.CAPS.costs, "CAPS say what discovery costs"
    needs = platforms.needs_of(name)
    assert all(isinstance(need, Need) and need.setting == need.setting.lower() for need in needs)
    needful = [need for need in needs if not need.optional]
    assert not (module.CAPS.keyless and needful), "it says that it needs no credential, and names one"
    for cap, protocol in PROMISES.items():
        for method in methods_of(protocol):
            own = getattr(module.ADAPTER, method, None)
            assert bool(own) or not getattr(module.CAPS, cap), f"CAPS promise {cap}, but there is no {method}()"
            if own is not None and getattr(module.CAPS, cap):
                assert inspect.iscoroutinefunction(own)
                wanted = inspect.signature(getattr(protocol, method)).parameters.values()
                assert [(p.name, p.kind) for p in inspect.signature(own).parameters.values()] == [
                    (p.name, p.kind) for p in wanted
                ]


@pytest.mark.parametrize("name", platforms.names())
def test_module_can_be_read(name: str) -> None:
    """Without its sources and their date nobody can tell whether a platform module is still right."""
    module = importlib.import_module(f"actors.platforms.{name}")
    assert re.search(r"\bread\s20\d\d-\d\d-\d\d", module.__doc__ or ""), "its header says when its documents were read"
    source = inspect.getsource(module)
    assert source.rstrip().splitlines()[-1].startswith("ADAPTER = ")
    assert len(source.splitlines()) <= 400, "it is longer than 400 lines"
    assert (HERE / f"test_{name}.py").is_file(), f"it has no test file tests/unit/platforms/test_{name}.py"


@pytest.mark.parametrize("name", platforms.names())
def test_adapter_is_made_the_same_way(name: str) -> None:
    """`build` makes every adapter alike: a constructor that differs fails when the actor starts."""
    parameters = [
        p for p in inspect.signature(platforms.module(name).ADAPTER).parameters.values() if p.default is p.empty
    ]
    assert [(p.name, p.annotation) for p in parameters] in ([("means", Means)], [("means", "Means")])


def test_unknown_platform_is_named_with_the_known_ones() -> None:
    """A typing error in a platform name must tell which names there are."""
    with pytest.raises(Reject, match=r"there is no platform 'internet_archiv'.*internet_archive, .*wikimedia_commons"):
        platforms.module("internet_archiv")


def test_shared_modules_are_no_platforms() -> None:
    """A helper that is taken for a platform would be scanned."""
    assert "_text" not in platforms.names()
    with pytest.raises(Reject):
        platforms.module("_text")
