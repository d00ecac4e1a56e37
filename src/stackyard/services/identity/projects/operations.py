"""Projects: list, show, create, update, delete."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.identity import attributes
from stackyard.services.identity.assignments import effective
from stackyard.services.identity.listing import collection, in_callers_domain, switch, texts
from stackyard.services.identity.projects import removal, tables, tags, tree, views
from stackyard.services.identity.projects.bodies import NewProject, ProjectChange
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.targets import default_domain, the
from stackyard.services.identity.tokens import revocations

LISTING = Listing(
    projects,
    {
        "domain_id": Filter(projects.c.domain_id),
        "parent_id": Filter(projects.c.parent_id),
        "enabled": Filter(projects.c.enabled, read=switch),
        "is_domain": Filter(projects.c.is_domain, read=switch),
        **texts("name", projects.c.name),
        **texts("description", projects.c.description),
    },
    sort_keys=("name",),
    default_sort=(("name", "asc"),),
)
_RESERVED = "federated"
"""The domain, in tokens, of users whom no domain of the cloud has; by Keystone's default."""
_UPDATE = sa.update(projects).where(projects.c.id == bindparam("key"))


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Projects; those that act as domains only when asked for."""
    page = LISTING.page(tx, call.query, tags.narrowed(_scope(call), call))
    return collection(call, "projects", views.views(tx, call, page.rows), page)


def _scope(call: Call) -> Scope:
    scope = in_callers_domain(call, projects.c.domain_id)
    if call.query.get("is_domain") is not None:
        return scope
    plain = projects.c.is_domain.is_(False)
    where = plain if scope.where is None else sa.and_(plain, scope.where)
    return Scope(f"{scope.name} plain", where, scope.parameters)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One project, with its relatives when asked for."""
    row = the(call, "project")
    body = views.view(tx, call, row)
    tree.add_relatives(tx, call, row, body)
    return {"project": body}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a project, or a domain when it is to act as one."""
    asked, extra = attributes.read(call.body, NewProject, "project")
    if asked.is_domain:
        call.require("identity:create_domain", call.target)
        if asked.parent_id or asked.domain_id:
            raise BadRequest("only root projects are allowed to act as domains.")
    domain_id, parent_id = (tables.NO_DOMAIN, None) if asked.is_domain else _place(tx, call, asked)
    name = asked.name.strip()
    check_name_free(tx, domain_id, name)
    row = {
        "id": new_hex(),
        "name": name,
        "domain_id": domain_id,
        "parent_id": parent_id,
        "is_domain": asked.is_domain,
        "enabled": asked.enabled,
        "description": asked.description or "",
        "options": attributes.new_options(asked.options),
        "extra": extra,
        "created_at": tx.now,
    }
    tx.execute(tables.INSERT, row)
    if asked.tags is not UNSET:
        tags.replace(tx, str(row["id"]), asked.tags)
    made = tx.first(tables.BY_ID, {"id": row["id"]})
    assert made is not None  # noqa: S101 (inserted above)
    return {"project": views.view(tx, call, made)}


def _place(tx: Transaction, call: Call, asked: NewProject) -> tuple[str, str]:
    """The domain and the parent of a new project; BadRequest when they do not fit together."""
    parent = tx.first(tables.BY_ID, {"id": asked.parent_id}) if asked.parent_id else None
    if asked.parent_id and parent is None:
        raise BadRequest(f"Could not find project: {asked.parent_id}.")
    # Not the parent's domain: the rule was asked about this one.
    domain_id = asked.domain_id or default_domain(call)
    domain = tx.first(tables.BY_ID, {"id": domain_id})
    if domain is None or not domain.is_domain:
        raise BadRequest(f"Could not find domain: {domain_id}.")
    parent = parent or domain
    if (parent.domain_id or parent.id) != domain_id:
        raise BadRequest(
            f"Cannot create project, since it specifies its domain_id {domain_id}, but specifies a parent in a "
            f"different domain ({parent.domain_id or parent.id})."
        )
    above = [parent, *effective.ancestors(tx, parent)]
    for row in above:
        if not row.enabled:
            raise BadRequest(f"cannot create a project in a branch containing a disabled project: {row.id}")
    deepest = tree.max_depth(call)
    if len(above) > deepest:
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch: at most {deepest} projects deep.")
    return domain_id, parent.id


def check_name_free(tx: Transaction, domain_id: str, name: str) -> None:
    """Raise Conflict when a project of the domain (or a domain) has that name, BadRequest for the one no domain has."""
    if domain_id == tables.NO_DOMAIN and name.lower() == _RESERVED:
        raise BadRequest(f"Domain cannot be named {name}")
    if tx.first(tables.BY_NAME, {"domain_id": domain_id, "name": name}) is None:
        return
    if domain_id == tables.NO_DOMAIN:
        detail = f"it is not permitted to have two projects acting as domains with the same name: {name}"
    else:
        detail = (
            "it is not permitted to have two projects with either the same name or same id in the same domain: "
            f"name is {name}"
        )
    raise Conflict(f"Conflict occurred attempting to store project - {detail}.")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a project."""
    row = the(call, "project")
    asked, extra = attributes.changes(call.body, ProjectChange, "project", row.id)
    if asked.parent_id is not UNSET and asked.parent_id != row.parent_id:
        raise Forbidden("Update of `parent_id` is not allowed.")
    if asked.is_domain is not UNSET and asked.is_domain != row.is_domain:
        raise BadRequest("Update of `is_domain` is not allowed.")
    if asked.domain_id is not UNSET and (asked.domain_id or "") != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    return {"project": views.view(tx, call, change(tx, row, asked, extra))}


