"""Agents, what they serve, zones and providers."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


def agent(admin: Neutron, kind: str) -> dict[str, Any]:
    (found,) = admin.list("agent", f"?agent_type={kind}")
    return found


def test_each_host_has_one_agent_of_each_type(admin: Neutron) -> None:
    found = admin.list("agent")
    assert {(item["agent_type"], item["binary"]) for item in found} == {
        ("DHCP agent", "neutron-dhcp-agent"),
        ("L3 agent", "neutron-l3-agent"),
        ("Linux bridge agent", "neutron-linuxbridge-agent"),
        ("Metadata agent", "neutron-metadata-agent"),
    }
    assert all(item["alive"] and item["admin_state_up"] and item["host"] == "testhost" for item in found)
    assert len({item["id"] for item in found}) == 4
    assert admin.show("agent", found[0]["id"])["id"] == found[0]["id"]
    assert [item["agent_type"] for item in admin.list("agent", "?binary=neutron-l3-agent&alive=true")] == ["L3 agent"]
    assert admin.list("agent", "?alive=false") == []
    assert admin.list("agent", "?host=elsewhere") == []
    assert [item["agent_type"] for item in admin.list("agent", "?sort_key=agent_type&fields=agent_type")] == sorted(
        item["agent_type"] for item in found
    )


def test_what_administrators_say_of_agents(admin: Neutron) -> None:
    one = agent(admin, "L3 agent")
    changed = admin.update("agent", one["id"], admin_state_up=False, description="rests")
    assert (changed["admin_state_up"], changed["description"]) == (False, "rests")
    assert admin.update("agent", one["id"], description=None)["admin_state_up"] is False
    assert [item["id"] for item in admin.list("agent", "?admin_state_up=false")] == [one["id"]]
    admin.delete("agent", one["id"])
    assert admin.show("agent", one["id"])["admin_state_up"] is True
    for body in ({"admin_state_up": "perhaps"}, {"description": "x" * 256}, {"host": "other"}):
        admin.update("agent", one["id"], status=400, **body)
    for status in (admin.show("agent", "nowhere", 404), admin.update("agent", "nowhere", 404, description="x")):
        assert status["type"] == "AgentNotFound"
    assert admin.delete("agent", "nowhere", 404)["type"] == "AgentNotFound"


def test_tenants_see_no_agents(demo: Neutron, admin: Neutron) -> None:
    one = agent(admin, "DHCP agent")
    network, router = demo.create("network"), demo.create("router")
    assert demo.list("agent") == []
    for method, path in (
        ("GET", f"agents/{one['id']}"),
        ("DELETE", f"agents/{one['id']}"),
        ("GET", f"agents/{one['id']}/dhcp-networks"),
        ("GET", f"agents/{one['id']}/l3-routers"),
        ("GET", f"networks/{network['id']}/dhcp-agents"),
        ("GET", f"routers/{router['id']}/l3-agents"),
        ("DELETE", f"agents/{one['id']}/dhcp-networks/{network['id']}"),
        ("DELETE", f"agents/{one['id']}/l3-routers/{router['id']}"),
    ):
        demo.call(method, path, status=403)
    demo.call("POST", f"agents/{one['id']}/dhcp-networks", {"network_id": network["id"]}, status=403)
    demo.call("POST", f"agents/{one['id']}/l3-routers", {"router_id": router["id"]}, status=403)


def test_dhcp_is_taken_from_a_network_and_given_back(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    network, subnet = demo.network()
    one = agent(admin, "DHCP agent")
    path = f"agents/{one['id']}/dhcp-networks"
    assert network["id"] in [item["id"] for item in admin.call("GET", path, status=200)["networks"]]
    (serving,) = admin.call("GET", f"networks/{network['id']}/dhcp-agents", status=200)["agents"]
    assert serving["id"] == one["id"]
    fault = admin.call("POST", path, {"network_id": network["id"]}, status=409)
    assert fault["type"] == "NetworkHostedByDHCPAgent"
    admin.call("DELETE", f"{path}/{network['id']}", status=204)
    assert demo.list("port", f"?network_id={network['id']}&device_owner=network:dhcp") == []
    cloud.settle()
    assert cloud.network.networks[network["id"]].service_port is None
    demo.update("subnet", subnet["id"], dns_nameservers=["192.0.2.1"])
    assert demo.list("port", f"?network_id={network['id']}&device_owner=network:dhcp") == []
    assert admin.call("GET", f"networks/{network['id']}/dhcp-agents", status=200)["agents"] == []
    assert demo.show("network", network["id"])["availability_zones"] == []
    fault = admin.call("DELETE", f"{path}/{network['id']}", status=409)
    assert fault["type"] == "NetworkNotHostedByDhcpAgent"
    admin.call("POST", path, {"network_id": network["id"]}, status=201)
    assert len(demo.list("port", f"?network_id={network['id']}&device_owner=network:dhcp")) == 1
    other = agent(admin, "L3 agent")
    fault = admin.call("GET", f"agents/{other['id']}/dhcp-networks", status=404)
    assert fault["type"] == "InvalidDHCPAgent"
    assert admin.call("POST", path, {"network_id": "nowhere"}, status=404)["type"] == "NetworkNotFound"
    admin.call("POST", path, {}, status=400)


def test_routers_are_on_an_agent(demo: Neutron, admin: Neutron) -> None:
    router = demo.create("router")
    one = agent(admin, "L3 agent")
    path = f"agents/{one['id']}/l3-routers"
    (serving,) = admin.call("GET", f"routers/{router['id']}/l3-agents", status=200)["agents"]
    assert serving["id"] == one["id"]
    assert router["id"] in [item["id"] for item in admin.call("GET", path, status=200)["routers"]]
    assert admin.call("POST", path, {"router_id": router["id"]}, status=409)["type"] == "RouterHostedByL3Agent"
    fault = admin.call("DELETE", f"{path}/{router['id']}", status=409)
    assert fault["type"] == "RouterReschedulingFailed"
    assert admin.call("POST", path, {"router_id": "nowhere"}, status=404)["type"] == "RouterNotFound"
    other = agent(admin, "Metadata agent")
    fault = admin.call("GET", f"agents/{other['id']}/l3-routers", status=404)
    assert fault["type"] == "InvalidL3Agent"


def test_zones_and_providers(demo: Neutron) -> None:
    zones = demo.call("GET", "availability_zones", status=200)["availability_zones"]
    assert [(zone["name"], zone["resource"], zone["state"]) for zone in zones] == [
        ("nova", "network", "available"), ("nova", "router", "available"),
    ]  # fmt: skip
    assert len(demo.call("GET", "availability_zones?resource=router", status=200)["availability_zones"]) == 1
    assert demo.call("GET", "availability_zones?name=mars", status=200)["availability_zones"] == []
    (provider,) = demo.call("GET", "service-providers", status=200)["service_providers"]
    assert (provider["service_type"], provider["default"]) == ("L3_ROUTER_NAT", True)
    assert demo.call("GET", "service-providers?service_type=VPN", status=200)["service_providers"] == []
