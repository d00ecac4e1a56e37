"""Ports of kind vlan: a trunk's subport, which is what its parent's wire carries tagged with one VLAN's number.

The kernel takes the tag off (and puts it on) on a VLAN device above the fabric end of the parent's wire, which stands
on the bridge of the subport's own network, with the subport's own filter.
"""

from __future__ import annotations

import contextlib
import errno

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network import names
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.names import Alias
from stackyard.host.specs import PortSpec

MISSING = "the kernel of this host has no 802.1Q VLANs (module 8021q), which the subports of trunks need"


def fingerprint(fabric: Fabric, spec: PortSpec) -> tuple[int, int, int] | None:
    """The index of the device and of its parent's; None when either is gone."""
    index, parent = fabric.index(names.port(spec.id)), fabric.index(names.port(spec.parent or ""))
    return None if index is None or parent is None else (index, parent, spec.vlan_id or 0)


def is_there(fabric: Fabric, spec: PortSpec, link: Link) -> bool:
    """Whether the device found takes this VLAN from this parent."""
    parent = fabric.index(names.port(spec.parent or ""))
    return link.kind == "vlan" and link.peer == parent and link.vlan_id == spec.vlan_id


def make(fabric: Fabric, spec: PortSpec, alias: Alias, undo: contextlib.ExitStack) -> Link:
    """Make the device, down. Raises HostError while the parent is not wired, SpecError when the kernel has no VLANs."""
    name = names.port(spec.id)
    try:
        parent = fabric.index(names.port(spec.parent or ""))
        # Without a parent the kernel says whether it knows VLANs at all, before it asks for one.
        options = {} if parent is None else {"link": parent}
        fabric.ip.link("add", ifname=name, kind="vlan", vlan_id=spec.vlan_id, **options)
    except Exception as error:
        if getattr(error, "code", None) == errno.EOPNOTSUPP:
            raise SpecError(f"{MISSING}: load it, or do without subports") from error
        if parent is None:
            raise HostError(f"the parent port {spec.parent} of the trunk is not wired") from error
        raise
    undo.callback(fabric.delete_link, name)
    return fabric.labelled(name, alias)


def configure(fabric: Fabric, spec: PortSpec, before: PortSpec | None, link: Link, *, fresh: bool) -> None:
    """What uses the parent configures its own VLAN devices."""
    del fabric, spec, before, link, fresh


def problem(fabric: Fabric, spec: PortSpec, link: Link) -> str | None:
    """What is wrong with the device."""
    return None if is_there(fabric, spec, link) else "its parent's wire was replaced"
