"""Floating IPs: their ports, addresses, names, policies, pools."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron
from tests.api.network.routing import plug, routed, unplug
from tests.cloud import TestCloud


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


def test_floating_ips_of_what_becomes_internal(demo: Neutron, admin: Neutron) -> None:
    outside = admin.create("network", **{"router.external": True})
    admin.create("subnet", network_id=outside["id"], cidr="198.51.100.0/24", ip_version=4, enable_dhcp=False)
    floating = demo.create("floatingip", floating_network_id=outside["id"])
    assert admin.update("network", outside["id"], **{"router.external": False})["router:external"] is False
    demo.show("floatingip", floating["id"], status=404)


def test_names_and_policies(cloud: TestCloud, demo: Neutron, admin: Neutron, public: dict[str, Any]) -> None:
    policy = admin.call("POST", "qos/policies", {"policy": {"name": "slow", "shared": True}}, status=201)["policy"]
    rule = {"dscp_marking_rule": {"dscp_mark": 10}}
    admin.call("POST", f"qos/policies/{policy['id']}/dscp_marking_rules", rule, status=201)
    network, _, router = routed(demo, public)
    port = demo.create("port", network_id=network["id"])
    given = {"floating_network_id": public["id"]}
    made = demo.create(
        "floatingip", **given, port_id=port["id"], dns_name="web", dns_domain="example.org.", tags=["t"],
        qos_policy_id=policy["id"], description="d",
    )  # fmt: skip
    assert (made["dns_name"], made["dns_domain"], made["tags"]) == ("web", "example.org.", ["t"])
    assert (made["qos_policy_id"], made["qos_network_policy_id"]) == (policy["id"], None)
    cloud.settle()
    (spec,) = cloud.network.routers[router["id"]].floating_ips
    assert spec.qos is not None
    assert spec.qos.dscp == 10
    assert [item["id"] for item in demo.list("floatingip", f"?qos_policy_id={policy['id']}&tags=t")] == [made["id"]]
    assert demo.update("floatingip", made["id"], qos_policy_id=None)["qos_policy_id"] is None
    assert demo.update("floatingip", made["id"], status=404, qos_policy_id="nowhere")["type"] == "QosPolicyNotFound"
    cloud.settle()
    assert cloud.network.routers[router["id"]].floating_ips[0].qos is None
    for fields in ({"dns_name": "web"}, {"dns_domain": "example.org."}, {"dns_name": "-", "dns_domain": "example.org."},
                   {"dns_name": "x" * 300, "dns_domain": "a.b."}, {"subnet_id": 5}, {"more": 1}):  # fmt: skip
        assert demo.refuse("floatingip", 400, **given, **fields) in ("HTTPBadRequest", "InvalidInput")
    assert demo.refuse("floatingip", 404, **given, qos_policy_id="nowhere") == "QosPolicyNotFound"


def test_addresses_of_one_subnet(demo: Neutron, admin: Neutron) -> None:
    outside = admin.create("network", **{"router.external": True})
    subnets = [
        admin.create("subnet", network_id=outside["id"], cidr=cidr, ip_version=4, enable_dhcp=False)
        for cidr in ("198.51.100.0/24", "203.0.113.0/24")
    ]
    made = demo.create("floatingip", floating_network_id=outside["id"], subnet_id=subnets[1]["id"])
    assert made["floating_ip_address"].startswith("203.0.113.")
    pools = demo.call("GET", f"floatingip_pools?network_id={outside['id']}", status=200)["floatingip_pools"]
    assert {pool["cidr"] for pool in pools} == {"198.51.100.0/24", "203.0.113.0/24"}
    assert {pool["subnet_id"] for pool in pools} == {subnet["id"] for subnet in subnets}
    first = demo.create("floatingip", floating_network_id=outside["id"], subnet_id=subnets[0]["id"])
    query = f"?floating_network_id={outside['id']}&sort_key=floating_ip_address&sort_dir="
    listed = {way: [item["id"] for item in demo.list("floatingip", query + way)] for way in ("asc", "desc")}
    assert listed == {"asc": [first["id"], made["id"]], "desc": [made["id"], first["id"]]}
    six = admin.create("network", **{"router.external": True})
    admin.create("subnet", network_id=six["id"], cidr="2001:db8::/64", ip_version=6, enable_dhcp=False)
    assert demo.refuse("floatingip", 400, floating_network_id=six["id"]) == "HTTPBadRequest"


def test_the_router_with_the_subnets_gateway_is_taken(demo: Neutron, public: dict[str, Any]) -> None:
    network, subnet = demo.network()
    info = {"network_id": public["id"]}
    beside = demo.create("router", external_gateway_info=info)
    plug(demo, beside, port_id=demo.create("port", network_id=network["id"])["id"])
    port = demo.create("port", network_id=network["id"])
    floating = demo.create("floatingip", floating_network_id=public["id"], port_id=port["id"])
    assert floating["router_id"] == beside["id"]
    through = demo.create("router", external_gateway_info=info)
    plug(demo, through, subnet_id=subnet["id"])
    assert demo.update("floatingip", floating["id"], port_id=port["id"])["router_id"] == through["id"]


def test_others_floating_ips_and_ports(demo: Neutron, admin: Neutron, public: dict[str, Any]) -> None:
    theirs = admin.create("floatingip", floating_network_id=public["id"])
    for noun in ("PUT", "DELETE", "GET"):
        body = {"floatingip": {}} if noun == "PUT" else None
        assert demo.call(noun, f"floatingips/{theirs['id']}", body, status=404)["type"] == "FloatingIPNotFound"
    network, _ = admin.network("10.70.0.0/24")
    port = admin.create("port", network_id=network["id"])
    assert demo.refuse("floatingip", 404, floating_network_id=public["id"], port_id=port["id"]) == "PortNotFound"
    assert demo.refuse("floatingip", 403, floating_network_id=public["id"], project_id=theirs["project_id"]) == (
        "PolicyNotAuthorized"
    )
