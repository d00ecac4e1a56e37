"""Routers: a namespace with a leg on every network, static routes, translation, floating IPs and advertisements."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import msgspec

from stackyard.host.network import advertise, checks, daemons, layer3, names, netns, router_checks, ways
from stackyard.host.network import router_rules as rules
from stackyard.host.network.announcements import announce
from stackyard.host.network.conntrack import end_connections
from stackyard.host.network.daemons import Daemon
from stackyard.host.network.departed import departed, shrank
from stackyard.host.network.fabric import Fabric, Pair
from stackyard.host.network.metadata import METADATA4, Door
from stackyard.host.network.metadata_sockets import MetadataSockets
from stackyard.host.network.names import Alias
from stackyard.host.network.nft import Nftables
from stackyard.host.specs import Address, RouterGateway, RouterInterface, RouterSpec

_LOOPBACK = (Address(ip=METADATA4, prefix_length=32),)
Leg = RouterInterface | RouterGateway


def legs(spec: RouterSpec) -> list[tuple[str, Leg]]:
    """The router's devices by name, with what they are."""
    found: list[tuple[str, Leg]] = [(names.inner_leg(item.port_id), item) for item in spec.interfaces]
    return found + [(names.inner_gateway(item.port_id), item) for item in spec.gateways]


def wanted_addresses(spec: RouterSpec) -> dict[str, list[Address]]:
    """What each device shall have; a public address is on the gateway whose network holds it."""
    found = {device: list(leg.addresses) for device, leg in legs(spec)}
    public = [*(item.floating_ip for item in spec.floating_ips), *(item.floating_ip for item in spec.port_forwardings)]
    for text in dict.fromkeys(public):
        gateway = spec.gateways[rules.gateway_of(spec, text)]
        found[names.inner_gateway(gateway.port_id)].append(Address(ip=text, prefix_length=32))
    return found


class Routers:
    """Keeps the routers. Methods run in the fabric's thread."""

    def __init__(self, fabric: Fabric, state_directory: Path, metadata: MetadataSockets) -> None:
        self._fabric = fabric
        self._metadata = metadata
        self.directory = state_directory / "routers"

    def _namespace(self, router_id: str) -> str:
        return names.router_namespace(self._fabric.cloud, router_id)

    def apply(self, spec: RouterSpec, before: RouterSpec | None) -> None:
        """Make the router be as the spec says; `before` is what this process applied last, None when unknown."""
        namespace = self._namespace(spec.id)
        router_checks.require_kernel(spec)
        with contextlib.ExitStack() as undo:
            fresh = netns.create(namespace)
            if fresh:
                undo.callback(self.remove, spec.id)
                before = None
            descriptor = netns.open_namespace(netns.path_of(namespace))
            try:
                if before is not None and _only_public_addresses_differ(spec, before):
                    self._change_public_addresses(spec, before, descriptor)
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
            ways.sync(ip, spec, before, fresh=fresh)
            ways.sync_proxies(ip, spec, before, fresh=fresh)
            for device, leg in legs(spec):
                announce(device, checks.mac(leg.mac), added[device])
            if not fresh and shrank(spec, before):
                end_connections(departed(spec))
        self._metadata.open(Door("router", spec.id), self._namespace(spec.id), None)
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

    def _change_public_addresses(self, spec: RouterSpec, before: RouterSpec, descriptor: int) -> None:
        wanted, had = wanted_addresses(spec), wanted_addresses(before)
        with self._fabric.inside(descriptor) as ip:
            with contextlib.closing(Nftables()) as nft:
                nft.run(rules.change_text(spec, before))
            for gateway in spec.gateways:
                device = names.inner_gateway(gateway.port_id)
                if wanted[device] != had[device]:
                    index = socket.if_nametoindex(device)
                    added = layer3.sync_addresses(ip, index, wanted[device], lambda _: True)
                    announce(device, checks.mac(gateway.mac), added)
            if shrank(spec, before):
                end_connections(departed(spec))

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
        self._metadata.close(Door("router", router_id))
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
        return self._metadata.problem(Door("router", spec.id))


def identity(fabric: Fabric, namespace: str) -> str | None:
    """The id of the router whose namespace this is, as its loopback device says."""
    descriptor = netns.open_namespace(netns.path_of(namespace))
    try:
        with fabric.inside(descriptor) as ip:
            alias = names.parse_alias(ip.link("get", index=1)[0].get_attr("IFLA_IFALIAS"))
    finally:
        os.close(descriptor)
    return alias.id if alias and alias.kind == "router" else None


def _only_public_addresses_differ(spec: RouterSpec, before: RouterSpec) -> bool:
    same = {"floating_ips": before.floating_ips, "port_forwardings": before.port_forwardings}
    return spec != before and bool(spec.gateways) and msgspec.structs.replace(spec, **same) == before


def _prepare(ip: Any, alias: Alias) -> None:
    ip.link("set", index=1, state="up", ifalias=str(alias))
    layer3.sync_addresses(ip, 1, _LOOPBACK, lambda _: False, layer3.Present())
    netns.write_sysctl("ipv4/ip_forward", 1)
    # An address is answered for where it is, not on every leg: the server of a network has 169.254.169.254 there.
    netns.write_sysctl("ipv4/conf/all/arp_ignore", 1)
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
    addresses = wanted_addresses(spec)
    for device, leg in legs(spec):
        index = socket.if_nametoindex(device)
        layer3.prepare_ipv6(device, accept_advertisements=False)
        message = ip.link("get", index=index)[0]
        if message.get_attr("IFLA_ADDRESS") != checks.mac(leg.mac):
            ip.link("set", index=index, state="down")
            ip.link("set", index=index, address=checks.mac(leg.mac))
        present = layer3.Present() if fresh else None
        added[device] = layer3.sync_addresses(ip, index, addresses[device], lambda _: True, present)
        ip.link("set", index=index, state="up", mtu=mtus[device])
    return added


def _inner_problem(ip: Any, spec: RouterSpec) -> str | None:
    addresses = wanted_addresses(spec)
    for device, leg in legs(spec):
        try:
            index = socket.if_nametoindex(device)
        except OSError:
            return f"its device on network {leg.network_id} is gone"
        if not layer3.is_up(ip, index):
            return f"its device on network {leg.network_id} is down"
        if not layer3.has_addresses(ip, index, addresses[device]):
            return f"it has lost an address on network {leg.network_id}"
    if not layer3.has_addresses(ip, 1, _LOOPBACK):
        return "it has lost the address of metadata"
    with contextlib.closing(Nftables()) as nft:
        listing = nft.list_table(rules.TABLE)
    wanted = rules.ruleset(spec)
    if not all(map(listing.holds, wanted.chains)):
        return "its translation rules were changed"
    if not all(listing.has(rules.INWARD, floating) for floating in wanted.elements[rules.INWARD]):
        return "a floating IP is not translated"
    if not all(listing.has(rules.OUTWARD, fixed) for fixed in wanted.elements[rules.OUTWARD]):
        return "a floating IP is not translated outwards"
    return ways.problem(ip, spec)
