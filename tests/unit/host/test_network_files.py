"""The network driver's files and packets: dnsmasq's, radvd's, ARP and connection tracking messages."""

from __future__ import annotations

import ipaddress
import socket
import struct
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stackyard.host.errors import SpecError
from stackyard.host.network import advertise, announcements, checks, conntrack, dns
from stackyard.host.specs import (
    Address,
    DhcpOption,
    HostRecord,
    NetworkSpec,
    Route,
    RouterInterface,
    RouterSpec,
    ServicePort,
    SubnetSpec,
)

FOUR = SubnetSpec(
    id="s4",
    cidr="10.1.0.0/24",
    gateway="10.1.0.1",
    host_routes=(Route(destination="10.9.0.0/16", next_hop="10.1.0.9"),),
)
SLAAC = SubnetSpec(id="s6", cidr="fd01::/64", gateway="fd01::1", ipv6_mode="slaac", dns_servers=("fd00::53",))
STATEFUL = SubnetSpec(id="s7", cidr="fd02::/64", gateway="fd02::1", ipv6_mode="dhcpv6-stateful")
NETWORK = NetworkSpec(
    id="n", mtu=1450, dns_domain="example.org", subnets=(FOUR, SLAAC, STATEFUL),
    service_port=ServicePort(
        id="p", mac="02:00:00:00:00:02",
        addresses=(Address(ip="10.1.0.2", prefix_length=24), Address(ip="fd02::2", prefix_length=64)),
    ),
    hosts=(
        HostRecord(mac="02:00:00:00:00:05", ips=("10.1.0.5", "fd02::5"), names=("Web", "web.example.org", "front")),
        HostRecord(mac="02:00:00:00:00:06", ips=("10.1.0.6",)),
    ),
)  # fmt: skip


ROUTES = "10.9.0.0/16,10.1.0.9,169.254.169.254/32,10.1.0.2,0.0.0.0/0,10.1.0.1"


def test_names_stand_bare_and_with_the_domain() -> None:
    assert dns.hosts_text(NETWORK).splitlines() == [
        "10.1.0.5 web.example.org web front.example.org front",
        "fd02::5 web.example.org web front.example.org front",
    ]


def test_leases_are_fixed_by_mac() -> None:
    assert dns.leases_text(NETWORK).splitlines() == [
        "02:00:00:00:00:05,10.1.0.5,web",
        "02:00:00:00:00:05,[fd02::5],web",
        "02:00:00:00:00:06,10.1.0.6",
    ]


def test_options_name_router_servers_mtu_and_routes() -> None:
    assert dns.options_text(NETWORK).splitlines() == [
        "tag:subnet0,option:router,10.1.0.1",
        "tag:subnet0,option:dns-server,10.1.0.2",
        "tag:subnet0,option:mtu,1450",
        f"tag:subnet0,option:classless-static-route,{ROUTES}",
        f"tag:subnet0,249,{ROUTES}",
        "tag:subnet2,option6:domain-search,example.org",
        "tag:subnet2,option6:dns-server,[fd02::2]",
    ]


def test_a_ports_own_options_stand_last_and_carry_its_tag() -> None:
    options = (
        DhcpOption(name="tftp-server", value="a b"),
        DhcpOption(name="59", value="tftp://[fd00::1]/x", ip_version=6),
        DhcpOption(name="client-id", value="01:02"),
        DhcpOption(name="x\ny", value="z"),
    )
    host = HostRecord(mac="02:00:00:00:00:07", ips=("10.1.0.7", "fd01::7"), names=("db",), options=options)
    spec = msgspec.structs.replace(NETWORK, hosts=(host,))
    assert dns.options_text(spec).splitlines()[-2:] == [
        'tag:host020000000007,option:tftp-server,"a b"',
        "tag:host020000000007,option6:59,tftp://[fd00::1]/x",
    ]
    assert dns.leases_text(spec) == "02:00:00:00:00:07,set:host020000000007,id:01:02,10.1.0.7,db\n"
    alone = msgspec.structs.replace(NETWORK, hosts=(msgspec.structs.replace(host, ips=("fd01::7",), names=()),))
    assert dns.leases_text(alone) == "02:00:00:00:00:07,set:host020000000007,id:01:02\n"


@given(st.text(max_size=60))
def test_an_options_value_stays_on_its_line_in_balanced_quotes(value: str) -> None:
    shown = dns.quoted(value)
    assert shown.isprintable()
    bare = shown.replace("\\\\", "").replace('\\"', "")
    assert bare.count('"') % 2 == 0
    outside = "".join(bare.split('"')[::2])
    assert not set(outside) & set(" #;\\")


def test_who_had_leases_is_read_back_from_their_file() -> None:
    assert dns.leases_in(dns.leases_text(NETWORK)) == {
        ("02:00:00:00:00:05", ipaddress.ip_address("10.1.0.5")),
        ("02:00:00:00:00:05", ipaddress.ip_address("fd02::5")),
        ("02:00:00:00:00:06", ipaddress.ip_address("10.1.0.6")),
    }


