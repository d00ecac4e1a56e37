"""Alembic's entry: runs migrations on the connection that `apply` hands over."""

from __future__ import annotations

from alembic import context

from stackyard.core.db import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    user_module_prefix="",
    render_as_batch=True,  # SQLite changes most of a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
