"""Networks between hosts: a VXLAN device a network, and who is where, written down so that nothing has to be learnt.

The device is made in the host's namespace and moved to the fabric's: it goes on sending by the host's own network. The
bridge knows every MAC that is elsewhere and answers ARP and neighbour discovery for their addresses itself; only what
is unknown, and what is for all, goes to the other hosts, and only to those that have the network.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network import checks, edge, fast_path, names, netns
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.names import Alias
from stackyard.host.network.nft import Chain, Listing
from stackyard.host.specs import NO_MAC, NetworkSpec

PORT = 4789
"""UDP port of VXLAN."""

_ALL_HOSTS = "00:00:00:00:00:00"
_SELF, _MASTER = 2, 4
_REACHABLE, _NOARP, _PERMANENT = 0x02, 0x40, 0x80
_STATIC = _REACHABLE | _NOARP
_IPV6 = Path("/proc/sys/net/ipv6")
_IPV6_WITHOUT_ADDRESS = (("addr_gen_mode", 1), ("accept_ra", 0), ("autoconf", 0), ("disable_ipv6", 0))
_GONE = frozenset({2, 3, 22})
"""What the kernel says when an entry that is to go is not there (ENOENT, ESRCH, EINVAL)."""


@dataclass(frozen=True)
class Entries:
    """Where a network's frames go: `hosts` get what is for all, `macs` are each at one host, `addresses` have MACs."""

    hosts: frozenset[str] = frozenset()
    macs: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)


def wanted(spec: NetworkSpec) -> Entries:
    """What a network's spec says of the other hosts; addresses also of ports here, whom nobody there is asked for."""
    macs: dict[str, str] = {}
    addresses: dict[str, str] = {}
    with_ipv6 = _IPV6.is_dir()
    for peer in spec.peers:
        macs |= {checks.mac(item.mac): str(checks.address(peer.address)) for item in peer.neighbours}
    known = [(item.mac, item.ips) for item in spec.hosts if item.mac != NO_MAC]
    known += [(item.mac, item.ips) for peer in spec.peers for item in peer.neighbours]
    for mac, ips in known:
        for ip in map(checks.address, ips):
            if ip.version == 4 or with_ipv6:
                addresses[str(ip)] = checks.mac(mac)
    return Entries(frozenset(str(checks.address(peer.address)) for peer in spec.peers), macs, addresses)


