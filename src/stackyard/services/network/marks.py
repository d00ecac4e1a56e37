"""Saying that something is dirty: which kinds of work a change leads to."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.services.network.tables import port_security_groups, ports, router_ports, routers

NETWORK = "network"
PORT = "port"
ROUTER = "router"
SECURITY_GROUP = "security_group"

_WIRED = ports.c.netns.is_not(None)
_PORTS_OF_NETWORK = sa.select(ports.c.id).where(ports.c.network_id == bindparam("id"), _WIRED)
_PORTS_OF_GROUP = (
    sa.select(ports.c.id)
    .join(port_security_groups, port_security_groups.c.port_id == ports.c.id)
    .where(port_security_groups.c.security_group_id == bindparam("id"), _WIRED)
)
_ROUTERS_OF_NETWORK = sa.union(
    sa.select(router_ports.c.router_id)
    .join(ports, ports.c.id == router_ports.c.port_id)
    .where(ports.c.network_id == bindparam("id")),
    sa.select(routers.c.id).where(routers.c.gateway_network_id == bindparam("id")),
)


SOON = 0.5
"""Seconds until the names of new ports reach a network's DNS; what is wired is wired with its network, at once."""

LATER = 5.0
"""Seconds after which ports are looked at that somebody bound and should have wired himself long since."""


def network(tx: Transaction, network_id: str, *, delay: float = 0) -> None:
    """A network's bridge, DHCP or DNS changes: its own attributes, its subnets, or the ports on it."""
    reconcile.mark(tx, NETWORK, network_id, delay=delay)


def port(tx: Transaction, port_id: str, *, delay: float = 0) -> None:
    """A port's wiring changes."""
    reconcile.mark(tx, PORT, port_id, delay=delay)


def router(tx: Transaction, router_id: str) -> None:
    """A router's legs, routes or translations change."""
    reconcile.mark(tx, ROUTER, router_id)


def security_groups(tx: Transaction, group_ids: Iterable[str], *, delay: float = 0) -> None:
    """The rules or members of groups change. Groups that name them look at their members in the kernel."""
    for group_id in sorted(set(group_ids)):
        reconcile.mark(tx, SECURITY_GROUP, group_id, delay=delay)


def wired_ports(tx: Transaction, network_id: str) -> None:
    """All that is wired on a network changes: MTU, gateway, routes."""
    for port_id in tx.connection.execute(_PORTS_OF_NETWORK, {"id": network_id}).scalars():
        port(tx, port_id)


def routers_of(tx: Transaction, network_id: str) -> None:
    """The routers with a leg on a network."""
    for router_id in tx.connection.execute(_ROUTERS_OF_NETWORK, {"id": network_id}).scalars():
        router(tx, router_id)
