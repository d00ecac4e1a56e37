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


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"cidr": "10.21.0.0/31"}, "InvalidInput"),
        ({"cidr": "0.0.0.0/8"}, "InvalidInput"),
        ({"cidr": "127.0.0.0/8"}, "InvalidInput"),
        ({"cidr": "::/64", "ip_version": 6}, "InvalidInput"),
        ({"cidr": "fd21::/127", "ip_version": 6}, "InvalidInput"),
        ({"dns_nameservers": ["fd00::1"]}, "InvalidInput"),
        ({"host_routes": [{"destination": f"10.{n}.0.0/16", "nexthop": "10.21.0.9"} for n in range(30, 51)]},
         "HostRoutesExhausted"),
        ({"service_types": "compute:nova"}, "HTTPBadRequest"),
        ({"dns_publish_fixed_ip": "maybe"}, "HTTPBadRequest"),
        ({"prefixlen": 24}, "HTTPBadRequest"),
        ({"prefixlen": 24, "cidr": None}, "HTTPBadRequest"),
        ({"tags": ["a,b"]}, "HTTPBadRequest"),
    ],
)  # fmt: skip
def test_further_subnets_that_cannot_be(demo: Neutron, given: dict[str, Any], kind: str) -> None:
    network = demo.create("network")
    values = {"network_id": network["id"], "cidr": "10.21.0.0/24", "ip_version": 4} | given
    assert demo.refuse("subnet", 400, **values) == kind
    assert demo.show("network", network["id"])["subnets"] == []


def test_small_subnets_go_without_dhcp(demo: Neutron) -> None:
    network = demo.create("network")
    values = {"network_id": network["id"], "enable_dhcp": False}
    subnet = demo.create("subnet", cidr="10.21.0.0/31", ip_version=4, **values)
    assert demo.update("subnet", subnet["id"], status=400, enable_dhcp=True)["type"] == "InvalidInput"
    demo.create("subnet", cidr="fd21::/127", ip_version=6, **values)


def test_a_network_too_narrow_for_the_family(demo: Neutron) -> None:
    network = demo.create("network", mtu=1000)
    values = {"network_id": network["id"]}
    assert demo.refuse("subnet", 409, cidr="fd21::/64", ip_version=6, **values) == "NetworkMTUSubnetConflict"
    demo.create("subnet", cidr="10.21.0.0/24", ip_version=4, **values)


