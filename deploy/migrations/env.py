"""What Alembic runs: all pending migrations in one transaction on the connection that `deploy.migrate` opened."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
