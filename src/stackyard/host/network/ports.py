"""Ports: a device on a network's bridge, with its filter and limits in force before it is up.

What the device is, and what is at its other end, the kind of the port says: a veth pair into a namespace (veths), a
tap that a machine opens (taps), a VLAN on the wire of a trunk's parent (trunks).
"""

from __future__ import annotations

import contextlib
from typing import Protocol

from stackyard.host.network import fast_path, names, taps, traffic_control, trunks, veths
from stackyard.host.network import filter as rules
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.names import Alias
from stackyard.host.specs import PortSpec


class Kind(Protocol):
    """What a module has that knows one kind of port. All run in the fabric's thread."""

    def fingerprint(self, fabric: Fabric, spec: PortSpec) -> tuple[int, int, int] | None:
        """What changes when a port's wire is cut; None when it is."""
        ...

    def is_there(self, fabric: Fabric, spec: PortSpec, link: Link) -> bool:
        """Whether the device found is the one that the spec asks for."""
        ...

    def make(self, fabric: Fabric, spec: PortSpec, alias: Alias, undo: contextlib.ExitStack) -> Link:
        """Make the device: down, or up when the port has no limits."""
        ...

    def configure(self, fabric: Fabric, spec: PortSpec, before: PortSpec | None, link: Link, *, fresh: bool) -> None:
        """See to its other end."""
        ...

    def problem(self, fabric: Fabric, spec: PortSpec, link: Link) -> str | None:
        """What is wrong with its other end."""
        ...


_KINDS: dict[str, Kind] = {"veth": veths, veths.OFFERED: veths, "tap": taps, "vlan": trunks}


def fingerprint(fabric: Fabric, spec: PortSpec) -> tuple[int, int, int] | None:
    """What changes when a port's wire is cut."""
    return _KINDS[spec.kind].fingerprint(fabric, spec)


def apply(fabric: Fabric, spec: PortSpec, before: PortSpec | None) -> None:
    """Wire the port as `spec` says; `before` is what this process applied last, None when it does not know.

    The device is made down, its filter put in force, and only then is it brought up.
    """
    kind, alias = _KINDS[spec.kind], Alias(fabric.cloud, "port", spec.id, spec.network_id)
    with contextlib.ExitStack() as undo:
        link, fresh = fabric.link(names.port(spec.id)), False
        if link is not None and not kind.is_there(fabric, spec, link):
            fabric.delete_link(link.name)
            link = None
        if link is None:
            undo.callback(lambda: fabric.nft.run(_remove_text(fabric, spec.id)))
            fabric.nft.run(rules.port_text(spec))
            link = kind.make(fabric, spec, alias, undo)
            before, fresh = None, True
        elif before is None or rules.port_text(before) != rules.port_text(spec):
            fabric.nft.run(rules.port_text(spec))
        if link.mtu != spec.mtu:
            fabric.ip.link("set", index=link.index, mtu=spec.mtu)
        if fresh or before is None or (before.qos, before.mtu) != (spec.qos, spec.mtu):
            traffic_control.apply(fabric, spec, link, undo)
        _apply_fast_path(fabric, spec, before, link)
        fabric.settle(link, alias, up=spec.admin_up)
        kind.configure(fabric, spec, before, link, fresh=fresh)
        undo.pop_all()


def _apply_fast_path(fabric: Fabric, spec: PortSpec, before: PortSpec | None, link: Link) -> None:
    """By a transaction of its own: its chains need the device, and all others come before that."""
    chains = fast_path.port_chains(spec, link.index)
    if fabric.fast and (before is None or fast_path.port_chains(before, link.index) != chains):
        fabric.nft.run(fabric.fast_text(link.name, chains))


def _remove_text(fabric: Fabric, port_id: str) -> str:
    return rules.remove_port_text(port_id) + fabric.fast_text(names.port(port_id))


def remove(fabric: Fabric, port_id: str) -> None:
    """Close the port and doom its devices, which the fabric's next sweep deletes; what is gone already is fine."""
    fabric.doom(names.port(port_id))
    fabric.doom(names.limiter(port_id))
    fabric.nft.run(_remove_text(fabric, port_id))


def problem(fabric: Fabric, spec: PortSpec, link: Link | None, rates: traffic_control.Rates) -> str | None:
    """What is wrong with the wire of a port that this process has applied."""
    if link is None:
        return "its device is gone"
    if not link.master:
        return "its network is not there"
    if link.up != spec.admin_up:
        return "its device is down" if spec.admin_up else "its device is up though the port is not"
    return _KINDS[spec.kind].problem(fabric, spec, link) or traffic_control.problem(fabric, spec, link, rates)
