"""How an extra is installed, wherever this installation came from: a clone, a wheel, an image."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from typing import Final

__all__ = ["install"]

_EXTRA: Final = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def install(extra: str) -> str:
    """Return the command that installs what the extra asks for, by the names of its packages."""
    try:
        wanted = [line.partition(";") for line in requires("ettametta") or ()]
    except PackageNotFoundError:
        wanted = []
    packages = [name.strip() for name, _, marker in wanted if extra in _EXTRA.findall(marker)]
    if not packages:  # it runs from its folder alone, or was installed before it had the extra
        return f"pip install -e '.[{extra}]'"
    return " ".join(["pip install", *(f"'{package}'" for package in packages)])
