"""Rows become specs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stackyard.host.network import checks, router_checks
from stackyard.host.specs import (
    Address,
    ConntrackHelper,
    HostRecord,
    Neighbour,
    NetworkObservation,
    Qos,
    Route,
    SecurityRule,
    Segment,
    TunnelPeer,
)
from stackyard.services.network import specs
from stackyard.services.network.reconcile import plan_repair
from stackyard.services.network.routers import wanted


def network(**given: Any) -> Any:
    values = {
        "id": "net1", "mtu": 1400, "external": False, "dns_domain": "", "admin_state_up": True,
        "network_type": "local", "physical_network": None, "segmentation_id": None,
    }  # fmt: skip
    return SimpleNamespace(**(values | given))


def subnet(**given: Any) -> Any:
    values = {
        "id": "sub4", "cidr": "10.0.0.0/24", "ip_version": 4, "gateway_ip": "10.0.0.1", "enable_dhcp": True,
        "dns_nameservers": ["9.9.9.9"], "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}],
        "ipv6_ra_mode": None, "ipv6_address_mode": None,
    }  # fmt: skip
    return SimpleNamespace(**(values | given))


SIX = subnet(
    id="sub6",
    cidr="fd00::/64",
    ip_version=6,
    gateway_ip="fd00::1",
    ipv6_ra_mode="slaac",
    dns_nameservers=[],
    host_routes=[],
)


def port(**given: Any) -> Any:
    values = {
        "id": "port1", "network_id": "net1", "mac_address": "fa:16:3e:00:00:01", "device_owner": "compute:zun",
        "dns_name": "web", "fixed_ips": [{"subnet_id": "sub4", "ip_address": "10.0.0.5"}], "netns": "/run/netns/a",
        "device": "eth0", "admin_state_up": True, "port_security_enabled": True, "security_group_ids": ["group1"],
        "allowed_address_pairs": [], "wire": "veth", "dns_domain": "", "extra_dhcp_opts": [],
    }  # fmt: skip
    return SimpleNamespace(**(values | given))


def test_a_network_knows_its_hosts_by_name_and_answers_from_its_service_port() -> None:
    service = port(id="dhcp1", device_owner="network:dhcp", fixed_ips=[{"subnet_id": "sub4", "ip_address": "10.0.0.2"}])
    nameless = port(id="port2", dns_name="", mac_address="fa:16:3e:00:00:02",
                    fixed_ips=[{"subnet_id": "sub4", "ip_address": "10.0.0.6"}])  # fmt: skip
    leg = port(id="port3", device_owner="network:router_interface")
    spec = specs.network_spec(network(), [subnet()], [service, port(), nameless, leg], "cloud.example.")
    checks.check_network(spec)
    assert spec.dns_domain == "cloud.example"
    assert spec.service_port is not None
    assert spec.service_port.addresses == (Address(ip="10.0.0.2", prefix_length=24),)
    assert spec.hosts == (
        HostRecord(mac="fa:16:3e:00:00:01", ips=("10.0.0.5",), names=("web",)),
        HostRecord(mac="fa:16:3e:00:00:02", ips=("10.0.0.6",), names=("host-10-0-0-6",)),
    )
    assert spec.subnets[0].host_routes == (Route(destination="10.9.0.0/16", next_hop="10.0.0.7"),)


def test_ports_elsewhere_are_neighbours_by_the_tunnel_to_their_host() -> None:
    row = network(network_type="vxlan", segmentation_id=71)
    remote = [
        port(mac_address="fa:16:3e:00:00:02", tunnel_address="192.0.2.2"),
        port(mac_address="fa:16:3e:00:00:03", tunnel_address="192.0.2.3", fixed_ips=[]),
        port(mac_address="fa:16:3e:00:00:04", tunnel_address="192.0.2.2", fixed_ips=[]),
    ]
    spec = specs.network_spec(row, [subnet()], [], "cloud.example", remote)
    checks.check_network(spec)
    assert spec.segment == Segment(network_type="vxlan", segmentation_id=71)
    assert spec.peers == (
        TunnelPeer(
            address="192.0.2.2",
            neighbours=(
                Neighbour(mac="fa:16:3e:00:00:02", ips=("10.0.0.5",)),
                Neighbour(mac="fa:16:3e:00:00:04"),
            ),
        ),
        TunnelPeer(address="192.0.2.3", neighbours=(Neighbour(mac="fa:16:3e:00:00:03"),)),
    )


def test_a_network_that_is_down_answers_nothing() -> None:
    service = port(device_owner="network:dhcp")
    assert specs.network_spec(network(admin_state_up=False), [subnet()], [service], "x").service_port is None


def test_a_port_has_one_default_route_a_family() -> None:
    other = subnet(id="sub5", cidr="10.1.0.0/24", gateway_ip="10.1.0.1", host_routes=[])
    fixed = [("sub4", "10.0.0.5"), ("sub5", "10.1.0.5"), ("sub6", "fd00::5")]
    row = port(fixed_ips=[{"subnet_id": key, "ip_address": ip} for key, ip in fixed])
    spec = specs.port_spec(row, network(), [subnet(), other, SIX])
    checks.check_port(spec)
    assert spec.gateways == ("10.0.0.1", "fd00::1")
    assert [item.prefix_length for item in spec.addresses] == [24, 24, 64]
    assert spec.mtu == 1400
    assert spec.security_groups == ("group1",)


def test_nothing_passes_a_port_of_a_network_that_is_down() -> None:
    assert not specs.port_spec(port(), network(admin_state_up=False), [subnet()]).admin_up


def test_a_group_has_the_addresses_of_its_members_and_of_their_pairs() -> None:
    rule = SimpleNamespace(
        direction="ingress", ethertype="IPv6", protocol="tcp", port_range_min=80, port_range_max=90,
        normalized_cidr=None, remote_group_id="group2", remote_address_group_id=None,
    )  # fmt: skip
    pairs = [{"ip_address": "10.0.0.99", "mac_address": "m"}, {"ip_address": "10.7.0.0/24", "mac_address": "m"}]
    spec = specs.security_group_spec(
        SimpleNamespace(id="group1", stateful=False), [rule], [port(), port(allowed_address_pairs=pairs)]
    )
    checks.check_security_group(spec)
    assert spec.members == ("10.0.0.5", "10.0.0.99")
    assert not spec.stateful
    assert spec.rules == (
        SecurityRule(direction="ingress", ethertype=6, protocol="tcp", port_min=80, port_max=90, remote_group="group2"),
    )


def test_a_router_leads_out_by_its_external_subnets_gateway() -> None:
    public = subnet(id="pub", cidr="172.24.4.0/24", gateway_ip="172.24.4.1", host_routes=[])
    gateway = port(id="gw", network_id="ext", fixed_ips=[{"subnet_id": "pub", "ip_address": "172.24.4.9"}])
    leg = port(id="leg", fixed_ips=[{"subnet_id": "sub4", "ip_address": "10.0.0.1"}])
    row = SimpleNamespace(
        id="r1", admin_state_up=True, enable_snat=True, gateway_port_id="gw", gateway_network_id="ext",
        gateway_ips=gateway.fixed_ips, gateway_qos_policy_id=None, extra_gateways=[], enable_default_route_ecmp=False,
        conntrack_helpers=[{"helper": "ftp", "protocol": "tcp", "port": 21}],
        routes=[{"destination": "10.8.0.0/16", "nexthop": "10.0.0.9"}],
    )  # fmt: skip
    floating = SimpleNamespace(id="f1", floating_ip_address="172.24.4.20", fixed_ip_address="10.0.0.5")
    forwarded = SimpleNamespace(
        id="pf1", floating_ip_address="172.24.4.21", internal_ip_address="10.0.0.5", protocol="tcp",
        external_port_start=8000, external_port_end=8009, internal_port_start=80, internal_port_end=80,
    )  # fmt: skip
    limits = Qos(dscp=10)
    found = wanted.Found(
        router=row, ports={"gw": gateway}, legs=[leg], subnets=[public, subnet()], floating=[floating],
        forwarded=[forwarded], policies={"f1": limits, "gw": None},
    )  # fmt: skip
    spec = wanted.build(found)
    router_checks.check_router(spec)
    assert spec.gateway is not None
    assert spec.gateway.next_hops == ("172.24.4.1",)
    assert spec.interfaces[0].subnets[0].id == "sub4"
    assert [item.floating_ip for item in spec.floating_ips] == ["172.24.4.20"]
    assert spec.routes == (Route(destination="10.8.0.0/16", next_hop="10.0.0.9"),)
    assert spec.floating_ips[0].qos == limits
    assert spec.port_forwardings[0].external_ports == (8000, 8009)
    assert spec.conntrack_helpers == (ConntrackHelper(helper="ftp", protocol="tcp", port=21),)
    assert spec.gateway.routed == ()
    found.scopes = {"pub": "scope", "sub4": "scope"}
    known = wanted.build(found).gateway
    assert known is not None
    assert known.routed == ("10.0.0.0/24",)
    row.gateway_port_id = None
    found.subnets = [subnet()]
    closed = wanted.build(found)
    assert (closed.floating_ips, closed.port_forwardings, closed.gateways) == ((), (), ())


def test_repair_looks_at_what_is_missing_and_at_what_nobody_asked_for() -> None:
    observed = NetworkObservation(
        networks=frozenset({"n1", "stray"}), ports=frozenset({"p1", "starting"}), problems={"p2": "its device is gone"}
    )
    known = {"network": {"n1"}, "port": {"p1", "p2", "starting"}, "router": {"r1"}, "security_group": set()}
    expected = {"network": {"n1"}, "port": {"p1", "p2"}, "router": {"r1"}, "security_group": set()}
    assert plan_repair(known, expected, observed) == [
        ("network", "stray", "nothing in the database asks for it"),
        ("port", "p2", "its device is gone"),
        ("router", "r1", "it is not there"),
    ]
