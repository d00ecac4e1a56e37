"""Routers with several gateways, with gateways that the host is not behind, and with proxied IPv6 addresses."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, Endpoint, Lab, echoes, new_id, new_mac, run, subnet, until

from stackyard.host.errors import HostError
from stackyard.host.network import names, netns
from stackyard.host.specs import (
    Address,
    FloatingIPSpec,
    NetworkSpec,
    Route,
    RouterGateway,
    RouterSpec,
)

pytestmark = pytest.mark.root

FAR = "203.0.113"
FAR6 = "2001:db8:ffff"


@dataclass
class Uplinks:
    """A tenant's network, and two networks that lead to the same far addresses, each by a machine of its own."""

    lab: Lab
    router: RouterSpec
    one: Endpoint
    two: Endpoint
    outer: tuple[NetworkSpec, NetworkSpec]
    up: tuple[Endpoint, Endpoint]

    def shown_source(self, client: Endpoint, up: Endpoint, address: str) -> str:
        """Whom the uplink sees when the client connects to an address by it; empty when it is not asked."""
        with up.serves(80) as listener:
            made = client.connect(address, 80, wait=0.5)
            if made is None:
                return ""
            server, (source, _) = listener.accept()
            with made, server:
                return str(source) if echoes(made, server) else ""

    def apply(self, **changes: object) -> RouterSpec:
        self.router = msgspec.structs.replace(self.router, **changes)
        self.lab.driver.apply_router(self.router)
        assert self.lab.driver.observe().problems == {}
        return self.router

    def inside_router(self, *command: str) -> str:
        place = netns.path_of(names.router_namespace(self.lab.cloud, self.router.id))
        return run(*command, netns_path=place).stdout


def gateway(network: NetworkSpec, *ips: str, hops: tuple[str, ...] = (), **options: object) -> RouterGateway:
    addresses = tuple(Address(ip=ip, prefix_length=64 if ":" in ip else 24) for ip in ips)
    return RouterGateway(
        port_id=new_id(), network_id=network.id, mac=new_mac(), addresses=addresses, next_hops=hops, **options
    )


@pytest.fixture
def uplinks(lab: Lab) -> Uplinks:
    group = lab.group(*EVERYTHING)
    inside = lab.network(subnet("10.1.0.0/24"), subnet("fd01::/64"))
    outer = lab.network(subnet("192.0.2.0/24")), lab.network(subnet("198.51.100.0/24"))
    up = []
    for network, ips in zip(outer, (("192.0.2.2", "fd0a::2/64"), ("198.51.100.2", "fd0b::2/64")), strict=True):
        end = lab.attach(network, *ips, port_security=False)
        end.run("ip", "route", "add", "local", f"{FAR}.0/24", "dev", "lo")
        end.run("ip", "-6", "route", "add", "local", f"{FAR6}::/64", "dev", "lo")
        up.append(end)
    gateways = (
        gateway(outer[0], "192.0.2.10", "fd0a::10", hops=("192.0.2.2", "fd0a::2")),
        gateway(outer[1], "198.51.100.10", "fd0b::10", hops=("198.51.100.2", "fd0b::2")),
    )
    ends = [
        lab.attach(inside, ip, f"fd01::{ip[-1]}/64", groups=(group,), gateways=("10.1.0.1", "fd01::1"))
        for ip in ("10.1.0.5", "10.1.0.6")
    ]
    router = lab.router(inside)
    made = Uplinks(lab, router, ends[0], ends[1], outer, (up[0], up[1]))
    made.apply(gateways=gateways)
    return made


def floating(address: str, fixed: str) -> FloatingIPSpec:
    return FloatingIPSpec(id=new_id(), floating_ip=address, fixed_ip=fixed)


def test_the_first_gateway_has_the_default_route_and_each_its_own_address(uplinks: Uplinks) -> None:
    first, second = uplinks.up
    assert uplinks.shown_source(uplinks.one, first, f"{FAR}.9") == "192.0.2.10"
    assert uplinks.shown_source(uplinks.one, second, "198.51.100.2") == "198.51.100.10"
    assert first.pings("192.0.2.10")
    assert second.pings("198.51.100.10")
    uplinks.apply(gateways=tuple(reversed(uplinks.router.gateways)))
    assert uplinks.shown_source(uplinks.one, second, f"{FAR}.9") == "198.51.100.10"


