"""Which ports have no memory of connections: those all of whose security groups are stateless.

Their devices stand in one set that the filter asks before it lets pass what belongs to a connection.
"""

from __future__ import annotations

from collections.abc import Iterable

from stackyard.host.network import names
from stackyard.host.network.applied import Applied
from stackyard.host.network.fabric import Fabric
from stackyard.host.network.filter import TABLE
from stackyard.host.specs import PortSpec

SET = "stateless"


def is_stateless(applied: Applied, spec: PortSpec) -> bool:
    """Whether answers to the port need rules of their own. Of groups not applied yet nothing is known: it does not."""
    known = [applied.groups[group] for group in spec.security_groups if group in applied.groups]
    return spec.port_security and bool(known) and not any(group.stateful for group in known)


def settle(fabric: Fabric, applied: Applied, specs: Iterable[PortSpec]) -> None:
    """Have the set say of these ports what their groups say; mostly there is nothing to do."""
    there = _there(fabric, applied)
    wanted = {names.port(spec.id): is_stateless(applied, spec) for spec in specs}
    added = {device for device, stateless in wanted.items() if stateless and device not in there}
    gone = {device for device, stateless in wanted.items() if not stateless and device in there}
    _change(fabric, applied, added, gone)


def forget(fabric: Fabric, applied: Applied, port_id: str) -> None:
    """Take a port that is being removed out of the set."""
    _change(fabric, applied, set(), {names.port(port_id)} & _there(fabric, applied))


def _there(fabric: Fabric, applied: Applied) -> set[str]:
    """What the set holds; the kernel is asked once, for what an earlier process left there."""
    if applied.stateless is None:
        applied.stateless = set(fabric.nft.list_set(TABLE, SET))
    return applied.stateless


def _change(fabric: Fabric, applied: Applied, added: set[str], gone: set[str]) -> None:
    text = "".join(
        f"{verb} element {TABLE} {SET} {{ {', '.join(sorted(map(_quoted, devices)))} }}\n"
        for verb, devices in (("add", added), ("delete", gone))
        if devices
    )
    if text:
        there, applied.stateless = _there(fabric, applied), None
        fabric.nft.run(text)
        applied.stateless = (there | added) - gone


def _quoted(device: str) -> str:
    return f'"{device}"'
