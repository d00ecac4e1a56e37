"""The limits in force: a user's own in a project, else the project's own, else the defaults that are kept, or set."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import quota
from stackyard.core.db import Transaction
from stackyard.core.quota import DEFAULTS, UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.compute.tables import server_groups, servers, user_quotas

NETWORK = ("fixed_ips", "floating_ips", "security_group_rules", "security_groups")
"""What Nova once limited itself: still there in old microversions, without effect. The network service has its own."""

INJECTED = ("injected_file_content_bytes", "injected_file_path_bytes", "injected_files")
GROUPS = ("server_group_members", "server_groups")
RESOURCES = ("cores", "instances", "key_pairs", "metadata_items", "ram", *GROUPS, *INJECTED, *NETWORK)
COUNTED = ("cores", "instances", "ram", "server_groups")
"""Those of which a project has so many; the others limit a single request, server, group or user."""

_LIMITS = sa.select(quota.limits.c.resource, quota.limits.c.hard_limit).where(
    quota.limits.c.project_id == bindparam("project"), quota.limits.c.resource.like("compute.%")
)
_u = user_quotas.c
_USERS = sa.select(_u.resource, _u.hard_limit).where(
    _u.project_id == bindparam("project"), _u.user_id == bindparam("user")
)
_HAS_USERS = sa.select(_u.user_id).where(_u.project_id == bindparam("project")).limit(1)
_SERVERS_OF_USER = sa.select(
    sa.func.count().label("instances"),
    sa.func.coalesce(sa.func.sum(servers.c.flavor["vcpus"].as_integer()), 0).label("cores"),
    sa.func.coalesce(sa.func.sum(servers.c.flavor["ram"].as_integer()), 0).label("ram"),
).where(
    servers.c.project_id == bindparam("project"),
    servers.c.user_id == bindparam("user"),
    servers.c.deleted_at.is_(None),
)
_GROUPS_OF_USER = sa.select(sa.func.count()).where(
    server_groups.c.project_id == bindparam("project"), server_groups.c.user_id == bindparam("user")
)


def kept(tx: Transaction, project_id: str) -> dict[str, int]:
    """The limits that are kept under a project's id (or DEFAULTS, or a class's key), by resource."""
    return {
        row.resource.removeprefix("compute."): int(row.hard_limit) for row in tx.all(_LIMITS, {"project": project_id})
    }


def of_user(tx: Transaction, project_id: str, user_id: str) -> dict[str, int]:
    """The limits of his own that a user has in a project."""
    return {row.resource: int(row.hard_limit) for row in tx.all(_USERS, {"project": project_id, "user": user_id})}


def defaults(tx: Transaction, runtime: Runtime) -> dict[str, int]:
    """The limits of projects that have none of their own."""
    found = {name: runtime.quotas.defaults.get(f"compute.{name}", UNLIMITED) for name in RESOURCES}
    return found | kept(tx, DEFAULTS)


def in_force(tx: Transaction, runtime: Runtime, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """A project's limits, or a user's in it."""
    found = defaults(tx, runtime) | kept(tx, project_id)
    return found | of_user(tx, project_id, user_id) if user_id else found


def limit(tx: Transaction, runtime: Runtime, project_id: str, resource: str, user_id: str | None = None) -> int:
    """One of them; -1 is no limit."""
    if user_id:
        return in_force(tx, runtime, project_id, user_id)[resource]
    return runtime.quotas.limit(tx, project_id, f"compute.{resource}")


def in_use(tx: Transaction, runtime: Runtime, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """How much of each resource a project has, or a user in it."""
    found = dict.fromkeys(RESOURCES, 0)
    if user_id is None:
        return found | {name: runtime.quotas.in_use(tx, project_id, f"compute.{name}") for name in COUNTED}
    whose = {"project": project_id, "user": user_id}
    row: Any = tx.first(_SERVERS_OF_USER, whose)
    found |= {"instances": int(row.instances), "cores": int(row.cores), "ram": int(row.ram)}
    return found | {"server_groups": int(tx.scalar(_GROUPS_OF_USER, whose))}


def own_of_user(tx: Transaction, runtime: Runtime, project_id: str, user_id: str) -> dict[str, tuple[int, int]]:
    """The limits that a user has of his own in a project, each with how much of it he has; mostly none."""
    limits = {name: most for name, most in of_user(tx, project_id, user_id).items() if most != UNLIMITED}
    if not limits:
        return {}
    used = in_use(tx, runtime, project_id, user_id)
    return {name: (most, used[name]) for name, most in limits.items()}
