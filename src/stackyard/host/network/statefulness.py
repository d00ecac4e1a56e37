"""Which ports have no memory of connections: those all of whose security groups are stateless.

Their devices stand in one set that the filter asks before it lets pass what belongs to a connection. While there is no
such port on the host, nor one with a packet rate, connections pass without that question (the filter's quick way).
"""

from __future__ import annotations

from collections.abc import Iterable

from stackyard.host.network import filter as rules
from stackyard.host.network import names
from stackyard.host.network.applied import Applied
from stackyard.host.network.fabric import Fabric
from stackyard.host.network.nft import Listing
from stackyard.host.specs import PortSpec


def is_stateless(applied: Applied, spec: PortSpec) -> bool:
    """Whether answers to the port need rules of their own. Of groups not applied yet nothing is known: it does not."""
    known = [applied.groups[group] for group in spec.security_groups if group in applied.groups]
    return spec.port_security and bool(known) and not any(group.stateful for group in known)


def settle(fabric: Fabric, applied: Applied, specs: Iterable[PortSpec]) -> None:
    """Have the set say of these ports what their groups say; mostly there is nothing to do. Before they are wired."""
    specs = list(specs)
    there, rated = _there(fabric, applied)
    wanted = {names.port(spec.id): is_stateless(applied, spec) for spec in specs}
    added = {device for device, stateless in wanted.items() if stateless and device not in there}
    gone = {device for device, stateless in wanted.items() if not stateless and device in there}
    for spec in specs:
        (rated.add if rules.is_rated(spec) else rated.discard)(names.port(spec.id))
    if added:
        _quicken(fabric, applied, on=False)
    _change(fabric, applied, added, gone)
    _quicken(fabric, applied)


def forget(fabric: Fabric, applied: Applied, port_id: str) -> None:
    """Take a port that was removed out of the set."""
    there, rated = _there(fabric, applied)
    rated.discard(names.port(port_id))
    _change(fabric, applied, set(), {names.port(port_id)} & there)
    _quicken(fabric, applied)


def adopt(fabric: Fabric, applied: Applied, filters: Listing) -> None:
    """Know the ports that the kernel has, by a listing of now, and have the quick way be as they want it."""
    applied.stateless, applied.rated = (set(filters.elements.get(name, ())) for name in rules.SLOW)
    applied.quick = filters.holds(rules.quick(on=True, remembered=fabric.fast))
    _quicken(fabric, applied)


def _there(fabric: Fabric, applied: Applied) -> tuple[set[str], set[str]]:
    """Stateless devices and those with a packet rate; the kernel is asked once, for what an earlier process left."""
    if applied.stateless is None or applied.rated is None:
        stateless, rated = rules.SLOW
        applied.stateless = set(fabric.nft.list_set(rules.TABLE, stateless))
        applied.rated = set(fabric.nft.list_map(rules.TABLE, rated))
        applied.quick = None
    return applied.stateless, applied.rated


def _quicken(fabric: Fabric, applied: Applied, *, on: bool = True) -> None:
    """Open the quick way if nothing is against it, or close it."""
    there, rated = _there(fabric, applied)
    on = on and not there and not rated
    if applied.quick is not on:
        applied.quick = None
        fabric.nft.run(rules.quick(on=on, remembered=fabric.fast).text(rules.TABLE))
        if not on:
            fabric.forget_flows()
        applied.quick = on


def _change(fabric: Fabric, applied: Applied, added: set[str], gone: set[str]) -> None:
    text = "".join(
        f"{verb} element {rules.TABLE} {rules.SLOW[0]} {{ {', '.join(sorted(map(_quoted, devices)))} }}\n"
        for verb, devices in (("add", added), ("delete", gone))
        if devices
    )
    if text:
        (there, _), applied.stateless = _there(fabric, applied), None
        fabric.nft.run(text)
        applied.stateless = (there | added) - gone


def _quoted(device: str) -> str:
    return f'"{device}"'
