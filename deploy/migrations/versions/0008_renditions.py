"""Look-ups of rendered videos by their content."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_beside(__file__)
