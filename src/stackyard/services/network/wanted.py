"""What this host is to make true, read from the database as specs; None for what is not there, or not here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.specs import AddressGroupSpec, NetworkSpec, PortSpec, RouterSpec, SecurityGroupSpec
from stackyard.services.network import dns_names, placement, specs
from stackyard.services.network.local_ips import rows as local_ips
from stackyard.services.network.ports import choice
from stackyard.services.network.qos import api as qos
from stackyard.services.network.routers import wanted as routers_wanted
from stackyard.services.network.tables import (
    address_groups,
    networks,
    port_security_groups,
    ports,
    routers,
    security_group_rules,
    security_groups,
    trunk_subports,
    trunks,
)

_NETWORK = sa.select(networks).where(networks.c.id == bindparam("id"))
_HOSTS = (
    sa.select(
        ports.c.id,
        ports.c.mac_address,
        ports.c.device_owner,
        ports.c.dns_name,
        ports.c.dns_domain,
        ports.c.extra_dhcp_opts,
        ports.c.fixed_ips,
    )
    .where(ports.c.network_id == bindparam("id"))
    .order_by(ports.c.id)
)
_PORT = sa.select(ports).where(ports.c.id == bindparam("id"))
_TRUNK = (
    sa.select(
        trunks.c.port_id.label("parent_id"), trunk_subports.c.segmentation_id, trunks.c.admin_state_up.label("trunk_up")
    )
    .join(trunks, trunks.c.id == trunk_subports.c.trunk_id)
    .where(trunk_subports.c.port_id == bindparam("id"))
)
_GROUP = sa.select(security_groups.c.id, security_groups.c.stateful).where(security_groups.c.id == bindparam("id"))
_RULES = (
    sa.select(security_group_rules)
    .where(security_group_rules.c.security_group_id == bindparam("id"))
    .order_by(security_group_rules.c.id)
)
_MEMBERS = (
    sa.select(ports.c.fixed_ips, ports.c.allowed_address_pairs)
    .join(port_security_groups, port_security_groups.c.port_id == ports.c.id)
    .where(port_security_groups.c.security_group_id == bindparam("id"), ports.c.netns.is_not(None))
    .order_by(ports.c.id)
)
_ADDRESS_GROUP = sa.select(address_groups.c.id, address_groups.c.addresses).where(
    address_groups.c.id == bindparam("id")
)
_ROUTER = sa.select(routers).where(routers.c.id == bindparam("id"))


def network(tx: Transaction, runtime: Runtime, network_id: str) -> NetworkSpec | None:
    """A network with its DHCP and DNS."""
    row = tx.first(_NETWORK, {"id": network_id})
    if row is None or not placement.is_here(tx, "network", network_id):
        return None
    hosts = tx.all(_HOSTS, {"id": network_id})
    remote: Sequence[Any] = ()
    if row.network_type == "vxlan" and runtime.settings.network.tunnel_address:
        remote = placement.remote_ports(tx, network_id)
    domain = runtime.settings.network.dns_domain
    named = dns_names.of_project(tx, row.project_id)
    return specs.network_spec(row, choice.subnets_of(tx, network_id), hosts, domain, remote, named)


def port(tx: Transaction, port_id: str) -> PortSpec | None:
    """A port's wiring; None also for a port that is bound nowhere, or on another host."""
    row = tx.first(_PORT, {"id": port_id})
    if row is None or row.netns is None or not placement.is_here(tx, "port", port_id):
        return None
    network_row = tx.first(_NETWORK, {"id": row.network_id})
    known, limits = choice.subnets_of(tx, row.network_id), qos.of_port(tx, row, network_row)
    trunk = tx.first(_TRUNK, {"id": port_id}) if row.wire == "vlan" else None
    return local_ips.add_to(tx, specs.port_spec(row, network_row, known, qos=limits, trunk=trunk))


def security_group(tx: Transaction, group_id: str) -> SecurityGroupSpec | None:
    """A group's rules and members."""
    row = tx.first(_GROUP, {"id": group_id})
    if row is None or not placement.is_here(tx, "security_group", group_id):
        return None
    return specs.security_group_spec(row, tx.all(_RULES, {"id": group_id}), tx.all(_MEMBERS, {"id": group_id}))


def address_group(tx: Transaction, group_id: str) -> AddressGroupSpec | None:
    """An address group; every host has all, for one that no rule names costs next to nothing."""
    row = tx.first(_ADDRESS_GROUP, {"id": group_id})
    return None if row is None else AddressGroupSpec(id=row.id, addresses=tuple(row.addresses))


def router(tx: Transaction, router_id: str) -> RouterSpec | None:
    """A router with its legs, routes and floating IPs."""
    row = tx.first(_ROUTER, {"id": router_id})
    if row is None or not placement.is_here(tx, "router", router_id):
        return None
    return routers_wanted.read(tx, row)