def change(tx: Transaction, row: Row[Any], asked: Any, extra: dict[str, Any]) -> Row[Any]:
    """Change name, description, enabled, options, tags and extra attributes of a project or domain."""
    attributes.check_mutable(row.options, "domain" if row.is_domain else "project", row.id, None if extra else asked)
    name = row.name if asked.name is UNSET else asked.name.strip()
    if name != row.name:
        check_name_free(tx, row.domain_id, name)
    enabled = row.enabled if asked.enabled is UNSET else asked.enabled
    if enabled != row.enabled:
        _enable(tx, row, enabled)
    values = {
        "name": name,
        "enabled": enabled,
        "description": row.description if asked.description is UNSET else asked.description or "",
        "options": attributes.new_options(asked.options, row.options),
        "extra": attributes.merged(row.extra, extra),
    }
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    if asked.tags is not UNSET:
        tags.replace(tx, row.id, asked.tags)
    changed = tx.first(tables.BY_ID, {"id": row.id})
    assert changed is not None  # noqa: S101 (it was there in this transaction)
    return changed


def _enable(tx: Transaction, row: Row[Any], enabled: bool) -> None:
    """Check that a project may be enabled or disabled; what is disabled loses its tokens for good."""
    if enabled:
        if any(not above.enabled for above in effective.ancestors(tx, row)):
            raise Forbidden(f"Cannot enable project {row.id} since it has disabled parents")
        return
    if not row.is_domain and any(below.enabled for below in tree.subtree(tx, row.id)):
        raise Forbidden(f"Cannot disable project {row.id} since its subtree contains enabled projects.")
    if row.is_domain:
        revocations.revoke(tx, domain_id=row.id)
    else:
        revocations.revoke(tx, project_id=row.id)


def delete(tx: Transaction, call: Call) -> None:
    """Delete a project without children."""
    row = the(call, "project")
    attributes.check_mutable(row.options, "project", row.id)
    if row.is_domain:
        if row.enabled:
            raise Forbidden(
                f"cannot delete an enabled project acting as a domain. Please disable the project {row.id} first."
            )
        removal.remove_domain(tx, call, row)
        return
    if tree.subtree(tx, row.id):
        raise Forbidden(f"Cannot delete the project {row.id} since it is not a leaf in the hierarchy.")
    removal.remove_project(tx, call, row)
