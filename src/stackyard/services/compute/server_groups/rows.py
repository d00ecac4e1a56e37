"""Groups and their members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound
from stackyard.core.quota import UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.compute.tables import server_group_members, server_groups, servers

_BY_ID = sa.select(server_groups).where(server_groups.c.id == bindparam("key"))
_OF_PROJECT = _BY_ID.where(server_groups.c.project_id == bindparam("project"))
_MEMBERS = (
    sa.select(servers.c.id, servers.c.host, servers.c.user_id, server_group_members.c.group_id)
    .join_from(server_group_members, servers, servers.c.id == server_group_members.c.server_id)
    .where(
        server_group_members.c.group_id.in_(bindparam("groups", expanding=True)),
        servers.c.deleted_at.is_(None),
    )
    .order_by(server_group_members.c.added_at, servers.c.sequence)
)
_ADD = sa.insert(server_group_members)
_REMOVE = sa.delete(server_group_members).where(server_group_members.c.server_id == bindparam("key"))


def find(tx: Transaction, call: Call, group_id: str) -> Any:
    """A group that the caller may see: his project's, any for an administrator; raises InstanceGroupNotFound."""
    if call.caller.is_admin:
        row = tx.first(_BY_ID, {"key": group_id})
    else:
        row = tx.first(_OF_PROJECT, {"key": group_id, "project": call.caller.project_id})
    if row is None:
        raise NotFound(f"Instance group {group_id[:255]} could not be found.", kind="InstanceGroupNotFound")
    return row


def members(tx: Transaction, group_ids: Sequence[str]) -> Sequence[Any]:
    """The servers (id, host, user_id, group_id) of groups, in the order in which they came; deleted ones left out."""
    return tx.all(_MEMBERS, {"groups": list(group_ids)}) if group_ids else ()


def add_member(tx: Transaction, runtime: Runtime, group_id: str, server_id: str, *, user_id: str | None = None) -> None:
    """Put a server into a group; raises Forbidden when the group has as many of the user's as the quota allows."""
    group = tx.first(_BY_ID, {"key": group_id})
    if group is None:
        raise NotFound(f"Instance group {group_id[:255]} could not be found.", kind="InstanceGroupNotFound")
    limit = runtime.quotas.limit(tx, group.project_id, "compute.server_group_members")
    if limit != UNLIMITED:
        there = [row for row in members(tx, [group_id]) if user_id is None or row.user_id == user_id]
        if len(there) >= limit:
            raise Forbidden("Quota exceeded, too many servers in group", kind="OverQuota")
    tx.execute(_ADD, {"group_id": group_id, "server_id": server_id, "added_at": tx.now})


def remove_member(tx: Transaction, server_id: str) -> None:
    """Take a server out of its group, if it is in one."""
    tx.execute(_REMOVE, {"key": server_id})
