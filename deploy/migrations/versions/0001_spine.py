"""The spine: ledger, items, media, accounts, posts, measurements."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_beside(__file__)
