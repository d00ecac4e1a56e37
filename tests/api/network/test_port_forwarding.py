"""Ports of floating IPs that lead to several machines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.api.network.projects import Member
from tests.api.network.routing import plug, routed, unplug
from tests.cloud import TestCloud


class Forwarded:
    """A floating IP, a router, and two ports behind it."""

    def __init__(self, demo: Neutron, public: dict[str, Any]) -> None:
        self.demo = demo
        self.network, self.subnet, self.router = routed(demo, public)
        self.ports = [demo.create("port", network_id=self.network["id"]) for _ in range(2)]
        self.floating = demo.create("floatingip", floating_network_id=public["id"])
        self.path = f"floatingips/{self.floating['id']}/port_forwardings"

    def body(self, number: int = 0, **fields: Any) -> dict[str, Any]:
        """A forwarding of port 80 to one of the ports."""
        port = self.ports[number]
        base = {"protocol": "tcp", "external_port": 80, "internal_port": 8080, "internal_port_id": port["id"],
                "internal_ip_address": port["fixed_ips"][0]["ip_address"]}  # fmt: skip
        return {name: value for name, value in (base | fields).items() if value is not None}

    def post(self, number: int = 0, status: int = 201, **fields: Any) -> Any:
        """Ask for one."""
        answer = self.demo.call("POST", self.path, {"port_forwarding": self.body(number, **fields)}, status=status)
        return answer["port_forwarding"] if status == 201 else answer["type"]

    def put(self, made: dict[str, Any], status: int = 200, **fields: Any) -> Any:
        """Change one."""
        answer = self.demo.call("PUT", f"{self.path}/{made['id']}", {"port_forwarding": fields}, status=status)
        return answer["port_forwarding"] if status == 200 else answer["type"]

    def shown(self) -> dict[str, Any]:
        """The floating IP as it is now."""
        return self.demo.show("floatingip", self.floating["id"])


@pytest.fixture
def forwarded(demo: Neutron, public: dict[str, Any]) -> Forwarded:
    return Forwarded(demo, public)


def test_create_show_update_delete(cloud: TestCloud, demo: Neutron, forwarded: Forwarded) -> None:
    made = forwarded.post(description="web")
    assert (made["external_port"], made["external_port_range"], made["internal_port"]) == (80, "80:80", 8080)
    assert (made["protocol"], made["description"]) == ("tcp", "web")
    floating = forwarded.shown()
    assert (floating["router_id"], floating["port_id"]) == (forwarded.router["id"], None)
    assert [item["id"] for item in floating["port_forwardings"]] == [made["id"]]
    cloud.settle()
    (spec,) = cloud.network.routers[forwarded.router["id"]].port_forwardings
    assert (spec.floating_ip, spec.external_ports) == (floating["floating_ip_address"], (80, 80))
    assert (spec.fixed_ip, spec.internal_ports) == (made["internal_ip_address"], (8080, 8080))
    assert cloud.network.routers[forwarded.router["id"]].floating_ips == ()
    assert forwarded.shown()["status"] == "ACTIVE"
    second = forwarded.post(1, external_port=81)
    other = forwarded.ports[1]
    changed = forwarded.put(made, internal_port_id=other["id"], internal_port=9, external_port=82, protocol="UDP")
    assert changed["internal_ip_address"] == other["fixed_ips"][0]["ip_address"]
    assert (changed["internal_port"], changed["external_port"], changed["protocol"]) == (9, 82, "udp")
    assert forwarded.put(made, description="x")["description"] == "x"
    assert demo.call("GET", f"{forwarded.path}/{made['id']}", status=200)["port_forwarding"]["external_port"] == 82
    listed = demo.call("GET", f"{forwarded.path}?protocol=tcp", status=200)["port_forwardings"]
    assert [item["id"] for item in listed] == [second["id"]]
    for item in (made, second):
        demo.call("DELETE", f"{forwarded.path}/{item['id']}", status=204)
    assert (forwarded.shown()["router_id"], forwarded.shown()["status"]) == (None, "DOWN")
    cloud.settle()
    assert cloud.network.routers[forwarded.router["id"]].port_forwardings == ()
    demo.delete("floatingip", forwarded.floating["id"])


def test_ranges(cloud: TestCloud, forwarded: Forwarded) -> None:
    single: dict[str, Any] = {"external_port": None, "internal_port": None}
    many = forwarded.post(**single, external_port_range="8000:8009", internal_port_range="9000:9009")
    assert (many["external_port"], many["internal_port"], many["internal_port_range"]) == (None, None, "9000:9009")
    to_one = forwarded.post(1, external_port=None, external_port_range="100:199", internal_port=22)
    assert (to_one["internal_port"], to_one["external_port_range"]) == (22, "100:199")
    cloud.settle()
    specs = cloud.network.routers[forwarded.router["id"]].port_forwardings
    assert {(spec.external_ports, spec.internal_ports) for spec in specs} == {
        ((8000, 8009), (9000, 9009)), ((100, 199), (22, 22))
    }  # fmt: skip
    assert forwarded.put(many, external_port_range="8000:8019", internal_port_range="9000:9019")["id"] == many["id"]
    assert forwarded.put(many, status=400, external_port_range="8000:8005") == "HTTPBadRequest"
    for fields in (
        {"external_port_range": "1:10", "internal_port_range": "1:5"},
        {"external_port_range": "8005:8006", "internal_port_range": "1:2"},
        {"external_port_range": "10:1", "internal_port_range": "1:10"},
        {"external_port_range": "0:9", "internal_port_range": "1:10"},
        {"external_port_range": "65530:65540", "internal_port_range": "1:11"},
        {"external_port_range": "a:b", "internal_port_range": "1:2"},
        {"external_port_range": "1:2", "internal_port_range": "9001:9002"},
        {"external_port_range": "1:2:3", "internal_port_range": "1:2"},
        {"external_port_range": "", "internal_port_range": "1:2"},
    ):
        assert forwarded.post(status=400, **single, **fields) == "HTTPBadRequest", fields


def test_forwardings_that_cannot_be(demo: Neutron, admin: Neutron, forwarded: Forwarded) -> None:
    forwarded.post()
    for fields in (
        {"protocol": "icmp", "external_port": 90},
        {"protocol": None},
        {"internal_port_id": None},
        {"external_port": None},
        {"internal_port": None},
        {"external_port": 70000},
        {"external_port": "x"},
        {"external_port": 5, "external_port_range": "6:7"},
        {"internal_ip_address": "10.20.0.250"},
        {"internal_ip_address": "fd00::1"},
        {"internal_ip_address": "no"},
        {"description": "x" * 256},
        {"more": 1},
    ):
        asked = {"external_port": 100, "internal_port": 101} | fields
        assert forwarded.post(status=400, **asked) == "HTTPBadRequest", fields
    assert forwarded.post(status=404, internal_port_id="nowhere") == "PortNotFound"
    outside, _ = demo.network("10.77.0.0/24")
    unreachable = demo.create("port", network_id=outside["id"])
    assert forwarded.post(status=400, internal_port_id=unreachable["id"], internal_ip_address=None) == "HTTPBadRequest"
    assert demo.call("GET", f"{forwarded.path}/nowhere", status=404)["type"] == "PortForwardingNotFound"
    for name in ("internal_ip_address", "internal_port"):
        kind = demo.call("GET", f"{forwarded.path}?{name}=1", status=400)["type"]
        assert kind == "PortForwardingNotSupportFilterField"
    theirs = admin.create("floatingip", floating_network_id=forwarded.floating["floating_network_id"])
    path = f"floatingips/{theirs['id']}/port_forwardings"
    assert demo.call("GET", path, status=404)["type"] == "FloatingIPNotFound"
    assert demo.call("POST", path, {"port_forwarding": forwarded.body()}, status=404)["type"] == "FloatingIPNotFound"


def test_the_same_port_twice(forwarded: Forwarded) -> None:
    forwarded.post()
    assert forwarded.post(1, status=400) == "HTTPBadRequest"
    assert forwarded.post(status=400, external_port=81) == "HTTPBadRequest"
    assert forwarded.post(protocol="udp")["protocol"] == "udp"
    second = forwarded.post(1, external_port=82)
    assert forwarded.put(second, status=400, external_port=80) == "HTTPBadRequest"
    assert len(forwarded.shown()["port_forwardings"]) == 3


def test_a_floating_ip_forwards_or_leads_as_a_whole(demo: Neutron, forwarded: Forwarded, public: Any) -> None:
    made = forwarded.post()
    port, floating = forwarded.ports[1], forwarded.floating["id"]
    for kind in (
        demo.update("floatingip", floating, status=409, port_id=port["id"])["type"],
        demo.delete("floatingip", floating, status=409)["type"],
    ):
        assert kind == "FipInUseByPortForwarding"
    assert demo.update("floatingip", floating, port_id=None)["router_id"] == forwarded.router["id"]
    whole = demo.create("floatingip", floating_network_id=public["id"], port_id=port["id"])
    assert forwarded.post(1, status=409, external_port=81) == "PortHasBindingFloatingIP"
    path = f"floatingips/{whole['id']}/port_forwardings"
    kind = demo.call("POST", path, {"port_forwarding": forwarded.body()}, status=409)["type"]
    assert kind == "FloatingIPPortAlreadyAssociated"
    assert made["id"] == forwarded.shown()["port_forwardings"][0]["id"]


def test_what_forwardings_hold_and_what_ends_them(demo: Neutron, forwarded: Forwarded, public: Any) -> None:
    forwarded.post()
    router = forwarded.router
    assert unplug(demo, router, status=409, subnet_id=forwarded.subnet["id"])["type"] == (
        "RouterInterfaceInUseByFloatingIP"
    )
    assert demo.update("router", router["id"], status=409, external_gateway_info=None)["type"] == (
        "RouterExternalGatewayInUseByFloatingIp"
    )
    other, other_subnet = demo.network("10.21.0.0/24")
    second = demo.create("router", external_gateway_info={"network_id": public["id"]})
    plug(demo, second, subnet_id=other_subnet["id"])
    far = demo.create("port", network_id=other["id"])
    assert forwarded.post(status=400, external_port=81, internal_port_id=far["id"], internal_ip_address=None) == (
        "HTTPBadRequest"
    )
    forwarded.post(1, external_port=82)
    demo.update("port", forwarded.ports[1]["id"], fixed_ips=[{"ip_address": "10.20.0.200"}])
    assert [item["external_port"] for item in forwarded.shown()["port_forwardings"]] == [80]
    demo.delete("port", forwarded.ports[0]["id"])
    assert (forwarded.shown()["port_forwardings"], forwarded.shown()["router_id"]) == ([], None)
    unplug(demo, router, subnet_id=forwarded.subnet["id"])


def test_of_many_who_ask_for_one_port_at_once_one_gets_it(cloud: TestCloud, forwarded: Forwarded) -> None:
    bodies = [forwarded.body(number % 2, internal_port=1000 + number) for number in range(8)]

    def ask(body: dict[str, Any]) -> int:
        client = cloud.client("demo")
        return client.post(f"/network/v2.0/{forwarded.path}", json={"port_forwarding": body}).status_code

    with ThreadPoolExecutor(len(bodies)) as pool:
        found = sorted(pool.map(ask, bodies))
    assert found == [201] + [400] * (len(bodies) - 1)
    assert len(forwarded.shown()["port_forwardings"]) == 1


def test_who_may_only_look(cloud: TestCloud, admin: Neutron, public: dict[str, Any]) -> None:
    reader = Member(cloud, "looker", role="reader")
    own = {"project_id": reader.project_id}
    router = admin.create("router", external_gateway_info={"network_id": public["id"]}, **own)
    network = admin.create("network", **own)
    subnet = admin.create("subnet", network_id=network["id"], cidr="10.20.0.0/24", ip_version=4, **own)
    plug(admin, router, subnet_id=subnet["id"])
    port = admin.create("port", network_id=network["id"], **own)
    floating = admin.create("floatingip", floating_network_id=public["id"], **own)
    path = f"floatingips/{floating['id']}/port_forwardings"
    body = {"protocol": "tcp", "external_port": 80, "internal_port": 80, "internal_port_id": port["id"],
            "internal_ip_address": port["fixed_ips"][0]["ip_address"]}  # fmt: skip
    made = admin.call("POST", path, {"port_forwarding": body}, status=201)["port_forwarding"]
    helper = {"conntrack_helper": {"protocol": "tcp", "port": 21, "helper": "ftp"}}
    local = admin.create("local_ip", network_id=network["id"], **own)
    assert reader.call("GET", path, status=200)["port_forwardings"] == [made]
    assert reader.show("router", router["id"])["id"] == router["id"]
    gateways = {"router": {"external_gateways": [{"network_id": public["id"]}]}}
    for method, where, sent in (
        ("POST", path, {"port_forwarding": body}),
        ("PUT", f"{path}/{made['id']}", {"port_forwarding": {"description": "x"}}),
        ("DELETE", f"{path}/{made['id']}", None),
        ("POST", f"routers/{router['id']}/conntrack_helpers", helper),
        ("PUT", f"routers/{router['id']}/add_external_gateways", gateways),
        ("PUT", f"routers/{router['id']}/update_external_gateways", gateways),
        ("PUT", f"routers/{router['id']}/remove_external_gateways", gateways),
        ("PUT", f"routers/{router['id']}", {"router": {"name": "x"}}),
        ("PUT", f"floatingips/{floating['id']}", {"floatingip": {"description": "x"}}),
        ("POST", "ndp_proxies", {"ndp_proxy": {"router_id": router["id"], "port_id": port["id"]}}),
        ("POST", "local_ips", {"local_ip": {"network_id": network["id"]}}),
        ("DELETE", f"local_ips/{local['id']}", None),
        ("POST", f"local_ips/{local['id']}/port_associations", {"port_association": {"fixed_port_id": port["id"]}}),
    ):
        assert reader.call(method, where, sent, status=403)["type"] == "PolicyNotAuthorized", (method, where)
