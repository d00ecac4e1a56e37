"""What the network's server tells single ports, by whatever way they ask."""

from __future__ import annotations

import socket
import struct

import msgspec
import pytest
from tests.dataplane.dhcp_client import ACK, DISCOVER, NAK, REQUEST, ask4, ask6
from tests.dataplane.lab import EVERYTHING, OUTWARD, Endpoint, Lab, new_mac, subnet, until

from stackyard.host.specs import DhcpOption, HostRecord, NetworkSpec, Route

pytestmark = pytest.mark.root

SOLICIT, INFORMATION = 1, 11


def record(mac: str, *ips: str, options: tuple[DhcpOption, ...] = (), name: str = "") -> HostRecord:
    return HostRecord(mac=mac, ips=ips, names=(name,) if name else (), options=options)


def quiet(end: Endpoint) -> Endpoint:
    """As a client before it has been told anything."""
    end.run("ip", "addr", "flush", "dev", "eth0", "scope", "global")
    return end


def pair(lab: Lab, *cidrs: str, options: tuple[DhcpOption, ...] = ()) -> tuple[NetworkSpec, Endpoint, Endpoint]:
    """A network with two clients, of which the first has options of its own."""
    macs = new_mac(), new_mac()
    first = cidrs[0].rpartition(".")[0]
    hosts = (record(macs[0], f"{first}.70", options=options), record(macs[1], f"{first}.71"))
    network = lab.served_network(*(subnet(cidr) for cidr in cidrs), hosts=hosts)
    group = lab.group(*OUTWARD)
    ends = [
        quiet(lab.attach(network, f"{first}.{last}", groups=(group,), mac=mac))
        for mac, last in zip(macs, (70, 71), strict=True)
    ]
    return network, ends[0], ends[1]


def test_a_port_has_options_of_its_own_by_name_and_by_number(lab: Lab) -> None:
    options = (
        DhcpOption(name="tftp-server", value="10.1.0.99"),
        DhcpOption(name="bootfile-name", value="http://boot.example.org/a?b=c,d"),
        DhcpOption(name="42", value="10.1.0.3,10.1.0.4"),
        DhcpOption(name="mtu", value="1300"),
        DhcpOption(name="router", value=""),
    )
    _, one, other = pair(lab, "10.1.0.0/24", options=options)
    answer = ask4(one, DISCOVER, (3, 26, 42, 66, 67))
    assert answer is not None
    address, found = answer
    assert address == "10.1.0.70"
    assert found[66].rstrip(b"\0") == b"10.1.0.99"
    assert found[67].rstrip(b"\0") == b"http://boot.example.org/a?b=c,d"
    assert found[42] == socket.inet_aton("10.1.0.3") + socket.inet_aton("10.1.0.4")
    assert found[26] == struct.pack("!H", 1300)
    assert 3 not in found
    answer = ask4(other, DISCOVER, (3, 26, 42, 66, 67))
    assert answer is not None
    assert answer[1].keys().isdisjoint({42, 66, 67})
    assert answer[1][26] == struct.pack("!H", 1500)
    assert answer[1][3] == socket.inet_aton("10.1.0.1")


def test_a_hostile_value_stays_a_value_and_a_hostile_name_is_left_out(lab: Lab) -> None:
    hostile = 'a # b\n"; tag:host,option:router,6.6.6.6\ndhcp-script=/bin/sh \\'
    options = (
        DhcpOption(name="tftp-server", value=hostile),
        DhcpOption(name="mtu,6\nserver=6.6.6.6", value="1"),
        DhcpOption(name="no-such-option", value="1"),
        DhcpOption(name="77", value="kept"),
    )
    _, one, other = pair(lab, "10.1.0.0/24", options=options)
    answer = ask4(one, DISCOVER, (3, 66, 77))
    assert answer is not None
    assert answer[1][66].rstrip(b"\0").decode() == hostile
    assert answer[1][77] == b"kept"
    assert answer[1][3] == socket.inet_aton("10.1.0.1")
    assert ask4(other, DISCOVER) is not None
    assert lab.driver.observe().problems == {}


