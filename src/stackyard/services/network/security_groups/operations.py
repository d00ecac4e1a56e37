"""What the API does with security groups."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.services.network import (
    default_groups,
    default_rules,
    default_statefulness,
    marks,
    resources,
    seen,
    sharing,
)
from stackyard.services.network.faults import conflict
from stackyard.services.network.resources import flag
from stackyard.services.network.security_groups import rows
from stackyard.services.network.security_groups.bodies import GroupFields, NewGroup
from stackyard.services.network.security_groups.rules import make_default_group, rule_view
from stackyard.services.network.tables import default_security_groups, security_groups

NAMES = ("security_group", "security_groups")

_IS_DEFAULT = sa.select(default_security_groups.c.project_id).where(
    default_security_groups.c.security_group_id == bindparam("id")
)

LISTING = Listing(
    security_groups,
    resources.standard_filters(security_groups, "stateful")
    | {"shared": sharing.shared_filter("security_group", security_groups)},
    sort_keys=("name", "project_id", "created_at", "updated_at", "stateful"),
    max_limit=resources.LARGEST_PAGE,
    select=rows.GROUPS_SHOWN,
)


def view(row: Any, rules: list[Any]) -> dict[str, Any]:
    """A group with its rules as the API shows it."""
    shown = resources.standard_view(row)
    shown.update(
        name=row.name,
        stateful=row.stateful,
        shared=bool(row.shared_with_caller),
        security_group_rules=[rule_view(rule) for rule in rules],
    )
    return shown


def load(tx: Transaction, call: Call) -> Any:
    """The group in the path; raises SecurityGroupNotFound."""
    return rows.visible(tx, call.caller, call.path["security_group_id"])


async def list_(call: Call) -> dict[str, Any]:
    """GET /security-groups; the first time in a project, its default group is made."""
    await make_default_group(call)
    return await call.read("list security groups", listed, call)


def listed(tx: Transaction, call: Call) -> dict[str, Any]:
    """The groups that the caller may see, narrowed as the query asks."""
    scope = seen.own_or_shared(call.caller, "security_group", security_groups)
    page = resources.page_of(tx, call.query, LISTING, scope)
    found = rows.rules_of_all(tx, [row.id for row in page.rows])
    return resources.listed(call, "security_groups", page, lambda row: view(row, found[row.id]))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /security-groups/{security_group_id}."""
    row = call.target
    return {"security_group": resources.shown(call, view(row, list(rows.rules_of(tx, row.id))))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /security-groups, one or many."""
    bodies, bulk = resources.read_bodies(call, NewGroup, *NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        if project_id != call.caller.project_id:
            call.require("create_security_group", {"project_id": project_id})
        default_groups.ensure(tx, call.runtime, project_id)
        row = resources.new_row(tx, new_uuid(), project_id, body)
        _refuse_default(row["name"])
        row["stateful"] = flag("stateful", body.stateful, default=default_statefulness.of_project(tx, project_id))
        rows.insert(tx, call.runtime, row, default_rules.rules_for(tx, row["id"], default=False))
        made = seen.Found(row, shared_with_caller=False)
        views.append(view(made, list(rows.rules_of(tx, row["id"]))))
    return resources.created(call, NAMES, views, bulk=bulk)


def _refuse_default(name: str) -> None:
    if name.lower() == default_groups.NAME:
        raise conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /security-groups/{security_group_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    changes = _changes(tx, row, body)
    if changes:
        resources.touch(tx, security_groups, row.id, **changes)
        timeline.record(tx, marks.SECURITY_GROUP, row.id, "update asked", ", ".join(sorted(changes)))
        if "stateful" in changes:
            marks.security_groups(tx, [row.id])
    return {"security_group": view(load(tx, call), list(rows.rules_of(tx, row.id)))}


def _changes(tx: Transaction, row: Any, body: GroupFields) -> dict[str, Any]:
    changes: dict[str, Any] = {name: value or "" for name, value in body.given() if name != "stateful"}
    if "name" in changes and changes["name"] != row.name:
        _refuse_default(changes["name"])
        if tx.scalar(_IS_DEFAULT, {"id": row.id}) is not None:
            raise conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
    stateful = flag("stateful", body.stateful, default=row.stateful)
    if stateful != row.stateful:
        if rows.is_used(tx, row.id):
            raise conflict("SecurityGroupInUse", f"Security Group {row.id} in use.")
        changes["stateful"] = stateful
    return changes


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /security-groups/{security_group_id}; a default group only by an administrator."""
    row = call.target
    resources.check_revision(call, row)
    if not call.caller.is_admin and tx.scalar(_IS_DEFAULT, {"id": row.id}) is not None:
        raise conflict("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
    rows.remove(tx, call.runtime, row)
