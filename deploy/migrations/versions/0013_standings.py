"""What became of posts, and more of their numbers."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_beside(__file__)
