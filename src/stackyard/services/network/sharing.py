"""Who else may see and use what a project owns: the one place that reads and writes RBAC policies' rows.

What a list shows is found by its clauses, so that it stays one query. Of a network, the columns `shared` (with all
projects) and `external` (for any project) say the same as the rows here; they are written here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import OverQuota
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, boolean
from stackyard.core.quota import UNLIMITED, Quotas
from stackyard.services.network.tables import network_rbacs, networks

ALL = "*"
SHARED = "access_as_shared"
EXTERNAL = "access_as_external"

ACTIONS: dict[str, tuple[str, ...]] = {
    "address_group": (SHARED,),
    "address_scope": (SHARED,),
    "network": (SHARED, EXTERNAL),
    "qos_policy": (SHARED,),
    "security_group": (SHARED,),
    "subnetpool": (SHARED,),
}
"""What can be shared, and for what."""

_RESOURCE = "network.rbac_policy"
_COUNTS = Quotas({_RESOURCE: UNLIMITED})
"""Counts only: whoever shares by a policy has asked for its quota before."""

_INSERT = sa.insert(network_rbacs)
_WITH = sa.or_(network_rbacs.c.target_project == ALL, network_rbacs.c.target_project == bindparam("caller"))
_ONE = sa.and_(network_rbacs.c.object_type == bindparam("type"), network_rbacs.c.object_id == bindparam("object"))
_FIND = sa.select(network_rbacs.c.id).where(_ONE, network_rbacs.c.action == bindparam("action")).limit(1)
_IS_SHARED = _FIND.where(_WITH)
_WITH_ALL = _FIND.where(network_rbacs.c.target_project == ALL)
_OF_OBJECT = sa.select(network_rbacs).where(_ONE)
_DELETE = sa.delete(network_rbacs).where(network_rbacs.c.id == bindparam("id"))
_SET_SHARED = sa.update(networks).where(networks.c.id == bindparam("object")).values(shared=bindparam("value"))
_SET_EXTERNAL = sa.update(networks).where(networks.c.id == bindparam("object")).values(external=bindparam("value"))


def visible(object_type: str, table: sa.Table, column: str = "id") -> sa.ColumnElement[bool]:
    """Rows that are shared with everyone or with the project in bindparam("caller"), for whatever use.

    `column` of the table holds the id of what is shared: that of the row itself, or of what it belongs to.
    """
    found = sa.select(network_rbacs.c.object_id).where(network_rbacs.c.object_type == object_type, _WITH)
    return table.c[column].in_(found)


def by_name(object_type: str) -> sa.Select[Any]:
    """The projects with which the object in bindparam("id") is shared by name: what is shared with all besides."""
    return sa.select(network_rbacs.c.target_project).where(
        network_rbacs.c.object_type == object_type,
        network_rbacs.c.object_id == bindparam("id"),
        network_rbacs.c.action == SHARED,
        network_rbacs.c.target_project != ALL,
    )


def shared_label(object_type: str, table: sa.Table) -> sa.Label[bool]:
    """A column `shared_with_caller` for selects: whether the row is shared with bindparam("caller") or everyone."""
    return shared(object_type, table).label("shared_with_caller")


def shared(object_type: str, table: sa.Table) -> sa.ColumnElement[bool]:
    """The same as a clause, for filters."""
    return sa.exists().where(
        network_rbacs.c.object_id == table.c.id,
        network_rbacs.c.object_type == object_type,
        network_rbacs.c.action == SHARED,
        _WITH,
    )


def shared_filter(object_type: str, table: sa.Table) -> Filter:
    """`?shared=`: whether it is shared with bindparam("caller")."""
    return flag_filter(shared(object_type, table))


def flag_filter(clause: sa.ColumnElement[bool]) -> Filter:
    """A filter on what is not a column but can be asked."""
    return Filter(where=sa.case((clause, sa.true()), else_=sa.false()).in_, read=boolean)


def is_shared(tx: Transaction, object_type: str, object_id: str, project_id: str | None, action: str = SHARED) -> bool:
    """Whether something is shared with a project, by name or as one of all."""
    values = {"type": object_type, "object": object_id, "action": action, "caller": project_id}
    return tx.scalar(_IS_SHARED, values) is not None


def is_visible(tx: Transaction, object_type: str, object_id: str, project_id: str | None) -> bool:
    """Whether something is shared with a project for any use at all."""
    return any(is_shared(tx, object_type, object_id, project_id, action) for action in ACTIONS[object_type])


def share_with_all(
    tx: Transaction, object_type: str, object_id: str, owner_project: str, on: bool, *, action: str = SHARED
) -> None:
    """Share with every project, or no longer: what `shared` (or `router:external`) in a body does.

    Whether somebody depends on it is for the caller to have looked. A network that is made internal is so for all.
    """
    if on:
        values = {"type": object_type, "object": object_id, "action": action}
        if tx.scalar(_WITH_ALL, values) is None:
            insert(tx, owner_project, object_type, object_id, action, ALL)
        return
    for row in of_object(tx, object_type, object_id):
        if row.action == action and (row.target_project == ALL or action == EXTERNAL):
            remove(tx, row)


def share_network(tx: Transaction, network_id: str, owner_project: str, columns: Mapping[str, Any]) -> None:
    """What `shared` and `external` mean, where they are among the columns that are being written for a network."""
    for column, action in (("shared", SHARED), ("external", EXTERNAL)):
        if column in columns:
            share_with_all(tx, "network", network_id, owner_project, columns[column], action=action)


def insert(
    tx: Transaction,
    owner_project: str,
    object_type: str,
    object_id: str,
    action: str,
    target_project: str,
    *,
    counted: bool = False,
) -> str:
    """Write a policy and return its id; raises IntegrityError when there is one already.

    `counted` says that the quota has been taken.
    """
    row = {
        "id": new_uuid(),
        "project_id": owner_project,
        "object_type": object_type,
        "object_id": object_id,
        "action": action,
        "target_project": target_project,
    }
    tx.execute(_INSERT, row)
    if not counted:
        _count(tx, owner_project, 1)
    settle_network(tx, object_type, object_id)
    return row["id"]


def remove(tx: Transaction, row: Any) -> None:
    """Delete a policy's row."""
    tx.execute(_DELETE, {"id": row.id})
    _count(tx, row.project_id, -1)
    settle_network(tx, row.object_type, row.object_id)