def test_a_floating_ip_lives_on_the_gateway_that_holds_its_address(uplinks: Uplinks) -> None:
    first, second = uplinks.up
    uplinks.apply(floating_ips=(floating("198.51.100.50", "10.1.0.6"),))
    with uplinks.two.serves(81) as listener:
        client = second.connect("198.51.100.50", 81)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            assert echoes(server, client)
            assert echoes(client, server)
    assert uplinks.shown_source(uplinks.two, second, f"{FAR}.9") == "198.51.100.50"
    assert uplinks.shown_source(uplinks.two, first, "192.0.2.2") == "192.0.2.10"
    assert uplinks.shown_source(uplinks.one, first, f"{FAR}.9") == "192.0.2.10"
    uplinks.apply(floating_ips=(floating("192.0.2.50", "10.1.0.6"),))
    assert uplinks.shown_source(uplinks.two, first, f"{FAR}.9") == "192.0.2.50"


def test_who_comes_in_by_the_second_gateway_from_far_is_answered_by_it(uplinks: Uplinks) -> None:
    second = uplinks.up[1]
    uplinks.apply(floating_ips=(floating("198.51.100.50", "10.1.0.6"),))
    second.run("ip", "addr", "add", f"{FAR}.77/32", "dev", "lo")
    for address in ("198.51.100.50", "198.51.100.10"):
        assert second.run("ping", "-c", "1", "-W", "1", "-I", f"{FAR}.77", address).returncode == 0


def test_gateways_share_the_default_route_when_told_to(uplinks: Uplinks) -> None:
    uplinks.apply(ecmp=True)
    shown = {
        source
        for up in uplinks.up
        for last in range(10, 26)
        if (source := uplinks.shown_source(uplinks.one, up, f"{FAR}.{last}"))
    }
    assert shown == {"192.0.2.10", "198.51.100.10"}
    assert uplinks.inside_router("ip", "-6", "route", "show", "default").count("nexthop") == 2
    uplinks.apply(ecmp=False)
    assert "nexthop" not in uplinks.inside_router("ip", "route")


def test_gateways_come_and_go_in_place(uplinks: Uplinks) -> None:
    first, second = uplinks.up
    both = uplinks.router.gateways
    uplinks.apply(gateways=both[1:])
    assert uplinks.shown_source(uplinks.one, second, f"{FAR}.9") == "198.51.100.10"
    assert not first.pings("192.0.2.10", wait=0.3)
    assert "lookup 100" not in uplinks.inside_router("ip", "rule")
    uplinks.apply(gateways=())
    assert uplinks.shown_source(uplinks.one, second, f"{FAR}.9") == ""
    uplinks.apply(gateways=both)
    assert uplinks.shown_source(uplinks.one, first, f"{FAR}.9") == "192.0.2.10"


def test_a_gateways_new_address_ends_what_hid_behind_the_old(uplinks: Uplinks) -> None:
    first = uplinks.up[0]
    with first.serves(80) as listener:
        client = uplinks.one.connect(f"{FAR}.9", 80)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            changed = gateway(uplinks.outer[0], "192.0.2.11", "192.0.2.12", hops=("192.0.2.2",))
            kept = {name: getattr(uplinks.router.gateways[0], name) for name in ("port_id", "mac")}
            uplinks.apply(gateways=(msgspec.structs.replace(changed, **kept),))
            assert not echoes(client, server)
    assert uplinks.shown_source(uplinks.one, first, f"{FAR}.9") == "192.0.2.11"
    assert not first.pings("192.0.2.10", wait=0.3)
    assert first.pings("192.0.2.12")


def test_without_translation_a_tenant_shows_itself(uplinks: Uplinks) -> None:
    first = uplinks.up[0]
    first.run("ip", "route", "add", "10.1.0.0/24", "via", "192.0.2.10")
    open_ = msgspec.structs.replace(uplinks.router.gateways[0], snat=False)
    uplinks.apply(gateways=(open_,))
    assert uplinks.shown_source(uplinks.one, first, f"{FAR}.9") == "10.1.0.5"
    assert first.pings("10.1.0.6")


def test_static_routes_lead_to_neighbours_on_every_leg(uplinks: Uplinks) -> None:
    second = uplinks.up[1]
    uplinks.apply(routes=(Route(destination=f"{FAR}.0/24", next_hop="198.51.100.2"),))
    assert uplinks.shown_source(uplinks.one, second, f"{FAR}.9") == "198.51.100.10"
    uplinks.apply(routes=())
    assert uplinks.shown_source(uplinks.one, second, f"{FAR}.9") == ""
    astray = (Route(destination="10.77.0.0/24", next_hop="172.20.0.1"),)
    with pytest.raises(HostError, match="no leg there"):
        uplinks.lab.driver.apply_router(msgspec.structs.replace(uplinks.router, routes=astray))


