"""Watched niches, their turns at rationed platforms, topics, proposals."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_beside(__file__)
