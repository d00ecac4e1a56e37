"""Users of the network API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.core.config import Settings


@pytest.fixture
def demo(cloud: TestCloud) -> Neutron:
    """The demo user, on the project demo."""
    return Neutron(cloud, "demo")


@pytest.fixture
def admin(cloud: TestCloud) -> Neutron:
    """The administrator, on the project admin."""
    return Neutron(cloud, "admin")


@pytest.fixture
def physical(database_url: str, tmp_path: Path) -> Iterator[Neutron]:
    """The administrator of a cloud with two physical networks, physnet1 with VLANs 100 to 102 for all."""
    network = replace(
        Settings().network,
        physical_networks=("physnet1:eth1", "physnet2:eth2"),
        vlan_ranges=("physnet1:100:102",),
    )
    cloud = TestCloud(database_url, tmp_path / "state", replace(Settings(), network=network))
    try:
        yield Neutron(cloud, "admin")
    finally:
        cloud.close()


@pytest.fixture
def public(demo: Neutron) -> dict[str, Any]:
    """The external network."""
    return demo.find("network", "public")
