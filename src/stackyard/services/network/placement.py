"""Which host has what.

A port is on the host that it is bound on, a router on the host in its row. A network is where its ports and routers'
legs are, a security group where a port is in it or looks at it; what is nowhere is kept by the host that has been there
longest (its home). With one host all of it is there, and nothing is asked of the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.network import hosts, owners
from stackyard.services.network.tables import (
    network_hosts,
    networks,
    port_bindings,
    port_security_groups,
    ports,
    routers,
    security_group_rules,
    security_groups,
)

_ID: sa.BindParameter[str] = bindparam("id")
_HOST: sa.BindParameter[str] = bindparam("host")
_WIRED = ports.c.netns.is_not(None)
_LEG = sa.and_(ports.c.device_owner.in_(sorted(owners.ROUTER)), ports.c.device_id == routers.c.id)
_IN_GROUP = port_security_groups.join(ports, ports.c.id == port_security_groups.c.port_id)
_LOOKING = security_group_rules.join(
    port_security_groups, port_security_groups.c.security_group_id == security_group_rules.c.security_group_id
).join(ports, ports.c.id == port_security_groups.c.port_id)

_PREPARED = port_bindings.join(ports, ports.c.id == port_bindings.c.port_id)
_WAITS = sa.and_(_WIRED, ports.c.wire == "tap")
"""A machine's port that is to move is wired on the next host too, before its machine comes."""

_ON: dict[str, sa.Select[Any] | sa.CompoundSelect[Any]] = {
    "network": sa.union(
        sa.select(sa.literal("")).where(sa.exists().where(networks.c.id == _ID)),
        sa.select(ports.c.binding_host).where(ports.c.network_id == _ID, _WIRED),
        sa.select(port_bindings.c.host).select_from(_PREPARED).where(ports.c.network_id == _ID, _WAITS),
        sa.select(routers.c.host).select_from(ports.join(routers, _LEG)).where(ports.c.network_id == _ID),
    ),
    "security_group": sa.union(
        sa.select(sa.literal("")).where(sa.exists().where(security_groups.c.id == _ID)),
        sa.select(ports.c.binding_host)
        .select_from(_IN_GROUP)
        .where(port_security_groups.c.security_group_id == _ID, _WIRED),
        sa.select(ports.c.binding_host)
        .select_from(_LOOKING)
        .where(security_group_rules.c.remote_group_id == _ID, _WIRED),
        sa.select(port_bindings.c.host)
        .select_from(_IN_GROUP.join(port_bindings, port_bindings.c.port_id == ports.c.id))
        .where(port_security_groups.c.security_group_id == _ID, _WAITS),
        sa.select(port_bindings.c.host)
        .select_from(_LOOKING.join(port_bindings, port_bindings.c.port_id == ports.c.id))
        .where(security_group_rules.c.remote_group_id == _ID, _WAITS),
    ),
    "port": sa.union(
        sa.select(sa.case((_WIRED, ports.c.binding_host), else_="")).where(ports.c.id == _ID),
        sa.select(port_bindings.c.host).select_from(_PREPARED).where(ports.c.id == _ID, _WAITS),
    ),
    "router": sa.select(routers.c.host).where(routers.c.id == _ID),
}
"""Hosts by kind; an empty name says no more than that the row is there."""

