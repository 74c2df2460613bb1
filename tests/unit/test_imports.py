"""Imports go one way: contracts <- actors.runtime <- actors.platforms <- stages and gateway <- deploy."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from msgspec import Struct

from contracts.flow import ACTORS

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("contracts", "actors", "gateway", "deploy")

BELOW_STAGES: Final = ("contracts", "actors.runtime", "actors.platforms")
MAY_IMPORT: Final[dict[str, tuple[str, ...]]] = {
    "contracts": (),
    "actors.runtime": ("contracts",),
    "actors.platforms": ("contracts", "actors.runtime"),
    **{f"actors.{stage}": BELOW_STAGES for stage in ACTORS},
    "gateway": BELOW_STAGES,
    "deploy": ("contracts", "actors", "gateway"),
    "actors": (),
}
"""What the modules below each package may import of this project, beside their own package."""

THIRD_PARTY: Final[dict[str, frozenset[str]]] = {"contracts": frozenset({"msgspec"})}
"""Packages from outside that may be imported; one that is not named here may import any that is declared."""

SPELT_OTHERWISE: Final = {
    "aiobotocore": "aioboto3",
    "botocore": "aioboto3",
    "cupy": "cupy-cuda12x",
    "cupyx": "cupy-cuda12x",
    "types_aiobotocore_s3": "types-aioboto3",
}
"""Distributions of modules that need not be installed here, or that belong to another one's interface."""


class Import(Struct, frozen=True):
    """One import statement. names: what is taken from the module."""

    module: str
    names: tuple[str, ...]
    level: int
    line: int


def imports_of(text: str) -> Iterator[Import]:
    """Yield the imports anywhere in a file, those for types and in functions too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), 0, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.module or "", tuple(alias.name for alias in node.names), node.level, node.lineno)


def package_of(module: str) -> str:
    """Return the longest package of MAY_IMPORT that holds a module; empty: none."""
    holds = [package for package in MAY_IMPORT if module == package or module.startswith(f"{package}.")]
    return max(holds, key=len, default="")


def breaches(module: str, text: str) -> list[str]:
    """Return what a module imports and may not, with the line."""
    own = package_of(module)
    found = []
    for each in imports_of(text):
        if each.level:
            found.append(f"{module}:{each.line}: a relative import; name the whole module")
            continue
        # `from actors import renderer` imports actors.renderer.
        wanted = [f"{each.module}.{name}" for name in each.names] if each.module == "actors" else [each.module]
        for name in wanted:
            top = name.partition(".")[0]
            if top in PACKAGES:
                package = package_of(name)
                allowed = MAY_IMPORT[own]
                if package != own and package not in allowed and top not in allowed:
                    found.append(f"{module}:{each.line}: {own} may not import {name}")
            elif top in {"tests", "benchmarks"}:
                found.append(f"{module}:{each.line}: {top} is not part of the program")
            elif own in THIRD_PARTY and top not in THIRD_PARTY[own] and top not in sys.stdlib_module_names:
                found.append(f"{module}:{each.line}: {own} may not import {name}")
    return found


def modules() -> dict[str, str]:
    """Return the text of every module of the program by its name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def test_imports_go_one_way() -> None:
    """If it fails, one actor can no longer be understood, tested or deployed without another."""
    found = modules()
    assert set(PACKAGES) <= set(found)
    assert [line for module, text in found.items() for line in breaches(module, text)] == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("contracts.events", "import actors.runtime.db"),
        ("contracts.events", "import numpy as np"),
        ("contracts.events", "from aiohttp.web import Application"),
        ("actors.runtime.work", "from actors.platforms import build"),
        ("actors.runtime.work", "from deploy.streams import apply"),
        ("actors.platforms.youtube", "from actors.publisher.draft import draft_of"),
        ("actors.platforms", "def build():\n    from gateway import web"),
        ("actors.renderer.handle", "from actors.editor.acquire import acquire"),
        ("actors.renderer.handle", "if TYPE_CHECKING:\n    from actors.editor import probe"),
        ("actors.renderer.handle", "from actors import editor"),
        ("actors.renderer.handle", "from actors import runtime, editor"),
        ("actors.renderer.handle", "from .geometry import crop"),
        ("actors.renderer.handle", "from tests.stack import cloned"),
        ("gateway.web", "from actors.tracker.app import APP"),
        ("gateway.web", "from deploy.cli import main"),
        ("actors", "from actors.runtime import app"),
    ],
)
def test_a_breach_is_found(module: str, text: str) -> None:
    """If it fails, the test above would pass whatever is imported."""
    assert len(breaches(module, f"from __future__ import annotations\nimport os\n{text}\n")) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("contracts.codec", "import uuid\nimport msgspec\nfrom contracts import events"),
        ("actors.platforms.youtube", "from actors.platforms import _text\nfrom actors.runtime.http import Http"),
        ("actors.renderer.handle", "from actors.renderer import geometry\nfrom actors import platforms, runtime"),
        ("gateway.web", "from gateway.html import page\nfrom aiohttp import web"),
        ("deploy.cli", "from actors.tracker.app import APP\nfrom gateway.web import run\nfrom contracts import flow"),
    ],
)
def test_a_lawful_import_is_no_breach(module: str, text: str) -> None:
    """If it fails, the rule stands in the way of the program as it is designed."""
    assert breaches(module, text) == []


def test_every_module_belongs_to_a_rule() -> None:
    """If it fails, a new folder below actors/ is under no rule at all."""
    strays = {name.split(".")[1] for name in modules() if name.startswith("actors.")} - {
        *ACTORS,
        "runtime",
        "platforms",
    }
    assert strays == set()


def declared(*, tests: bool) -> set[str]:
    """Return the names of the distributions that pyproject.toml asks for, normalised."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    if tests:
        wanted += project["dependency-groups"]["dev"]
    return {normal(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in wanted}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("tests", [False, True], ids=["program", "tests"])
def test_what_is_imported_is_declared(*, tests: bool) -> None:
    """If it fails, a module works only because another package happens to bring it along."""
    found = modules()
    if tests:
        paths = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
        found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    known = importlib.metadata.packages_distributions()
    own = {*PACKAGES, "tests", "benchmarks", "__future__"}
    missing = set()
    for name, text in found.items():
        for each in imports_of(text):
            top = each.module.partition(".")[0]
            if each.level or top in own or top in sys.stdlib_module_names:
                continue
            homes = {SPELT_OTHERWISE[top]} if top in SPELT_OTHERWISE else set(known.get(top, ()))
            if not {normal(home) for home in homes} & declared(tests=tests):
                missing.add(f"{name}:{each.line}: {each.module}")
    assert missing == set()
