"""Routers: a namespace with a leg on every network, static routes, translation, floating IPs and advertisements."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import msgspec

from stackyard.host.network import advertise, checks, daemons, layer3, names, netns
from stackyard.host.network import router_rules as rules
from stackyard.host.network.announcements import announce
from stackyard.host.network.conntrack import Connection, end_connections
from stackyard.host.network.daemons import Daemon
from stackyard.host.network.fabric import Fabric, Pair
from stackyard.host.network.names import Alias
from stackyard.host.network.nft import Nftables
from stackyard.host.specs import Address, RouterGateway, RouterInterface, RouterSpec

_METRIC = 100
Leg = RouterInterface | RouterGateway


def legs(spec: RouterSpec) -> list[tuple[str, Leg]]:
    """The router's devices by name, with what they are."""
    found: list[tuple[str, Leg]] = [(names.inner_leg(item.port_id), item) for item in spec.interfaces]
    if spec.gateway is not None:
        found.append((names.inner_gateway(spec.gateway.port_id), spec.gateway))
    return found


def _wanted_addresses(spec: RouterSpec, leg: Leg) -> list[Address]:
    floating = spec.floating_ips if leg is spec.gateway else ()
    return [*leg.addresses, *(Address(ip=item.floating_ip, prefix_length=32) for item in floating)]


