"""Fixtures that every kind of test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests import warm
from tests.databases import database_url, sqlite_url
from tests.postgres import postgres_pool, postgres_server, postgres_url

__all__ = ["database_url", "postgres_pool", "postgres_server", "postgres_url", "sqlite_url"]

warm.share()


@pytest.fixture(scope="session", autouse=True)
def one_loop() -> Iterator[None]:
    """Every test client's requests run in one event loop."""
    with warm.one_loop():
        yield
