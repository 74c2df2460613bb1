"""Works: items that are one video seen in several places; observations by number of the item."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_beside(__file__)
