"""Packets sent on somebody's behalf: who has an address now (gratuitous ARP), who is the router (solicitation), and
that a lease has ended (DHCP release)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable

from stackyard.host.network.netns import close_later

_ETH_P_ARP = 0x0806
_ETH_P_IP = 0x0800
_ALL_ROUTERS = "ff02::2"
_ROUTER_SOLICITATION = bytes([133, *bytes(7)])


def announcement(mac: str, address: str) -> bytes:
    """The frame that announces `address` at `mac` to everybody."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    packed = ipaddress.IPv4Address(address).packed
    header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return b"\xff" * 6 + hardware + struct.pack("!H", _ETH_P_ARP) + header + hardware + packed + bytes(6) + packed


def announce(device: str, mac: str, addresses: Iterable[str]) -> None:
    """Send it for each IPv4 address, from the namespace the thread is in. A device that is down has no neighbours."""
    wanted = [item for item in addresses if ":" not in item]
    if not wanted:
        return
    # Protocol 0 receives nothing, so opening is cheap; closing takes the kernel 10 ms, for which nobody waits.
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        with contextlib.suppress(OSError):
            for address in wanted:
                raw.sendto(announcement(mac, address), (device, _ETH_P_ARP))
    finally:
        close_later(raw.close)


def solicit_router(device: str) -> None:
    """Ask for a router advertisement. The kernel asks as well, but at once, when the bridge may not listen yet,
    and then waits four seconds before it asks again."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw, contextlib.suppress(OSError):
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        raw.sendto(_ROUTER_SOLICITATION, (_ALL_ROUTERS, 0, 0, socket.if_nametoindex(device)))


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def release(mac: str, address: str, server_mac: str, server: str) -> bytes:
    """The frame by which the client at `mac` gives its leased address back to a DHCP server (RFC 2131, 4.4.6)."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    client, to = ipaddress.IPv4Address(address).packed, ipaddress.IPv4Address(server).packed
    message = struct.pack("!BBBBIHH", 1, 1, 6, 0, 1, 0, 0) + client + bytes(12) + hardware + bytes(202)
    message += b"\x63\x82\x53\x63" + bytes([53, 1, 7, 54, 4, *to, 255])
    datagram = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, socket.IPPROTO_UDP, 0) + client + to
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    return bytes.fromhex(server_mac.replace(":", "")) + hardware + struct.pack("!H", _ETH_P_IP) + header + datagram


def send_frames(device: str, frames: Iterable[bytes]) -> None:
    """Send out of a device of the namespace the thread is in. A device that is down or gone takes none."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        with contextlib.suppress(OSError):
            for frame in frames:
                raw.sendto(frame, (device, _ETH_P_IP))
    finally:
        close_later(raw.close)
