"""Thumbnails that were looked at."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_beside(__file__)
