"""Routers: gateways, interfaces, routes, kinds."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron
from tests.api.network.routing import plug, routed, unplug
from tests.cloud import TestCloud


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


def flags(router: dict[str, Any]) -> tuple[Any, ...]:
    return router["ha"], router["distributed"], router["enable_default_route_ecmp"]


def test_a_routers_kind_changes_only_while_it_is_down(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    router = admin.create("router", ha=True, distributed=True, enable_default_route_ecmp=True)
    assert flags(router) == (True, True, True)
    cloud.settle()
    assert cloud.network.routers[router["id"]].ecmp
    assert admin.update("router", router["id"], status=400, distributed=False)["type"] == "HTTPBadRequest"
    assert admin.update("router", router["id"], status=400, ha=False, admin_state_up=False)["type"] == "HTTPBadRequest"
    admin.update("router", router["id"], admin_state_up=False)
    changed = admin.update("router", router["id"], ha=False, distributed=False, enable_default_route_ecmp=False)
    assert flags(changed) == (False, False, False)
    for name in ("distributed", "ha", "enable_default_route_ecmp", "enable_default_route_bfd"):
        assert demo.refuse("router", 403, **{name: True}) == "PolicyNotAuthorized"
    assert admin.refuse("router", 400, enable_default_route_bfd=True) == "InvalidInput"
    assert admin.refuse("router", 400, ha="perhaps") == "HTTPBadRequest"
    assert [item["id"] for item in admin.list("router", "?ha=false&distributed=false&name=")] == [router["id"]]


def test_zones_tags_and_revision(demo: Neutron) -> None:
    router = demo.create("router", availability_zone_hints=["nova"], tags=["blue"])
    assert (router["availability_zone_hints"], router["availability_zones"]) == (["nova"], ["nova"])
    assert [item["id"] for item in demo.list("router", "?tags=blue")] == [router["id"]]
    assert demo.refuse("router", 404, availability_zone_hints=["mars"]) == "AvailabilityZoneNotFound"
    assert demo.refuse("router", 400, availability_zone_hints="nova") == "HTTPBadRequest"
    revision = router["revision_number"]
    stale = {"If-Match": f"revision_number={revision + 5}"}
    body = {"router": {"name": "x"}}
    demo.call("PUT", f"routers/{router['id']}", body, status=412, **stale)
    demo.call("PUT", f"routers/{router['id']}", body, status=200, **{"If-Match": f"revision_number={revision}"})
    both = demo.call("POST", "routers", {"routers": [{"name": "a"}, {"name": "b"}]}, status=201)["routers"]
    assert [item["name"] for item in both] == ["a", "b"]


def outside(admin: Neutron, cidr: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """One more external network."""
    network = admin.create("network", **{"router.external": True})
    version = 6 if ":" in cidr else 4
    return network, admin.create("subnet", network_id=network["id"], cidr=cidr, ip_version=version, enable_dhcp=False)


def gateways(user: Neutron, router: dict[str, Any], action: str, *infos: dict[str, Any], status: int = 200) -> Any:
    body = {"router": {"external_gateways": list(infos)}}
    return user.call("PUT", f"routers/{router['id']}/{action}_external_gateways", body, status=status)


def networks_of(answer: Any) -> list[str]:
    return [item["network_id"] for item in answer["router"]["external_gateways"]]


def test_several_gateways(cloud: TestCloud, demo: Neutron, admin: Neutron, public: dict[str, Any]) -> None:
    second, _ = outside(admin, "198.51.100.0/24")
    router = demo.create("router")
    one, two = {"network_id": public["id"]}, {"network_id": second["id"]}
    added = gateways(demo, router, "add", one, two)
    assert networks_of(added) == [public["id"], second["id"]]
    assert added["router"]["external_gateway_info"] == added["router"]["external_gateways"][0]
    cloud.settle()
    spec = cloud.network.routers[router["id"]]
    assert [gateway.network_id for gateway in spec.gateways] == [public["id"], second["id"]]
    assert [gateway.next_hops for gateway in spec.gateways] == [("172.24.4.1",), ("198.51.100.1",)]
    assert networks_of(gateways(demo, router, "add", one)) == [public["id"], second["id"], public["id"]]
    assert gateways(demo, router, "remove", one, status=400)["type"] == "UnableToMatchGateways"
    swapped = gateways(demo, router, "update", two, {"network_id": public["id"]}, status=400)
    assert swapped["type"] == "UnableToMatchGateways"
    address = {"external_fixed_ips": [{"ip_address": added["router"]["external_gateways"][0]["external_fixed_ips"][0][
        "ip_address"]}]}  # fmt: skip
    assert gateways(demo, router, "update", two, one | address, status=403)["type"] == "PolicyNotAuthorized"
    assert networks_of(gateways(admin, router, "update", two, one | address)) == [second["id"], public["id"]]
    assert len(admin.list("port", f"?device_id={router['id']}")) == 2
    assert networks_of(gateways(demo, router, "remove", two)) == [public["id"]]
    assert demo.show("router", router["id"])["external_gateway_info"]["network_id"] == public["id"]
    assert networks_of(gateways(demo, router, "update")) == []
    assert admin.list("port", f"?device_id={router['id']}") == []
    assert gateways(demo, router, "remove", one, status=400)["type"] == "UnableToRemoveGateways"
    cloud.settle()
    assert cloud.network.routers[router["id"]].gateways == ()


def test_gateways_that_cannot_be(demo: Neutron, admin: Neutron, public: dict[str, Any]) -> None:
    network, _, router = routed(demo, public)
    clash, _ = outside(admin, "10.20.0.0/16")
    same, _ = outside(admin, "172.24.4.0/25")
    for other in (clash, same, network):
        assert gateways(demo, router, "add", {"network_id": other["id"]}, status=400)["type"] == "HTTPBadRequest"
    assert gateways(demo, router, "add", {"network_id": "nowhere"}, status=404)["type"] == "NetworkNotFound"
    assert gateways(demo, router, "add", {}, status=400)["type"] == "HTTPBadRequest"
    denied = {"network_id": public["id"], "enable_snat": False}
    assert gateways(demo, router, "add", denied, status=403)["type"] == "PolicyNotAuthorized"
    edge = {"network_id": public["id"], "external_fixed_ips": [{"ip_address": "172.24.4.1"}]}
    assert gateways(admin, router, "add", edge, status=400)["type"] == "HTTPBadRequest"
    assert admin.update("router", router["id"], status=400, external_gateway_info=edge)["type"] == "HTTPBadRequest"
    limited = {"network_id": public["id"], "qos_policy_id": "nowhere"}
    assert demo.update("router", router["id"], status=404, external_gateway_info=limited)["type"] == "QosPolicyNotFound"
    demo.call("PUT", f"routers/{router['id']}/add_external_gateways", {"router": {}}, status=400)
    assert networks_of({"router": demo.show("router", router["id"])}) == [public["id"]]


def test_a_second_gateway_serves_floating_ips(cloud: TestCloud, demo: Neutron, admin: Neutron, public: Any) -> None:
    network, _, router = routed(demo, public)
    second, _ = outside(admin, "198.51.100.0/24")
    gateways(demo, router, "add", {"network_id": second["id"]})
    port = demo.create("port", network_id=network["id"])
    floating = demo.create("floatingip", floating_network_id=second["id"], port_id=port["id"])
    assert floating["router_id"] == router["id"]
    refused = gateways(demo, router, "remove", {"network_id": second["id"]}, status=409)
    assert refused["type"] == "RouterExternalGatewayInUseByFloatingIp"
    assert admin.update("network", second["id"], status=409, **{"router.external": False})["type"] == (
        "ExternalNetworkInUse"
    )
    gateways(demo, router, "remove", {"network_id": public["id"]})
    demo.delete("floatingip", floating["id"])
    gateways(demo, router, "remove", {"network_id": second["id"]})
    cloud.settle()
    assert cloud.network.routers[router["id"]].floating_ips == ()


def test_a_gateways_policy(cloud: TestCloud, demo: Neutron, admin: Neutron, public: dict[str, Any]) -> None:
    policy = admin.call("POST", "qos/policies", {"policy": {"name": "slow", "shared": True}}, status=201)["policy"]
    rule = {"dscp_marking_rule": {"dscp_mark": 10}}
    admin.call("POST", f"qos/policies/{policy['id']}/dscp_marking_rules", rule, status=201)
    info = {"network_id": public["id"], "qos_policy_id": policy["id"]}
    router = demo.create("router", external_gateway_info=info)
    assert router["external_gateway_info"]["qos_policy_id"] == policy["id"]
    cloud.settle()
    gateway = cloud.network.routers[router["id"]].gateway
    assert gateway is not None
    assert gateway.qos is not None
    assert gateway.qos.dscp == 10
    kept = demo.update("router", router["id"], external_gateway_info={"network_id": public["id"]})
    assert kept["external_gateway_info"]["qos_policy_id"] == policy["id"]
    info["qos_policy_id"] = None
    assert (
        demo.update("router", router["id"], external_gateway_info=info)["external_gateway_info"]["qos_policy_id"]
        is None
    )
    assert gateways(demo, router, "add", info | {"qos_policy_id": policy["id"]}, status=400)["type"] == "InvalidInput"


def test_a_route_keeps_its_way_out(demo: Neutron, public: dict[str, Any]) -> None:
    _, _, router = routed(demo, public)
    route = {"destination": "10.50.0.0/16", "nexthop": "172.24.4.250"}
    demo.update("router", router["id"], routes=[route])
    assert demo.update("router", router["id"], status=400, external_gateway_info=None)["type"] == "InvalidRoutes"
    info = demo.update("router", router["id"], external_gateway_info=None, routes=[])
    assert (info["external_gateway_info"], info["routes"]) == (None, [])
    many = [{"destination": f"10.60.{number}.0/24", "nexthop": "10.20.0.9"} for number in range(31)]
    assert demo.update("router", router["id"], status=400, routes=many)["type"] == "RoutesExhausted"
    demo.update("router", router["id"], routes=many[:30])
    one_more = {"router": {"routes": [many[30]]}}
    path = f"routers/{router['id']}/add_extraroutes"
    assert demo.call("PUT", path, one_more, status=400)["type"] == "RoutesExhausted"


def test_interfaces_that_cannot_be(demo: Neutron, admin: Neutron) -> None:
    shared = admin.create("network", shared=True)
    subnet = admin.create("subnet", network_id=shared["id"], cidr="10.90.0.0/24", ip_version=4)
    router = demo.create("router")
    assert plug(demo, router, status=400, subnet_id=subnet["id"])["type"] == "HTTPBadRequest"
    port = demo.create("port", network_id=shared["id"])
    plug(demo, router, port_id=port["id"])
    _, closed = demo.network("10.91.0.0/24", gateway_ip=None)
    assert plug(demo, router, status=400, subnet_id=closed["id"])["type"] == "HTTPBadRequest"
    _, foreign = demo.network("fd00:9::/64", ipv6_address_mode="slaac")
    assert plug(demo, router, status=400, subnet_id=foreign["id"])["type"] == "HTTPBadRequest"
    network, first = demo.network("fd00:10::/64")
    second = demo.create("subnet", network_id=network["id"], cidr="fd00:11::/64", ip_version=6)
    plug(demo, router, subnet_id=first["id"])
    other = demo.create("port", network_id=network["id"], fixed_ips=[{"subnet_id": second["id"]}])
    assert plug(demo, router, status=400, port_id=other["id"])["type"] == "HTTPBadRequest"
    two, _ = demo.network("10.92.0.0/24")
    demo.create("subnet", network_id=two["id"], cidr="10.93.0.0/24", ip_version=4)
    subnets = [{"subnet_id": item["id"]} for item in demo.list("subnet", f"?network_id={two['id']}")]
    double = demo.create("port", network_id=two["id"], fixed_ips=subnets)
    assert plug(demo, router, status=400, port_id=double["id"])["type"] == "HTTPBadRequest"


def test_a_network_shared_by_name_may_be_routed(demo: Neutron, admin: Neutron) -> None:
    project = demo.create("network")["project_id"]
    network = admin.create("network")
    subnet = admin.create("subnet", network_id=network["id"], cidr="10.94.0.0/24", ip_version=4)
    policy = {"object_type": "network", "object_id": network["id"], "action": "access_as_shared",
              "target_tenant": project}  # fmt: skip
    admin.create("rbac_policy", **policy)
    router = demo.create("router")
    plug(demo, router, subnet_id=subnet["id"])


def test_a_network_external_for_one_project(demo: Neutron, admin: Neutron) -> None:
    project = demo.create("network")["project_id"]
    network = admin.create("network")
    admin.create("subnet", network_id=network["id"], cidr="203.0.113.0/24", ip_version=4, enable_dhcp=False)
    info = {"external_gateway_info": {"network_id": network["id"]}}
    assert demo.refuse("router", 404, **info) == "NetworkNotFound"
    policy = {"object_type": "network", "object_id": network["id"], "action": "access_as_external",
              "target_tenant": project}  # fmt: skip
    admin.create("rbac_policy", **policy)
    assert demo.create("router", **info)["external_gateway_info"]["network_id"] == network["id"]


def test_conntrack_helpers(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    router = demo.create("router")
    path = f"routers/{router['id']}/conntrack_helpers"
    body = {"protocol": "tcp", "port": 21, "helper": "ftp"}
    made = demo.call("POST", path, {"conntrack_helper": body}, status=201)["conntrack_helper"]
    assert {name: made[name] for name in body} == body
    assert demo.show("router", router["id"])["conntrack_helpers"] == [body]
    cloud.settle()
    assert cloud.network.routers[router["id"]].conntrack_helpers[0].helper == "ftp"
    for change, kind in (
        ({}, "HTTPBadRequest"),
        ({"helper": "mine"}, "ConntrackHelperNotAllowed"),
        ({"protocol": "udp"}, "InvalidProtocolForHelper"),
        ({"protocol": "icmp"}, "HTTPBadRequest"),
        ({"port": 0}, "HTTPBadRequest"),
        ({"port": "many"}, "HTTPBadRequest"),
        ({"more": 1}, "HTTPBadRequest"),
    ):
        assert demo.call("POST", path, {"conntrack_helper": body | change}, status=400)["type"] == kind
    assert demo.call("POST", path, {"conntrack_helper": {"port": 1}}, status=400)["type"] == "HTTPBadRequest"
    one = f"{path}/{made['id']}"
    changed = demo.call("PUT", one, {"conntrack_helper": {"port": 2121}}, status=200)["conntrack_helper"]
    assert changed["port"] == 2121
    assert demo.call("GET", one, status=200)["conntrack_helper"] == changed
    assert demo.call("GET", f"{path}?port=2121", status=200)["conntrack_helpers"] == [changed]
    assert demo.call("GET", f"{path}?port=21", status=200)["conntrack_helpers"] == []
    assert demo.call("GET", f"{path}/nowhere", status=404)["type"] == "ConntrackHelperNotFound"
    hidden = admin.create("router")
    assert demo.call("GET", f"routers/{hidden['id']}/conntrack_helpers", status=404)["type"] == "RouterNotFound"
    demo.call("DELETE", one, status=204)
    assert demo.show("router", router["id"])["conntrack_helpers"] == []
    demo.call("POST", path, {"conntrack_helper": body}, status=201)
    demo.delete("router", router["id"])