class Tunnels:
    """Keeps the tunnels. Methods run in the fabric's thread. `address` is this host's end, empty for a host alone."""

    def __init__(self, fabric: Fabric, address: str) -> None:
        self._fabric = fabric
        self._address = str(checks.address(address)) if address else ""

    def apply(self, spec: NetworkSpec, before: NetworkSpec | None) -> None:
        """Make the network's tunnel as the spec says; `before` is what was applied last, None when unknown."""
        if spec.segment.network_type != "vxlan" or not spec.peers:
            self.remove(spec.id)
            return
        self._check(spec)
        name = names.tunnel(spec.id)
        link = self._fabric.link(name)
        if link is not None and not self._is_right(spec, link):
            self._fabric.delete_link(name)
            link = None
        fresh = link is None
        with contextlib.ExitStack() as undo:
            if link is None:
                undo.callback(self.remove, spec.id)
                link = self._create(spec, name)
            self._filter(spec, None if fresh else before, link)
            if link.mtu != spec.mtu:
                self._fabric.ip.link("set", index=link.index, mtu=spec.mtu)
            bridge = self._settle(spec, link)
            known = before is not None and not fresh and bool(before.peers)
            present = wanted(before) if known and before is not None else self._present(link.index, bridge)
            self._change(link.index, bridge, present, wanted(spec))
            undo.pop_all()

    def _check(self, spec: NetworkSpec) -> None:
        if not self._address:
            raise SpecError(
                f"network {spec.id} spans hosts, and this one has no tunnel address: set network.tunnel_address"
            )
        for peer in spec.peers:
            if checks.address(peer.address).version != checks.address(self._address).version:
                raise SpecError(f"the tunnel addresses {self._address} and {peer.address} are of two IP versions")

    def _filter(self, spec: NetworkSpec, before: NetworkSpec | None, link: Link) -> None:
        """What may pass, and what may pass fast; `before` is what holds already."""
        text = edge.text(spec, link.name)
        if before is not None and edge.text(before, link.name) == text:
            text = ""
        if before is None or wanted(before).macs != wanted(spec).macs:
            text += self._fabric.fast_text(link.name, _fast_chains(spec, link))
        if text:
            self._fabric.nft.run(text)

    # ------------------------------------------------------------------------------------------------ device

    def _create(self, spec: NetworkSpec, name: str) -> Link:
        local = "vxlan_local" if checks.address(self._address).version == 4 else "vxlan_local6"
        options = {"vxlan_id": spec.segment.segmentation_id, "vxlan_port": PORT, "vxlan_learning": 0}
        target = netns.open_namespace(netns.path_of(self._fabric.namespace))
        try:
            with self._fabric.on_host() as ip:
                ip.link("add", ifname=name, kind="vxlan", net_ns_fd=target, **options, **{local: self._address})
        except Exception as error:
            if getattr(error, "code", None) == 17:
                raise HostError(
                    f"VXLAN {spec.segment.segmentation_id} is used by another device of this host: give one of the two "
                    "networks another number"
                ) from error
            raise
        finally:
            os.close(target)
        link = self._fabric.link(name)
        if link is None:
            raise HostError(f"{name} vanished while it was being made")
        return link

    def _is_right(self, spec: NetworkSpec, link: Link) -> bool:
        """Whether the device has the network's number and this host's address, and sends by this host's network."""
        data = _linked(self._fabric.ip.link("get", index=link.index)[0], "IFLA_INFO_DATA")
        if data is None:
            return False
        local = data.get_attr("IFLA_VXLAN_LOCAL") or data.get_attr("IFLA_VXLAN_LOCAL6")
        return (
            data.get_attr("IFLA_VXLAN_ID") == spec.segment.segmentation_id
            and data.get_attr("IFLA_VXLAN_PORT") == PORT
            and not data.get_attr("IFLA_VXLAN_LEARNING")
            and bool(local)
            and str(ipaddress.ip_address(local)) == self._address
            and link.namespace == self._fabric.host_number()
        )

    def _alias(self, network_id: str) -> Alias:
        return Alias(self._fabric.cloud, "tunnel", network_id, network_id)

    def _settle(self, spec: NetworkSpec, link: Link) -> int:
        """The device on its bridge, up, and learning nothing; returns the bridge's index."""
        bridge = self._fabric.index(names.bridge(spec.id))
        if bridge is None:
            raise HostError(f"the bridge of network {spec.id} is gone")
        if link.master != bridge:
            # A bridge without an address of its own takes those of its ports, and with each forgets its neighbours.
            address = names.derived_mac(f"{self._fabric.cloud} bridge {spec.id}")
            self._fabric.ip.link("set", index=bridge, address=address)
        self._fabric.settle(link, self._alias(spec.id), up=True)
        self._fabric.ip.brport("set", index=link.index, learning=0, neigh_suppress=1)
        return bridge

    # ------------------------------------------------------------------------------------------------ entries

    def _present(self, index: int, bridge: int) -> Entries:
        return _entries(self._forwarding().get(index, []), self._neighbours().get(bridge, {}))

    def _forwarding(self) -> dict[int, list[tuple[str, str]]]:
        """(MAC, host) by device, of every device of the fabric."""
        found: dict[int, list[tuple[str, str]]] = {}
        for message in self._fabric.ip.fdb("dump"):
            target = message.get_attr("NDA_DST")
            if target:
                found.setdefault(message["ifindex"], []).append((message.get_attr("NDA_LLADDR"), target))
        return found

    def _neighbours(self) -> dict[int, dict[str, str]]:
        """Permanent neighbours by device: address -> MAC."""
        found: dict[int, dict[str, str]] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in self._fabric.ip.get_neighbours(family=family):
                if message["state"] & _PERMANENT and message.get_attr("NDA_LLADDR"):
                    mine = found.setdefault(message["ifindex"], {})
                    mine[str(ipaddress.ip_address(message.get_attr("NDA_DST")))] = message.get_attr("NDA_LLADDR")
        return found

    def _change(self, index: int, bridge: int, present: Entries, entries: Entries) -> None:
        """From what is written to what shall be, entry by entry."""
        ip = self._fabric.ip
        for address in sorted(present.addresses.keys() - entries.addresses.keys()):
            _drop(lambda address=address: ip.neigh("del", ifindex=bridge, dst=address, family=_family(address)))
        for mac in sorted(present.macs.keys() - entries.macs.keys()):
            target = present.macs[mac]
            _drop(lambda mac=mac, target=target: ip.fdb("del", ifindex=index, lladdr=mac, dst=target, flags=_SELF))
            _drop(lambda mac=mac: ip.fdb("del", ifindex=index, lladdr=mac, flags=_MASTER))
        for host in sorted(present.hosts - entries.hosts):
            _drop(lambda host=host: ip.fdb("del", ifindex=index, lladdr=_ALL_HOSTS, dst=host, flags=_SELF))
        for host in sorted(entries.hosts - present.hosts):
            ip.fdb("append", ifindex=index, lladdr=_ALL_HOSTS, dst=host, flags=_SELF, state=_PERMANENT | _NOARP)
        for mac, host in sorted(entries.macs.items()):
            if present.macs.get(mac) != host:
                both = _SELF | _MASTER
                ip.fdb("replace", ifindex=index, lladdr=mac, dst=host, flags=both, state=_STATIC)
        if any(":" in address for address in entries.addresses.keys() - present.addresses.keys()):
            _prepare_ipv6(socket.if_indextoname(bridge))
        for address, mac in sorted(entries.addresses.items()):
            if present.addresses.get(address) != mac:
                family = _family(address)
                ip.neigh("replace", ifindex=bridge, lladdr=mac, dst=address, family=family, state="permanent")

    # ------------------------------------------------------------------------------------------------ end

    def remove(self, network_id: str) -> None:
        """Remove the tunnel with its filter; gone is fine."""
        name = names.tunnel(network_id)
        bridge = self._fabric.index(names.bridge(network_id))
        if self._fabric.index(name) is None:
            return
        self._fabric.delete_link(name)
        self._fabric.nft.run(edge.remove_text(network_id, name) + self._fabric.fast_text(name))
        if bridge is not None:
            for address in self._neighbours().get(bridge, {}):
                self._forget(bridge, address)

    def _forget(self, bridge: int, address: str) -> None:
        _drop(lambda: self._fabric.ip.neigh("del", ifindex=bridge, dst=address, family=_family(address)))

    def problems(
        self, specs: list[NetworkSpec], links: dict[str, Link], listing: Listing, fast: Listing
    ) -> dict[str, str]:
        """What is wrong with the tunnels of networks that this process has applied, by network."""
        spanning = [spec for spec in specs if spec.segment.network_type == "vxlan" and spec.peers]
        if not spanning:
            return {}
        forwarding, neighbours, found = self._forwarding(), self._neighbours(), {}
        for spec in spanning:
            name, bridge = names.tunnel(spec.id), links.get(names.bridge(spec.id))
            link = links.get(name)
            text = _problem(link, bridge)
            if text is None and link is not None and bridge is not None:
                entries = _entries(forwarding.get(link.index, []), neighbours.get(bridge.index, {}))
                if not self._is_right(spec, link):
                    text = "its tunnel is another's"
                elif entries != wanted(spec):
                    text = f"its tunnel's entries were changed: {_difference(entries, wanted(spec))}"
                elif not edge.is_whole(listing, spec, name):
                    text = "its tunnel's filter was changed"
                elif not self._fabric.is_fast(fast, _fast_chains(spec, link)):
                    text = "its tunnel's fast path was changed"
            if text:
                found[spec.id] = text
        return found


