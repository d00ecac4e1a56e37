"""Giving a role to a user or group on a project, domain or the system, checking and taking it; and the routes of it."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.core.routes import Route
from stackyard.services.identity import targets
from stackyard.services.identity.assignments import tables
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.roles.operations import view as role_view
from stackyard.services.identity.targets import the

_INHERITED = "OS-INHERIT"


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The roles that were given to an actor at a target, nothing inherited or implied."""
    place = _place(call)
    found = tx.all(tables.OF_ONE, place)
    rows = tx.all(role_tables.BY_IDS, {"ids": [row.role_id for row in found]}) if found else []
    path = call.request.scope["path"].removeprefix(call.request.scope["stackyard.mount"])
    return {
        "roles": [role_view(call, row) for row in rows],
        "links": {"self": call.url(path), "previous": None, "next": None},
    }


def check(tx: Transaction, call: Call) -> None:
    """Whether it was given."""
    grant = _place(call) | {"role_id": the(call, "role").id}
    if tx.first(tables.FIND, grant) is None:
        raise NotFound(_missing(grant))


def create(tx: Transaction, call: Call) -> None:
    """Give it; again changes nothing."""
    role = the(call, "role")
    grant = _place(call) | {"role_id": role.id}
    if role.domain_id and grant["target_kind"] == tables.SYSTEM:
        raise BadRequest(
            f"Role {role.id} is a domain-specific role. Unable to use a domain-specific role in a system assignment."
        )
    if role.domain_id and role.domain_id != _domain_of_target(call):
        raise Forbidden(
            f"{grant['target_kind'].capitalize()} {grant['target_id']} must be in the same domain as the role "
            f"{role.id} being assigned."
        )
    if tx.first(tables.FIND, grant) is None:
        tx.execute(tables.INSERT, grant)


def delete(tx: Transaction, call: Call) -> None:
    """Take it away."""
    grant = _place(call) | {"role_id": the(call, "role").id}
    if tx.execute(tables.DELETE, grant).rowcount == 0:
        raise NotFound(_missing(grant))


def _place(call: Call) -> dict[str, Any]:
    actor = tables.USER if "user_id" in call.path else tables.GROUP
    target = next((kind for kind in (tables.PROJECT, tables.DOMAIN) if f"{kind}_id" in call.path), tables.SYSTEM)
    return {
        "actor_kind": actor,
        "actor_id": the(call, actor).id,
        "target_kind": target,
        "target_id": tables.ALL if target == tables.SYSTEM else the(call, target).id,
        "inherited": _INHERITED in call.route.path,
    }


def _domain_of_target(call: Call) -> str | None:
    if "project_id" in call.path:
        project = the(call, "project")
        return str(project.domain_id or project.id)
    return str(the(call, "domain").id) if "domain_id" in call.path else None


def _missing(grant: dict[str, Any]) -> str:
    return (
        f"Could not find role assignment with role: {grant['role_id']}, user or group: {grant['actor_id']}, "
        f"project, domain, or system: {grant['target_id']}."
    )


def _routes(path: str, suffix: str, rules: tuple[str, str, str, str]) -> tuple[Route, ...]:
    rule_list, rule_check, rule_create, rule_revoke = (f"identity:{rule}" for rule in rules)
    one = f"{path}/roles/{{role_id}}{suffix}"
    return (
        Route("GET", f"{path}/roles{suffix}", list_, rule_list, target=targets.load),
        Route("GET", one, check, rule_check, target=targets.load),
        Route("PUT", one, create, rule_create, target=targets.load, status=204),
        Route("DELETE", one, delete, rule_revoke, target=targets.load, status=204),
    )


def _all_routes() -> tuple[Route, ...]:
    found: list[Route] = []
    rules = ("list_grants", "check_grant", "create_grant", "revoke_grant")
    for actor in ("users/{user_id}", "groups/{group_id}"):
        for target in ("projects/{project_id}", "domains/{domain_id}"):
            found += _routes(f"/v3/{target}/{actor}", "", rules)
            found += _routes(f"/v3/{_INHERITED}/{target}/{actor}", "/inherited_to_projects", rules)
        who = actor.split("s/", maxsplit=1)[0]
        on_system = tuple(f"{verb}_for_{who}" for verb in _SYSTEM_RULES)
        found += _routes(f"/v3/system/{actor}", "", on_system)  # type: ignore[arg-type]
    return tuple(found)


_SYSTEM_RULES = ("list_system_grants", "check_system_grant", "create_system_grant", "revoke_system_grant")

ROUTES = _all_routes()
