"""Identity is tested in a whole cloud in which nothing reconciles, on each kind of database."""

from __future__ import annotations

import pytest
from tests.api.identity.people import People
from tests.cloud import TestCloud, still_cloud

__all__ = ["people", "still_cloud"]


@pytest.fixture
def people(still_cloud: TestCloud) -> People:
    """The administrator of a fresh cloud."""
    return People(still_cloud)
