"""Revenue, costs, rates, and what was imported."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_beside(__file__)
