"""`database_url`: a test that asks for it runs once on SQLite and once on PostgreSQL, each time on a fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pooled import Pool


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The SQLAlchemy URL of a fresh SQLite file."""
    return f"sqlite:///{tmp_path / 'stackyard.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty database of each kind that Stackyard runs on."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    # Asked for here and not as an argument, so that runs with SQLite alone start no server.
    pool: Pool = request.getfixturevalue("postgres_pool")
    with pool.lend() as url:
        yield url
