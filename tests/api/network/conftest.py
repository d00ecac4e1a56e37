"""Users of the network API."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


@pytest.fixture
def demo(cloud: TestCloud) -> Neutron:
    """The demo user, on the project demo."""
    return Neutron(cloud, "demo")


@pytest.fixture
def admin(cloud: TestCloud) -> Neutron:
    """The administrator, on the project admin."""
    return Neutron(cloud, "admin")


@pytest.fixture
def public(demo: Neutron) -> dict[str, Any]:
    """The external network."""
    return demo.find("network", "public")
