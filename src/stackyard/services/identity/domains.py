"""Domains: the roots of the trees of projects, seen by an API of their own."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, Forbidden, InvalidField
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.identity import attributes
from stackyard.services.identity.listing import collection, in_callers_domain, switch, texts
from stackyard.services.identity.projects import operations as projects_
from stackyard.services.identity.projects import removal, tables, tags, views
from stackyard.services.identity.projects.bodies import DomainChange, NewDomain
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.targets import the

_EXPLICIT = re.compile(r"[0-9a-f]{32}")

LISTING = Listing(
    projects,
    {"enabled": Filter(projects.c.enabled, read=switch), **texts("name", projects.c.name)},
    sort_keys=("name",),
    default_sort=(("name", "asc"),),
)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Domains."""
    own = in_callers_domain(call, projects.c.id)
    clauses = projects.c.is_domain.is_(True)
    scope = Scope(f"domains {own.name}", clauses if own.where is None else clauses & own.where, own.parameters)
    page = LISTING.page(tx, call.query, tags.narrowed(scope, call))
    return collection(call, "domains", views.domain_views(tx, call, page.rows), page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One domain."""
    return {"domain": views.domain_view(tx, call, the(call, "domain"))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a domain."""
    asked, extra = attributes.read(call.body, NewDomain, "domain")
    domain_id = new_hex()
    if asked.explicit_domain_id is not UNSET:
        domain_id = asked.explicit_domain_id
        if not _EXPLICIT.fullmatch(domain_id):
            raise InvalidField("explicit_domain_id", "Domain ID does not conform to required UUID format.")
        if tx.first(tables.BY_ID, {"id": domain_id}) is not None:
            raise Conflict(f"Conflict occurred attempting to store domain - Duplicate ID, {domain_id}.")
    name = asked.name.strip()
    projects_.check_name_free(tx, tables.NO_DOMAIN, name)
    tx.execute(
        tables.INSERT,
        {
            "id": domain_id,
            "name": name,
            "domain_id": tables.NO_DOMAIN,
            "parent_id": None,
            "is_domain": True,
            "enabled": asked.enabled,
            "description": asked.description or "",
            "options": attributes.new_options(asked.options),
            "extra": extra,
            "created_at": tx.now,
        },
    )
    if asked.tags is not UNSET:
        tags.replace(tx, domain_id, asked.tags)
    made = tx.first(tables.BY_ID, {"id": domain_id})
    assert made is not None  # noqa: S101 (inserted above)
    return {"domain": views.domain_view(tx, call, made)}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a domain."""
    row = the(call, "domain")
    asked, extra = attributes.changes(call.body, DomainChange, "domain", row.id)
    return {"domain": views.domain_view(tx, call, projects_.change(tx, row, asked, extra))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a disabled domain with all that is in it."""
    row = the(call, "domain")
    attributes.check_mutable(row.options, "domain", row.id)
    if row.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    removal.remove_domain(tx, call, row)