def settle_network(tx: Transaction, object_type: str, object_id: str) -> None:
    """Have a network's columns say what its policies say."""
    if object_type == "network":
        rows = of_object(tx, object_type, object_id)
        shared = any(row.action == SHARED and row.target_project == ALL for row in rows)
        tx.execute(_SET_SHARED, {"object": object_id, "value": shared})
        tx.execute(_SET_EXTERNAL, {"object": object_id, "value": any(row.action == EXTERNAL for row in rows)})


def of_object(tx: Transaction, object_type: str, object_id: str) -> list[Any]:
    """All policies on something."""
    return list(tx.all(_OF_OBJECT, {"type": object_type, "object": object_id}))


def adopt(tx: Transaction) -> None:
    """Write the policies of networks that were shared or external before there were policies."""
    for column, action in ((networks.c.shared, SHARED), (networks.c.external, EXTERNAL)):
        known = sa.select(network_rbacs.c.object_id).where(network_rbacs.c.action == action)
        for row in tx.all(sa.select(networks.c.id, networks.c.project_id).where(column, networks.c.id.not_in(known))):
            insert(tx, row.project_id, "network", row.id, action, ALL)


def forget(tx: Transaction, object_type: str, object_id: str) -> None:
    """Drop the policies on what is being deleted."""
    for row in of_object(tx, object_type, object_id):
        tx.execute(_DELETE, {"id": row.id})
        _count(tx, row.project_id, -1)


def _count(tx: Transaction, project_id: str, amount: int) -> None:
    """Count policies for the quota, also those that `shared: true` makes, which no limit refuses."""
    try:
        _COUNTS.reserve(tx, project_id, {_RESOURCE: amount})
    except OverQuota:
        return
