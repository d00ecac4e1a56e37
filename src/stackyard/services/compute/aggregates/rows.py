"""Aggregates and their hosts, and when a host may change its zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.compute.tables import aggregate_hosts, aggregates, servers

ZONE = "availability_zone"
"""The key of an aggregate's metadata that names the zone its hosts are in."""

_ALL = sa.select(aggregates).order_by(aggregates.c.id)
BY_ID = sa.select(aggregates).where(aggregates.c.id == bindparam("key"))
BY_NAME = sa.select(aggregates).where(aggregates.c.name == bindparam("called"))
_HOSTS = sa.select(aggregate_hosts).order_by(aggregate_hosts.c.added_at, aggregate_hosts.c.host)
_HOSTS_OF = _HOSTS.where(aggregate_hosts.c.aggregate_id == bindparam("key"))
_OTHER_ZONES = (
    sa.select(aggregates.c.zone)
    .join_from(aggregate_hosts, aggregates)
    .where(
        aggregate_hosts.c.host.in_(bindparam("hosts", expanding=True)),
        aggregates.c.zone.is_not(None),
        aggregates.c.id != bindparam("but"),
    )
    .distinct()
    .order_by(aggregates.c.zone)
)
_SERVERS_ON = sa.select(sa.func.count()).where(
    servers.c.host.in_(bindparam("hosts", expanding=True)), servers.c.deleted_at.is_(None)
)


def all_(tx: Transaction) -> list[tuple[Any, list[str]]]:
    """Every aggregate's row (id, uuid, name, zone, metadata, ...) with the names of its hosts."""
    of: dict[int, list[str]] = {}
    for row in tx.all(_HOSTS):
        of.setdefault(row.aggregate_id, []).append(row.host)
    return [(row, of.get(row.id, [])) for row in tx.all(_ALL)]


def hosts_of(tx: Transaction, aggregate_id: int) -> list[str]:
    """The names of an aggregate's hosts, in the order in which they came."""
    return [row.host for row in tx.all(_HOSTS_OF, {"key": aggregate_id})]


def other_zones(tx: Transaction, hosts: Sequence[str], aggregate_id: int) -> list[str]:
    """The zones that further aggregates give these hosts."""
    return [row.zone for row in tx.all(_OTHER_ZONES, {"hosts": list(hosts), "but": aggregate_id})] if hosts else []


def servers_on(tx: Transaction, hosts: Iterable[str]) -> int:
    """How many servers these hosts have together."""
    named = list(hosts)
    return int(tx.scalar(_SERVERS_ON, {"hosts": named})) if named else 0


def zone_conflict(
    tx: Transaction, row: Any, hosts: Sequence[str], metadata: Mapping[str, Any], *, moves: bool
) -> str | None:
    """Why the aggregate's metadata may not become so, or None; `moves`: also when servers would change their zone."""
    if ZONE not in metadata:
        return None
    wanted = metadata[ZONE]
    if not wanted:
        return f"Aggregate {row.name} does not support empty named availability zone"
    others = [zone for zone in other_zones(tx, hosts, row.id) if zone != wanted]
    if others:
        return f"One or more hosts already in availability zone(s) {others}"
    if moves and row.zone != wanted and servers_on(tx, hosts):
        return "One or more hosts contain instances in this zone"
    return None
