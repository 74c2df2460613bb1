"""Posts of several accounts, their states, and accounts that are paused."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_beside(__file__)
