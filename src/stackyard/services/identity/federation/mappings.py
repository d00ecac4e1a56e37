"""Mappings: list, show, create, update, delete."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, InvalidField, NotFound
from stackyard.core.paging import Listing
from stackyard.core.routes import Route
from stackyard.services.identity.federation import tables
from stackyard.services.identity.federation.bodies import check_id
from stackyard.services.identity.federation.mapping import schema
from stackyard.services.identity.federation.tables import mappings
from stackyard.services.identity.listing import collection

LISTING = Listing(mappings, {})
_INSERT = sa.insert(mappings)
_UPDATE = sa.update(mappings).where(mappings.c.id == bindparam("key"))
_DELETE = sa.delete(mappings).where(mappings.c.id == bindparam("id"))


def find_mapping(tx: Transaction, mapping_id: str) -> Row[Any]:
    """A mapping's row; raises NotFound."""
    row = tx.first(tables.MAPPING_BY_ID, {"id": mapping_id})
    if row is None:
        raise NotFound(f"Could not find mapping: {mapping_id}.")
    return row


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    link = call.url(f"/v3/OS-FEDERATION/mappings/{row.id}")
    return {"id": row.id, "rules": row.rules, "schema_version": row.schema_version, "links": {"self": link}}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Mappings."""
    page = LISTING.page(tx, call.query)
    return collection(call, "mappings", [_view(call, row) for row in page.rows], page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One mapping."""
    return {"mapping": _view(call, find_mapping(tx, call.path["mapping_id"]))}


def _rules(call: Call) -> dict[str, Any]:
    settings = call.runtime.settings.federation
    if "rules" not in call.body:
        raise InvalidField("mapping.rules", "'rules' is a required property")
    rules, version = schema.check(call.body, settings.attribute_mapping_default_schema_version)
    return {"rules": rules, "schema_version": version}


def create(tx: Transaction, call: Call) -> Reply:
    """Make a mapping under the id in the path."""
    mapping_id = check_id(call.path["mapping_id"], "mapping")
    values = _rules(call)
    if tx.first(tables.MAPPING_BY_ID, {"id": mapping_id}) is not None:
        raise Conflict(f"Conflict occurred attempting to store mapping - Duplicate entry found with ID {mapping_id}.")
    tx.execute(_INSERT, {"id": mapping_id, **values})
    return Reply(show(tx, call), status=201)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a mapping: the rules are replaced as a whole."""
    values = _rules(call)
    row = find_mapping(tx, call.path["mapping_id"])
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    return show(tx, call)


def delete(tx: Transaction, call: Call) -> None:
    """Delete a mapping; nobody can sign in by the protocols that name it until there is one again."""
    tx.execute(_DELETE, {"id": find_mapping(tx, call.path["mapping_id"]).id})


_ALL = "/v3/OS-FEDERATION/mappings"
_ONE = f"{_ALL}/{{mapping_id}}"

ROUTES = (
    Route("GET", _ALL, list_, "identity:list_mappings"),
    Route("GET", _ONE, show, "identity:get_mapping"),
    Route("PUT", _ONE, create, "identity:create_mapping", body=dict, schema=schema.Rules3, envelope="mapping"),
    Route("PATCH", _ONE, update, "identity:update_mapping", body=dict, schema=schema.Rules3, envelope="mapping"),
    Route("DELETE", _ONE, delete, "identity:delete_mapping"),
)
