"""Ports of kind veth: a pair of devices from a network's bridge into a container's namespace, configured inside.

Of kind offered, the same pair, whose inner end another program takes from where it is put, and configures.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.network import announcements, checks, layer3, names, netns
from stackyard.host.network.fabric import Fabric, Link, Pair
from stackyard.host.network.names import Alias
from stackyard.host.specs import PortSpec

OFFERED = "offered"
"""The kind of port whose inner end another program takes from where we put it."""


@contextlib.contextmanager
def _opened(spec: PortSpec) -> Iterator[int]:
    descriptor = netns.open_namespace(spec.netns)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def fingerprint(fabric: Fabric, spec: PortSpec) -> tuple[int, int, int] | None:
    """The device's index and the identity of its namespace; None when either is gone."""
    index = fabric.index(names.port(spec.id))
    try:
        status = os.stat(spec.netns)  # noqa: PTH116 - a microsecond path that every repeated apply takes
    except OSError:
        return None
    return None if index is None else (index, status.st_dev, status.st_ino)


def is_there(fabric: Fabric, spec: PortSpec, link: Link) -> bool:
    """Whether the device's other end is in this very namespace, under the name asked for. Raises HostError.

    One that is offered may have been moved on: it exists as long as its pair does, wherever it is.
    """
    with _opened(spec) as descriptor:
        if spec.kind == OFFERED:
            return True
        answer = fabric.ip.get_netnsid(fd=descriptor)
        number = answer["nsid"] if isinstance(answer, dict) else answer
        if number < 0 or number != link.namespace:
            return False
        with netns.inside(descriptor):
            try:
                return socket.if_nametoindex(spec.device) == link.peer
            except OSError:
                return False


def make(fabric: Fabric, spec: PortSpec, alias: Alias, undo: contextlib.ExitStack) -> Link:
    """Make the pair."""
    with _opened(spec) as descriptor:
        # Its filter is in force already; limits, when there are any, are to be before it is up.
        up = spec.admin_up and spec.qos is None
        pair = Pair(names.port(spec.id), spec.device, descriptor, checks.mac(spec.mac), spec.mtu, alias, up)
        return fabric.make_pair(pair, undo)


def _metric(device: str) -> int:
    """Default routes of eth0 win over those of eth1."""
    digits = re.search(r"([0-9]{1,3})\Z", device)
    return 100 + (int(digits[1]) if digits else 0)


def configure(fabric: Fabric, spec: PortSpec, before: PortSpec | None, link: Link, *, fresh: bool) -> None:
    """Give the inner end its addresses and routes, and bring it up; the outer end is up already."""
    if spec.kind == OFFERED:
        return
    with _opened(spec) as descriptor:
        _configure(fabric, spec, before, link, descriptor, fresh=fresh)


def _configure(
    fabric: Fabric, spec: PortSpec, before: PortSpec | None, link: Link, descriptor: int, *, fresh: bool
) -> None:
    has_gateway6 = any(":" in gateway for gateway in spec.gateways)
    with fabric.inside(descriptor) as ip:
        index = socket.if_nametoindex(spec.device)
        if before is None:
            ip.link("set", index=1, state="up")
            layer3.prepare_ipv6(spec.device, accept_advertisements=not has_gateway6)
        if not fresh:
            _set_link(ip, index, spec)
        addresses = layer3.Present() if fresh else layer3.present_addresses(ip, index)
        added = layer3.sync_addresses(ip, index, spec.addresses, lambda text: _removable(text, spec, before), addresses)
        ip.link("set", index=index, state="up")
        wanted = [*layer3.default_routes(spec.gateways), *spec.routes]
        if wanted or not fresh:
            layer3.sync_routes(ip, index, wanted, _metric(spec.device), fresh=fresh)
        if spec.admin_up:
            layer3.wait_running(spec.device)
    if not spec.admin_up:
        return
    layer3.wait_running(link.name)
    if added and not fresh:
        # An address that was elsewhere before (a local IP): neighbours would go on asking there for half a minute.
        with netns.inside(descriptor):
            announcements.announce(spec.device, checks.mac(spec.mac), added)
    if fresh and not has_gateway6:
        with netns.inside(descriptor):
            announcements.solicit_router(spec.device)


def _set_link(ip: Any, index: int, spec: PortSpec) -> None:
    message = ip.link("get", index=index)[0]
    if message.get_attr("IFLA_ADDRESS") != checks.mac(spec.mac):
        ip.link("set", index=index, state="down")
        ip.link("set", index=index, address=checks.mac(spec.mac))
    if message.get_attr("IFLA_MTU") != spec.mtu:
        ip.link("set", index=index, mtu=spec.mtu)


def _removable(text: str, spec: PortSpec, before: PortSpec | None) -> bool:
    """An address that we gave, or, when that is not known, one that the port may not send from anyway."""
    if before is not None:
        return any(str(checks.address(item.ip)) == text for item in before.addresses)
    return not any(ipaddress.ip_address(text) in checks.network(pair.ip) for pair in spec.allowed_pairs)


def problem(fabric: Fabric, spec: PortSpec, link: Link) -> str | None:
    """What is wrong with the inner end."""
    try:
        return None if is_there(fabric, spec, link) else "its namespace was replaced"
    except HostError:
        return "its namespace is gone"
