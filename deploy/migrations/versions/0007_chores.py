"""Work that one replica does once in a while."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_beside(__file__)
