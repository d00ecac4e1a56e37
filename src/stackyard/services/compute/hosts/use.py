"""What servers use of hosts, by their flavors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.compute.tables import servers


@dataclass(frozen=True, slots=True)
class Used:
    """Virtual CPUs, MiB of memory and GiB of disk of so many servers, of which `busy` have a task."""

    servers: int = 0
    vcpus: int = 0
    memory: int = 0
    disk: int = 0
    busy: int = 0

    def plus(self, *others: Used) -> Used:
        """The sum."""
        every = (self, *others)
        return Used(
            sum(one.servers for one in every),
            sum(one.vcpus for one in every),
            sum(one.memory for one in every),
            sum(one.disk for one in every),
            sum(one.busy for one in every),
        )


def _sum(*names: str) -> sa.ColumnElement[int]:
    # A flavor is JSON: what it holds is read by the database, so that not every server's row has to travel.
    values = [servers.c.flavor[name].as_integer() for name in names]
    return sa.func.coalesce(sa.func.sum(sum(values[1:], values[0])), 0)


_FIGURES = (
    sa.func.count().label("servers"),
    _sum("vcpus").label("vcpus"),
    _sum("ram").label("memory"),
    _sum("disk", "ephemeral").label("disk"),
    sa.func.count(servers.c.task_state).label("busy"),
)
_THERE = servers.c.deleted_at.is_(None)
_BY_HOST = sa.select(servers.c.host, *_FIGURES).where(_THERE, servers.c.host.is_not(None)).group_by(servers.c.host)
_BY_PROJECT = (
    sa.select(servers.c.project_id, *_FIGURES)
    .where(_THERE, servers.c.host == bindparam("key"))
    .group_by(servers.c.project_id)
    .order_by(servers.c.project_id)
)
_SERVERS = (
    sa.select(servers.c.id, servers.c.name, servers.c.host)
    .where(_THERE, servers.c.host.in_(bindparam("hosts", expanding=True)))
    .order_by(servers.c.sequence)
)


def _used(row: Any) -> Used:
    return Used(int(row.servers), int(row.vcpus), int(row.memory), int(row.disk), int(row.busy))


def by_host(tx: Transaction) -> Mapping[str, Used]:
    """Host -> what is used of it; hosts without servers are left out."""
    return {row.host: _used(row) for row in tx.all(_BY_HOST)}


def by_project(tx: Transaction, host: str) -> Mapping[str, Used]:
    """Project -> what it uses of a host."""
    return {row.project_id: _used(row) for row in tx.all(_BY_PROJECT, {"key": host})}


def servers_on(tx: Transaction, host_names: Iterable[str]) -> Mapping[str, list[Any]]:
    """Host -> its servers (id, name), the oldest first."""
    found: dict[str, list[Any]] = {name: [] for name in host_names}
    for row in tx.all(_SERVERS, {"hosts": list(found)}) if found else ():
        found[row.host].append(row)
    return found
