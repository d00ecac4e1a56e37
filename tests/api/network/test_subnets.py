"""Subnets: ranges, gateways, pools, and the service port that comes and goes with DHCP."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


def test_defaults(demo: Neutron) -> None:
    network, subnet = demo.network()
    assert subnet["gateway_ip"] == "10.20.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.20.0.2", "end": "10.20.0.254"}]
    assert (subnet["enable_dhcp"], subnet["host_routes"], subnet["dns_nameservers"]) == (True, [], [])
    assert demo.show("network", network["id"])["subnets"] == [subnet["id"]]
    assert demo.show("subnet", subnet["id"]) == subnet


def test_ipv6_with_a_gateway_in_the_middle(demo: Neutron) -> None:
    _, subnet = demo.network("fd00:9::/64", gateway_ip="fd00:9::10")
    pools = [("fd00:9::1", "fd00:9::f"), ("fd00:9::11", "fd00:9::ffff:ffff:ffff:ffff")]
    assert [(pool["start"], pool["end"]) for pool in subnet["allocation_pools"]] == pools


@pytest.mark.parametrize(
    ("given", "status", "kind"),
    [
        ({"cidr": "10.20.0.128/25"}, 400, "InvalidInput"),
        ({"cidr": "10.21.0.5/24"}, 400, "HTTPBadRequest"),
        ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
        ({"cidr": None}, 400, "HTTPBadRequest"),
        ({"cidr": "0.0.0.0/0"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/8"}, 400, "InvalidInput"),
        ({"ip_version": 5}, 400, "HTTPBadRequest"),
        ({"gateway_ip": "10.99.0.1"}, 400, "InvalidInput"),
        ({"gateway_ip": "10.21.0.255"}, 400, "InvalidInput"),
        ({"allocation_pools": [{"start": "10.21.0.2", "end": "10.22.0.9"}]}, 400, "OutOfBoundsAllocationPool"),
        ({"allocation_pools": [{"start": "10.21.0.9", "end": "10.21.0.2"}]}, 400, "InvalidAllocationPool"),
        (
            {"allocation_pools": [{"start": "10.21.0.1", "end": "10.21.0.9"}], "gateway_ip": "10.21.0.5"},
            409,
            "GatewayConflictWithAllocationPools",
        ),
        ({"dns_nameservers": ["1.1.1.1", "1.1.1.1"]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": [f"1.1.1.{n}" for n in range(6)]}, 400, "DNSNameServersExhausted"),
        ({"host_routes": [{"destination": "10.0.0.0/8"}]}, 400, "HTTPBadRequest"),
        ({"host_routes": [{"destination": "10.0.0.0/8", "nexthop": "x"}]}, 400, "HTTPBadRequest"),
        ({"ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"subnetpool_id": "pool"}, 404, "SubnetPoolNotFound"),
        ({"subnetpool_id": "prefix_delegation"}, 400, "HTTPBadRequest"),
        ({"network_id": "nowhere"}, 404, "NetworkNotFound"),
        ({"unknown": 1}, 400, "HTTPBadRequest"),
    ],
)
def test_subnets_that_cannot_be(demo: Neutron, given: dict[str, Any], status: int, kind: str) -> None:
    network, _ = demo.network()
    values = {"network_id": network["id"], "cidr": "10.21.0.0/24", "ip_version": 4} | given
    assert demo.refuse("subnet", status, **values) == kind
    assert len(demo.show("network", network["id"])["subnets"]) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
        {"ipv6_ra_mode": "slaac", "enable_dhcp": False},
        {"ipv6_ra_mode": "magic"},
        {"ipv6_address_mode": "slaac", "cidr": "fd00:7::/80"},
    ],
)
def test_ipv6_modes_that_cannot_be(demo: Neutron, given: dict[str, Any]) -> None:
    network = demo.create("network")
    demo.refuse("subnet", 400, **({"network_id": network["id"], "cidr": "fd00:7::/64", "ip_version": 6} | given))


def test_the_service_port_has_the_first_address_and_follows_dhcp(cloud: TestCloud, demo: Neutron) -> None:
    network, subnet = demo.network()
    (port,) = demo.list("port", f"?network_id={network['id']}")
    assert port["device_owner"] == "network:dhcp"
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.20.0.2"}]
    cloud.settle()
    assert demo.show("port", port["id"])["status"] == "ACTIVE"
    assert cloud.network.networks[network["id"]].service_port is not None
    second = demo.create("subnet", network_id=network["id"], cidr="10.21.0.0/24", ip_version=4)
    assert len(demo.show("port", port["id"])["fixed_ips"]) == 2
    demo.update("subnet", second["id"], enable_dhcp=False)
    assert len(demo.show("port", port["id"])["fixed_ips"]) == 1
    demo.delete("subnet", subnet["id"])
    demo.show("port", port["id"], status=404)
    assert demo.show("network", network["id"])["subnets"] == [second["id"]]
    cloud.settle()
    assert cloud.network.networks[network["id"]].service_port is None


def test_change(demo: Neutron) -> None:
    _, subnet = demo.network(allocation_pools=[{"start": "10.20.0.10", "end": "10.20.0.20"}])
    changed = demo.update(
        "subnet", subnet["id"], name="new", gateway_ip="10.20.0.2", dns_nameservers=["9.9.9.9"],
        host_routes=[{"destination": "10.50.0.0/16", "nexthop": "10.20.0.9"}],
        allocation_pools=[{"start": "10.20.0.30", "end": "10.20.0.40"}],
    )  # fmt: skip
    assert (changed["name"], changed["gateway_ip"], changed["dns_nameservers"]) == ("new", "10.20.0.2", ["9.9.9.9"])
    assert demo.update("subnet", subnet["id"], status=409, gateway_ip="10.20.0.35")["type"] == (
        "GatewayConflictWithAllocationPools"
    )
    assert demo.update("subnet", subnet["id"], gateway_ip=None)["gateway_ip"] is None
    demo.update("subnet", subnet["id"], status=400, cidr="10.99.0.0/24")


def test_a_subnet_with_ports_stays(demo: Neutron) -> None:
    network, subnet = demo.network()
    port = demo.create("port", network_id=network["id"])
    assert demo.delete("subnet", subnet["id"], status=409)["type"] == "SubnetInUse"
    demo.delete("port", port["id"])
    demo.delete("subnet", subnet["id"])


def test_ports_number_themselves_in_a_subnet_with_slaac(demo: Neutron) -> None:
    network, _ = demo.network()
    before = demo.create("port", network_id=network["id"], mac_address="fa:16:3e:00:00:01")
    values = {"network_id": network["id"], "cidr": "fd00:5::/64", "ip_version": 6}
    six = demo.create("subnet", **values, ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    address = {"subnet_id": six["id"], "ip_address": "fd00:5::f816:3eff:fe00:1"}
    assert address in demo.show("port", before["id"])["fixed_ips"]
    after = demo.create("port", network_id=network["id"], mac_address="fa:16:3e:00:00:02")
    assert [item["ip_address"] for item in after["fixed_ips"]][1] == "fd00:5::f816:3eff:fe00:2"
    wrong = [{"subnet_id": six["id"], "ip_address": "fd00:5::77"}]
    assert demo.refuse("port", 400, network_id=network["id"], fixed_ips=wrong) == "AllocationOnAutoAddressSubnet"
    demo.delete("subnet", six["id"])
    assert len(demo.show("port", before["id"])["fixed_ips"]) == 1


def test_only_the_owner_of_a_network_makes_subnets_on_it(demo: Neutron, admin: Neutron) -> None:
    network = admin.create("network", shared=True)
    values = {"network_id": network["id"], "cidr": "10.40.0.0/24", "ip_version": 4}
    assert demo.refuse("subnet", 403, **values) == "PolicyNotAuthorized"
    made = admin.create("subnet", **values)
    assert demo.show("subnet", made["id"])["cidr"] == "10.40.0.0/24"
    demo.delete("subnet", made["id"], status=403)
    hidden = admin.create("subnet", **(values | {"network_id": admin.create("network")["id"]}))
    demo.show("subnet", hidden["id"], status=404)
    assert hidden["id"] not in {subnet["id"] for subnet in demo.list("subnet")}
