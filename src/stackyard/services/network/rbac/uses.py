"""Who would lose something if what is shared were shared no longer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.network import sharing
from stackyard.services.network.faults import conflict
from stackyard.services.network.tables import (
    floating_ips,
    networks,
    port_security_groups,
    ports,
    routers,
    security_group_rules,
    subnetpools,
    subnets,
)

_GATEWAY_OWNER = "network:router_gateway"

_USERS: dict[tuple[str, str], sa.Select[Any] | sa.CompoundSelect[Any]] = {
    ("network", sharing.SHARED): sa.select(ports.c.project_id).where(ports.c.network_id == bindparam("id")),
    ("network", sharing.EXTERNAL): sa.union(
        sa.select(routers.c.project_id).where(routers.c.gateway_network_id == bindparam("id")),
        sa.select(routers.c.project_id)
        .join(ports, ports.c.device_id == routers.c.id)
        .where(ports.c.network_id == bindparam("id"), ports.c.device_owner == _GATEWAY_OWNER),
        sa.select(floating_ips.c.project_id).where(floating_ips.c.floating_network_id == bindparam("id")),
    ),
    ("security_group", sharing.SHARED): sa.select(ports.c.project_id)
    .join(port_security_groups, port_security_groups.c.port_id == ports.c.id)
    .where(port_security_groups.c.security_group_id == bindparam("id")),
    ("address_group", sharing.SHARED): sa.select(security_group_rules.c.project_id).where(
        security_group_rules.c.remote_address_group_id == bindparam("id")
    ),
    ("address_scope", sharing.SHARED): sa.select(subnetpools.c.project_id).where(
        subnetpools.c.address_scope_id == bindparam("id")
    ),
    ("subnetpool", sharing.SHARED): sa.select(subnets.c.project_id).where(subnets.c.subnetpool_id == bindparam("id")),
    ("qos_policy", sharing.SHARED): sa.union(
        *(
            sa.select(table.c.project_id).where(table.c.qos_policy_id == bindparam("id"))
            for table in (networks, ports, floating_ips)
        ),
        sa.select(routers.c.project_id).where(routers.c.gateway_qos_policy_id == bindparam("id")),
    ),
}
"""The projects of whatever is made with what is shared."""

_OWNER = sa.select(networks.c.project_id, networks.c.is_default).where(networks.c.id == bindparam("id"))


def refuse_loss(tx: Transaction, policy: Any, owner_project: str, instead: str | None = None) -> None:
    """Raise RbacPolicyInUse when somebody uses what the policy gives him, and nothing else gives it to him.

    `instead` is whom the policy would be for from now on, None when it is to be deleted.
    """
    target = policy.target_project
    if instead in (target, sharing.ALL) or target == owner_project:
        return
    others = {
        row.target_project
        for row in sharing.of_object(tx, policy.object_type, policy.object_id)
        if row.id != policy.id and row.action == policy.action
    } | ({instead} if instead is not None else set())
    if policy.action == sharing.EXTERNAL and target == sharing.ALL and _is_default(tx, policy.object_id):
        raise _in_use(policy, "Default external networks must be shared to everyone.")
    if sharing.ALL in others:
        return
    losing = _users(tx, policy) - others - {owner_project, ""}
    if target == sharing.ALL and losing:
        raise _in_use(policy, f"it is used by projects {_named(losing)}")
    if target in losing:
        raise _in_use(policy, f"project_id={target}")


def _users(tx: Transaction, policy: Any) -> set[str]:
    found = tx.connection.execute(_USERS[policy.object_type, policy.action], {"id": policy.object_id})
    return set(found.scalars())


def _is_default(tx: Transaction, network_id: str) -> bool:
    row = tx.first(_OWNER, {"id": network_id})
    return row is not None and bool(row.is_default)


def _named(projects: Iterable[str]) -> str:
    return ", ".join(sorted(projects)[:5])


def _in_use(policy: Any, details: str) -> Exception:
    return conflict(
        "RbacPolicyInUse",
        f"RBAC policy on object {policy.object_id} cannot be removed because other objects depend on it.\n"
        f"Details: {details}",
    )
