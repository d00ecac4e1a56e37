"""Packets sent on a device's behalf: who has an address now (gratuitous ARP), and who is the router (solicitation)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable

from stackyard.host.network.netns import close_later

_ETH_P_ARP = 0x0806
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
