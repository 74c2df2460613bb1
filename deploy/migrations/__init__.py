"""The database schema, one numbered SQL file per change."""
