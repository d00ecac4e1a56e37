"""Fixtures that every kind of test may ask for, and how tests are spread over workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests import warm
from tests.databases import database_url, sqlite_url
from tests.postgres import postgres_pool, postgres_server, postgres_url

if TYPE_CHECKING:
    from tests.schedule import Schedule
    from xdist.remote import Producer

__all__ = ["database_url", "postgres_pool", "postgres_server", "postgres_url", "sqlite_url"]

warm.share()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Schedule | None:
    """The project's own schedule, where whole files go to workers."""
    from tests.schedule import Schedule

    return Schedule(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def one_loop() -> Iterator[None]:
    """Every test client's requests run in one event loop."""
    with warm.one_loop():
        yield