def test_pools_grow_and_the_gateway_moves(cloud: TestCloud, demo: Neutron) -> None:
    network, subnet = demo.network(allocation_pools=[{"start": "10.20.0.10", "end": "10.20.0.10"}], enable_dhcp=False)
    demo.create("port", network_id=network["id"])
    assert demo.refuse("port", 409, network_id=network["id"]) == "IpAddressGenerationFailure"
    demo.update("subnet", subnet["id"], allocation_pools=[{"start": "10.20.0.10", "end": "10.20.0.11"}])
    port = demo.create("port", network_id=network["id"])
    assert port["fixed_ips"][0]["ip_address"] == "10.20.0.11"
    overlap = [{"start": "10.20.0.10", "end": "10.20.0.20"}, {"start": "10.20.0.15", "end": "10.20.0.30"}]
    fault = demo.update("subnet", subnet["id"], status=409, allocation_pools=overlap)
    assert fault["type"] == "OverlappingAllocationPools"
    both = demo.update(
        "subnet", subnet["id"], gateway_ip="10.20.0.10", allocation_pools=[{"start": "10.20.0.11", "end": "10.20.0.99"}]
    )
    assert both["gateway_ip"] == "10.20.0.10"
    assert demo.update("subnet", subnet["id"], dns_publish_fixed_ip=True)["dns_publish_fixed_ip"] is True
    demo.update("subnet", subnet["id"], gateway_ip="10.20.0.5")
    router = demo.create("router")
    demo.call("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]}, status=200)
    assert demo.update("subnet", subnet["id"], status=409, gateway_ip="10.20.0.6")["type"] == "GatewayIpInUse"
    assert demo.update("subnet", subnet["id"], status=409, gateway_ip=None)["type"] == "GatewayIpInUse"
    cloud.settle()
    assert cloud.network.networks[network["id"]].subnets[0].gateway == "10.20.0.5"


def addresses(port: dict[str, Any]) -> list[str]:
    """The subnets of a port's addresses."""
    return [item["subnet_id"] for item in port["fixed_ips"]]


def test_subnets_for_certain_device_owners(demo: Neutron, admin: Neutron) -> None:
    network, plain = demo.network()
    values = {"network_id": network["id"], "ip_version": 4}
    refused = demo.refuse("subnet", 403, cidr="10.21.0.0/24", service_types=["compute:nova"], **values)
    assert refused == "PolicyNotAuthorized"
    demo.update("subnet", plain["id"], status=403, service_types=["compute:nova"])
    special = admin.create("subnet", cidr="10.21.0.0/24", service_types=["compute:nova", "compute:nova"], **values)
    assert special["service_types"] == ["compute:nova"]
    assert addresses(demo.create("port", network_id=network["id"], device_owner="compute:nova")) == [special["id"]]
    assert addresses(demo.create("port", network_id=network["id"])) == [plain["id"]]
    wanted = [{"subnet_id": special["id"]}]
    assert demo.refuse("port", 400, network_id=network["id"], fixed_ips=wanted) == "InvalidInput"
    admin.update("subnet", plain["id"], service_types=["network:floatingip"])
    kind = demo.refuse("port", 409, network_id=network["id"])
    assert kind == "IpAddressGenerationFailureNoMatchingSubnet"
    assert admin.update("subnet", plain["id"], service_types=[])["service_types"] == []
    (service,) = demo.list("port", f"?network_id={network['id']}&device_owner=network:dhcp")
    assert set(addresses(service)) == {plain["id"], special["id"]}
    for types, kind in (
        (["disk"], "InvalidSubnetServiceType"),
        ([7], "InvalidInputSubnetServiceType"),
        (["compute:" + "x" * 300], "InvalidSubnetServiceType"),
    ):
        assert admin.refuse("subnet", 400, cidr="10.22.0.0/24", service_types=types, **values) == kind


def test_a_new_subnet_of_an_external_network_reaches_its_routers(demo: Neutron, admin: Neutron) -> None:
    outside = admin.create("network", **{"router.external": True})
    values = {"network_id": outside["id"], "enable_dhcp": False}
    four = admin.create("subnet", cidr="198.51.100.0/24", ip_version=4, **values)
    router = demo.create("router", external_gateway_info={"network_id": outside["id"]})
    six = admin.create("subnet", cidr="2001:db8::/64", ip_version=6, **values)
    assert demo.show("subnet", six["id"])["router:external"] is True
    found = demo.show("router", router["id"])["external_gateway_info"]["external_fixed_ips"]
    assert [item["subnet_id"] for item in found] == [four["id"], six["id"]]
    (gateway,) = admin.list("port", f"?device_id={router['id']}&device_owner=network:router_gateway")
    assert gateway["fixed_ips"] == found
    admin.create("subnet", cidr="203.0.113.0/24", ip_version=4, **values)
    assert demo.show("router", router["id"])["external_gateway_info"]["external_fixed_ips"] == found


def test_subnets_on_segments(demo: Neutron, admin: Neutron) -> None:
    network = admin.create("network")
    (segment,) = admin.list("segment", f"?network_id={network['id']}")
    (other,) = admin.list("segment", f"?network_id={admin.create('network')['id']}")
    values = {"network_id": network["id"], "ip_version": 4}
    one = {"cidr": "10.21.0.0/24"} | values
    assert admin.refuse("subnet", 404, segment_id="nowhere", **one) == "SegmentNotFound"
    assert admin.refuse("subnet", 400, segment_id=other["id"], **one) == "NetworkIdsDontMatch"
    subnet = admin.create("subnet", **one)
    assert subnet["segment_id"] is None
    two = {"cidr": "10.22.0.0/24", "segment_id": segment["id"]} | values
    assert admin.refuse("subnet", 400, **two) == "SubnetsNotAllAssociatedWithSegments"
    assert admin.update("subnet", subnet["id"], segment_id=segment["id"])["segment_id"] == segment["id"]
    kind = admin.update("subnet", subnet["id"], status=400, segment_id=None)["type"]
    assert kind == "SubnetSegmentAssociationChangeNotAllowed"
    second = admin.create("subnet", **two)
    assert [item["id"] for item in admin.list("subnet", f"?segment_id={segment['id']}&sort_key=cidr")] == [
        subnet["id"],
        second["id"],
    ]
    plain = {"cidr": "10.23.0.0/24"} | values
    assert admin.refuse("subnet", 400, **plain) == "SubnetsNotAllAssociatedWithSegments"
    mine, own = demo.network("10.50.0.0/24")
    assert "segment_id" not in own
    assert mine["id"] == own["network_id"]
    assert demo.update("subnet", own["id"], status=403, segment_id=segment["id"])["type"] == "PolicyNotAuthorized"


def test_filters_and_sorting(demo: Neutron) -> None:
    network, four = demo.network(tags=["a"])
    values = {"network_id": network["id"], "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    six = demo.create("subnet", cidr="fd20::/64", **values)
    both = f"?network_id={network['id']}"

    def found(query: str) -> list[str]:
        return [subnet["id"] for subnet in demo.list("subnet", both + query)]

    assert found("&tags=a") == [four["id"]]
    assert found("&ipv6_ra_mode=slaac") == [six["id"]]
    assert found("&cidr=fd20::/64&gateway_ip=fd20::1") == [six["id"]]
    assert found("&enable_dhcp=true&sort_key=ip_version&sort_dir=desc") == [six["id"], four["id"]]
    assert found("&sort_key=cidr") == [four["id"], six["id"]]
    assert found("&sort_key=ipv6_ra_mode&limit=1") == [four["id"]]
    assert found("&shared=true") == []
    assert found("&router:external=true") == []
    assert found("&shared=false&project_id=" + network["project_id"]) != []


def test_how_many_addresses_are_left_in_and_outside_of_pools(demo: Neutron, admin: Neutron) -> None:
    network, four = demo.network(allocation_pools=[{"start": "10.20.0.10", "end": "10.20.0.19"}], enable_dhcp=False)
    demo.create("subnet", network_id=network["id"], cidr="fd20::/64", ip_version=6, enable_dhcp=False)
    for address in ("10.20.0.10", "10.20.0.200"):
        fixed = [{"subnet_id": four["id"], "ip_address": address}]
        demo.create("port", network_id=network["id"], fixed_ips=fixed)
    path = f"network-ip-availabilities/{network['id']}"
    shown = admin.call("GET", path, status=200)["network_ip_availability"]
    first, second = shown["subnet_ip_availability"]
    assert (first["total_ips"], first["used_ips"]) == (10, 2)
    assert first["ip_availability_details"] == {
        "total_ips_in_subnet": 254,
        "total_ips_in_allocation_pool": 10,
        "used_ips_in_subnet": 2,
        "used_ips_in_allocation_pool": 1,
    }
    assert second["ip_availability_details"]["total_ips_in_subnet"] == 2**64
    assert shown["total_ips"] == first["total_ips"] + second["total_ips"]
    assert shown["ip_availability_details"]["used_ips_in_allocation_pool"] == 1
    listed = admin.call("GET", f"network-ip-availabilities?network_id={network['id']}&ip_version=6", status=200)
    (one,) = listed["network_ip_availabilities"]
    assert one["subnet_ip_availability"] == [second]
    admin.call("GET", "network-ip-availabilities?ip_version=six", status=400)
    fault = admin.call("GET", "network-ip-availabilities/nowhere", status=404)
    assert fault["type"] == "NetworkNotFound"
