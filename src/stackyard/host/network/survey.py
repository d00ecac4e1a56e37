"""Looks at everything the driver has in the kernel, made by this process or an earlier one; and removes all of it."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from stackyard.host.network import (
    address_groups,
    bridges,
    checks,
    daemons,
    fast_path,
    names,
    netns,
    ports,
    routers,
    security_groups,
    statefulness,
    traffic_control,
)
from stackyard.host.network import filter as rules
from stackyard.host.network.applied import Applied
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.host_side import HostSide
from stackyard.host.network.nft import Listing
from stackyard.host.network.provider import Provider
from stackyard.host.network.routers import Routers
from stackyard.host.network.servers import Servers
from stackyard.host.network.tunnels import Tunnels
from stackyard.host.specs import NetworkObservation, PortSpec

_AT_ONCE = 16
"""How many ports are compared before other work gets its turn."""

_DAEMONS = ("dnsmasq", "radvd")


@dataclass(frozen=True)
class Parts:
    """The driver's parts, as an observation needs them."""

    fabric: Fabric
    host: HostSide
    servers: Servers
    routers: Routers
    tunnels: Tunnels
    provider: Provider
    applied: Applied


@dataclass(frozen=True)
class _View:
    """The fabric at one instant."""

    links: dict[str, Link]
    filters: Listing
    tracking: Listing
    fast: Listing

    def ids(self, kind: str) -> frozenset[str]:
        return frozenset(link.alias.id for link in self.links.values() if link.alias and link.alias.kind == kind)


def fabric_is_gone(fabric: Fabric) -> bool:
    """Whether somebody removed the whole namespace."""
    return not netns.exists(fabric.namespace)


def observe(parts: Parts) -> NetworkObservation:
    """What is there and whole. What is applied but not whole is dropped from `applied`.

    The fabric is looked at in one piece. Ports are then compared with it a few at a time, and each router by itself, so
    that other work gets its turn in between; what that has changed meanwhile is passed over.
    """
    view, specs, problems = parts.fabric.run(lambda: _observe_fabric(parts))
    rates = cache(lambda: traffic_control.rates(parts.fabric))
    for start in range(0, len(specs), _AT_ONCE):
        problems |= parts.fabric.run(partial(_port_problems, parts, view, specs[start : start + _AT_ONCE], rates))
    problems |= parts.fabric.run(partial(_lost_ports, parts, view, problems.keys()))
    routers_found = set()
    for namespace in netns.names(f"{parts.fabric.namespace}-r-"):
        found = parts.fabric.run(partial(_router_id, parts.fabric, namespace))
        if found:
            routers_found.add(found)
    for router_id in parts.fabric.run(lambda: list(parts.applied.routers)):
        text = parts.fabric.run(partial(_router_problem, parts, router_id))
        if text:
            problems[router_id] = text
    return NetworkObservation(
        networks=view.ids("network") - problems.keys(),
        ports=view.ids("port") - problems.keys(),
        routers=frozenset(routers_found) - problems.keys(),
        security_groups=_group_ids(view) - problems.keys(),
        address_groups=address_groups.ids(view.filters) - problems.keys(),
        problems=problems,
    )


def _observe_fabric(parts: Parts) -> tuple[_View, list[PortSpec], dict[str, str]]:
    view = _look(parts.fabric)
    if not rules.base_holds(view.filters, view.tracking, remembered=parts.fabric.fast):
        parts.fabric.restore_base()
        view = _look(parts.fabric)
    statefulness.adopt(parts.fabric, parts.applied, view.filters)
    problems = _network_problems(parts, view) | _group_problems(parts, view) | _address_group_problems(parts, view)
    return view, list(parts.applied.ports.values()), problems


def _look(fabric: Fabric) -> _View:
    return _View(
        fabric.links(),
        fabric.nft.list_table(rules.TABLE),
        fabric.nft.list_table(rules.TRACKING),
        _look_at_fast_path(fabric),
    )


def _look_at_fast_path(fabric: Fabric) -> Listing:
    """Just emptied: nft reads all elements, even of what it shall leave out, and there may be very many."""
    if not fabric.fast:
        return Listing()
    fabric.nft.run("")
    return fast_path.parse(fabric.nft.list_text(fast_path.TABLE))


