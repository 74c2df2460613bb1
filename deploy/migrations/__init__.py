"""Database migrations (Alembic). Each version is plain SQL beside a few lines of Python."""
