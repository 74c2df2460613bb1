"""Quotas by window, pauses of platforms, kept answers."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_beside(__file__)
