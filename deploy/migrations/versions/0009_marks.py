"""Works of one title, by length."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_beside(__file__)
