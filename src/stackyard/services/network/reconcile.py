"""Making networks, ports, routers and security groups so, and keeping them so.

For all four the plan is the same: what the rows say is applied, what they no longer say is removed; the driver makes
the smallest change. So the reconcilers differ only in what they read and which two methods they call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile, timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, GiveUp, Outcome, Reconciler
from stackyard.core.runtime import Runtime
from stackyard.host.errors import SpecError
from stackyard.host.specs import NetworkObservation
from stackyard.services import keys
from stackyard.services.network import hosts, marks, owners, placement, wanted, wiring
from stackyard.services.network.segments import ranges
from stackyard.services.network.tables import address_groups, floating_ips, networks, ports, routers, security_groups

REPAIR_SECONDS = 30.0

_NETWORK_UP = (
    sa.update(networks)
    .where(networks.c.id == bindparam("key"), sa.or_(networks.c.status != "ACTIVE", networks.c.status_reason != ""))
    .values(status="ACTIVE", status_reason="")
)
_OWN_PORTS = sa.update(ports).where(
    ports.c.network_id == bindparam("key"), ports.c.device_owner == owners.DHCP, ports.c.status != "ACTIVE"
)
_SERVICE_UP = _OWN_PORTS.values(status="ACTIVE")
_ROUTER_UP = (
    sa.update(routers)
    .where(routers.c.id == bindparam("key"), sa.or_(routers.c.status != "ACTIVE", routers.c.status_reason != ""))
    .values(status="ACTIVE", status_reason="")
)
_LEGS = (
    sa.update(ports)
    .where(
        ports.c.device_id == bindparam("key"),
        ports.c.device_owner.in_(sorted(owners.ROUTER)),
        ports.c.status != "ACTIVE",
    )
    .values(status="ACTIVE")
)
"""A leg is up when it is there; that its router is switched off shows on the router and on its floating IPs."""

_FLOATING = (
    sa.update(floating_ips)
    .where(floating_ips.c.router_id == bindparam("key"), floating_ips.c.status != bindparam("wanted_status"))
    .values(status=bindparam("wanted_status"))
)
_PORT_DOWN = sa.update(ports).where(ports.c.id == bindparam("key"), ports.c.netns.is_(None)).where(
    ports.c.status != "DOWN"
).values(status="DOWN", status_reason="")  # fmt: skip
_FAILED = {
    table.name: sa.update(table)
    .where(table.c.id == bindparam("key"))
    .values(status="ERROR", status_reason=bindparam("reason"))
    for table in (networks, ports, routers)
}


class _Kind:
    """One kind of resource on this host: reads its spec, applies or removes it, writes the outcome."""

    of: str
    table: sa.Table
    deadline = reconcile.DEFAULT_DEADLINE

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.kind = marks.kind_here(self.of, runtime[keys.HOST_NAME])

    def reconcile(self, resource_id: str) -> Outcome:
        """Bring one resource from what is to what is wanted."""
        try:
            self.settle(resource_id)
        except SpecError as error:
            raise GiveUp(str(error)) from error
        return DONE

    def settle(self, resource_id: str) -> None:
        """Apply or remove; raises HostError, SpecError."""
        raise TypeError(f"{self.of} does not say how {resource_id} is settled")

    def expire(self, resource_id: str, reason: str) -> None:
        """Say on the resource that it could not be made."""
        statement = _FAILED.get(self.table.name)
        if statement is not None:
            self.runtime.database.write(
                f"{self.of}.failed", lambda tx: tx.execute(statement, {"key": resource_id, "reason": reason})
            )


class Networks(_Kind):
    """Bridges, with DHCP and DNS."""

    of = marks.NETWORK
    table = networks

    def settle(self, resource_id: str) -> None:
        """Apply or remove the network."""
        if wiring.settle_network(self.runtime, resource_id) is not None:
            statements = (_NETWORK_UP, _SERVICE_UP)
            self.runtime.database.write("network.applied", _execute_all, statements, {"key": resource_id})


class Ports(_Kind):
    """Wires."""

    of = marks.PORT
    table = ports

    def settle(self, resource_id: str) -> None:
        """Wire the port if it is bound on this host, with all that it needs; unwire it if it is bound nowhere."""
        database = self.runtime.database
        if database.read("port.wanted", wanted.port, resource_id) is not None:
            wiring.wire(self.runtime, [resource_id])
        elif wiring.settle_port(self.runtime, resource_id) is None:
            database.write("port.unwired", _execute_all, (_PORT_DOWN,), {"key": resource_id})


class SecurityGroups(_Kind):
    """Rules and members."""

    of = marks.SECURITY_GROUP
    table = security_groups

    def settle(self, resource_id: str) -> None:
        """Apply or remove the group."""
        wiring.settle_security_group(self.runtime, resource_id)


class AddressGroups(_Kind):
    """Addresses that rules name together."""

    of = marks.ADDRESS_GROUP
    table = address_groups

    def settle(self, resource_id: str) -> None:
        """Apply or remove the group."""
        wiring.settle_address_group(self.runtime, resource_id)


class Routers(_Kind):
    """Routers, with translation and floating IPs."""

    of = marks.ROUTER
    table = routers

    def settle(self, resource_id: str) -> None:
        """Apply or remove the router."""
        spec = wiring.settle_router(self.runtime, resource_id)
        if spec is not None:
            values = {"key": resource_id, "wanted_status": "ACTIVE" if spec.admin_up else "DOWN"}
            statements = (_ROUTER_UP, _LEGS, _FLOATING)
            self.runtime.database.write("router.applied", _execute_all, statements, values)


def _execute_all(tx: Transaction, statements: Iterable[sa.Executable], values: Mapping[str, Any]) -> None:
    for statement in statements:
        tx.execute(statement, values)


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """One for each kind."""
    return [Networks(runtime), AddressGroups(runtime), SecurityGroups(runtime), Ports(runtime), Routers(runtime)]


def periodic(runtime: Runtime) -> list[tuple[str, float, Callable[[], object]]]:
    """What is to be done again and again: (name, seconds, function)."""

    def beat() -> None:
        runtime.database.write("network.beat", hosts.beat, runtime)

    return [
        ("network-repair", REPAIR_SECONDS, lambda: repair(runtime)),
        ("network-heartbeat", hosts.HEARTBEAT_SECONDS, beat),
    ]


_IDS: dict[str, sa.Select[Any]] = {
    marks.ADDRESS_GROUP: sa.select(address_groups.c.id),
    marks.NETWORK: sa.select(networks.c.id).where(networks.c.status == "ACTIVE"),
    marks.SECURITY_GROUP: sa.select(security_groups.c.id),
    marks.PORT: sa.select(ports.c.id).where(ports.c.netns.is_not(None), ports.c.status == "ACTIVE"),
    marks.ROUTER: sa.select(routers.c.id).where(routers.c.status == "ACTIVE"),
}
EVERYTHING: dict[str, sa.Select[Any]] = {
    marks.ADDRESS_GROUP: sa.select(address_groups.c.id),
    marks.NETWORK: sa.select(networks.c.id),
    marks.SECURITY_GROUP: sa.select(security_groups.c.id),
    marks.PORT: sa.select(ports.c.id).where(ports.c.netns.is_not(None)),
    marks.ROUTER: sa.select(routers.c.id),
}


def mark_all(runtime: Runtime) -> None:
    """Join the cloud's hosts; all that should be here and all that is here is to be looked at, which adopts."""
    moved = runtime.database.write("network.register", hosts.register, runtime)
    runtime.database.write("network.ranges", ranges.refresh_defaults, runtime.settings.network)
    observed = runtime[keys.NETWORK_DRIVER].observe()
    runtime.database.write("network.mark all", _mark_all, observed, moved=moved)