_BOUND_ANYWHERE = sa.union(
    sa.select(ports.c.network_id).where(_WIRED),
    sa.select(ports.c.network_id).select_from(ports.join(routers, _LEG)).where(routers.c.host != ""),
)
_MINE: dict[str, sa.Select[Any] | sa.CompoundSelect[Any]] = {
    "network": sa.union(
        sa.select(ports.c.network_id).where(ports.c.binding_host == _HOST, _WIRED),
        sa.select(ports.c.network_id).select_from(_PREPARED).where(port_bindings.c.host == _HOST, _WAITS),
        sa.select(ports.c.network_id).select_from(ports.join(routers, _LEG)).where(routers.c.host == _HOST),
    ),
    "security_group": sa.union(
        sa.select(port_security_groups.c.security_group_id)
        .select_from(_IN_GROUP)
        .where(ports.c.binding_host == _HOST, _WIRED),
        sa.select(security_group_rules.c.remote_group_id)
        .select_from(_LOOKING)
        .where(ports.c.binding_host == _HOST, _WIRED, security_group_rules.c.remote_group_id.is_not(None)),
        sa.select(port_security_groups.c.security_group_id)
        .select_from(_IN_GROUP.join(port_bindings, port_bindings.c.port_id == ports.c.id))
        .where(port_bindings.c.host == _HOST, _WAITS),
        sa.select(security_group_rules.c.remote_group_id)
        .select_from(_LOOKING.join(port_bindings, port_bindings.c.port_id == ports.c.id))
        .where(port_bindings.c.host == _HOST, _WAITS, security_group_rules.c.remote_group_id.is_not(None)),
    ),
    "port": sa.union(
        sa.select(ports.c.id).where(ports.c.binding_host == _HOST, _WIRED),
        sa.select(ports.c.id).select_from(_PREPARED).where(port_bindings.c.host == _HOST, _WAITS),
    ),
    "router": sa.select(routers.c.id).where(routers.c.host == _HOST),
}
_NOWHERE = {
    "network": sa.select(networks.c.id).where(networks.c.id.not_in(_BOUND_ANYWHERE)),
    "security_group": sa.select(security_groups.c.id),
    "router": sa.select(routers.c.id).where(routers.c.host == ""),
}
"""What the home has besides what is bound on it; all groups, for a group costs next to nothing."""

_TAKE = sa.update(routers).where(routers.c.id == bindparam("key"), routers.c.host == "").values(host=bindparam("at"))

_REMOTE = (
    sa.select(
        ports.c.id, ports.c.mac_address, ports.c.fixed_ips,
        network_hosts.c.name.label("host"), network_hosts.c.tunnel_address,
    )
    .select_from(
        ports.outerjoin(routers, _LEG).join(
            network_hosts,
            network_hosts.c.name == sa.case((routers.c.id.is_not(None), routers.c.host), else_=ports.c.binding_host),
        )
    )
    .where(
        ports.c.network_id == _ID, sa.or_(_WIRED, routers.c.id.is_not(None)),
        network_hosts.c.name != _HOST, network_hosts.c.tunnel_address.is_not(None),
    )
    .order_by(network_hosts.c.name, ports.c.id)
)  # fmt: skip


def hosts_of(tx: Transaction, kind: str, resource_id: str) -> frozenset[str]:
    """The hosts that are to have a resource; none when there is no such resource. Only for several hosts."""
    known = hosts.names(tx)
    found = frozenset(tx.connection.execute(_ON[kind], {"id": resource_id}).scalars())
    there = found.intersection(known)
    if found and kind != "port" and (not there or kind == "security_group"):
        return there | {known[0]}
    return there


def told(tx: Transaction, kind: str, resource_id: str) -> tuple[str, ...]:
    """The hosts that have to look at a resource that has changed: that have it, or may have had it."""
    known = hosts.names(tx)
    if len(known) == 1 or kind not in _ON:
        return known
    found = hosts_of(tx, kind, resource_id)
    if not found:
        return known
    return tuple(name for name in known if name in found or (name == known[0] and kind == "network"))


def is_here(tx: Transaction, kind: str, resource_id: str) -> bool:
    """Whether this host is to have a resource that is there."""
    return len(hosts.names(tx)) == 1 or hosts.local(tx) in hosts_of(tx, kind, resource_id)


def mine(tx: Transaction, kind: str) -> set[str] | None:
    """All of a kind that this host is to have; None: whatever there is."""
    known, here = hosts.names(tx), hosts.local(tx)
    if len(known) == 1 or kind not in _MINE:
        return None
    found = set(tx.connection.execute(_MINE[kind], {"host": here}).scalars())
    if here == known[0] and kind in _NOWHERE:
        found |= set(tx.connection.execute(_NOWHERE[kind]).scalars())
    return found


def only_mine(tx: Transaction, kind: str, ids: Iterable[str]) -> set[str]:
    """Those of some resources that this host is to have."""
    chosen = mine(tx, kind)
    return set(ids) if chosen is None else chosen.intersection(ids)


def take_router(tx: Transaction, router_id: str) -> None:
    """Have a router that is on no host on this one."""
    tx.execute(_TAKE, {"key": router_id, "at": hosts.local(tx)})


def remote_ports(tx: Transaction, network_id: str) -> list[Any]:
    """What a network has on other hosts that have a tunnel: MAC, fixed IPs, host and its tunnel address, by host."""
    if len(hosts.names(tx)) == 1:
        return []
    return list(tx.all(_REMOTE, {"id": network_id, "host": hosts.local(tx)}))