class Routers:
    """Keeps the routers. Methods run in the fabric's thread."""

    def __init__(self, fabric: Fabric, state_directory: Path) -> None:
        self._fabric = fabric
        self.directory = state_directory / "routers"

    def _namespace(self, router_id: str) -> str:
        return names.router_namespace(self._fabric.cloud, router_id)

    def apply(self, spec: RouterSpec, before: RouterSpec | None) -> None:
        """Make the router be as the spec says; `before` is what this process applied last, None when unknown."""
        namespace = self._namespace(spec.id)
        with contextlib.ExitStack() as undo:
            fresh = netns.create(namespace)
            if fresh:
                undo.callback(self.remove, spec.id)
                before = None
            descriptor = netns.open_namespace(netns.path_of(namespace))
            try:
                if before is not None and _only_floating_ips_differ(spec, before):
                    self._change_floating_ips(spec, before, descriptor)
                else:
                    self._apply_inside(spec, before, descriptor)
                    self._apply_legs(spec, before, descriptor, undo, fresh=fresh)
            finally:
                os.close(descriptor)
            undo.pop_all()

    def _apply_inside(self, spec: RouterSpec, before: RouterSpec | None, descriptor: int) -> None:
        """Settings and translation, before anything can pass."""
        text = rules.full_text(spec) if before is None else rules.change_text(spec, before)
        with self._fabric.inside(descriptor) as ip:
            if before is None:
                _prepare(ip, Alias(self._fabric.cloud, "router", spec.id))
            if text:
                with contextlib.closing(Nftables()) as nft:
                    nft.run(text)

    def _apply_legs(
        self,
        spec: RouterSpec,
        before: RouterSpec | None,
        descriptor: int,
        undo: contextlib.ExitStack,
        *,
        fresh: bool,
    ) -> None:
        if not fresh:
            self._remove_other_legs(spec)
        mtus = {device: self._apply_leg(spec, device, leg, descriptor, undo) for device, leg in legs(spec)}
        with self._fabric.inside(descriptor) as ip:
            added = _configure(ip, spec, mtus, fresh=fresh)
            for device, leg in legs(spec):
                announce(device, checks.mac(leg.mac), added[device])
            _end_departed(spec, before)
        self._apply_radvd(spec, {leg.network_id: mtus[device] for device, leg in legs(spec)})

    def _apply_leg(self, spec: RouterSpec, device: str, leg: Leg, descriptor: int, undo: contextlib.ExitStack) -> int:
        """The leg's veth pair, whole; returns its MTU, which is its network's."""
        outer = names.router_leg(leg.port_id)
        alias = Alias(self._fabric.cloud, "leg", leg.port_id, leg.network_id, spec.id)
        bridge = self._fabric.link(names.bridge(leg.network_id))
        mtu = bridge.mtu if bridge else 1500
        link = self._fabric.link(outer)
        if link is not None and not _has_device(descriptor, device, link.peer):
            self._fabric.delete_link(outer)
            link = None
        if link is None:
            link = self._fabric.make_pair(Pair(outer, device, descriptor, checks.mac(leg.mac), mtu, alias), undo)
        if link.mtu != mtu:
            self._fabric.ip.link("set", index=link.index, mtu=mtu)
        self._fabric.settle(link, alias, up=spec.admin_up)
        return mtu

    def _remove_other_legs(self, spec: RouterSpec) -> None:
        wanted = {leg.port_id for _, leg in legs(spec)}
        for link in self._fabric.links().values():
            alias = link.alias
            if alias and alias.kind == "leg" and alias.extra == spec.id and alias.id not in wanted:
                self._fabric.delete_link(link.name)

    def _change_floating_ips(self, spec: RouterSpec, before: RouterSpec, descriptor: int) -> None:
        gateway = spec.gateway or before.gateway
        if gateway is None:
            return
        device = names.inner_gateway(gateway.port_id)
        with self._fabric.inside(descriptor) as ip:
            with contextlib.closing(Nftables()) as nft:
                nft.run(rules.change_text(spec, before))
            index = socket.if_nametoindex(device)
            added = layer3.sync_addresses(ip, index, _wanted_addresses(spec, gateway), lambda _: True)
            announce(device, checks.mac(gateway.mac), added)
            _end_departed(spec, before)

    # ------------------------------------------------------------------------------------------------ radvd

    def _directory(self, router_id: str) -> Path:
        return self.directory / names.short(router_id)

    def _radvd(self, router_id: str, name: str) -> Daemon:
        directory = self._directory(router_id)
        marker = f"--config={directory / name}"
        arguments = ("radvd", marker, f"--pidfile={directory / 'pid'}", "--logmethod=none")
        return Daemon(self._namespace(router_id), arguments, directory / "pid", marker)

    def _apply_radvd(self, spec: RouterSpec, mtus: dict[str, int]) -> None:
        directory = self._directory(spec.id)
        text = advertise.radvd_text(spec, mtus) if spec.admin_up else ""
        daemon = self._radvd(spec.id, advertise.radvd_name(text))
        if text and daemon.pid() is not None:
            return
        if directory.exists():
            daemons.end_recorded(directory / "pid", directory)
            shutil.rmtree(directory)
        if text:
            directory.mkdir(mode=0o755, parents=True)
            path = directory / advertise.radvd_name(text)
            path.write_text(text)
            path.chmod(0o644)
            daemon.start()

    # ------------------------------------------------------------------------------------------------ end

    def remove(self, router_id: str) -> None:
        """Remove the namespace, its legs and its daemon; gone is fine."""
        namespace, directory = self._namespace(router_id), self._directory(router_id)
        if directory.exists():
            daemons.end_recorded(directory / "pid", directory)
            shutil.rmtree(directory, ignore_errors=True)
        for link in self._fabric.links().values():
            if link.alias and link.alias.kind == "leg" and link.alias.extra == router_id:
                self._fabric.delete_link(link.name)
        netns.delete(namespace)

    def problem(self, spec: RouterSpec) -> str | None:
        """What is wrong with a router that this process has applied."""
        if not netns.exists(self._namespace(spec.id)):
            return "its namespace is gone"
        descriptor = netns.open_namespace(netns.path_of(self._namespace(spec.id)))
        try:
            with self._fabric.inside(descriptor) as ip:
                found = _inner_problem(ip, spec)
        finally:
            os.close(descriptor)
        if found:
            return found
        for _, leg in legs(spec):
            link = self._fabric.link(names.router_leg(leg.port_id))
            if link is None or not link.master:
                return f"its leg on network {leg.network_id} is not connected"
        mains = [path.name for path in self._directory(spec.id).glob("radvd-*.conf")]
        if mains and not any(self._radvd(spec.id, name).pid() for name in mains):
            return "its IPv6 advertisements have stopped"
        return None


