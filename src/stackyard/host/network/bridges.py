"""Tenant networks: a bridge in the fabric, and for an external network the wire to the host."""

from __future__ import annotations

import contextlib
from pathlib import Path

from stackyard.host.network import filter as rules
from stackyard.host.network import names, netns
from stackyard.host.network.bridge_options import stop_link_local_learning
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.host_side import HostSide
from stackyard.host.network.names import Alias
from stackyard.host.specs import NetworkSpec


def apply(fabric: Fabric, host: HostSide, spec: NetworkSpec) -> bool:
    """Bridge with its conntrack zone; everything of the network that waits for it joins. True when it is new."""
    name = names.bridge(spec.id)
    with contextlib.ExitStack() as undo:
        link = fabric.link(name)
        created = link is None
        if link is None:
            link = _create(fabric, spec, undo)
        zone = fabric.take_zone(spec.id)
        alias = Alias(fabric.cloud, "network", spec.id, "-", str(zone))
        if link.alias != alias:
            fabric.ip.link("set", index=link.index, ifalias=str(alias), group=names.LINK_GROUP)
        if link.mtu != spec.mtu:
            fabric.ip.link("set", index=link.index, mtu=spec.mtu)
        stop_link_local_learning(link.index)
        fabric.nft.run(f'add element {rules.TRACKING} zones {{ "{name}" : {zone} }}\n')
        if not link.up:
            fabric.ip.link("set", index=link.index, state="up")
        _join_waiting(fabric, spec.id, link.index)
        if is_joined(spec):
            host.join(spec, undo)
        else:
            host.leave(spec.id)
        undo.pop_all()
        return created


def is_joined(spec: NetworkSpec) -> bool:
    """Whether the host itself is on the network: on an external one that leads out by no interface of its own."""
    return spec.external and spec.segment.network_type not in ("flat", "vlan")


def _create(fabric: Fabric, spec: NetworkSpec, undo: contextlib.ExitStack) -> Link:
    name = names.bridge(spec.id)
    options = {"br_stp_state": 0, "br_forward_delay": 0, "br_mcast_snooping": 0}
    # A bridge follows its ports' MTU until it has been given one; a change, not the first value, counts as giving.
    fabric.ip.link("add", ifname=name, kind="bridge", mtu=spec.mtu + 1, **options)
    undo.callback(fabric.delete_link, name)
    if Path("/proc/sys/net/ipv6").is_dir():
        netns.write_sysctl(f"ipv6/conf/{name}/disable_ipv6", 1)
    link = fabric.link(name)
    if link is None:
        raise RuntimeError(f"bridge {name} vanished while it was being made")
    return link


def _join_waiting(fabric: Fabric, network_id: str, master: int) -> None:
    for link in fabric.links().values():
        if link.alias and link.alias.network_id == network_id and link.master != master:
            fabric.ip.link("set", index=link.index, master=master)


def remove(fabric: Fabric, host: HostSide, network_id: str) -> None:
    """Remove the bridge, its zone and the wire to the host; ports on it stay, unconnected."""
    host.leave(network_id)
    name = names.bridge(network_id)
    fabric.delete_link(name)
    zone = fabric.zones.get(network_id)
    if zone is not None:
        element = f'element {rules.TRACKING} zones {{ "{name}" : {zone} }}\n'
        fabric.nft.run(f"add {element}delete {element}")
    fabric.release_zone(network_id)


def problem(spec: NetworkSpec, link: Link | None, zoned: frozenset[str]) -> str | None:
    """What is wrong with a bridge that this process has applied."""
    if link is None:
        return "its bridge is gone"
    if not link.up:
        return "its bridge is down"
    if names.bridge(spec.id) not in zoned:
        return "its connection tracking zone is gone"
    return None
