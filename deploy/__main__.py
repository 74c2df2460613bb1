"""The entry of `ettametta`, which `python -m deploy` is too."""

from __future__ import annotations

import sys

__all__ = ["run"]


def run() -> None:
    """Run the command. Ctrl-C ends it without a traceback, also while its modules are still being loaded."""
    try:
        from deploy.cli import main  # noqa: PLC0415 - what loads is inside the guard

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
