"""Availability zones: a host is in the one that an aggregate gives it, else in the default one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.core.runtime import Runtime
from stackyard.services.compute import hosts, lists
from stackyard.services.compute.rules import ADMIN, ANY
from stackyard.services.compute.tables import aggregate_hosts, aggregates, compute_services
from stackyard.services.compute.times import naive

INTERNAL = "internal"
"""The zone of services that run no servers."""

_ZONES = (
    sa.select(aggregate_hosts.c.host, aggregates.c.zone)
    .join_from(aggregate_hosts, aggregates)
    .where(aggregates.c.zone.is_not(None))
    .order_by(aggregates.c.id)
)
_ZONE = _ZONES.where(aggregate_hosts.c.host == bindparam("key"))
_SERVICES = sa.select(compute_services).order_by(compute_services.c.host, compute_services.c.id)


def zone_of(tx: Transaction, runtime: Runtime, host: str) -> str:
    """The zone that a host is in."""
    row = tx.first(_ZONE, {"key": host})
    return default(runtime) if row is None else str(row.zone)


def of_hosts(tx: Transaction) -> Mapping[str, str]:
    """Host -> zone, for the hosts that an aggregate gives one; the others are in the `default` one."""
    return {row.host: row.zone for row in tx.all(_ZONES)}


def default(runtime: Runtime) -> str:
    """The zone of hosts that no aggregate gives another one."""
    return runtime.settings.compute.availability_zone


def _services_by_zone(tx: Transaction, call: Call) -> Mapping[str, list[Any]]:
    zoned, otherwise = of_hosts(tx), default(call.runtime)
    found: dict[str, list[Any]] = {}
    for row in tx.all(_SERVICES):
        zone = zoned.get(row.host, otherwise) if row.binary == hosts.COMPUTE else INTERNAL
        found.setdefault(zone, []).append(row)
    return found


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-availability-zone: a zone is available while a host of it is enabled."""
    lists.query_of(call, (), strict=call.since(2, 102))
    found = [
        {"zoneName": zone, "zoneState": {"available": _is_available(rows)}, "hosts": None}
        for zone, rows in sorted(_services_by_zone(tx, call).items(), key=_available_first)
        if zone != INTERNAL
    ]
    return {"availabilityZoneInfo": found}


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-availability-zone/detail: with the services of each zone's hosts."""
    lists.query_of(call, (), strict=call.since(2, 102))
    found = []
    for zone, rows in sorted(_services_by_zone(tx, call).items(), key=_available_first):
        of_zone: dict[str, dict[str, Any]] = {}
        for row in rows:
            if not row.disabled:
                state = {"available": hosts.is_up(row, tx.now), "active": True, "updated_at": naive(row.last_seen_at)}
                of_zone.setdefault(row.host, {})[row.binary] = state
        available = _is_available(rows)
        found.append({"zoneName": zone, "zoneState": {"available": available}, "hosts": of_zone if available else None})
    return {"availabilityZoneInfo": found}


def _is_available(rows: list[Any]) -> bool:
    return any(not row.disabled for row in rows)


def _available_first(item: tuple[str, list[Any]]) -> tuple[bool, str]:
    return not _is_available(item[1]), item[0]


ROUTES = (
    Route("GET", "/v2.1/os-availability-zone", list_, "os_compute_api:os-availability-zone:list"),
    Route("GET", "/v2.1/os-availability-zone/detail", detail, "os_compute_api:os-availability-zone:detail"),
)

POLICIES = (
    Rule("os_compute_api:os-availability-zone:list", ANY, "List availability zones."),
    Rule("os_compute_api:os-availability-zone:detail", ADMIN, "List availability zones with their hosts."),
)
