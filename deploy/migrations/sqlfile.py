"""Run the SQL file that lies beside a migration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

__all__ = ["run_beside"]


def run_beside(migration: str) -> None:
    """Run the statements of `<migration>.sql` in the transaction of the migration.

    asyncpg takes several statements at once only without parameters, which SQLAlchemy's cursor cannot ask for;
    so they go to the driver's own connection.
    """
    sql = Path(migration).with_suffix(".sql").read_text(encoding="utf-8")
    connection = op.get_bind().connection

    async def run(driver: Any) -> None:
        await driver.execute(sql)

    connection.run_async(run)
