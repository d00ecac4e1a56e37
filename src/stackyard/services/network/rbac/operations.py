"""What the API does with RBAC policies."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, InvalidField, NotFound
from stackyard.core.paging import Filter, Listing
from stackyard.services.network import marks, resources, seen, sharing
from stackyard.services.network.faults import conflict, invalid, not_found
from stackyard.services.network.rbac import uses
from stackyard.services.network.resources import Text
from stackyard.services.network.tables import (
    address_groups,
    address_scopes,
    network_rbacs,
    networks,
    qos_policies,
    security_groups,
    subnetpools,
)

NAMES = ("rbac_policy", "rbac_policies")

_OBJECTS: dict[str, tuple[str, sa.Table]] = {
    "address_group": ("AddressGroup", address_groups),
    "address_scope": ("AddressScope", address_scopes),
    "network": ("Network", networks),
    "qos_policy": ("QosPolicy", qos_policies),
    "security_group": ("SecurityGroup", security_groups),
    "subnetpool": ("SubnetPool", subnetpools),
}
_FIND = {kind: sa.select(table).where(table.c.id == bindparam("id")) for kind, (_, table) in _OBJECTS.items()}
_ONE = sa.select(network_rbacs).where(network_rbacs.c.id == bindparam("id"))
_SAME = sa.select(network_rbacs.c.id).where(
    network_rbacs.c.object_id == bindparam("object"),
    network_rbacs.c.action == bindparam("action"),
    network_rbacs.c.target_project == bindparam("target"),
)
_RETARGET = sa.update(network_rbacs).where(network_rbacs.c.id == bindparam("key")).values(
    target_project=bindparam("new_target")
)  # fmt: skip
_PROJECT_ID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")

_COLUMNS = ("object_type", "object_id", "action", "target_project")
LISTING = Listing(
    network_rbacs,
    {name: Filter(network_rbacs.c[name]) for name in ("id", "project_id", *_COLUMNS)}
    | {"tenant_id": Filter(network_rbacs.c.project_id), "target_tenant": Filter(network_rbacs.c.target_project)},
    sort_keys=("project_id", *_COLUMNS),
    max_limit=resources.LARGEST_PAGE,
)


class PolicyFields(Body):
    """What a policy may be changed to: whom it is for, by either name."""

    target_tenant: Text | UnsetType = UNSET
    target_project: Text | UnsetType = UNSET


class NewPolicy(PolicyFields, kw_only=True):
    """The body of a POST."""

    object_type: str
    object_id: Text
    action: str
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def view(row: Any) -> dict[str, Any]:
    """A policy as the API shows it."""
    return {
        "id": row.id,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "object_type": row.object_type,
        "object_id": row.object_id,
        "action": row.action,
        "target_tenant": row.target_project,
        "target_project": row.target_project,
    }


def load(tx: Transaction, call: Call) -> Any:
    """The policy in the path; raises RbacPolicyNotFound."""
    policy_id = call.path["rbac_policy_id"]
    row = tx.first(_ONE, {"id": policy_id})
    if row is None or not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise NotFound(f"RBAC policy of type unknown with ID {policy_id} not found.", kind="RbacPolicyNotFound")
    return row


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /rbac-policies: those that the project has made, not those that it gains by."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, network_rbacs))
    return resources.listed(call, "rbac_policies", page, view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /rbac-policies/{rbac_policy_id}."""
    del tx
    return {"rbac_policy": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /rbac-policies, one or many."""
    bodies, bulk = resources.read_bodies(call, NewPolicy, *NAMES)
    views = [_create(tx, call, body) for body in bodies]
    return resources.created(call, NAMES, views, bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewPolicy) -> dict[str, Any]:
    project_id = resources.owner(call, body)
    target_project = _target(body)
    _authorise(call, "create_rbac_policy", project_id, body, target_project)
    kind = body.object_type.strip().lower()
    if kind not in sharing.ACTIONS:
        raise invalid(f"'{body.object_type}' is not a valid RBAC object type.")
    if body.action not in sharing.ACTIONS[kind]:
        raise BadRequest(
            f"Invalid action '{body.action}' for object type '{kind}'. Valid actions: "
            f"{', '.join(sharing.ACTIONS[kind])}.",
            kind="InvalidActionForType",
        )
    shared = _object(tx, call, kind, body.object_id)
    if kind == "subnetpool":
        _check_pool(tx, shared, target_project)
    _refuse_twice(tx, body.object_id, body.action, target_project)
    resources.reserve(tx, call.runtime, project_id, "rbac_policy")
    try:
        policy_id = sharing.insert(tx, project_id, kind, body.object_id, body.action, target_project, counted=True)
    except IntegrityError:
        raise _twice() from None
    _shared_anew(tx, kind, body.object_id, body.action, f"shared with {target_project}")
    return view(tx.first(_ONE, {"id": policy_id}))


def _target(body: PolicyFields) -> str:
    given = {value for value in (body.target_tenant, body.target_project) if value is not UNSET}
    if not given:
        raise InvalidField("target_tenant", "it is required: the id of a project, or '*' for all.")
    if len(given) > 1:
        raise InvalidField("target_tenant", "it is not the same as target_project; give one of them.")
    found = str(given.pop())
    if found != sharing.ALL and not _PROJECT_ID.fullmatch(found):
        raise invalid(f"'{found}' is not a valid target project ID; expected a UUID or '*'.")
    return found


def _authorise(call: Call, rule: str, project_id: str, body: PolicyFields, target_project: str) -> None:
    target = {"project_id": project_id, "tenant_id": project_id, "wildcard": target_project == sharing.ALL}
    call.require(rule, target)
    named = [(name, getattr(body, name) is not UNSET) for name in ("target_tenant", "target_project")]
    resources.require_attributes(call, rule, target, named)


def _object(tx: Transaction, call: Call, kind: str, object_id: str) -> Any:
    """What is to be shared; raises a NotFound of its kind, InvalidInput for what another project shares itself."""
    name, _ = _OBJECTS[kind]
    row = tx.first(_FIND[kind], {"id": object_id})
    own = row is not None and (call.caller.is_admin or row.project_id == call.caller.project_id)
    if row is None or not (own or sharing.is_visible(tx, kind, object_id, call.caller.project_id)):
        raise not_found(name, object_id)
    if not own:
        what = "networks" if kind == "network" else "objects"
        raise invalid(f"Only admins can manipulate policies on {what} they do not own.")
    return row


def _check_pool(tx: Transaction, pool: Any, target_project: str) -> None:
    scope_id = pool.address_scope_id
    if scope_id is not None and not sharing.is_shared(tx, "address_scope", scope_id, target_project):
        raise BadRequest(
            f"Failed to create RBAC policy on object {pool.id} because target project doesn't have access to "
            "associated address scope.",
            kind="RbacPolicyInitError",
        )


def _refuse_twice(tx: Transaction, object_id: str, action: str, target_project: str) -> None:
    if tx.scalar(_SAME, {"object": object_id, "action": action, "target": target_project}) is not None:
        raise _twice()


def _twice() -> ApiError:
    return conflict("DuplicateRbacPolicy", "An RBAC policy already exists with those values.")


def _shared_anew(tx: Transaction, kind: str, object_id: str, action: str, what: str) -> None:
    """Write down that something is shared otherwise; that a network becomes external or internal is work for hosts."""
    if kind == "network":
        resources.touch(tx, networks, object_id)
    if action == sharing.EXTERNAL:
        marks.network(tx, object_id)
    timeline.record(tx, kind, object_id, what, action)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /rbac-policies/{rbac_policy_id}: share it with somebody else instead."""
    row, target_project = call.target, _target(call.body)
    _authorise(call, "update_rbac_policy", row.project_id, call.body, target_project)
    shared = _object(tx, call, row.object_type, row.object_id)
    if target_project != row.target_project:
        if row.object_type == "subnetpool":
            _check_pool(tx, shared, target_project)
        _refuse_twice(tx, row.object_id, row.action, target_project)
        uses.refuse_loss(tx, row, shared.project_id, instead=target_project)
        try:
            tx.execute(_RETARGET, {"key": row.id, "new_target": target_project})
        except IntegrityError:
            raise _twice() from None
        sharing.settle_network(tx, row.object_type, row.object_id)
        _shared_anew(tx, row.object_type, row.object_id, row.action, f"shared with {target_project}")
    return {"rbac_policy": view(tx.first(_ONE, {"id": row.id}))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /rbac-policies/{rbac_policy_id}; raises RbacPolicyInUse."""
    row = call.target
    shared = tx.first(_FIND[row.object_type], {"id": row.object_id})
    if shared is not None:
        uses.refuse_loss(tx, row, shared.project_id)
    sharing.remove(tx, row)
    _shared_anew(tx, row.object_type, row.object_id, row.action, f"no longer shared with {row.target_project}")
