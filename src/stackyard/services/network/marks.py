"""Saying that something is dirty: which kinds of work a change leads to, on which hosts."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.services.network import hosts, owners, placement
from stackyard.services.network.tables import ports, router_ports, security_group_rules

NETWORK = "network"
PORT = "port"
ROUTER = "router"
SECURITY_GROUP = "security_group"
ADDRESS_GROUP = "address_group"

_PORTS_OF_NETWORK = sa.select(ports.c.id).where(ports.c.network_id == bindparam("id"), ports.c.netns.is_not(None))
_ROUTERS_OF_NETWORK = sa.union(
    sa.select(router_ports.c.router_id)
    .join(ports, ports.c.id == router_ports.c.port_id)
    .where(ports.c.network_id == bindparam("id")),
    sa.select(ports.c.device_id).where(
        ports.c.network_id == bindparam("id"), ports.c.device_owner == owners.ROUTER_GATEWAY
    ),
)
_NETWORKS_OF_ROUTER = (
    sa.select(ports.c.network_id)
    .distinct()
    .where(ports.c.device_id == bindparam("id"), ports.c.device_owner.in_(sorted(owners.ROUTER)))
)
_NAMED = (
    sa.select(security_group_rules.c.remote_group_id)
    .distinct()
    .where(
        security_group_rules.c.security_group_id.in_(bindparam("ids", expanding=True)),
        security_group_rules.c.remote_group_id.is_not(None),
    )
)


SOON = 0.5
"""Seconds until the names of new ports reach a network's DNS; what is wired is wired with its network, at once."""

LATER = 5.0
"""Seconds after which ports are looked at that somebody bound and should have wired himself long since."""


def kind_here(kind: str, host: str) -> str:
    """The kind of the marks that a host has reconcilers for; the bare kind where nobody has said which host it is."""
    return reconcile.kind_on(kind, host) if host else kind


def _mark(tx: Transaction, kind: str, resource_id: str, at: Iterable[str], delay: float) -> None:
    for host in at:
        reconcile.mark(tx, kind_here(kind, host), resource_id, delay=delay)


def here(tx: Transaction, kind: str, resource_id: str) -> None:
    """This host is to look at something of its own."""
    _mark(tx, kind, resource_id, (hosts.local(tx),), 0)


def network(tx: Transaction, network_id: str, *, delay: float = 0, left: str = "", but: str = "") -> None:
    """A network's bridge, DHCP, DNS or tunnels change: its own attributes, its subnets, or the ports on it.

    `left` is a host that a port has just left, `but` one that sees to it itself.
    """
    at = placement.told(tx, NETWORK, network_id)
    also = (left,) if left and left not in at and left in hosts.names(tx) else ()
    _mark(tx, NETWORK, network_id, (host for host in (*at, *also) if not but or host != but), delay)


def port(tx: Transaction, port_id: str, *, delay: float = 0) -> None:
    """A port's wiring changes."""
    _mark(tx, PORT, port_id, placement.told(tx, PORT, port_id), delay)


def port_left(tx: Transaction, port_id: str, host: str) -> None:
    """A port is no longer on `host`, or no longer at all."""
    known = hosts.names(tx)
    _mark(tx, PORT, port_id, (host,) if host in known else known, 0)


def bound(tx: Transaction, network_id: str, group_ids: Iterable[str], *, host: str, left: str = "") -> None:
    """A port has come to `host`, which wires it with all that it needs: the other hosts are to know where it is."""
    if len(hosts.names(tx)) == 1:
        return
    network(tx, network_id, left=left, but=host)
    for group_id in sorted(set(group_ids)):
        at = placement.told(tx, SECURITY_GROUP, group_id)
        _mark(tx, SECURITY_GROUP, group_id, (name for name in at if name != host), 0)


def router(tx: Transaction, router_id: str) -> None:
    """A router's legs, routes or translations change; one that is on no host comes to this one."""
    placement.take_router(tx, router_id)
    _mark(tx, ROUTER, router_id, placement.told(tx, ROUTER, router_id), 0)
    if len(hosts.names(tx)) > 1:
        for network_id in tx.connection.execute(_NETWORKS_OF_ROUTER, {"id": router_id}).scalars().all():
            network(tx, network_id)


def security_groups(tx: Transaction, group_ids: Iterable[str], *, delay: float = 0) -> None:
    """The rules or members of groups change. Groups that name them look at their members in the kernel."""
    chosen = set(group_ids)
    for group_id in sorted(chosen | named(tx, chosen)):
        _mark(tx, SECURITY_GROUP, group_id, placement.told(tx, SECURITY_GROUP, group_id), delay)


def named(tx: Transaction, group_ids: Iterable[str]) -> set[str]:
    """The groups that rules of these name, which a host needs with them; with one host all are there anyway."""
    ids = list(group_ids)
    if not ids or len(hosts.names(tx)) == 1:
        return set()
    return set(tx.connection.execute(_NAMED, {"ids": ids}).scalars())


def address_group(tx: Transaction, group_id: str) -> None:
    """An address group's addresses change."""
    _mark(tx, ADDRESS_GROUP, group_id, hosts.names(tx), 0)


def wired_ports(tx: Transaction, network_id: str) -> None:
    """All that is wired on a network changes: MTU, gateway, routes."""
    for port_id in tx.connection.execute(_PORTS_OF_NETWORK, {"id": network_id}).scalars().all():
        port(tx, port_id)


def routers_of(tx: Transaction, network_id: str) -> None:
    """The routers with a leg on a network."""
    for router_id in tx.connection.execute(_ROUTERS_OF_NETWORK, {"id": network_id}).scalars().all():
        router(tx, router_id)