def _mark_all(tx: Transaction, observed: NetworkObservation, *, moved: bool) -> None:
    tx.execute(_FORGET_BARE, {"kinds": list(EVERYTHING)})
    for kind, statement in EVERYTHING.items():
        known = placement.only_mine(tx, kind, {str(row[0]) for row in tx.all(statement)})
        for resource_id in sorted(known | there(observed, kind)):
            marks.here(tx, kind, resource_id)
        if moved and kind == marks.NETWORK:
            for resource_id in sorted(known):
                marks.network(tx, resource_id)


def there(observed: NetworkObservation, kind: str) -> set[str]:
    """What of a kind the kernel has."""
    found = {
        marks.NETWORK: observed.networks,
        marks.ADDRESS_GROUP: observed.address_groups,
        marks.SECURITY_GROUP: observed.security_groups,
        marks.PORT: observed.ports,
        marks.ROUTER: observed.routers,
    }
    return set(found[kind])


def plan_repair(
    known: Mapping[str, set[str]], expected: Mapping[str, set[str]], observed: NetworkObservation
) -> list[tuple[str, str, str]]:
    """What must be looked at, and why: (kind, id, reason). Pure.

    `expected` should be there and whole; what is there and not in `known` has no row any more.
    """
    found: list[tuple[str, str, str]] = []
    for kind, ids in expected.items():
        present = there(observed, kind)
        found += [(kind, i, observed.problems.get(i, "it is not there")) for i in sorted(ids - present)]
        found += [(kind, i, "nothing in the database asks for it") for i in sorted(present - known[kind])]
    return found


_FORGET_BARE = sa.delete(reconcile.work).where(reconcile.work.c.kind.in_(bindparam("kinds", expanding=True)))
"""Marks from before each host had kinds of its own; all that they are of is marked anew."""

_BUSY = sa.select(reconcile.work.c.kind, reconcile.work.c.resource_id).where(
    sa.or_(reconcile.work.c.owner.is_not(None), reconcile.work.c.attempts > 0)
)


def repair(runtime: Runtime) -> int:
    """Compare the kernel with the rows and mark what differs; returns how many marks."""
    return repair_what(runtime, runtime[keys.NETWORK_DRIVER].observe())


def repair_what(runtime: Runtime, observed: NetworkObservation) -> int:
    """Mark what an observation says of. Whoever observes must: the driver tells of a problem once, and forgets."""
    return runtime.database.write("network.repair", _repair, observed)


def _repair(tx: Transaction, observed: NetworkObservation) -> int:
    # What is being worked on, or has failed and will be tried again by itself, is left alone.
    busy = {(row.kind, row.resource_id) for row in tx.all(_BUSY)}
    known, expected = (
        {
            kind: placement.only_mine(tx, kind, {str(row[0]) for row in tx.all(statement)})
            for kind, statement in table.items()
        }
        for table in (EVERYTHING, _IDS)
    )
    count = 0
    for kind, resource_id, reason in plan_repair(known, expected, observed):
        if (marks.kind_here(kind, hosts.local(tx)), resource_id) not in busy:
            timeline.record(tx, kind, resource_id, "repair", reason)
            marks.here(tx, kind, resource_id)
            count += 1
    return count
