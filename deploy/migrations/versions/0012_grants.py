"""What connecting accounts keeps."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_beside(__file__)
