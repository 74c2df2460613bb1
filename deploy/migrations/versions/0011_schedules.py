"""Timetables, and posts at a time."""

from __future__ import annotations

from deploy.migrations.sqlfile import run_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_beside(__file__)
