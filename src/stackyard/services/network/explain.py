"""What `stackyard why` and `status` tell of networks, ports, routers and what goes with them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.core.explain import Explanation
from stackyard.services.network import placement
from stackyard.services.network.tables import (
    address_groups,
    address_scopes,
    floating_ips,
    networks,
    port_security_groups,
    ports,
    qos_policies,
    router_ports,
    routers,
    security_group_rules,
    security_groups,
    subnetpools,
    subnets,
    trunk_subports,
    trunks,
)

_TABLES = {
    "network": networks,
    "subnet": subnets,
    "subnet pool": subnetpools,
    "address scope": address_scopes,
    "port": ports,
    "router": routers,
    "security group": security_groups,
    "address group": address_groups,
    "floating IP": floating_ips,
    "trunk": trunks,
    "QoS policy": qos_policies,
}
_PLURALS = {"QoS policy": "QoS policies"}
_ONE = {kind: sa.select(table).where(table.c.id == bindparam("id")) for kind, table in _TABLES.items()}
_NAMED = {
    kind: sa.select(table.c.id).where(table.c.name == bindparam("name"))
    for kind, table in _TABLES.items()
    if "name" in table.c
}
_COUNTS = {kind: sa.select(sa.func.count()).select_from(table) for kind, table in _TABLES.items()}
_PORTS_OF_NETWORK = sa.select(ports).where(
    ports.c.network_id == bindparam("id"), ports.c.device_owner != "network:dhcp"
)
_PORTS_OF_GROUP = sa.select(port_security_groups.c.port_id).where(
    port_security_groups.c.security_group_id == bindparam("id")
)
_RULES_NAMING = sa.select(security_group_rules.c.id, security_group_rules.c.security_group_id).where(
    security_group_rules.c.remote_address_group_id == bindparam("id")
)
_SUBPORTS = sa.select(trunk_subports.c.port_id).where(trunk_subports.c.trunk_id == bindparam("id"))
_LIMITED = {
    kind: sa.select(table.c.id).where(table.c.qos_policy_id == bindparam("id"))
    for kind, table in (("network", networks), ("port", ports), ("floating IP", floating_ips))
}
_SUBNETS_OF_POOL = sa.select(subnets.c.id, subnets.c.cidr).where(subnets.c.subnetpool_id == bindparam("id"))
_POOLS_OF_SCOPE = sa.select(subnetpools.c.id).where(subnetpools.c.address_scope_id == bindparam("id"))
_LEGS_OF_ROUTER = sa.select(router_ports.c.port_id).where(router_ports.c.router_id == bindparam("id"))
_ROUTER_OF_LEG = sa.select(router_ports.c.router_id).where(router_ports.c.port_id == bindparam("id"))
_FLOATING_OF_PORT = sa.select(floating_ips.c.id, floating_ips.c.floating_ip_address).where(
    floating_ips.c.port_id == bindparam("id")
)


def explain(tx: Transaction, resource_id: str) -> list[Explanation]:
    """The resources of this id (there is at most one)."""
    found = []
    for kind, statement in _ONE.items():
        row = tx.first(statement, {"id": resource_id})
        if row is not None:
            found.append(_told(tx, kind, row))
    return found


def _told(tx: Transaction, kind: str, row: Row[Any]) -> Explanation:
    fields = row._mapping
    owners, uses, blockers = _RELATIONS[kind](tx, fields)
    return Explanation(
        kind=kind,
        id=fields["id"],
        name=fields.get("name") or fields.get("floating_ip_address") or "",
        project_id=fields["project_id"],
        status=fields.get("status") or "",
        reason=fields.get("status_reason") or "",
        owners=(f"project {fields['project_id']}", *owners),
        uses=tuple(uses),
        blockers=tuple(blockers),
    )


Relations = tuple[list[str], list[str], list[str]]


def _network(tx: Transaction, row: Any) -> Relations:
    users = [_port_phrase(port) for port in tx.all(_PORTS_OF_NETWORK, {"id": row["id"]})]
    return [], [f"subnet {subnet}" for subnet in row["subnet_ids"]], users


def _subnet(tx: Transaction, row: Any) -> Relations:
    users = [
        _port_phrase(port)
        for port in tx.all(_PORTS_OF_NETWORK, {"id": row["network_id"]})
        if any(ip["subnet_id"] == row["id"] for ip in port.fixed_ips)
    ]
    owners = [f"network {row['network_id']}"]
    if row["subnetpool_id"]:
        owners.append(f"subnet pool {row['subnetpool_id']}")
    return owners, [], users


def _subnet_pool(tx: Transaction, row: Any) -> Relations:
    owners = [f"address scope {row['address_scope_id']}"] if row["address_scope_id"] else []
    users = [f"subnet {subnet.id} ({subnet.cidr})" for subnet in tx.all(_SUBNETS_OF_POOL, {"id": row["id"]})]
    return owners, list(row["prefixes"]), users


def _address_scope(tx: Transaction, row: Any) -> Relations:
    return [], [], [f"subnet pool {pool.id}" for pool in tx.all(_POOLS_OF_SCOPE, {"id": row["id"]})]


def _port(tx: Transaction, row: Any) -> Relations:
    owners = [f"network {row['network_id']}"]
    if row["device_id"]:
        owners.append(f"{row['device_owner'] or 'device'} {row['device_id']}")
    uses = [f"address {ip['ip_address']}" for ip in row["fixed_ips"]]
    uses += [f"security group {group}" for group in row["security_group_ids"]]
    uses += [f"floating IP {ip.floating_ip_address}" for ip in tx.all(_FLOATING_OF_PORT, {"id": row["id"]})]
    router = tx.scalar(_ROUTER_OF_LEG, {"id": row["id"]})
    return owners, uses, [f"it is a leg of router {router}: remove that interface"] if router else []


def _router(tx: Transaction, row: Any) -> Relations:
    legs = [f"interface port {leg.port_id}: remove it first" for leg in tx.all(_LEGS_OF_ROUTER, {"id": row["id"]})]
    uses = [f"gateway on network {row['gateway_network_id']}"] if row["gateway_network_id"] else []
    return [], uses, legs


def _security_group(tx: Transaction, row: Any) -> Relations:
    return [], [], [f"port {port.port_id}" for port in tx.all(_PORTS_OF_GROUP, {"id": row["id"]})]


def _address_group(tx: Transaction, row: Any) -> Relations:
    naming = tx.all(_RULES_NAMING, {"id": row["id"]})
    return [], [], [f"rule {rule.id} of security group {rule.security_group_id}" for rule in naming]


def _trunk(tx: Transaction, row: Any) -> Relations:
    subports = [f"subport {item.port_id}" for item in tx.all(_SUBPORTS, {"id": row["id"]})]
    return [], [f"port {row['port_id']}", *subports], []


def _qos_policy(tx: Transaction, row: Any) -> Relations:
    users = [f"{kind} {one.id}" for kind, of_kind in _LIMITED.items() for one in tx.all(of_kind, {"id": row["id"]})]
    return [], [f"rule {rule['type']}" for rule in row["rules"]], users


def _floating_ip(tx: Transaction, row: Any) -> Relations:
    del tx
    uses = [f"port {row['port_id']}, address {row['fixed_ip_address']}"] if row["port_id"] else []
    return [f"network {row['floating_network_id']}"], uses, []


_RELATIONS = {
    "network": _network,
    "subnet": _subnet,
    "subnet pool": _subnet_pool,
    "address scope": _address_scope,
    "port": _port,
    "router": _router,
    "security group": _security_group,
    "address group": _address_group,
    "floating IP": _floating_ip,
    "trunk": _trunk,
    "QoS policy": _qos_policy,
}


def _port_phrase(port: Row[Any]) -> str:
    device = f" of {port.device_owner or 'device'} {port.device_id}" if port.device_id else ""
    return f"port {port.id}{device}"


def named(tx: Transaction, name: str) -> list[str]:
    """Ids of everything of this name."""
    return [row.id for statement in _NAMED.values() for row in tx.all(statement, {"name": name})]


def counts(tx: Transaction) -> dict[str, int]:
    """How many there are of each."""
    return {_PLURALS.get(kind, f"{kind}s"): int(tx.scalar(statement)) for kind, statement in _COUNTS.items()}


def expected(tx: Transaction) -> dict[str, set[str]]:
    """What this host should have: its networks and routers, and the ports that are bound here."""
    found = {
        "network": {row.id for row in tx.all(sa.select(networks.c.id))},
        "router": {row.id for row in tx.all(sa.select(routers.c.id))},
        "port": {row.id for row in tx.all(sa.select(ports.c.id).where(ports.c.netns.is_not(None)))},
    }
    return {kind: placement.only_mine(tx, kind, ids) for kind, ids in found.items()}
