"""Ports: a veth pair from a network's bridge into the namespace of a container or machine."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.network import announcements, checks, layer3, names, netns
from stackyard.host.network import filter as rules
from stackyard.host.network.fabric import Fabric, Link, Pair
from stackyard.host.network.names import Alias
from stackyard.host.specs import PortSpec

OFFERED = "offered"
"""The kind of port whose inner end another program takes from where we put it."""


def _alias(fabric: Fabric, spec: PortSpec) -> Alias:
    return Alias(fabric.cloud, "port", spec.id, spec.network_id)


def fingerprint(fabric: Fabric, spec: PortSpec) -> tuple[int, int, int] | None:
    """What changes when a port's wire is cut: its device's index and the identity of its namespace."""
    index = fabric.index(names.port(spec.id))
    try:
        status = os.stat(spec.netns)  # noqa: PTH116 - a microsecond path that every repeated apply takes
    except OSError:
        return None
    return None if index is None else (index, status.st_dev, status.st_ino)


def apply(fabric: Fabric, spec: PortSpec, before: PortSpec | None) -> None:
    """Wire the port as `spec` says; `before` is what this process applied last, None when it does not know.

    The device is made down, its filter put in force, and only then is it brought up.
    """
    descriptor = netns.open_namespace(spec.netns)
    try:
        with contextlib.ExitStack() as undo:
            link, fresh = fabric.link(names.port(spec.id)), False
            if link is not None and not _wired_there(fabric, link, spec, descriptor):
                fabric.delete_link(link.name)
                link = None
            if link is None:
                undo.callback(lambda: fabric.nft.run(rules.remove_port_text(spec.id)))
                fabric.nft.run(rules.port_text(spec))
                link = fabric.make_pair(_pair(fabric, spec, descriptor), undo)
                before, fresh = None, True
            elif before is None or rules.port_text(before) != rules.port_text(spec):
                fabric.nft.run(rules.port_text(spec))
            if link.mtu != spec.mtu:
                fabric.ip.link("set", index=link.index, mtu=spec.mtu)
            _configure(fabric, spec, before, link, descriptor, fresh=fresh)
            undo.pop_all()
    finally:
        os.close(descriptor)


def _pair(fabric: Fabric, spec: PortSpec, descriptor: int) -> Pair:
    return Pair(names.port(spec.id), spec.device, descriptor, checks.mac(spec.mac), spec.mtu, _alias(fabric, spec))


def _wired_there(fabric: Fabric, link: Link, spec: PortSpec, descriptor: int) -> bool:
    """Whether the device's other end is in this very namespace, under the name asked for.

    One that is offered may have been moved on: it exists as long as its pair does, wherever it is.
    """
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


def _metric(device: str) -> int:
    """Default routes of eth0 win over those of eth1."""
    digits = re.search(r"([0-9]{1,3})\Z", device)
    return 100 + (int(digits[1]) if digits else 0)


def _configure(
    fabric: Fabric, spec: PortSpec, before: PortSpec | None, link: Link, descriptor: int, *, fresh: bool
) -> None:
    """Both ends up, with addresses and routes inside. The filter is in force already."""
    fabric.settle(link, _alias(fabric, spec), up=spec.admin_up)
    if spec.kind == OFFERED:
        return
    has_gateway6 = any(":" in gateway for gateway in spec.gateways)
    with fabric.inside(descriptor) as ip:
        index = socket.if_nametoindex(spec.device)
        if before is None:
            ip.link("set", index=1, state="up")
            layer3.prepare_ipv6(spec.device, accept_advertisements=not has_gateway6)
        if not fresh:
            _set_link(ip, index, spec)
        addresses = layer3.Present() if fresh else layer3.present_addresses(ip, index)
        layer3.sync_addresses(ip, index, spec.addresses, lambda text: _removable(text, spec, before), addresses)
        ip.link("set", index=index, state="up")
        wanted = [*layer3.default_routes(spec.gateways), *spec.routes]
        if wanted or not fresh:
            layer3.sync_routes(ip, index, wanted, _metric(spec.device), fresh=fresh)
        if spec.admin_up:
            layer3.wait_running(spec.device)
    if not spec.admin_up:
        return
    layer3.wait_running(link.name)
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


def remove(fabric: Fabric, port_id: str) -> None:
    """Close the port and doom its device, which the fabric's next sweep deletes; what is gone already is fine."""
    fabric.doom(names.port(port_id))
    fabric.nft.run(rules.remove_port_text(port_id))


def problem(fabric: Fabric, spec: PortSpec, link: Link | None) -> str | None:
    """What is wrong with the wire of a port that this process has applied."""
    if link is None:
        return "its device is gone"
    if not link.master:
        return "its network is not there"
    if link.up != spec.admin_up:
        return "its device is down" if spec.admin_up else "its device is up though the port is not"
    try:
        descriptor = netns.open_namespace(spec.netns)
    except HostError:
        return "its namespace is gone"
    try:
        return None if _wired_there(fabric, link, spec, descriptor) else "its namespace was replaced"
    finally:
        os.close(descriptor)