def test_a_release_is_a_whole_packet() -> None:
    frame = announcements.release("02:00:00:00:00:05", "10.1.0.5", "02:00:00:00:00:02", "10.1.0.2")
    header = struct.unpack("!10H", frame[14:34])
    assert sum(header) % 0xFFFF == 0
    assert (frame[:6], frame[6:12]) == (bytes.fromhex("020000000002"), bytes.fromhex("020000000005"))
    assert frame[26:34] == socket.inet_aton("10.1.0.5") + socket.inet_aton("10.1.0.2")
    assert header[1] == len(frame) - 14


def test_only_a_change_that_needs_a_start_changes_the_main_file() -> None:
    directory = Path("/state")
    text = dns.main_text(NETWORK, directory, "nobody", ("192.0.2.53",))
    assert "dhcp-range=set:subnet0,10.1.0.0,static,255.255.255.0,86400s" in text
    assert "dhcp-range=set:subnet2,fd02::,static,64,86400s" in text
    assert "subnet1" not in text
    assert "server=192.0.2.53" in text
    assert "user=nobody" in text
    fewer = msgspec.structs.replace(NETWORK, hosts=())
    assert dns.main_name(dns.main_text(fewer, directory, "nobody", ("192.0.2.53",))) == dns.main_name(text)
    assert dns.main_name(dns.main_text(NETWORK, directory, "nobody", ())) != dns.main_name(text)


def test_resolvers_of_the_host_itself_are_not_asked() -> None:
    servers = ("127.0.0.53", "::1", "fe80::1%eth0", "192.0.2.1", "")
    text = "# x\nsearch a\n" + "".join(f"nameserver {item}\n" for item in servers)
    assert dns.resolvers(text) == ("192.0.2.1",)


@given(st.text(max_size=40))
def test_a_name_is_refused_or_fits_on_a_line(text: str) -> None:
    try:
        found = checks.host_name(text)
    except SpecError:
        return
    assert found.isascii()
    assert not set(found) & set(" \n\t,#=/")


def test_a_router_advertises_by_mode() -> None:
    leg = RouterInterface(
        port_id="leg", network_id="n", mac="02:00:00:00:00:01", addresses=(), subnets=(FOUR, SLAAC, STATEFUL)
    )
    text = advertise.radvd_text(RouterSpec(id="r", interfaces=(leg,)), {"n": 1450})
    assert "AdvManagedFlag on;" in text
    assert "AdvOtherConfigFlag off;" in text
    assert "prefix fd01::/64 { AdvOnLink on; AdvAutonomous on; };" in text
    assert "prefix fd02::/64 { AdvOnLink on; AdvAutonomous off; };" in text
    assert "AdvLinkMTU 1450;" in text
    assert "RDNSS fd00::53 { };" in text
    assert "10.1.0" not in text
    silent = RouterInterface(port_id="leg", network_id="n", mac="02:00:00:00:00:01", addresses=(), subnets=(FOUR,))
    assert advertise.radvd_text(RouterSpec(id="r", interfaces=(silent,)), {}) == ""


def test_an_announcement_says_who_has_the_address() -> None:
    frame = announcements.announcement("02:00:00:00:00:01", "198.18.0.9")
    assert len(frame) == 42
    assert frame[:6] == b"\xff" * 6
    assert frame[6:12] == frame[22:28] == bytes.fromhex("020000000001")
    assert frame[28:32] == frame[38:42] == socket.inet_aton("198.18.0.9")


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def _tuple(source: str, destination: str, *ports: int) -> bytes:
    ips = _attribute(1, socket.inet_aton(source)) + _attribute(2, socket.inet_aton(destination))
    layer4 = _attribute(1, b"\x06") + b"".join(
        _attribute(number, struct.pack("!H", port)) for number, port in enumerate(ports, 2)
    )
    return _attribute(0x8001, ips) + _attribute(0x8002, layer4)


def test_a_tracked_connection_is_read() -> None:
    message = struct.pack("=BBH", socket.AF_INET, 0, 0)
    message += _attribute(0x8001, _tuple("10.1.0.5", "198.18.0.9", 4000, 80))
    message += _attribute(0x8002, _tuple("10.1.0.6", "10.1.0.5", 80, 4000))
    message += _attribute(18, struct.pack("!H", 7))
    found = conntrack.parse(message)
    assert (found.version, found.zone, found.protocol) == (4, 7, 6)
    assert (found.source, found.destination, found.source_port, found.destination_port) == (
        "10.1.0.5", "198.18.0.9", 4000, 80,
    )  # fmt: skip
    assert (found.reply_source, found.reply_destination) == ("10.1.0.6", "10.1.0.5")
