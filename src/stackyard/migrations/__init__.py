"""The schema's history (Alembic). A new state directory gets today's schema at once; an old one is migrated."""

HEAD = "0005"
"""The newest revision, here so that an up-to-date database is recognised without loading Alembic."""
