"""What is installed: the wheel's content, the two locks, and why each dependency is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from typing import Any, Final

import pytest

from deploy import wheels
from tests.stack import ROOT

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS: Final = ("requirements.txt", "requirements-dev.txt")
TOP_LEVEL: Final = {"contracts", "actors", "gateway", "deploy"}
CODE: Final = {".py", ".sql", ".cu", ".html", ".css", ".js"}
DATA: Final = {".conf", ".svg", ".ttf", ".otf", ".mako", ".typed", ".json", ".toml"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def named(lines: list[str]) -> set[str]:
    return {wheels.normal(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in lines}


def installed(package: wheels.Package) -> bool:
    return any(package.pythons(system) for system in wheels.SYSTEMS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as pip would build it, by the build backend of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_whole_program(wheel: zipfile.ZipFile) -> None:
    """If it fails, an installed ettametta lacks a module or a file that a checkout has."""
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in inside} == TOP_LEVEL
    wanted = {
        str(path.relative_to(ROOT))
        for package in TOP_LEVEL
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in CODE | DATA
    }
    assert wanted - inside == set()
    assert {
        "deploy/migrations/versions/0001_spine.sql",
        "actors/runtime/queries.sql",
        "actors/renderer/queries.sql",
        "actors/renderer/draw/kernels.cu",
    } <= inside
    assert not [name for name in inside if name.endswith(".pyc")]


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    """If it fails, the command or the licence is missing after installation."""
    info = f"ettametta-{PROJECT['project']['version']}.dist-info"
    assert b"ettametta = deploy.__main__:run" in wheel.read(f"{info}/entry_points.txt")
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert b"License-Expression: Apache-2.0" in wheel.read(f"{info}/METADATA")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_every_dependency_with_hashes(name: str) -> None:
    """If it fails, an install takes versions that were never tested: run `just lock`."""
    text = text_of(name)
    packages = {wheels.normal(package.name) for package in wheels.locked(text)}
    wanted: list[str] = PROJECT["project"]["dependencies"]
    if "dev" in name:
        wanted = [*wanted, *PROJECT["dependency-groups"]["dev"]]
    assert named(wanted) - packages == set()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) >= len(packages)
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(name: str) -> None:
    """If it fails, an install depends on somebody's folder or on one index."""
    assert not re.search(
        r"://|^-|\s(-i|--index-url|--find-links|--extra-index-url)\b|/(work|tmp|home|root)/",
        text_of(name),
        re.MULTILINE,
    )


def test_the_locks_agree() -> None:
    """If it fails, tests run on other versions than people install."""
    default, dev = ({(each.name, each.version) for each in wheels.locked(text_of(name))} for name in LOCKS)
    assert default - dev == set()


def test_every_direct_dependency_says_why() -> None:
    """If it fails, nobody knows whether a dependency may be dropped."""
    direct = named(PROJECT["project"]["dependencies"])
    assert direct == set(wheels.WHY)
    locked = wheels.locked(text_of("requirements.txt"))
    assert [package.name for package in locked if (package.name in direct) == bool(package.via)] == []


def test_the_page_has_the_table_of_the_lock() -> None:
    """If it fails, docs/dependencies.md tells of other versions than are installed: run `just wheels`."""
    page = text_of("docs/dependencies.md")
    rows = set(re.findall(r"^\| ([a-z0-9.-]+) \| ([0-9][^ |]*) \|", page, flags=re.MULTILINE))
    locked = wheels.locked(text_of("requirements.txt"))
    assert rows == {(package.name, package.version) for package in locked if installed(package)}
    assert "**none" not in page
    assert "not explained" not in page


def metadata(**values: Any) -> dict[str, Any]:
    return values


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        (metadata(license_expression="MIT", license="x"), "MIT"),
        (metadata(classifier=["License :: OSI Approved :: BSD License"], license="long text\nmore"), "BSD License"),
        (metadata(classifier=["License :: OSI Approved"], license="Apache 2.0\nmore"), "Apache 2.0"),
        (metadata(), "not stated"),
    ],
)
def test_licences_are_read_from_what_packages_say(said: dict[str, Any], licence: str) -> None:
    """If it fails, the table tells of a licence that a package does not have."""
    assert wheels.licence_of(said) == licence


def test_a_wheel_that_is_missing_is_shown() -> None:
    """If it fails, the table says yes where an install would compile or break."""
    package = wheels.Package("av", "18.1.0", "", ())
    older = wheels.Package("old", "1", "python_full_version == '3.12.*' and platform_machine != 'aarch64'", ("av",))
    entry = {"license_expression": "BSD-3-Clause"}
    whole = {("av", "18.1.0"): entry, ("old", "1"): entry}
    found = {(system.name, python): whole for system in wheels.SYSTEMS for python in wheels.PYTHONS}
    text, lost = wheels.table([package, older], found)
    assert lost == 0
    first, second = text.splitlines()[2:]
    assert first.endswith("| yes | yes | yes |")
    assert second.endswith("| for av | yes, on 3.12 | not installed | yes, on 3.12 |")
    text, lost = wheels.table([package, older], {**found, ("macOS arm64", "3.12"): {}})
    assert lost == 2
    first, second = text.splitlines()[2:]
    assert first.endswith("| yes | yes | **none for 3.12** |")
    assert second.endswith("| yes, on 3.12 | not installed | **none for 3.12** |")


def test_the_lock_is_read_with_its_reasons() -> None:
    """If it fails, the table misses packages or their reasons."""
    text = """\
# made
a==1 ; sys_platform == 'win32' \\
    --hash=sha256:0
    # via
    #   b
    #   c
b==2 \\
    --hash=sha256:1
    # via ettametta (pyproject.toml)
"""
    one, two = wheels.locked(text)
    assert one == wheels.Package("a", "1", "sys_platform == 'win32'", ("b", "c"))
    assert two == wheels.Package("b", "2", "", ())
    assert not installed(one)
    assert installed(two)