def identity(fabric: Fabric, namespace: str) -> str | None:
    """The id of the router whose namespace this is, as its loopback device says."""
    descriptor = netns.open_namespace(netns.path_of(namespace))
    try:
        with fabric.inside(descriptor) as ip:
            alias = names.parse_alias(ip.link("get", index=1)[0].get_attr("IFLA_IFALIAS"))
    finally:
        os.close(descriptor)
    return alias.id if alias and alias.kind == "router" else None


def _only_floating_ips_differ(spec: RouterSpec, before: RouterSpec) -> bool:
    return spec != before and msgspec.structs.replace(spec, floating_ips=before.floating_ips) == before


def _prepare(ip: Any, alias: Alias) -> None:
    ip.link("set", index=1, state="up", ifalias=str(alias))
    netns.write_sysctl("ipv4/ip_forward", 1)
    netns.write_sysctl("ipv4/conf/all/rp_filter", 0)
    netns.write_sysctl("ipv4/conf/default/rp_filter", 0)
    netns.write_sysctl("ipv4/conf/all/send_redirects", 0)
    netns.write_sysctl("ipv4/conf/default/send_redirects", 0)
    netns.write_sysctl("ipv6/conf/all/forwarding", 1)


def _has_device(descriptor: int, device: str, index: int) -> bool:
    with netns.inside(descriptor):
        try:
            return socket.if_nametoindex(device) == index
        except OSError:
            return False


def _configure(ip: Any, spec: RouterSpec, mtus: dict[str, int], *, fresh: bool) -> dict[str, list[str]]:
    """Everything inside the namespace; says which addresses each device got newly."""
    added = {}
    for device, leg in legs(spec):
        index = socket.if_nametoindex(device)
        layer3.prepare_ipv6(device, accept_advertisements=False)
        message = ip.link("get", index=index)[0]
        if message.get_attr("IFLA_ADDRESS") != checks.mac(leg.mac):
            ip.link("set", index=index, state="down")
            ip.link("set", index=index, address=checks.mac(leg.mac))
        present = layer3.Present() if fresh else None
        added[device] = layer3.sync_addresses(ip, index, _wanted_addresses(spec, leg), lambda _: True, present)
        ip.link("set", index=index, state="up", mtu=mtus[device])
    if spec.admin_up:
        defaults = layer3.default_routes(spec.gateway.next_hops) if spec.gateway else []
        layer3.sync_routes(ip, None, [*defaults, *spec.routes], _METRIC, onlink=False, fresh=fresh)
    return added


def _end_departed(spec: RouterSpec, before: RouterSpec | None) -> None:
    """End connections by floating IPs that have left or now lead elsewhere; in the router's namespace."""
    kept = {(item.floating_ip, item.fixed_ip) for item in spec.floating_ips}
    gone = (
        {item.floating_ip for item in before.floating_ips if (item.floating_ip, item.fixed_ip) not in kept}
        if before
        else set()
    )
    if gone:
        end_connections(lambda connection: _uses(connection, gone))


def _uses(connection: Connection, addresses: set[str]) -> bool:
    return connection.destination in addresses or connection.reply_destination in addresses


def _inner_problem(ip: Any, spec: RouterSpec) -> str | None:
    for device, leg in legs(spec):
        try:
            index = socket.if_nametoindex(device)
        except OSError:
            return f"its device on network {leg.network_id} is gone"
        if not layer3.is_up(ip, index):
            return f"its device on network {leg.network_id} is down"
        if not layer3.has_addresses(ip, index, _wanted_addresses(spec, leg)):
            return f"it has lost an address on network {leg.network_id}"
    with contextlib.closing(Nftables()) as nft:
        listing = nft.list_table(rules.TABLE)
    if not all(map(listing.holds, rules.chains(spec))):
        return "its translation rules were changed"
    if not all(listing.has(rules.INWARD, item.floating_ip) for item in spec.floating_ips):
        return "a floating IP is not translated"
    return None
