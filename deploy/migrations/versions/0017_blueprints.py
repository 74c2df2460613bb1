"""Blueprints that are followed, and variants that the editor makes."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_beside(__file__)
