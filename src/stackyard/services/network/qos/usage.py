"""What policies are put on: finds one user of a policy, and marks all that a change of a policy concerns."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.network import marks
from stackyard.services.network.tables import floating_ips, networks, ports, routers

_BY_KIND = (
    ("network", networks, networks.c.qos_policy_id),
    ("port", ports, ports.c.qos_policy_id),
    ("floating IP", floating_ips, floating_ips.c.qos_policy_id),
    ("router", routers, routers.c.gateway_qos_policy_id),
)
_USERS = tuple(
    (kind, sa.select(table.c.id, table.c.project_id).where(column == bindparam("id")).order_by(table.c.id))
    for kind, table, column in _BY_KIND
)
_PORTS = sa.select(ports.c.id).where(ports.c.qos_policy_id == bindparam("id"), ports.c.netns.is_not(None))
_NETWORKS = sa.select(networks.c.id).where(networks.c.qos_policy_id == bindparam("id"))
_ROUTERS = sa.union(
    sa.select(routers.c.id).where(routers.c.gateway_qos_policy_id == bindparam("id")),
    sa.select(floating_ips.c.router_id).where(
        floating_ips.c.qos_policy_id == bindparam("id"), floating_ips.c.router_id.is_not(None)
    ),
)


def first_user(tx: Transaction, policy_id: str) -> tuple[str, str] | None:
    """What kind of thing has the policy, and its id; None when nothing has."""
    for kind, statement in _USERS:
        row = tx.first(statement, {"id": policy_id})
        if row is not None:
            return kind, str(row.id)
    return None


def foreign_user(tx: Transaction, policy_id: str, owner: str) -> str | None:
    """A project other than the owner's that has something with the policy."""
    for _, statement in _USERS:
        for row in tx.all(statement, {"id": policy_id}):
            if row.project_id not in (owner, ""):
                return str(row.project_id)
    return None


def mark(tx: Transaction, policy_id: str) -> None:
    """Have every port and router looked at that the policy is in force for."""
    values = {"id": policy_id}
    for port_id in tx.connection.execute(_PORTS, values).scalars():
        marks.port(tx, port_id)
    for network_id in tx.connection.execute(_NETWORKS, values).scalars().all():
        marks.wired_ports(tx, network_id)
        marks.routers_of(tx, network_id)
    for router_id in tx.connection.execute(_ROUTERS, values).scalars():
        marks.router(tx, router_id)
