"""What a call is about, as policy rules look at it and operations find it.

Whatever a route's path names is loaded; what does not exist is left out, so that a caller who may not see a thing gets
403 whether it exists or not, and one who may gets 404 from the operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.services.identity.catalog import tables as catalog_tables
from stackyard.services.identity.endpoint_filter import tables as endpoint_filter_tables
from stackyard.services.identity.legacy_policies import tables as policy_tables
from stackyard.services.identity.limits import tables as limit_tables
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.users import tables as user_tables

_DOMAIN = sa.select(projects).where(projects.c.id == sa.bindparam("id"), projects.c.is_domain.is_(True))

_NAMED: Mapping[str, tuple[str, sa.Select[Any]]] = {
    "user_id": ("user", user_tables.BY_ID),
    "group_id": ("group", user_tables.GROUP_BY_ID),
    "project_id": ("project", project_tables.BY_ID),
    "domain_id": ("domain", _DOMAIN),
    "role_id": ("role", role_tables.BY_ID),
    "implied_role_id": ("implied role", role_tables.BY_ID),
    "region_id": ("region", catalog_tables.REGION_BY_ID),
    "service_id": ("service", catalog_tables.SERVICE_BY_ID),
    "endpoint_id": ("endpoint", catalog_tables.ENDPOINT_BY_ID),
    "registered_limit_id": ("registered_limit", limit_tables.REGISTERED_BY_ID),
    "limit_id": ("limit", limit_tables.LIMIT_BY_ID),
    "endpoint_group_id": ("endpoint_group", endpoint_filter_tables.GROUP_BY_ID),
    "policy_id": ("policy", policy_tables.BY_ID),
}
_LOOKED_AT = ("id", "name", "domain_id")
_LESSER = {"target.user.lesser": "user", "target.group.lesser": "group"}


class Target(dict[str, Any]):
    """What a call is about; whether a user or group has lesser roles alone is looked up when a rule asks for it."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__()
        self._tx = tx

    def __missing__(self, key: str) -> bool:
        from stackyard.services.identity.assignments import lesser

        kind = _LESSER.get(key)
        row = None if kind is None else self.get(kind)
        if row is None:
            raise KeyError(key)
        answer = self[key] = lesser.has_lesser_roles_alone(self._tx, str(kind), row.id)
        return answer


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """All that the path names: rows by kind, and what rules look at (`target.user.domain_id`)."""
    found = Target(tx)
    for parameter, value in call.path.items():
        if parameter in _NAMED:
            kind, statement = _NAMED[parameter]
            found |= describe(kind, tx.first(statement, {"id": value}))
    return found


def describe(kind: str, row: Row[Any] | None) -> dict[str, Any]:
    """One row under its kind, with what rules look at."""
    found: dict[str, Any] = {kind: row}
    if row is not None:
        for name in _LOOKED_AT:
            if name in row._fields:
                # What has no domain of its own (a domain, a global role) has None there, as rules expect.
                found[f"target.{kind}.{name}"] = row._mapping[name] or None
    return found


def the(call: Call, kind: str) -> Row[Any]:
    """The row of a kind that the path names; NotFound when there is none."""
    row: Row[Any] | None = call.target[kind]
    if row is None:
        parameter = next(name for name, (named, _) in _NAMED.items() if named == kind)
        called = kind.removeprefix("implied ").replace("_", " ")
        raise NotFound(f"Could not find {called}: {call.path[parameter]}.")
    return row


def own_domain(tx: Transaction, call: Call) -> dict[str, Any]:
    """For lists: the domain of a domain-scoped caller, which is all that he may list."""
    del tx
    domain_id = call.caller.domain_id
    names = ("target.domain_id", "target.domain.id", "target.group.domain_id")
    return dict.fromkeys(names, domain_id) if domain_id else {}


def to_create(tx: Transaction, call: Call) -> dict[str, Any]:
    """For creation: what the body says, and the domain it will be in."""
    del tx
    kind = call.route.options.envelope or ""
    found = {f"target.{kind}.{name}": call.body.get(name) for name in _LOOKED_AT if call.body.get(name)}
    if "domain_id" not in call.body:
        found[f"target.{kind}.domain_id"] = default_domain(call)
    return found


def default_domain(call: Call) -> str:
    """The domain of what a caller creates without naming one: that of his token's scope."""
    caller = call.caller
    return caller.domain_id or caller.project_domain_id or "default"