def _fast_chains(spec: NetworkSpec, link: Link) -> tuple[Chain, ...]:
    return fast_path.tunnel_chains(link.name, link.index, wanted(spec).macs.keys())


def _problem(link: Link | None, bridge: Link | None) -> str | None:
    if link is None or bridge is None:
        return "its tunnel is gone"
    if link.master != bridge.index:
        return "its tunnel is not connected"
    return None if link.up else "its tunnel is down"


def _entries(forwarding: list[tuple[str, str]], neighbours: dict[str, str]) -> Entries:
    canonical = [(mac, str(ipaddress.ip_address(target))) for mac, target in forwarding]
    return Entries(
        frozenset(target for mac, target in canonical if mac == _ALL_HOSTS),
        {mac: target for mac, target in canonical if mac != _ALL_HOSTS},
        neighbours,
    )


def _difference(present: Entries, entries: Entries) -> str:
    """The first things in which two differ."""
    there, asked = (
        {*(f"host {host}" for host in item.hosts), *(f"{mac} at {host}" for mac, host in item.macs.items()),
         *(f"{address} is {mac}" for address, mac in item.addresses.items())}
        for item in (present, entries)
    )  # fmt: skip
    found = [f"{text} is missing" for text in sorted(asked - there)]
    found += [f"{text} is not wanted" for text in sorted(there - asked)]
    return ", ".join(found[:3])


def _linked(message: Any, attribute: str) -> Any:
    info = message.get_attr("IFLA_LINKINFO")
    return info.get_attr(attribute) if info is not None else None


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _drop(action: Any) -> None:
    """Take an entry away; gone is fine."""
    try:
        action()
    except Exception as error:
        if getattr(error, "code", None) not in _GONE:
            raise


def _prepare_ipv6(bridge: str) -> None:
    """Let the bridge know IPv6 neighbours, which needs IPv6 there, without ever having an address itself."""
    for key, value in _IPV6_WITHOUT_ADDRESS:
        netns.write_sysctl(f"ipv6/conf/{bridge}/{key}", value)
