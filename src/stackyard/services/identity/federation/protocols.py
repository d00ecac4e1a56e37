"""Protocols: the ways by which an identity provider's users come, and the mapping that each goes by."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.paging import Listing, Scope
from stackyard.core.routes import Route
from stackyard.services.identity.federation import removal, tables
from stackyard.services.identity.federation.bodies import NewProtocol, ProtocolChange, check_id
from stackyard.services.identity.federation.identity_providers import find_provider
from stackyard.services.identity.federation.tables import protocols
from stackyard.services.identity.listing import collection

LISTING = Listing(protocols, {})
_OF_PROVIDER = protocols.c.idp_id == sa.bindparam("of_provider")
_INSERT = sa.insert(protocols)
_UPDATE = sa.update(protocols).where(protocols.c.idp_id == sa.bindparam("idp"), protocols.c.id == sa.bindparam("key"))


def find_protocol(tx: Transaction, idp_id: str, protocol_id: str) -> Row[Any]:
    """A protocol's row; raises NotFound."""
    row = tx.first(tables.PROTOCOL, {"idp": idp_id, "id": protocol_id})
    if row is None:
        raise NotFound(f"Could not find federated protocol {protocol_id} for Identity Provider: {idp_id}.")
    return row


def _find(tx: Transaction, call: Call) -> Row[Any]:
    return find_protocol(tx, call.path["idp_id"], call.path["protocol_id"])


def _view(call: Call, row: Row[Any]) -> dict[str, Any]:
    provider = call.url(f"/v3/OS-FEDERATION/identity_providers/{row.idp_id}")
    links = {"self": f"{provider}/protocols/{row.id}", "identity_provider": provider}
    return {"id": row.id, "mapping_id": row.mapping_id, "links": links}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The protocols of an identity provider."""
    page = LISTING.page(tx, call.query, Scope("of provider", _OF_PROVIDER, {"of_provider": call.path["idp_id"]}))
    # Only the list tells the attribute, as in Keystone.
    items = [
        {**_view(call, row), "idp_id": row.idp_id, "remote_id_attribute": row.remote_id_attribute} for row in page.rows
    ]
    return collection(call, "protocols", items, page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One protocol."""
    return {"protocol": _view(call, _find(tx, call))}


def create(tx: Transaction, call: Call) -> Reply:
    """Make a protocol under the id in the path."""
    asked: NewProtocol = call.body
    protocol_id = check_id(call.path["protocol_id"], "protocol")
    _check_mapping(tx, asked.mapping_id)
    idp = find_provider(tx, call.path["idp_id"])
    if tx.first(tables.PROTOCOL, {"idp": idp.id, "id": protocol_id}) is not None:
        raise Conflict(
            f"Conflict occurred attempting to store federation_protocol - Duplicate entry found with ID {protocol_id}."
        )
    tx.execute(_INSERT, {"idp_id": idp.id, "id": protocol_id, **dict(asked.given())})
    return Reply(show(tx, call), status=201)


def _check_mapping(tx: Transaction, mapping_id: str) -> None:
    if tx.first(tables.MAPPING_BY_ID, {"id": mapping_id}) is None:
        raise BadRequest(f"Invalid mapping id: {mapping_id}")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a protocol."""
    asked: ProtocolChange = call.body
    _check_mapping(tx, asked.mapping_id)
    row = _find(tx, call)
    values = {"mapping_id": asked.mapping_id}
    if asked.remote_id_attribute is not UNSET:
        values["remote_id_attribute"] = asked.remote_id_attribute
    tx.execute(_UPDATE.values(**values), {"idp": row.idp_id, "key": row.id})
    return show(tx, call)


def delete(tx: Transaction, call: Call) -> None:
    """Delete a protocol; users who could only come by it go too."""
    row = _find(tx, call)
    removal.remove_protocol(tx, row.idp_id, row.id)


_ALL = "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols"
_ONE = f"{_ALL}/{{protocol_id}}"

ROUTES = (
    Route("GET", _ALL, list_, "identity:list_protocols"),
    Route("GET", _ONE, show, "identity:get_protocol"),
    Route("PUT", _ONE, create, "identity:create_protocol", body=NewProtocol, envelope="protocol"),
    Route("PATCH", _ONE, update, "identity:update_protocol", body=ProtocolChange, envelope="protocol"),
    Route("DELETE", _ONE, delete, "identity:delete_protocol"),
)
