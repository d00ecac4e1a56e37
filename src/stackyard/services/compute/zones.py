"""Availability zones: a host is in the one that an aggregate gives it, else in the default one."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute.tables import aggregate_hosts, aggregates

INTERNAL = "internal"
"""The zone of services that run no servers."""

_ZONES = (
    sa.select(aggregate_hosts.c.host, aggregates.c.zone)
    .join_from(aggregate_hosts, aggregates)
    .where(aggregates.c.zone.is_not(None))
    .order_by(aggregates.c.id)
)
_ZONE = _ZONES.where(aggregate_hosts.c.host == bindparam("key"))


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
