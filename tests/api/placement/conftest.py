"""Placement on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.placement.asking import Placement


@pytest.fixture
def placement(database_url: str) -> Iterator[Placement]:
    """The service alone."""
    made = Placement(database_url)
    try:
        yield made
    finally:
        made.runtime.close()
