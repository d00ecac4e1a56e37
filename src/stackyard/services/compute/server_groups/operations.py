"""Server groups (os-server-groups): list, see, make, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, OverQuota
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists, quotas
from stackyard.services.compute.fields import whole
from stackyard.services.compute.rules import ADMIN, MEMBER, READER
from stackyard.services.compute.server_groups import rows
from stackyard.services.compute.server_groups.bodies import new_group
from stackyard.services.compute.tables import server_groups, servers

KIND = "server_group"
QUOTA = "compute.server_groups"

_ALL = sa.select(server_groups).order_by(server_groups.c.created_at, server_groups.c.id)
_OF_PROJECT = _ALL.where(server_groups.c.project_id == bindparam("project"))
_INSERT = sa.insert(server_groups)
_DELETE = sa.delete(server_groups).where(server_groups.c.id == bindparam("key"))
_LEAVE = sa.update(servers).where(servers.c.server_group_id == bindparam("key")).values(server_group_id=None)


def _views(tx: Transaction, call: Call, groups: Sequence[Any]) -> list[dict[str, Any]]:
    of: dict[str, list[str]] = {row.id: [] for row in groups}
    for member in rows.members(tx, list(of)):
        of[member.group_id].append(member.id)
    return [_view(call, row, of[row.id]) for row in groups]


def _view(call: Call, row: Any, members: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": row.id, "name": row.name, "members": members}
    if call.since(2, 64):
        found |= {"policy": row.policy, "rules": row.rules}
    else:
        found |= {"policies": [row.policy], "metadata": {}}
    if call.since(2, 13):
        found |= {"project_id": row.project_id, "user_id": row.user_id}
    return found


def load(tx: Transaction, call: Call) -> Any:
    """The group of the path, which the caller may see."""
    return rows.find(tx, call, call.path["group_id"])


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-server-groups: the project's, or everybody's for an administrator who says `all_projects`."""
    query = lists.query_of(call, ("all_projects", "limit", "offset"), strict=call.since(2, 75))
    if query.get("all_projects") is not None and call.caller.is_admin:
        call.require(f"{_RULE}:index:all_projects")
        found = tx.all(_ALL)
    else:
        found = tx.all(_OF_PROJECT, {"project": call.caller.project_id})
    return {"server_groups": _views(tx, call, lists.offset_page(call, found))}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-server-groups/{group_id}."""
    lists.query_of(call, (), strict=call.since(2, 102))
    return {"server_group": _views(tx, call, [call.target])[0]}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-server-groups; raises Forbidden past the quota."""
    body = call.body
    rules: dict[str, int] = {}
    if call.since(2, 64):
        policy = body.policy
        if body.rules is not UNSET and body.rules.max_server_per_host is not UNSET:
            rules["max_server_per_host"] = whole("max_server_per_host", body.rules.max_server_per_host, least=1)
        if rules and policy != "anti-affinity":
            raise BadRequest("Only anti-affinity policy supports rules.")
    else:
        policy = body.policies[0]
    project_id = str(call.caller.project_id)
    most, used = quotas.own_of_user(tx, call.runtime, project_id, call.caller.user_id).get("server_groups", (1, 0))
    try:
        call.runtime.quotas.reserve(tx, project_id, {QUOTA: 1})
        if used >= most:
            raise OverQuota("server_groups", limit=most, in_use=used, asked=1)
    except OverQuota:
        raise Forbidden("Quota exceeded, too many server groups.", kind="OverQuota") from None
    row = {
        "id": ids.new_uuid(), "project_id": project_id, "user_id": call.caller.user_id, "name": body.name,
        "policy": policy, "rules": rules, "created_at": tx.now,
    }  # fmt: skip
    tx.execute(_INSERT, row)
    timeline.record(tx, KIND, str(row["id"]), "created")
    return {"server_group": _views(tx, call, [rows.find(tx, call, str(row["id"]))])[0]}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /os-server-groups/{group_id}; its servers are in none then."""
    row = call.target
    tx.execute(_LEAVE, {"key": row.id})
    tx.execute(_DELETE, {"key": row.id})
    call.runtime.quotas.release(tx, row.project_id, {QUOTA: 1})
    timeline.record(tx, KIND, row.id, "deleted")


_ROOT = "/v2.1/os-server-groups"
_ONE = f"{_ROOT}/{{group_id}}"
_RULE = "os_compute_api:os-server-groups"

ROUTES = (
    Route("GET", _ROOT, list_, f"{_RULE}:index", query=("all_projects", "limit", "offset")),
    Route("POST", _ROOT, create, f"{_RULE}:create", body=new_group, envelope="server_group"),
    Route("GET", _ONE, show, f"{_RULE}:show", target=load),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete", target=load, status=204),
)

POLICIES = (
    Rule(f"{_RULE}:index", READER, "List the project's server groups."),
    Rule(f"{_RULE}:index:all_projects", ADMIN, "List the server groups of all projects."),
    Rule(f"{_RULE}:create", MEMBER, "Create a server group."),
    Rule(f"{_RULE}:show", READER, "See a server group."),
    Rule(f"{_RULE}:delete", MEMBER, "Delete a server group."),
)
