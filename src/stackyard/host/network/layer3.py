"""Addresses and routes of one device, made to be what is wanted by the smallest change.

Functions take the rtnetlink socket of the namespace, and run in a thread that is in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.network import checks, netns
from stackyard.host.network.names import ROUTE_PROTOCOL
from stackyard.host.specs import Address, Route

_SIOCGIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8913, 0x1, 0x40
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A
_RUNNING_SECONDS = 0.5
_PERMANENT = 0x80
_MAIN_TABLE = 254
_SCOPE_LINK = 253
_EEXIST, _ESRCH, _EADDRNOTAVAIL = 17, 3, 99


def prepare_ipv6(device: str, *, accept_advertisements: bool) -> None:
    """Let the device have IPv6 (Docker's sandboxes forbid it), with addresses that are usable at once."""
    base = f"ipv6/conf/{device}"
    netns.write_sysctl(f"{base}/disable_ipv6", 0)
    netns.write_sysctl(f"{base}/accept_dad", 0)
    netns.write_sysctl(f"{base}/dad_transmits", 0)
    netns.write_sysctl(f"{base}/accept_ra", int(accept_advertisements))


Present = dict[tuple[str, int], bool]
"""Addresses of a device, with their prefix lengths -> whether they are permanent."""


def present_addresses(ip: Any, index: int) -> Present:
    """What the device has now."""
    found: Present = {}
    for message in ip.get_addr(index=index):
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        flags = message.get_attr("IFA_FLAGS") or message["flags"]
        found[(str(ipaddress.ip_address(text)), message["prefixlen"])] = bool(flags & _PERMANENT)
    return found


def has_addresses(ip: Any, index: int, wanted: Iterable[Address]) -> bool:
    """Whether the device has all of these addresses."""
    return {(str(checks.address(item.ip)), item.prefix_length) for item in wanted} <= present_addresses(
        ip, index
    ).keys()


def sync_addresses(
    ip: Any, index: int, wanted: Iterable[Address], removable: Callable[[str], bool], present: Present | None = None
) -> list[str]:
    """Add what is missing, remove permanent addresses that are unwanted and `removable`; says which were added."""
    target = {(str(checks.address(item.ip)), item.prefix_length): None for item in wanted}
    present = present_addresses(ip, index) if present is None else present
    for (text, length), permanent in present.items():
        if (text, length) in target or not permanent or ipaddress.ip_address(text).is_link_local:
            continue
        if removable(text):
            ignoring((_EADDRNOTAVAIL,), ip.addr, "del", index=index, address=text, prefixlen=length)
    added = [key for key in target if key not in present]
    for text, length in added:
        ignoring((_EEXIST,), ip.addr, "add", index=index, address=text, prefixlen=length)
    return [text for text, _ in added]


def ignoring(codes: tuple[int, ...], call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Call the kernel, for which some refusals (error numbers) are as good as done."""
    try:
        call(*arguments, **options)
    except Exception as error:
        if getattr(error, "code", None) not in codes:
            raise


def is_up(ip: Any, index: int) -> bool:
    """Whether the device is switched on."""
    return bool(ip.link("get", index=index)[0]["flags"] & _IFF_UP)


def wait_running(device: str) -> None:
    """Wait until the device passes packets: the kernel switches its queue, and its bridge port, on a little after "up".

    Usually there is nothing to wait for. A device that does not come up in time is left to come up later.
    """
    deadline = time.monotonic() + _RUNNING_SECONDS
    request = struct.pack("16sH14x", device.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        while time.monotonic() < deadline:
            flags = struct.unpack_from("16sH", fcntl.ioctl(channel, _SIOCGIFFLAGS, request))[1]
            if flags & _IFF_RUNNING:
                _wait_for_changes(channel, device)
                return
            time.sleep(0.0005)


def _wait_for_changes(channel: socket.socket, device: str) -> None:
    """Wait until the change of devices that the kernel is at is done, by a question that it answers in turn.

    It calls a device running before it switches queue and bridge port on: who sends in between loses his first packet.
    """
    answer = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_GLINK, 0))
    request = struct.pack("16sP16x", device.encode(), ctypes.addressof(answer))
    with contextlib.suppress(OSError):
        fcntl.ioctl(channel, _SIOCETHTOOL, request)


def default_routes(gateways: Iterable[str]) -> list[Route]:
    """The default route by each gateway."""
    return [
        Route(destination="0.0.0.0/0" if checks.address(item).version == 4 else "::/0", next_hop=item)
        for item in gateways
    ]


def sync_routes(
    ip: Any, index: int | None, wanted: Iterable[Route], metric: int, *, onlink: bool = True, fresh: bool = False
) -> None:
    """Make our routes (of our protocol number) on the device, or on any when `index` is None, be these.

    `fresh` says that there are none yet. Raises HostError for a next hop that cannot be reached.
    """
    target = {(str(checks.network(item.destination)), str(checks.address(item.next_hop))) for item in wanted}
    present = {} if fresh else _present_routes(ip, index)
    for (destination, next_hop), message in present.items():
        if (destination, next_hop) not in target:
            options = {"dst": destination, "gateway": next_hop, "oif": message.get_attr("RTA_OIF")}
            options |= {"family": message["family"], "priority": message.get_attr("RTA_PRIORITY")}
            ignoring((_ESRCH,), ip.route, "del", **options)
    for destination, next_hop in sorted(target - present.keys()):
        _add_route(ip, index, destination, next_hop, metric, onlink)


def sync_links(ip: Any, index: int, cidrs: Iterable[str]) -> None:
    """Make the device's routes of ours without a next hop lead to these networks, which are on its wire."""
    target = {str(checks.network(item)) for item in cidrs}
    present = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in ip.get_routes(family=family, table=_MAIN_TABLE):
            ours = message["proto"] == ROUTE_PROTOCOL and message.get_attr("RTA_OIF") == index
            if ours and message.get_attr("RTA_GATEWAY") is None and message.get_attr("RTA_DST"):
                present[f"{message.get_attr('RTA_DST')}/{message['dst_len']}"] = family
    for destination in sorted(present.keys() - target):
        ignoring((_ESRCH,), ip.route, "del", dst=destination, oif=index, family=present[destination])
    for destination in sorted(target - present.keys()):
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        scope = {} if family == socket.AF_INET6 else {"scope": _SCOPE_LINK}
        ignoring((_EEXIST,), ip.route, "add", dst=destination, oif=index, family=family, proto=ROUTE_PROTOCOL, **scope)


def _present_routes(ip: Any, index: int | None) -> dict[tuple[str, str], Any]:
    found = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in ip.get_routes(family=family, table=_MAIN_TABLE):
            next_hop = message.get_attr("RTA_GATEWAY")
            if message["proto"] != ROUTE_PROTOCOL or next_hop is None:
                continue
            if index is not None and message.get_attr("RTA_OIF") != index:
                continue
            base = message.get_attr("RTA_DST") or ("0.0.0.0" if family == socket.AF_INET else "::")  # noqa: S104
            found[(f"{base}/{message['dst_len']}", next_hop)] = message
    return found


def _add_route(ip: Any, index: int | None, destination: str, next_hop: str, metric: int, onlink: bool) -> None:
    options: dict[str, Any] = {"dst": destination, "gateway": next_hop, "proto": ROUTE_PROTOCOL, "priority": metric}
    options["family"] = socket.AF_INET6 if ":" in next_hop else socket.AF_INET
    if index is not None:
        options["oif"] = index
        if onlink:
            options["flags"] = ["onlink"]
    try:
        ignoring((_EEXIST,), ip.route, "add", **options)
    except Exception as error:
        raise HostError(f"the route to {destination} by {next_hop} cannot be added: {error}") from error
