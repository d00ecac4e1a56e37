"""Fixtures that every kind of test may ask for."""

from __future__ import annotations

from tests.databases import database_url, sqlite_url
from tests.postgres import postgres_server, postgres_url

__all__ = ["database_url", "postgres_server", "postgres_url", "sqlite_url"]
