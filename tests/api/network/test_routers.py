"""Routers: gateways, interfaces, routes; floating IPs through them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


def plug(user: Neutron, router: dict[str, Any], status: int = 200, **what: str) -> Any:
    return user.call("PUT", f"routers/{router['id']}/add_router_interface", what, status=status)


def unplug(user: Neutron, router: dict[str, Any], status: int = 200, **what: str) -> Any:
    return user.call("PUT", f"routers/{router['id']}/remove_router_interface", what, status=status)


@pytest.fixture
def public(demo: Neutron) -> dict[str, Any]:
    """The external network."""
    return demo.find("network", "public")


def routed(demo: Neutron, public: dict[str, Any], cidr: str = "10.20.0.0/24") -> tuple[dict[str, Any], ...]:
    """A network, its subnet, and a router from it to the public network."""
    network, subnet = demo.network(cidr)
    router = demo.create("router", name="r", external_gateway_info={"network_id": public["id"]})
    plug(demo, router, subnet_id=subnet["id"])
    return network, subnet, router


def test_create_show_update_delete(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    router = demo.create("router", name="one", description="d")
    assert (router["external_gateway_info"], router["routes"], router["status"]) == (None, [], "ACTIVE")
    assert "ha" not in router
    assert admin.show("router", router["id"])["distributed"] is False
    assert demo.update("router", router["id"], name="two", admin_state_up=False)["admin_state_up"] is False
    cloud.settle()
    assert cloud.network.routers[router["id"]].admin_up is False
    demo.delete("router", router["id"])
    cloud.settle()
    assert router["id"] not in cloud.network.routers
    assert demo.show("router", router["id"], status=404)["type"] == "RouterNotFound"


def test_a_gateway_comes_and_goes(cloud: TestCloud, demo: Neutron, admin: Neutron, public: dict[str, Any]) -> None:
    router = demo.create("router", external_gateway_info={"network_id": public["id"]})
    info = router["external_gateway_info"]
    assert info["enable_snat"] is True
    assert info["external_fixed_ips"][0]["ip_address"].startswith("172.24.4.")
    cloud.settle()
    spec = cloud.network.routers[router["id"]]
    assert spec.gateway is not None
    assert spec.gateway.next_hops == ("172.24.4.1",)
    fixed = [{"ip_address": "172.24.4.99"}]
    denied = {"network_id": public["id"], "enable_snat": False}
    assert demo.update("router", router["id"], status=403, external_gateway_info=denied)["type"] == (
        "PolicyNotAuthorized"
    )
    changed = admin.update("router", router["id"], external_gateway_info=denied | {"external_fixed_ips": fixed})
    assert changed["external_gateway_info"]["enable_snat"] is False
    assert changed["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "172.24.4.99"
    assert demo.update("router", router["id"], external_gateway_info={})["external_gateway_info"] is None
    assert admin.list("port", f"?device_id={router['id']}") == []
    network, _ = demo.network()
    inside = {"network_id": network["id"]}
    assert demo.update("router", router["id"], status=400, external_gateway_info=inside)["type"] == "HTTPBadRequest"


def test_interfaces(cloud: TestCloud, demo: Neutron, public: dict[str, Any]) -> None:
    network, subnet, router = routed(demo, public)
    (leg,) = demo.list("port", f"?device_id={router['id']}")
    assert leg["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.20.0.1"}]
    plug(demo, router, status=400, subnet_id=subnet["id"])
    plug(demo, router, status=400)
    plug(demo, router, status=400, subnet_id=subnet["id"], port_id=leg["id"])
    plug(demo, router, status=404, subnet_id="nowhere")
    plug(demo, router, status=404, port_id="nowhere")
    _, overlapping = demo.network("10.20.0.128/25")
    plug(demo, router, status=400, subnet_id=overlapping["id"])
    other, _ = demo.network("10.21.0.0/24")
    port = demo.create("port", network_id=other["id"])
    answer = plug(demo, router, port_id=port["id"])
    assert (answer["port_id"], answer["id"]) == (port["id"], router["id"])
    assert demo.show("port", port["id"])["device_owner"] == "network:router_interface"
    plug(demo, router, status=409, port_id=port["id"])
    cloud.settle()
    assert {leg.network_id for leg in cloud.network.routers[router["id"]].interfaces} == {network["id"], other["id"]}
    assert demo.show("port", port["id"])["status"] == "ACTIVE"
    assert demo.delete("router", router["id"], status=409)["type"] == "RouterInUse"
    assert demo.delete("subnet", subnet["id"], status=409)["type"] == "SubnetInUse"
    unplug(demo, router, status=404, port_id="nowhere")
    unplug(demo, router, status=404, subnet_id=overlapping["id"])
    assert unplug(demo, router, port_id=port["id"])["subnet_id"] == port["fixed_ips"][0]["subnet_id"]
    unplug(demo, router, subnet_id=subnet["id"])
    demo.delete("router", router["id"])
    cloud.settle()
    assert router["id"] not in cloud.network.routers


def test_two_ipv6_subnets_of_a_network_share_a_leg(demo: Neutron) -> None:
    network, one = demo.network("fd00:1::/64")
    two = demo.create("subnet", network_id=network["id"], cidr="fd00:2::/64", ip_version=6)
    router = demo.create("router")
    first, second = plug(demo, router, subnet_id=one["id"]), plug(demo, router, subnet_id=two["id"])
    assert first["port_id"] == second["port_id"]
    unplug(demo, router, subnet_id=one["id"])
    assert [ip["subnet_id"] for ip in demo.show("port", first["port_id"])["fixed_ips"]] == [two["id"]]


def test_routes(cloud: TestCloud, demo: Neutron, public: dict[str, Any]) -> None:
    _, subnet, router = routed(demo, public)
    route = {"destination": "10.50.0.0/16", "nexthop": "10.20.0.9"}
    assert demo.update("router", router["id"], routes=[route])["routes"] == [route]
    cloud.settle()
    assert cloud.network.routers[router["id"]].routes[0].next_hop == "10.20.0.9"
    for bad in ({"nexthop": "10.99.0.1"}, {"nexthop": "10.20.0.1"}, {"destination": "fd00::/64"}):
        assert demo.update("router", router["id"], status=400, routes=[route | bad])["type"] == "InvalidRoutes"
    assert unplug(demo, router, status=409, subnet_id=subnet["id"])["type"] == "RouterInterfaceInUseByRoute"
    more = {"destination": "10.51.0.0/16", "nexthop": "10.20.0.9"}
    path = f"routers/{router['id']}"
    added = demo.call("PUT", f"{path}/add_extraroutes", {"router": {"routes": [more]}}, status=200)
    assert added["router"]["routes"] == [route, more]
    left = demo.call("PUT", f"{path}/remove_extraroutes", {"router": {"routes": [route]}}, status=200)
    assert left["router"]["routes"] == [more]
    assert demo.update("router", router["id"], routes=[])["routes"] == []


def test_routers_of_others(demo: Neutron, admin: Neutron) -> None:
    theirs = admin.create("router")
    demo.show("router", theirs["id"], status=404)
    demo.delete("router", theirs["id"], status=404)
    assert theirs["id"] not in {router["id"] for router in demo.list("router")}
    mine = demo.create("router")
    hidden, subnet = admin.network("10.70.0.0/24")
    plug(demo, mine, status=404, subnet_id=subnet["id"])
    assert demo.refuse("router", 404, external_gateway_info={"network_id": hidden["id"]}) == "NetworkNotFound"
    assert demo.refuse("router", 403, ha=True) == "PolicyNotAuthorized"


def test_a_floating_ip_follows_its_port(cloud: TestCloud, demo: Neutron, public: dict[str, Any]) -> None:
    network, _, router = routed(demo, public)
    port, other = (demo.create("port", network_id=network["id"]) for _ in range(2))
    floating = demo.create("floatingip", floating_network_id=public["id"])
    assert (floating["status"], floating["port_id"], floating["router_id"]) == ("DOWN", None, None)
    changed = demo.update("floatingip", floating["id"], port_id=port["id"])
    assert (changed["router_id"], changed["fixed_ip_address"]) == (router["id"], port["fixed_ips"][0]["ip_address"])
    assert changed["port_details"]["mac_address"] == port["mac_address"]
    cloud.settle()
    (spec,) = cloud.network.routers[router["id"]].floating_ips
    assert (spec.floating_ip, spec.fixed_ip) == (floating["floating_ip_address"], changed["fixed_ip_address"])
    assert demo.show("floatingip", floating["id"])["status"] == "ACTIVE"
    second = {"floating_network_id": public["id"], "port_id": port["id"]}
    assert demo.refuse("floatingip", 409, **second) == "FloatingIPPortAlreadyAssociated"
    assert unplug(demo, router, status=409, port_id=demo.list("port", f"?device_id={router['id']}")[0]["id"])[
        "type"
    ] == ("RouterInterfaceInUseByFloatingIP")
    assert demo.update("router", router["id"], status=409, external_gateway_info=None)["type"] == (
        "RouterExternalGatewayInUseByFloatingIp"
    )
    assert demo.update("floatingip", floating["id"], port_id=other["id"])["port_id"] == other["id"]
    demo.delete("port", other["id"])
    assert demo.show("floatingip", floating["id"])["port_id"] is None
    cloud.settle()
    assert cloud.network.routers[router["id"]].floating_ips == ()
    demo.delete("floatingip", floating["id"])
    assert demo.show("floatingip", floating["id"], status=404)["type"] == "FloatingIPNotFound"


def test_floating_ips_that_cannot_be(demo: Neutron, admin: Neutron, public: dict[str, Any]) -> None:
    network, subnet = demo.network()
    port = demo.create("port", network_id=network["id"])
    given = {"floating_network_id": public["id"]}
    assert demo.refuse("floatingip", 404, **given, port_id=port["id"]) == "ExternalGatewayForFloatingIPNotFound"
    assert demo.refuse("floatingip", 404, **given, port_id="nowhere") == "PortNotFound"
    assert demo.refuse("floatingip", 400, floating_network_id=network["id"]) == "HTTPBadRequest"
    assert demo.refuse("floatingip", 404, floating_network_id="nowhere") == "NetworkNotFound"
    assert demo.refuse("floatingip", 403, **given, floating_ip_address="172.24.4.77") == "PolicyNotAuthorized"
    chosen = admin.create("floatingip", **given, floating_ip_address="172.24.4.77")
    assert chosen["floating_ip_address"] == "172.24.4.77"
    assert admin.refuse("floatingip", 409, **given, floating_ip_address="172.24.4.77") == "IpAddressAlreadyAllocated"
    assert admin.refuse("floatingip", 400, **given, floating_ip_address="10.20.0.5") == "InvalidIpForNetwork"
    demo.show("floatingip", chosen["id"], status=404)
    two = demo.create("port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}] * 2)
    router = demo.create("router", external_gateway_info={"network_id": public["id"]})
    plug(demo, router, subnet_id=subnet["id"])
    assert demo.refuse("floatingip", 400, **given, port_id=two["id"]) == "HTTPBadRequest"
    assert demo.refuse("floatingip", 400, **given, port_id=two["id"], fixed_ip_address="10.20.0.250") == (
        "HTTPBadRequest"
    )
    address = two["fixed_ips"][1]["ip_address"]
    made = demo.create("floatingip", **given, port_id=two["id"], fixed_ip_address=address)
    assert made["fixed_ip_address"] == address


def test_floating_ips_run_out(demo: Neutron, admin: Neutron) -> None:
    outside = admin.create("network", **{"router.external": True})
    admin.create("subnet", network_id=outside["id"], cidr="198.51.100.0/30", ip_version=4, enable_dhcp=False)
    made = demo.create("floatingip", floating_network_id=outside["id"])
    assert made["floating_ip_address"] == "198.51.100.2"
    assert demo.refuse("floatingip", 409, floating_network_id=outside["id"]) == "IpAddressGenerationFailure"
    assert demo.list("floatingip", f"?floating_network_id={outside['id']}&status=DOWN") == [made]


def test_an_external_network_takes_its_unused_floating_ips_along(demo: Neutron, admin: Neutron) -> None:
    outside = admin.create("network", **{"router.external": True})
    admin.create("subnet", network_id=outside["id"], cidr="198.51.100.0/24", ip_version=4, enable_dhcp=False)
    floating = demo.create("floatingip", floating_network_id=outside["id"])
    admin.delete("network", outside["id"])
    demo.show("floatingip", floating["id"], status=404)
