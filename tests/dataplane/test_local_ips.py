"""A local IP is one address more inside the port that it leads to, and moves with its association."""

from __future__ import annotations

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, Endpoint, Lab, subnet, until

from stackyard.host.specs import Address, PortSpec

pytestmark = pytest.mark.root

LOCAL = "10.1.0.77"


def with_local(port: PortSpec) -> PortSpec:
    return msgspec.structs.replace(port, addresses=(*port.addresses, Address(ip=LOCAL, prefix_length=32)))


def test_a_local_ip_comes_goes_and_moves(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one, two, asking = (lab.attach(network, f"10.1.0.{last}", groups=(group,)) for last in (5, 6, 7))
    assert not asking.pings(LOCAL, wait=0.3)

    def leads_to(end: Endpoint, other: Endpoint) -> None:
        lab.driver.apply_port(other.port)
        lab.driver.apply_port(with_local(end.port))
        assert until(lambda: asking.pings(LOCAL, wait=0.5))
        with end.serves(80):
            assert until(lambda: asking.reaches(LOCAL, 80, wait=0.5))
        assert asking.pings(end.address)

    leads_to(one, two)
    leads_to(two, one)
    lab.driver.apply_port(two.port)
    assert not asking.pings(LOCAL, wait=0.3)
    assert asking.pings(two.address)