def test_clients_of_two_subnets_on_one_network_each_get_their_own(lab: Lab) -> None:
    macs = new_mac(), new_mac()
    hosts = record(macs[0], "10.1.0.70"), record(macs[1], "10.2.0.70")
    network = lab.served_network(subnet("10.1.0.0/24"), subnet("10.2.0.0/24"), hosts=hosts)
    for mac, number in zip(macs, (1, 2), strict=True):
        end = quiet(lab.attach(network, f"10.{number}.0.70", groups=(lab.group(*OUTWARD),), mac=mac))
        answer = ask4(end, DISCOVER, (3, 6, 121))
        assert answer is not None
        assert answer[0] == f"10.{number}.0.70"
        assert answer[1][3] == socket.inet_aton(f"10.{number}.0.1")
        assert answer[1][6] == socket.inet_aton(f"10.{number}.0.2")
        on_wire = bytes([24, 10, 3 - number, 0]) + bytes(4)
        metadata = bytes([32, 169, 254, 169, 254]) + socket.inet_aton(f"10.{number}.0.2")
        assert answer[1][121] == on_wire + metadata + bytes([0]) + socket.inet_aton(f"10.{number}.0.1")


def test_an_address_that_changes_hands_is_refused_to_the_old_and_given_to_the_new(lab: Lab) -> None:
    network, one, other = pair(lab, "10.1.0.0/24")
    taken = ask4(one, REQUEST, requested="10.1.0.70")
    assert taken is not None
    assert taken[1][53] == bytes([ACK])
    hosts = record(one.port.mac, "10.1.0.80"), record(other.port.mac, "10.1.0.70")
    lab.driver.apply_network(msgspec.structs.replace(network, hosts=hosts))

    def offered(end: Endpoint) -> str:
        answer = ask4(end, DISCOVER)
        return answer[0] if answer else ""

    assert until(lambda: offered(other) == "10.1.0.70")
    assert offered(one) == "10.1.0.80"
    refused = ask4(one, REQUEST, requested="10.1.0.70")
    assert refused is not None
    assert refused[1][53] == bytes([NAK])
    for end, address in ((other, "10.1.0.70"), (one, "10.1.0.80")):
        given = ask4(end, REQUEST, requested=address)
        assert given is not None
        assert (given[0], given[1][53]) == (address, bytes([ACK]))


def test_dhcpv6_tells_options_with_an_address_and_without(lab: Lab) -> None:
    options = (DhcpOption(name="ntp-server", value="[fd01::123]", ip_version=6), DhcpOption(name="66", value="no"))
    for mode, kind in (("dhcpv6-stateful", SOLICIT), ("dhcpv6-stateless", INFORMATION)):
        mac = new_mac()
        eui64 = f"fd01::{mac.replace(':', '')[8:]}"
        host = record(mac, eui64, options=options, name="web")
        network = lab.served_network(subnet("fd01::/64", ipv6_mode=mode), hosts=(host,))
        end = quiet(lab.attach(network, f"{eui64}/64", groups=(lab.group(*OUTWARD),), mac=mac))
        assert until(lambda end=end: "tentative" not in end.run("ip", "-6", "addr").stdout)
        found = ask6(end, kind, (23, 24, 56), address=kind == SOLICIT)
        assert found is not None
        own = str(network.service_port.addresses[0].ip) if network.service_port else ""
        assert found[23] == socket.inet_pton(socket.AF_INET6, own)
        assert b"openstacklocal" in found[24]
        assert socket.inet_pton(socket.AF_INET6, "fd01::123") in found[56]
        assert (socket.inet_pton(socket.AF_INET6, eui64) in found.get(3, b"")) == (kind == SOLICIT)


def test_stateless_dhcpv6_gives_no_address(lab: Lab) -> None:
    mac = new_mac()
    network = lab.served_network(subnet("fd01::/64", ipv6_mode="dhcpv6-stateless"), hosts=(record(mac, "fd01::9"),))
    end = quiet(lab.attach(network, "fd01::9/64", groups=(lab.group(*OUTWARD),), mac=mac))
    found = ask6(end, SOLICIT)
    assert found is None or socket.inet_pton(socket.AF_INET6, "fd01::9") not in found.get(3, b"")