def _network_problems(parts: Parts, view: _View) -> dict[str, str]:
    found = {}
    zoned = view.tracking.elements.get("zones", frozenset())
    specs = list(parts.applied.networks.values())
    tunnels = parts.tunnels.problems(specs, view.links, view.filters, view.fast)
    for spec in specs:
        text = bridges.problem(spec, view.links.get(names.bridge(spec.id)), zoned)
        text = text or tunnels.get(spec.id) or parts.provider.problem(spec, view.links, view.filters, view.fast)
        text = text or parts.servers.problem(spec) or (parts.host.problem(spec) if bridges.is_joined(spec) else None)
        if text:
            found[spec.id] = text
            parts.applied.networks.pop(spec.id)
    return found


def _port_problems(
    parts: Parts, view: _View, specs: Sequence[PortSpec], rates: traffic_control.Rates
) -> dict[str, str]:
    found = {}
    stateless = parts.applied.stateless or set()
    for spec in specs:
        if parts.applied.ports.get(spec.id) is not spec:
            continue
        link = view.links.get(names.port(spec.id))
        text = ports.problem(parts.fabric, spec, link, rates)
        if not text and link and not parts.fabric.is_fast(view.fast, fast_path.port_chains(spec, link.index)):
            text = "its fast path was changed"
        if not text and not rules.port_is_whole(view.filters, spec):
            text = "its filter was changed"
        if not text and (names.port(spec.id) in stateless) != statefulness.is_stateless(parts.applied, spec):
            text = "it is stateless no longer, or should not be"
        if text:
            found[spec.id] = text
            parts.applied.ports.pop(spec.id)
            parts.applied.prints.pop(spec.id, None)
    return found


def _lost_ports(parts: Parts, view: _View, problems: Collection[str]) -> dict[str, str]:
    return {
        link.alias.id: "its network is not there"
        for link in view.links.values()
        if link.alias and link.alias.kind == "port" and not link.master
        if link.alias.id not in parts.applied.ports and link.alias.id not in problems
    }


def _group_problems(parts: Parts, view: _View) -> dict[str, str]:
    found = {}
    for spec in list(parts.applied.groups.values()):
        chains_hold = all(map(view.filters.holds, security_groups.group_chains(spec)))
        members_hold = all(
            _addresses(view.filters.elements.get(rules.member_set(spec.id, version))) == members
            for version, members in security_groups.members_by_version(spec).items()
        )
        if not chains_hold or not members_hold:
            found[spec.id] = "its rules were changed" if not chains_hold else "its members were changed"
            parts.applied.groups.pop(spec.id)
    return found


def _address_group_problems(parts: Parts, view: _View) -> dict[str, str]:
    found = {}
    for spec in list(parts.applied.address_groups.values()):
        if not address_groups.is_whole(view.filters, spec):
            found[spec.id] = "its addresses were changed"
            parts.applied.address_groups.pop(spec.id)
    return found


def _addresses(elements: frozenset[str] | None) -> frozenset[str] | None:
    """Elements of a set in the form in which we write addresses; nft writes some IPv6 addresses otherwise."""
    return None if elements is None else frozenset(str(checks.address(item)) for item in elements)


def _group_ids(view: _View) -> frozenset[str]:
    notes = (comments[0] for comments in view.filters.chains.values() if comments)
    return frozenset(note.removeprefix("group ") for note in notes if note.startswith("group "))


def _router_problem(parts: Parts, router_id: str) -> str | None:
    spec = parts.applied.routers.get(router_id)
    text = parts.routers.problem(spec) if spec else None
    if text:
        parts.applied.routers.pop(router_id)
    return text


def _router_id(fabric: Fabric, namespace: str) -> str | None:
    return routers.identity(fabric, namespace) if netns.exists(namespace) else None


# ---------------------------------------------------------------------------------------------------- removal


def purge_contents(fabric: Fabric, host: HostSide, provider: Provider) -> None:
    """Remove every device at once, so that none lingers until the kernel gets round to dropping the namespace."""
    host.purge()
    provider.purge()
    fabric.delete_all()
    fabric.zones.clear()


def purge_namespaces(cloud: str) -> None:
    """End the daemons and remove the namespaces; the fabric last."""
    fabric = names.fabric_namespace(cloud)
    for name in sorted(netns.names(f"{fabric}-"), reverse=True):
        if netns.exists(name):
            for pid in list(daemons.processes_in(name, _DAEMONS)):
                daemons.end(pid)
        netns.delete(name)
    netns.delete(fabric)


def purge_files(directories: tuple[Path, ...]) -> None:
    """Remove the daemons' files."""
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
