"""Whose metadata is asked for, and names and options that ports are given, as the host is told them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.api.network.routing import routed
from tests.cloud import TestCloud

from stackyard.host.network.metadata import METADATA4, MetadataReply, MetadataRequest
from stackyard.host.specs import NO_MAC, NetworkSpec
from stackyard.services import keys


@dataclass
class Devices:
    """A service that tells a device its port."""

    def answer(self, port: Any, request: MetadataRequest) -> MetadataReply:
        return MetadataReply(200, body=f"{port.id} {port.device_id} {request.path}".encode())


def ask(cloud: TestCloud, source: str, **where: Any) -> MetadataReply:
    handler = cloud.network.metadata_handler
    assert handler is not None
    return handler.answer(MetadataRequest(source=source, method="GET", path="/latest", **where))


@pytest.fixture
def devices(cloud: TestCloud) -> None:
    cloud.runtime[keys.METADATA].tell("compute:", Devices())


def server_port(admin: Neutron, network: dict[str, Any], name: str, **fields: Any) -> dict[str, Any]:
    port = admin.create("port", network_id=network["id"], device_owner="compute:nova", device_id=name, **fields)
    return port | {"ip": port["fixed_ips"][0]["ip_address"]}


def test_a_port_is_known_by_its_networks_and_its_own_address(cloud: TestCloud, admin: Neutron, devices: None) -> None:
    del devices
    nets = [admin.network("10.20.0.0/24")[0] for _ in range(2)]
    one = server_port(admin, nets[0], "one", fixed_ips=[{"ip_address": "10.20.0.9"}])
    two = server_port(admin, nets[1], "two", fixed_ips=[{"ip_address": "10.20.0.9"}])
    for network, port, name in zip(nets, (one, two), ("one", "two"), strict=True):
        reply = ask(cloud, "10.20.0.9", network_id=network["id"])
        assert (reply.status, reply.body.decode()) == (200, f"{port['id']} {name} /latest")


def test_a_link_local_address_is_known_by_its_mac(cloud: TestCloud, admin: Neutron, devices: None) -> None:
    del devices
    network, _ = admin.network()
    port = server_port(admin, network, "one")
    assert ask(cloud, "fe80::1", network_id=network["id"], source_mac=port["mac_address"]).status == 200
    assert ask(cloud, "fe80::1", network_id=network["id"], source_mac="02:00:00:00:00:01").status == 404
    assert ask(cloud, "fe80::1", network_id=network["id"]).status == 404


def test_behind_a_router_only_subnets_that_it_is_on_count(
    cloud: TestCloud, admin: Neutron, public: dict[str, Any], devices: None
) -> None:
    del devices
    network, subnet, router = routed(admin, public)
    base = subnet["cidr"].rpartition(".")[0]
    port = server_port(admin, network, "one")
    aside = admin.create("subnet", network_id=network["id"], cidr="10.99.0.0/24", ip_version=4)
    stranger = server_port(admin, network, "two", fixed_ips=[{"subnet_id": aside["id"]}])
    reply = ask(cloud, port["ip"], router_id=router["id"])
    assert reply.body.decode().startswith(port["id"])
    assert ask(cloud, stranger["ip"], router_id=router["id"]).status == 404
    assert ask(cloud, f"{base}.250", router_id=router["id"]).status == 404
    assert ask(cloud, port["ip"], router_id=network["id"]).status == 404


def test_who_is_nobodys_is_told_that_there_is_nothing(cloud: TestCloud, admin: Neutron) -> None:
    network, _ = admin.network()
    port = server_port(admin, network, "one")
    for source in (port["ip"], "10.20.0.250"):
        reply = ask(cloud, source, network_id=network["id"])
        assert (reply.status, source in reply.body.decode()) == (404, True)
    assert ask(cloud, port["ip"], network_id="none").status == 404


def spec_of(cloud: TestCloud, network: dict[str, Any]) -> NetworkSpec:
    cloud.settle()
    return cloud.network.networks[network["id"]]


def test_a_port_is_led_to_metadata_where_a_server_answers(cloud: TestCloud, demo: Neutron) -> None:
    from stackyard.services.network import wanted

    for dhcp in (True, False):
        network, _ = demo.network("10.20.0.0/24", enable_dhcp=dhcp)
        port = demo.create("port", network_id=network["id"])
        cloud.database.write("bind", _bind, port["id"])
        spec = cloud.database.read("wanted", wanted.port, port["id"])
        assert spec is not None
        assert [route.next_hop for route in spec.routes] == ([METADATA4] if dhcp else [])


def _bind(tx: Any, port_id: str) -> None:
    from stackyard.services.network.tables import ports

    tx.execute(ports.update().where(ports.c.id == port_id).values(netns="/run/netns/x", device="eth0"))


def test_options_and_a_domain_of_its_own_reach_the_networks_server(cloud: TestCloud, demo: Neutron) -> None:
    network, _ = demo.network()
    port = demo.create(
        "port", network_id=network["id"], dns_name="web",
        extra_dhcp_opts=[
            {"opt_name": "tftp-server", "opt_value": "10.0.0.9"},
            {"opt_name": "59", "opt_value": "x", "ip_version": 6},
        ],
    )  # fmt: skip
    demo.update("port", port["id"], dns_domain="shop.example.net.")
    (host,) = spec_of(cloud, network).hosts
    assert host.names == ("web", "web.shop.example.net")
    assert [(item.name, item.value, item.ip_version) for item in host.options] == [
        ("tftp-server", "10.0.0.9", 4), ("59", "x", 6),
    ]  # fmt: skip


def test_a_floating_ips_name_is_answered_on_its_projects_networks_alone(
    cloud: TestCloud, demo: Neutron, admin: Neutron, public: dict[str, Any]
) -> None:
    own, _ = demo.network("10.30.0.0/24")
    other, _ = admin.network("10.31.0.0/24")
    floating = demo.create(
        "floatingip", floating_network_id=public["id"], dns_name="www", dns_domain="example.com."
    )  # fmt: skip
    named = [host for host in spec_of(cloud, own).hosts if host.mac == NO_MAC]
    assert [(host.ips, host.names) for host in named] == [((floating["floating_ip_address"],), ("www.example.com",))]
    assert all(host.mac != NO_MAC for host in spec_of(cloud, other).hosts)
    demo.delete("floatingip", floating["id"])
    assert all(host.mac != NO_MAC for host in spec_of(cloud, own).hosts)