def test_a_next_hop_outside_the_subnet_is_reached_all_the_same(uplinks: Uplinks) -> None:
    first = uplinks.up[0]
    first.run("ip", "addr", "add", "172.20.0.1/32", "dev", "eth0")
    odd = gateway(uplinks.outer[0], "192.0.2.10", hops=("172.20.0.1",))
    uplinks.apply(gateways=(odd,))
    assert uplinks.shown_source(uplinks.one, first, f"{FAR}.9") == "192.0.2.10"


def test_proxied_addresses_are_reached_from_outside_and_others_are_not(uplinks: Uplinks) -> None:
    first = uplinks.up[0]
    first.run("ip", "-6", "route", "add", "fd01::/64", "dev", "eth0")
    assert not first.pings("fd01::5", wait=0.3)
    uplinks.apply(proxied=("fd01::5",))
    assert until(lambda: first.pings("fd01::5", wait=0.5))
    assert not first.pings("fd01::6", wait=0.3)
    with first.serves(80, family=10) as listener:
        client = uplinks.one.connect("fd0a::2", 80)
        assert client is not None
        server, (source, *_) = listener.accept()
        with client, server:
            assert source == "fd01::5"
    uplinks.apply(proxied=("fd01::6",))
    assert uplinks.inside_router("ip", "-6", "neigh", "show", "proxy").count("fd01::") == 2
    assert "fd01::5" not in uplinks.inside_router("ip", "-6", "neigh", "show", "proxy")
    uplinks.apply(proxied=())
    assert uplinks.inside_router("ip", "-6", "neigh", "show", "proxy").strip() == ""


DAMAGES = {
    "the default route deleted": ("ip", "route", "del", "default"),
    "a gateway's table flushed": ("ip", "route", "flush", "table", "1001"),
    "a routing rule deleted": ("ip", "rule", "del", "priority", "100"),
    "a static route deleted": ("ip", "route", "del", "10.99.0.0/16"),
    "a proxied address forgotten": ("ip", "-6", "neigh", "del", "proxy", "fd01::5", "dev", "GATEWAY"),
    "an address of a gateway deleted": ("ip", "addr", "del", "198.51.100.10/24", "dev", "GATEWAY2"),
    "the address of metadata deleted": ("ip", "addr", "del", "169.254.169.254/32", "dev", "lo"),
    "the outward translation flushed": ("nft", "flush", "chain", "inet", "stackyard", "outward"),
    "a floating IP's element deleted": (
        "nft", "delete", "element", "inet", "stackyard", "floating_out", "{ 10.1.0.6 }"),
}  # fmt: skip


def test_what_is_deleted_by_hand_is_seen_and_comes_back_and_what_is_foreign_stays(uplinks: Uplinks) -> None:
    devices = [names.inner_gateway(item.port_id) for item in uplinks.router.gateways]
    spec = uplinks.apply(
        proxied=("fd01::5",),
        routes=(Route(destination="10.99.0.0/16", next_hop="10.1.0.6"),),
        floating_ips=(floating("198.51.100.50", "10.1.0.6"),),
    )
    uplinks.inside_router("ip", "route", "add", "10.98.0.0/16", "via", "10.1.0.6")
    uplinks.inside_router("ip", "rule", "add", "priority", "500", "from", "10.1.0.7", "lookup", "main")
    uplinks.inside_router("nft", "add", "table", "ip", "theirs")
    for damage, command in DAMAGES.items():
        words = [word.replace("GATEWAY2", devices[1]).replace("GATEWAY", devices[0]) for word in command]
        uplinks.inside_router(*words)
        assert spec.id in uplinks.lab.driver.observe().problems, damage
        uplinks.lab.driver.apply_router(spec)
        assert uplinks.lab.driver.observe().problems == {}, damage
    assert uplinks.shown_source(uplinks.two, uplinks.up[1], f"{FAR}.9") == "198.51.100.50"
    assert "10.98.0.0/16" in uplinks.inside_router("ip", "route")
    assert "500:" in uplinks.inside_router("ip", "rule")
    assert "theirs" in uplinks.inside_router("nft", "list", "tables")
