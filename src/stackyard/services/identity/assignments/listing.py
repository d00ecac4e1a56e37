"""GET /v3/role_assignments: what was given, or (effective) what comes of it, user by user and project by project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.identity.assignments import effective, expansion, tables
from stackyard.services.identity.assignments.expansion import Assignment
from stackyard.services.identity.assignments.names import Names
from stackyard.services.identity.assignments.selection import Branch, Wanted
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.projects import tree

_INHERITED_TO = "scope.OS-INHERIT:inherited_to"
PARAMETERS = (
    *("user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system", _INHERITED_TO),
    *("effective", "include_names", "include_subtree"),
)
"""What the list's query may say."""


def load_target(tx: Transaction, call: Call) -> dict[str, Any]:
    """The domain that the list is about: of the tree that is asked for, else of a domain-scoped caller."""
    project_id = call.query.get("scope.project.id")
    if _asked(call, "include_subtree") and project_id:
        project = tx.first(project_tables.BY_ID, {"id": project_id})
        return {} if project is None else {"target.domain_id": project.domain_id or project.id}
    return {"target.domain_id": call.caller.domain_id} if call.caller.domain_id else {}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Role assignments."""
    _check(call)
    if _asked(call, "include_subtree"):
        call.require("identity:list_role_assignments_for_tree", call.target)
    wanted = _wanted(tx, call)
    found = expansion.effective(tx, wanted) if _asked(call, "effective") else expansion.given(tx, wanted)
    names = Names(tx, (pair for item in found for pair in _referred(item))) if _asked(call, "include_names") else None
    return {
        "role_assignments": [_view(call, item, names) for item in found],
        "links": {"self": call.url("/v3/role_assignments"), "previous": None, "next": None},
    }


def _asked(call: Call, name: str) -> bool:
    value = call.query.get(name)
    return value is not None and value.lower() not in ("0", "false", "no")


def _check(call: Call) -> None:
    get = call.query.get
    for one, other, text in (
        ("scope.domain.id", "scope.project.id", "Specify a domain or project, not both"),
        ("scope.domain.id", "scope.system", "Specify system or domain, not both"),
        ("scope.project.id", "scope.system", "Specify system or project, not both"),
        ("user.id", "group.id", "Specify a user or group, not both"),
    ):
        if get(one) and get(other):
            raise BadRequest(text)
    if _asked(call, "effective"):
        if get("group.id"):
            raise BadRequest("Combining effective and group filter will always result in an empty list.")
        if get(_INHERITED_TO) == "projects" and get("scope.domain.id"):
            raise BadRequest("Combining effective, domain and inherited filters will always result in an empty list.")
    if _asked(call, "include_subtree") and not get("scope.project.id"):
        raise BadRequest("scope.project.id must be specified if include_subtree is also specified")


def _wanted(tx: Transaction, call: Call) -> Wanted:
    """What the query asks for; like Keystone, a system other than `all` and an empty value narrow nothing."""
    get = call.query.get
    inherited = get(_INHERITED_TO)
    return Wanted(
        user_id=get("user.id") or None,
        group_id=get("group.id") or None,
        role_id=get("role.id") or None,
        domain_id=get("scope.domain.id") or None,
        system=get("scope.system") == "all",
        branch=_branch(tx, call),
        inherited=None if inherited is None else inherited == "projects",
        within=call.caller.domain_id,
    )


def _branch(tx: Transaction, call: Call) -> Branch | None:
    project_id = call.query.get("scope.project.id")
    if not project_id:
        return None
    project = tx.first(project_tables.BY_ID, {"id": project_id})
    if project is None:
        if _asked(call, "include_subtree") or _asked(call, "effective"):
            raise NotFound(f"Could not find project: {project_id}.")
        return Branch({project_id: None}, {})
    below = tree.subtree(tx, project_id) if _asked(call, "include_subtree") else []
    above = effective.ancestors(tx, project)
    return Branch({row.id: row.parent_id for row in [project, *below]}, {row.id: row.parent_id for row in above})


def _referred(item: Assignment) -> Iterator[tuple[str, str]]:
    yield item.actor_kind, item.actor_id
    yield "role", item.role_id
    if item.target_kind != tables.SYSTEM:
        yield item.target_kind, item.target_id


def _view(call: Call, item: Assignment, names: Names | None) -> dict[str, Any]:
    scope: dict[str, Any]
    if item.target_kind == tables.SYSTEM:
        scope = {"system": {"all": True}}
    else:
        scope = {item.target_kind: _reference(names, item.target_kind, item.target_id)}
    if item.comes_by_inheritance:
        scope["OS-INHERIT:inherited_to"] = "projects"
    body = {
        "scope": scope,
        item.actor_kind: _reference(names, item.actor_kind, item.actor_id),
        "role": _reference(names, "role", item.role_id),
        "links": {"assignment": call.url(f"/v3{_path(item)}")},
    }
    if item.group_id is not None:
        body["links"]["membership"] = call.url(f"/v3/groups/{item.group_id}/users/{item.actor_id}")
    if item.prior_role_id is not None:
        prior = f"/v3/prior_role/{item.prior_role_id}/implies/{item.role_id}"
        body["links"]["prior_role"] = call.url(prior)
    return body


def _reference(names: Names | None, kind: str, resource_id: str) -> dict[str, Any]:
    return {"id": resource_id} if names is None else names.reference(kind, resource_id)


def _path(item: Assignment) -> str:
    """Where the assignment can be found that this one is or comes from."""
    if item.target_kind == tables.SYSTEM:
        place = "/system"
    elif item.above is not None:
        place = f"/{item.above[0]}s/{item.above[1]}"
    else:
        place = f"/{item.target_kind}s/{item.target_id}"
    who = f"/groups/{item.group_id}" if item.group_id is not None else f"/{item.actor_kind}s/{item.actor_id}"
    path = f"{place}{who}/roles/{item.prior_role_id or item.role_id}"
    return f"/OS-INHERIT{path}/inherited_to_projects" if item.comes_by_inheritance else path
