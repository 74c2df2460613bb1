"""When a post was last seen to stand otherwise, and how often its file was sent."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_beside(__file__)
