"""What the API does with policies."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, Listing, Scope, boolean
from stackyard.services.network import resources, seen, sharing
from stackyard.services.network.faults import conflict
from stackyard.services.network.qos import usage
from stackyard.services.network.qos.api import not_found
from stackyard.services.network.resources import Flag, Text, flag
from stackyard.services.network.tables import qos_default_policies, qos_policies, qos_rules

NAMES = ("policy", "policies")
KIND = "qos_policy"

_SHARED = sharing.shared_label(KIND, qos_policies)
_ALL = sa.select(qos_policies, _SHARED)
_POLICY = _ALL.where(qos_policies.c.id == bindparam("id"))
_INSERT = sa.insert(qos_policies)
_DELETE = sa.delete(qos_policies).where(qos_policies.c.id == bindparam("id"))
_DELETE_RULES = sa.delete(qos_rules).where(qos_rules.c.qos_policy_id == bindparam("id"))
_DEFAULT = sa.select(qos_default_policies.c.qos_policy_id).where(
    qos_default_policies.c.project_id == bindparam("project")
)
_SET_DEFAULT = sa.insert(qos_default_policies)
_UNSET_DEFAULT = sa.delete(qos_default_policies).where(qos_default_policies.c.qos_policy_id == bindparam("id"))
_VISIBLE = sa.or_(qos_policies.c.project_id == bindparam("caller"), sharing.visible(KIND, qos_policies))

LISTING = Listing(
    qos_policies,
    resources.standard_filters(qos_policies, "is_default") | {"shared": Filter(_SHARED.element, boolean)},
    sort_keys=("name", "project_id", "created_at", "updated_at", "is_default"),
    max_limit=resources.LARGEST_PAGE,
    select=_ALL,
)


class PolicyFields(Body):
    """What a policy may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    shared: Flag | UnsetType = UNSET
    is_default: Flag | UnsetType = UNSET


class NewPolicy(PolicyFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def load(tx: Transaction, call: Call) -> seen.Found:
    """The policy in the path; raises QosPolicyNotFound."""
    row = _read(tx, call, call.path["qos_policy_id"])
    if not (call.caller.is_admin or row.project_id == call.caller.project_id or row.shared):
        raise not_found(call.path["qos_policy_id"])
    return row


def _read(tx: Transaction, call: Call, policy_id: str) -> seen.Found:
    row = tx.first(_POLICY, {"id": policy_id, "caller": call.caller.project_id})
    if row is None:
        raise not_found(policy_id)
    return seen.Found(row._mapping, shared=bool(row.shared_with_caller))


def view(row: Any) -> dict[str, Any]:
    """A policy with its rules as the API shows it."""
    shown = resources.standard_view(row)
    shown.update(name=row.name, shared=bool(row.shared_with_caller), is_default=row.is_default, rules=row.rules)
    return shown


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /qos/policies."""
    caller = call.caller
    where = sa.true() if caller.is_admin else _VISIBLE
    scope = Scope("all" if caller.is_admin else "visible", where, {"caller": caller.project_id})
    return resources.listed(call, "policies", resources.page_of(tx, call.query, LISTING, scope), view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /qos/policies/{qos_policy_id}."""
    del tx
    return {"policy": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /qos/policies, one or many."""
    bodies, bulk = resources.read_bodies(call, NewPolicy, *NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        if project_id != call.caller.project_id:
            call.require("create_policy", {"project_id": project_id})
        row = resources.new_row(tx, new_uuid(), project_id, body)
        row |= {"rules": [], "is_default": flag("is_default", body.is_default, default=False)}
        tx.execute(_INSERT, row)
        if row["is_default"]:
            _make_default(tx, row["id"], project_id)
        if flag("shared", body.shared, default=False):
            sharing.share_with_all(tx, KIND, row["id"], project_id, on=True)
        timeline.record(tx, KIND, row["id"], "create asked")
        views.append(view(_read(tx, call, row["id"])))
    return resources.created(call, NAMES, views, bulk=bulk)


def _make_default(tx: Transaction, policy_id: str, project_id: str) -> None:
    found = tx.scalar(_DEFAULT, {"project": project_id})
    if found not in (None, policy_id):
        raise conflict("QoSPolicyDefaultAlreadyExists", f"A default QoS policy exists for project {project_id}.")
    if found is None:
        tx.execute(_SET_DEFAULT, {"project_id": project_id, "qos_policy_id": policy_id})


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /qos/policies/{qos_policy_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    changes = {name: value or "" for name, value in body.given() if name in ("name", "description")}
    if body.is_default is not UNSET:
        changes["is_default"] = flag("is_default", body.is_default, default=False)
        if changes["is_default"]:
            _make_default(tx, row.id, row.project_id)
        else:
            tx.execute(_UNSET_DEFAULT, {"id": row.id})
    if body.shared is not UNSET:
        _share(tx, row, on=flag("shared", body.shared, default=False))
    if changes or body.shared is not UNSET:
        resources.touch(tx, qos_policies, row.id, **changes)
        timeline.record(tx, KIND, row.id, "update asked", ", ".join(name for name, _ in body.given()))
    return {"policy": view(_read(tx, call, row.id))}


def _share(tx: Transaction, row: Any, *, on: bool) -> None:
    foreign = None if on else usage.foreign_user(tx, row.id, row.project_id)
    if foreign is not None:
        raise conflict(
            "RbacPolicyInUse",
            f"RBAC policy on object {row.id} cannot be removed because other objects depend on it. "
            f"Details: project {foreign} uses the policy.",
        )
    sharing.share_with_all(tx, KIND, row.id, row.project_id, on=on)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /qos/policies/{qos_policy_id}, with its rules; raises QosPolicyInUse."""
    row = call.target
    resources.check_revision(call, row)
    user = usage.first_user(tx, row.id)
    if user is not None:
        raise conflict("QosPolicyInUse", f"QoS Policy {row.id} is used by {user[0]} {user[1]}.")
    tx.execute(_UNSET_DEFAULT, {"id": row.id})
    tx.execute(_DELETE_RULES, {"id": row.id})
    resources.forget_tags(tx, row.id)
    sharing.forget(tx, KIND, row.id)
    tx.execute(_DELETE, {"id": row.id})
    timeline.record(tx, KIND, row.id, "delete asked")