def test_an_ipv6_address_that_changes_hands_is_given_to_the_new(lab: Lab) -> None:
    macs = new_mac(), new_mac()
    six = subnet("fd01::/64", ipv6_mode="dhcpv6-stateful")
    network = lab.served_network(six, hosts=(record(macs[0], "fd01::9"),))
    ends = [
        quiet(lab.attach(network, f"fd01::{n}/64", groups=(lab.group(*OUTWARD),), mac=mac))
        for n, mac in enumerate(macs, 8)
    ]
    wanted = socket.inet_pton(socket.AF_INET6, "fd01::9")
    first = ask6(ends[0], SOLICIT)
    assert first is not None
    assert wanted in first[3]
    lab.driver.apply_network(msgspec.structs.replace(network, hosts=(record(macs[1], "fd01::9"),)))
    assert until(lambda: wanted in (ask6(ends[1], SOLICIT) or {}).get(3, b""))


def test_host_routes_stand_before_the_way_to_metadata_and_may_hold_the_default(lab: Lab) -> None:
    mac = new_mac()
    routes = (
        Route(destination="10.9.0.0/16", next_hop="10.1.0.8"),
        Route(destination="0.0.0.0/0", next_hop="10.1.0.9"),
    )
    network = lab.served_network(
        subnet("10.1.0.0/24", gateway=None, host_routes=routes), hosts=(record(mac, "10.1.0.70"),), metadata=False
    )
    end = quiet(lab.attach(network, "10.1.0.70", groups=(lab.group(*OUTWARD),), mac=mac))
    answer = ask4(end, DISCOVER, (3, 121))
    assert answer is not None
    by = socket.inet_aton("10.1.0.8"), socket.inet_aton("10.1.0.9")
    assert answer[1][121] == bytes([16, 10, 9]) + by[0] + bytes([0]) + by[1]
    assert answer[1][3] == by[1]


# ---------------------------------------------------------------------------------------------------- names


def resolved(end: Endpoint, question: str, server: str) -> str:
    return end.run("busybox", "nslookup", question, server).stdout.partition("\n\n")[2]


def test_a_port_with_a_domain_of_its_own_is_found_by_it_and_by_address(lab: Lab) -> None:
    hosts = (
        HostRecord(mac=new_mac(), ips=("10.1.0.5", "fd01::5"), names=("web", "web.shop.example.net")),
        HostRecord(mac=new_mac(), ips=("198.18.3.4",), names=("www.example.com",)),
    )
    network = lab.served_network(subnet("10.1.0.0/24"), subnet("fd01::/64"), hosts=hosts, dns_domain="example.org")
    end = lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(lab.group(*EVERYTHING),))
    for server in ("10.1.0.2", "fd01::2"):
        for name in ("web", "web.example.org", "web.shop.example.net"):
            assert "10.1.0.5" in resolved(end, name, server)
            assert "fd01::5" in resolved(end, name, server)
        assert "198.18.3.4" in resolved(end, "www.example.com", server)
        assert "10.1.0.5" not in resolved(end, "web.shop.example.net.example.org", server)
        assert "web.example.org" in resolved(end, "10.1.0.5", server)
        assert "web.example.org" in resolved(end, "fd01::5", server)


def test_a_server_knows_no_names_but_its_networks(lab: Lab) -> None:
    other = HostRecord(mac=new_mac(), ips=("10.2.0.5",), names=("secret",))
    lab.served_network(subnet("10.2.0.0/24"), hosts=(other,))
    network = lab.served_network(subnet("10.1.0.0/24", gateway=None))
    end = lab.attach(network, "10.1.0.6", groups=(lab.group(*EVERYTHING),))
    for question in ("secret", "secret.openstacklocal", "10.2.0.5", "localhost.localdomain", socket.gethostname()):
        assert "10.2.0.5" not in resolved(end, question, "10.1.0.2").replace("10.2.0.5.in-addr", "")
        assert "Name:" not in resolved(end, question, "10.1.0.2")
