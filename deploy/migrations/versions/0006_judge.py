"""Votes of a language model, patterns of what grew, trends of niches."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_beside(__file__)
