"""Networks on one of the host's own interfaces: flat (its untagged frames) or VLAN (those with one tag).

Nothing is moved and nothing is bridged in the host's namespace. A flat network has a macvlan device in passthru mode on
the interface, a VLAN network a VLAN device; both are made in the host's namespace, put into the fabric's and joined to
the network's bridge. When such a device goes, however it goes, the interface is what it was before.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
from collections.abc import Mapping
from typing import Any

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network import edge, fast_path, names, netns
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.names import Alias
from stackyard.host.network.nft import Listing
from stackyard.host.specs import NetworkSpec

_UP = 1
_PHYSICAL = frozenset({"flat", "vlan"})
_NO_VLAN = (
    "this kernel has no VLAN devices (8021q): load the module 8021q (modprobe 8021q), use a kernel that has it, or "
    "make the network flat or vxlan"
)


def is_physical(spec: NetworkSpec) -> bool:
    """Whether the network is on an interface of the host."""
    return spec.segment.network_type in _PHYSICAL


class Provider:
    """Keeps the uplinks. Methods run in the fabric's thread. `interfaces`: physical network -> the host's interface."""

    def __init__(self, fabric: Fabric, interfaces: Mapping[str, str], *, take_used: bool = False) -> None:
        self._fabric = fabric
        self._interfaces = dict(interfaces)
        self._take_used = take_used

    def apply(self, spec: NetworkSpec) -> None:
        """Have the network on its interface, or on none when it is of another kind."""
        if not is_physical(spec):
            self.remove(spec.id)
            return
        name, interface = names.uplink(spec.id), self._interface(spec)
        link = self._fabric.link(name)
        if link is not None and not self._is_right(spec, link, interface):
            self.remove(spec.id)
            link = None
        with contextlib.ExitStack() as undo:
            if link is None:
                undo.callback(self.remove, spec.id)
                link, alias = self._create(spec, name, interface)
            else:
                alias = link.alias or self._alias(spec, interface, was_up=True)
            chains = fast_path.uplink_chains(name, link.index)
            self._fabric.nft.run(edge.text(spec, name) + self._fabric.fast_text(name, chains))
            if link.mtu != spec.mtu:
                self._fabric.ip.link("set", index=link.index, mtu=spec.mtu)
            self._fabric.settle(link, alias, up=True)
            undo.pop_all()

    def _interface(self, spec: NetworkSpec) -> str:
        physical = spec.segment.physical_network or ""
        if physical not in self._interfaces:
            known = ", ".join(sorted(self._interfaces)) or "none"
            raise SpecError(
                f"this host has no interface on physical network {physical!r} (it has: {known}); name one in the "
                f"setting network.physical_networks as {physical}:INTERFACE"
            )
        return self._interfaces[physical]

    def _alias(self, spec: NetworkSpec, interface: str, *, was_up: bool) -> Alias:
        return Alias(self._fabric.cloud, "uplink", spec.id, spec.id, interface if was_up else f"-{interface}")

    def _create(self, spec: NetworkSpec, name: str, interface: str) -> tuple[Link, Alias]:
        target = netns.open_namespace(netns.path_of(self._fabric.namespace))
        raised = any(link.alias and link.alias.extra == f"-{interface}" for link in self._fabric.links().values())
        try:
            with self._fabric.on_host() as ip:
                index, was_up = self._look_at(ip, spec, interface)
                _add(ip, spec, name, index, target)
                if not was_up:
                    ip.link("set", index=index, state="up")
        finally:
            os.close(target)
        link = self._fabric.link(name)
        if link is None:
            raise HostError(f"{name} vanished while it was being made")
        return link, self._alias(spec, interface, was_up=was_up and not raised)

    def _look_at(self, ip: Any, spec: NetworkSpec, interface: str) -> tuple[int, bool]:
        """Index of the interface, and whether it is up. Raises SpecError when it is not to be taken."""
        index = next(iter(ip.link_lookup(ifname=interface)), None)
        if index is None:
            raise HostError(f"the host has no interface {interface} (physical network {spec.segment.physical_network})")
        message = ip.link("get", index=index)[0]
        mtu = message.get_attr("IFLA_MTU") or 0
        if mtu < spec.mtu:
            raise SpecError(f"{interface} carries packets of {mtu} bytes, and the network has an MTU of {spec.mtu}")
        if spec.segment.network_type == "flat" and not self._take_used:
            _refuse_used(ip, index, interface)
        return index, bool(message["flags"] & _UP)

    def _is_right(self, spec: NetworkSpec, link: Link, interface: str) -> bool:
        """Whether the device is on that very interface, with that very tag."""
        with self._fabric.on_host() as ip:
            index = next(iter(ip.link_lookup(ifname=interface)), None)
        info = self._fabric.ip.link("get", index=link.index)[0].get_attr("IFLA_LINKINFO")
        if index is None or info is None or link.peer != index or link.namespace != self._fabric.host_number():
            return False
        if spec.segment.network_type == "flat":
            return bool(info.get_attr("IFLA_INFO_KIND") == "macvlan")
        data = info.get_attr("IFLA_INFO_DATA")
        return (
            info.get_attr("IFLA_INFO_KIND") == "vlan"
            and data is not None
            and data.get_attr("IFLA_VLAN_ID") == spec.segment.segmentation_id
        )

    # ------------------------------------------------------------------------------------------------ end

    def remove(self, network_id: str) -> None:
        """Take the network off its interface, which then is as it was; gone is fine."""
        name = names.uplink(network_id)
        link = self._fabric.link(name)
        if link is None:
            return
        self._fabric.delete_link(name)
        self._fabric.nft.run(edge.remove_text(network_id, name) + self._fabric.fast_text(name))
        self._restore([link])

    def purge(self) -> None:
        """Take every network off its interface."""
        uplinks = [link for link in self._fabric.links().values() if link.alias and link.alias.kind == "uplink"]
        for link in uplinks:
            self._fabric.delete_link(link.name)
        self._restore(uplinks)

    def _restore(self, removed: list[Link]) -> None:
        """Take down again what was down before, unless another network is on it."""
        still = {link.peer for link in self._fabric.links().values() if link.alias and link.alias.kind == "uplink"}
        down = [link for link in removed if link.alias and link.alias.extra.startswith("-") and link.peer not in still]
        if not down:
            return
        with self._fabric.on_host() as ip:
            for link in down:
                if link.alias and link.peer in ip.link_lookup(ifname=link.alias.extra.removeprefix("-")):
                    ip.link("set", index=link.peer, state="down")

    def problem(self, spec: NetworkSpec, links: dict[str, Link], listing: Listing, fast: Listing) -> str | None:
        """What is wrong with the uplink of a network that this process has applied."""
        if not is_physical(spec):
            return None
        name, bridge = names.uplink(spec.id), links.get(names.bridge(spec.id))
        link = links.get(name)
        if link is None or bridge is None or link.master != bridge.index or not link.up:
            return "its way to the physical network is gone"
        if not self._is_right(spec, link, self._interface(spec)):
            return "it is on another interface"
        if not self._fabric.is_fast(fast, fast_path.uplink_chains(name, link.index)):
            return "the fast path from the physical network was changed"
        return None if edge.is_whole(listing, spec, name) else "the filter to the physical network was changed"


def _add(ip: Any, spec: NetworkSpec, name: str, index: int, target: int) -> None:
    """Make the device on the host's interface, in the fabric's namespace."""
    flat = spec.segment.network_type == "flat"
    kind: dict[str, str | int | None] = {"kind": "macvlan", "macvlan_mode": "passthru"}
    if not flat:
        kind = {"kind": "vlan", "vlan_id": spec.segment.segmentation_id}
    try:
        ip.link("add", ifname=name, link=index, net_ns_fd=target, **kind)
    except Exception as error:
        code = getattr(error, "code", None)
        if code == errno.EOPNOTSUPP and not flat:
            raise SpecError(_NO_VLAN) from error
        if code == errno.EOPNOTSUPP:
            raise SpecError("this kernel has no macvlan devices: load the module macvlan (modprobe macvlan)") from error
        if code in (errno.EBUSY, errno.EINVAL, errno.EEXIST):
            raise HostError(
                f"the interface of physical network {spec.segment.physical_network} is taken: it is a port of a bridge "
                "or bond, or another program has this VLAN or a macvlan device on it"
            ) from error
        raise


def _refuse_used(ip: Any, index: int, interface: str) -> None:
    """Refuse an interface by which the host itself talks: a flat network takes every frame that arrives there."""
    why = ""
    for message in ip.get_addr(index=index):
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if not ipaddress.ip_address(text).is_link_local:
            why = f"the host has the address {text} on it"
    for message in ip.get_routes(dst_len=0):
        if message.get_attr("RTA_OIF") == index:
            why = "the host's default route leads by it"
    if why:
        raise SpecError(
            f"{interface} cannot carry a flat network: {why} and would be cut off. Use another interface, a VLAN on "
            "this one, or the setting network.take_used_interfaces"
        )
