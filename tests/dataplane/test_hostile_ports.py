"""What a tenant's port cannot send, however it is dressed: tags, other protocols, headers and fragments that hide."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence

import pytest
from tests.dataplane.lab import EVERYTHING, OUTWARD, Endpoint, Lab, new_mac, subnet
from tests.dataplane.traffic import Wire, ethernet, icmpv6, ipv4, ipv6, packed, udp

pytestmark = pytest.mark.root

IP4, ARP, IP6, TAG, SERVICE_TAG = 0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8
_SO_MARK = 36
ROUTER = struct.pack("!BBHII", 64, 0, 1800, 0, 0)


def arrived(rogue: Endpoint, victim: Endpoint, frames: Mapping[str, Sequence[bytes]]) -> set[str]:
    """Which of the named lots of frames (with their name in them) the victim sees; a good one follows them all."""
    good = ethernet(rogue.port.mac, victim.port.mac, IP4, ipv4("10.1.0.5", "10.1.0.6", 17, udp(9, 9, b"<the last>")))
    with Wire(victim) as ear, Wire(rogue) as mouth:
        for lot in frames.values():
            for frame in lot:
                mouth.send(frame)
        mouth.send(good)
        seen = b""
        ear.socket.settimeout(3)
        deadline = time.monotonic() + 5
        while b"<the last>" not in seen and time.monotonic() < deadline:
            seen += ear.socket.recv(65536)
        assert b"<the last>" in seen
    return {name for name in frames if f"<{name}>".encode() in seen}


def scene(lab: Lab) -> tuple[Endpoint, Endpoint]:
    """A port with port security, and one without, which sees all that comes."""
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    rogue = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,))
    return rogue, lab.attach(network, "10.1.0.6", "fd01::6/64", port_security=False)


def fragment(next_header: int, offset: int, payload: bytes, *, more: bool) -> bytes:
    return struct.pack("!BBHI", next_header, 0, offset | int(more), 7) + payload


def test_a_tag_hides_nothing(lab: Lab) -> None:
    rogue, victim = scene(lab)
    mac, target = rogue.port.mac, victim.port.mac

    def tagged(name: str, *tags: int, port: int = 9) -> list[bytes]:
        inner = ipv4("10.1.0.5", "10.1.0.6", 17, udp(port, 68, f"<{name}>".encode()))
        head = b"".join(struct.pack("!HH", kind, 5) for kind in tags)
        return [packed(target) + packed(mac) + head + struct.pack("!H", IP4) + inner]

    frames = {
        "tag": tagged("tag", TAG),
        "priority": [tagged("priority", TAG)[0].replace(b"\x81\x00\x00\x05", b"\x81\x00\xe0\x00")],
        "service tag": tagged("service tag", SERVICE_TAG),
        "two tags": tagged("two tags", SERVICE_TAG, TAG),
        "twice": tagged("twice", TAG, TAG),
        "offer": tagged("offer", TAG, port=67),
        "six": [packed(target) + packed(mac) + struct.pack("!HHH", TAG, 5, IP6)
                + ipv6("fd01::5", "fd01::6", 17, udp(547, 546, b"<six>"))],
    }  # fmt: skip
    assert arrived(rogue, victim, frames) == set()


def test_other_protocols_and_false_arp_do_not_pass(lab: Lab) -> None:
    rogue, victim = scene(lab)
    mac, target, other = rogue.port.mac, victim.port.mac, new_mac()

    def arp(name: str, kind: int, hardware: str, address: str) -> list[bytes]:
        head = struct.pack("!HHBBH", 1, IP4, 6, 4, 2)
        body = head + packed(hardware) + socket.inet_aton(address) + packed(target) + socket.inet_aton("10.1.0.6")
        return [ethernet(mac, target, kind, body + f"<{name}>".encode())]

    def plain(name: str, kind: int) -> list[bytes]:
        return [ethernet(mac, target, kind, f"<{name}>".encode().ljust(60))]

    frames = {
        "reverse arp": arp("reverse arp", 0x8035, mac, "10.1.0.5"),
        "his address": arp("his address", ARP, mac, "10.1.0.6"),
        "his mac": arp("his mac", ARP, other, "10.1.0.5"),
        "pppoe": [ethernet(mac, target, 0x8864, b"\x11\x00\x00\x01\x00\x40\x00\x21" + b"<pppoe>".ljust(60))],
        "lldp": plain("lldp", 0x88CC),
        "length": plain("length", 60),
        "mpls": plain("mpls", 0x8847),
        "jumbo": plain("jumbo", 0x8870),
        "foreign mac": [ethernet(other, target, IP4, ipv4("10.1.0.5", "10.1.0.6", 17, udp(9, 9, b"<foreign mac>")))],
        "foreign ip": [ethernet(mac, target, IP4, ipv4("10.1.0.7", "10.1.0.6", 17, udp(9, 9, b"<foreign ip>")))],
        "no ip": [ethernet(mac, target, IP4, ipv4("0.0.0.0", "10.1.0.6", 6, b"<no ip>".ljust(30)))],
    }  # fmt: skip
    assert arrived(rogue, victim, frames) == set()
    own = arp("own", ARP, mac, "10.1.0.5")
    assert arrived(rogue, victim, {"own": own}) == {"own"}


def test_nobody_plays_dhcp_server_in_pieces(lab: Lab) -> None:
    rogue, victim = scene(lab)

    def frame(payload: bytes, kind: int = IP4) -> bytes:
        return ethernet(rogue.port.mac, victim.port.mac, kind, payload)

    whole = udp(67, 68, b"x" * 64 + b"<pieces>")
    with_options = ipv4("10.1.0.5", "10.1.0.6", 17, b"\x01\x01\x01\x01" + udp(67, 68, b"<options>"))
    longer = bytearray(with_options)
    longer[0] = 0x46
    longer[10:12] = b"\x00\x00"
    head = bytes(longer[:24])
    total = sum(struct.unpack("!12H", head))
    longer[10:12] = struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    frames = {
        "plain": [frame(ipv4("10.1.0.5", "10.1.0.6", 17, udp(67, 68, b"<plain>")))],
        "options": [frame(bytes(longer))],
        "pieces": [
            frame(ipv4("10.1.0.5", "10.1.0.6", 17, whole[:8], more=True)),
            frame(ipv4("10.1.0.5", "10.1.0.6", 17, whole[8:], offset=8)),
        ],
        "six": [frame(ipv6("fd01::5", "fd01::6", 17, udp(547, 546, b"<six>")), IP6)],
        "six behind options": [
            frame(ipv6("fd01::5", "fd01::6", 60, b"\x11\x00\x01\x04" + bytes(4)
                       + udp(547, 546, b"<six behind options>")), IP6)
        ],
    }  # fmt: skip
    assert arrived(rogue, victim, frames) == set()


def test_nobody_plays_router_or_neighbour_behind_headers(lab: Lab) -> None:
    rogue, victim = scene(lab)
    source = "fd01::5"

    def frame(next_header: int, payload: bytes, sender: str = source) -> bytes:
        return ethernet(rogue.port.mac, victim.port.mac, IP6, ipv6(sender, "fd01::6", next_header, payload))

    def router(name: str) -> bytes:
        return icmpv6(source, "fd01::6", 134, ROUTER + f"<{name}>".encode())

    def claim(name: str, kind: int = 136, sender: str = source, target: str = "fd01::6") -> bytes:
        body = struct.pack("!I", 0x60000000) + socket.inet_pton(socket.AF_INET6, target) + f"<{name}>".encode()
        return icmpv6(sender, "fd01::6", kind, body)

    options = b"\x3a\x00\x01\x04" + bytes(4)
    tail = b"\x3c\x00\x01\x04" + bytes(4)
    frames = {
        "router": [frame(58, router("router"))],
        "redirect": [frame(58, icmpv6(source, "fd01::6", 137, bytes(36) + b"<redirect>"))],
        "behind options": [frame(60, options + router("behind options"))],
        "hop by hop": [frame(0, options + router("hop by hop"))],
        "two headers": [frame(0, tail + options + router("two headers"))],
        "atomic": [frame(44, fragment(58, 0, router("atomic"), more=False))],
        "split": [
            frame(44, fragment(60, 0, options, more=True)),
            frame(44, fragment(60, 8, router("split"), more=False)),
        ],
        "claim": [frame(58, claim("claim"))],
        "split claim": [
            frame(44, fragment(58, 0, claim("split claim")[:8], more=True)),
            frame(44, fragment(58, 8, claim("split claim")[8:], more=False)),
        ],
        "claimed before": [frame(58, claim("claimed before", 135, "::"), "::")],
        "foreign": [frame(58, icmpv6("fd01::7", "fd01::6", 128, b"\x00\x01\x00\x01<foreign>"), "fd01::7")],
    }
    assert arrived(rogue, victim, frames) == set()
    assert "default" not in victim.run("ip", "-6", "route").stdout
    allowed = {
        "echo": [frame(58, icmpv6(source, "fd01::6", 128, b"\x00\x01\x00\x01<echo>"))],
        "own claim": [frame(58, claim("own claim", target="fd01::5"))],
        "probe": [frame(58, claim("probe", 135, "::", "fd01::5"), "::")],
    }
    assert arrived(rogue, victim, allowed) == set(allowed)


def test_pieces_without_their_first_do_not_become_a_packet(lab: Lab) -> None:
    rogue, victim = scene(lab)
    mac, target = rogue.port.mac, victim.port.mac
    message = icmpv6("fd01::5", "fd01::6", 134, ROUTER + b"<router in pieces>")
    lot = [
        ethernet(mac, target, IP6, ipv6("fd01::5", "fd01::6", 44, fragment(60, 0, b"\x3a\x00\x01\x04" + bytes(4),
                                                                          more=True))),
        ethernet(mac, target, IP6, ipv6("fd01::5", "fd01::6", 44, fragment(60, 8, message, more=False))),
    ]  # fmt: skip
    assert arrived(rogue, victim, {"router in pieces": lot}) == set()
    first = udp(9, 9, b"0123456789abcdef" + b"<datagram in pieces>")
    lot = [
        ethernet(mac, target, IP4, ipv4("10.1.0.5", "10.1.0.6", 17, first[:24], more=True)),
        ethernet(mac, target, IP4, ipv4("10.1.0.5", "10.1.0.6", 17, first[24:], offset=24)),
    ]
    assert arrived(rogue, victim, {"datagram in pieces": lot}) == {"datagram in pieces"}


def test_a_flood_of_macs_is_not_learned(lab: Lab) -> None:
    rogue, victim = scene(lab)
    with Wire(rogue) as mouth:
        for _ in range(300):
            source = "02:" + ":".join(f"{byte:02x}" for byte in os.urandom(5))
            mouth.send(ethernet(source, victim.port.mac, IP4, ipv4("10.1.0.5", "10.1.0.6", 17, udp(9, 9, b"x"))))
            mouth.send(ethernet(source, "01:80:c2:00:00:0e", 0x88CC, bytes(60)))
    table = lab.fabric.run("bridge", "fdb", "show", "dev", lab.outer(rogue)).stdout
    learned = [line for line in table.splitlines() if "permanent" not in line]
    assert len(learned) <= 1, table


def test_a_mark_of_the_senders_own_opens_nothing(lab: Lab) -> None:
    network = lab.network(subnet("10.1.0.0/24"))
    rogue = lab.attach(network, "10.1.0.5", groups=(lab.group(*EVERYTHING),))
    closed = lab.attach(network, "10.1.0.6", groups=(lab.group(*OUTWARD),))
    with closed.new_socket(socket.SOCK_DGRAM) as ear, rogue.new_socket(socket.SOCK_DGRAM) as mouth:
        ear.bind(("", 4000))
        ear.settimeout(0.4)
        for mark in (0, 1):
            mouth.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
            mouth.sendto(b"x", ("10.1.0.6", 4000))
        with pytest.raises(TimeoutError):
            ear.recv(100)
