"""Models that rank, and the usual engagement of platforms and channels."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_beside(__file__)
