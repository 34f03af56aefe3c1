"""Alembic's environment and the migration scripts of the catalog."""
