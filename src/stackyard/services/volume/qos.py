"""QoS specs: what a type's volumes may do a second, told to back ends or to who attaches them."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, InvalidField, NotFound
from stackyard.core.paging import Filter, Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import lists, rows
from stackyard.services.volume.fields import Specs, flag, specs
from stackyard.services.volume.rules import ADMIN
from stackyard.services.volume.tables import qos_specs, volume_types
from stackyard.services.volume.types import finding

KIND = "volume_qos"
CONSUMERS = ("front-end", "back-end", "both")

_BY_ID = sa.select(qos_specs).where(qos_specs.c.id == bindparam("key"))
_BY_NAME = sa.select(qos_specs).where(qos_specs.c.name == bindparam("key"))
_TYPES = sa.select(volume_types).where(volume_types.c.qos_specs_id == bindparam("key")).order_by(volume_types.c.name)
_LOOSEN = (
    sa.update(volume_types)
    .where(volume_types.c.qos_specs_id == bindparam("key"))
    .values(qos_specs_id=None, updated_at=bindparam("at"))
)
_ADD = sa.insert(qos_specs)

LISTING = Listing(
    qos_specs,
    {"id": Filter(qos_specs.c.id), "name": Filter(qos_specs.c.name), "consumer": Filter(qos_specs.c.consumer)},
    sort_keys=("id", "name", "consumer", "created_at"),
    default_sort=(("created_at", "desc"),),
)


class Keys(Body, kw_only=True):
    """PUT /qos-specs/{qos_id}/delete_keys."""

    keys: Annotated[list[Annotated[str, Meta(min_length=1, max_length=255)]], Meta(max_length=255)]


def _load(tx: Transaction, call: Call) -> Any:
    row = tx.first(_BY_ID, {"key": call.path["qos_id"]})
    if row is None:
        raise NotFound(f"No such QoS spec {call.path['qos_id'][:255]}.", kind="QoSSpecsNotFound")
    return row


def _brief(row: Any) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "consumer": row.consumer, "specs": row.specs}


def _view(call: Call, row: Any) -> dict[str, Any]:
    return {"qos_specs": _brief(row), "links": lists.links(call, f"qos-specs/{row.id}")}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /qos-specs."""
    found = lists.find(tx, call, LISTING, "qos-specs")
    return found.answer("qos_specs", [_brief(row) for row in found.rows])


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /qos-specs/{qos_id}."""
    return _view(call, _load(tx, call))


def _consumer(given: dict[str, Any], otherwise: str) -> str:
    consumer = given.pop("consumer", None) or otherwise
    if consumer not in CONSUMERS:
        raise InvalidField("qos_specs.consumer", f"'{consumer[:80]}' is none of {', '.join(CONSUMERS)}")
    return str(consumer)


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /qos-specs; raises QoSSpecsExists."""
    given: dict[str, Any] = specs(call.body)
    name = str(given.pop("name", "")).strip()
    if not name:
        raise InvalidField("qos_specs.name", "it is missing or blank")
    consumer = _consumer(given, "back-end")
    if tx.first(_BY_NAME, {"key": name}) is not None:
        raise Conflict(f"QoS Specs {name} already exists.", kind="QoSSpecsExists")
    row = {"id": ids.new_uuid(), "name": name, "consumer": consumer, "specs": given, "created_at": tx.now}
    tx.execute(_ADD, row)
    timeline.record(tx, KIND, str(row["id"]), "created")
    return _view(call, tx.first(_BY_ID, {"key": row["id"]}))


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /qos-specs/{qos_id}: set keys, leaving the others as they are."""
    row = _load(tx, call)
    given: dict[str, Any] = specs(call.body)
    consumer = _consumer(given, row.consumer)
    rows.update(tx, qos_specs, row.id, consumer=consumer, specs={**row.specs, **given})
    timeline.record(tx, KIND, row.id, "changed")
    return {"qos_specs": specs(call.body)}


def delete_keys(tx: Transaction, call: Call) -> None:
    """PUT /qos-specs/{qos_id}/delete_keys."""
    row = _load(tx, call)
    for key in call.body.keys:
        if key not in row.specs:
            raise NotFound(f"QoS spec {row.id} has no spec with key {key}.", kind="QoSSpecsKeyNotFound")
    left = {name: value for name, value in row.specs.items() if name not in call.body.keys}
    rows.update(tx, qos_specs, row.id, specs=left)
    timeline.record(tx, KIND, row.id, "changed")


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /qos-specs/{qos_id}; one that types have only with `force`."""
    row = _load(tx, call)
    force = flag("force", call.query.get("force") or "false")
    if not force and tx.first(_TYPES, {"key": row.id}) is not None:
        raise BadRequest("Qos specs still in use.", kind="QoSSpecsInUse")
    tx.execute(_LOOSEN, {"key": row.id, "at": tx.now})
    rows.delete(tx, qos_specs, row.id)
    timeline.record(tx, KIND, row.id, "deleted")


def associations(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /qos-specs/{qos_id}/associations."""
    found = tx.all(_TYPES, {"key": _load(tx, call).id})
    views = [{"association_type": "volume_type", "name": one.name, "id": one.id} for one in found]
    return {"qos_associations": views}


def _type(tx: Transaction, call: Call) -> Any:
    type_id = call.query.get("vol_type_id")
    if not type_id:
        raise BadRequest("Volume Type id must not be None: give it as the query parameter vol_type_id.")
    return finding.find_by_id(tx, call.caller, type_id)


def associate(tx: Transaction, call: Call) -> None:
    """GET /qos-specs/{qos_id}/associate?vol_type_id=..."""
    row, kind = _load(tx, call), _type(tx, call)
    if kind.qos_specs_id not in (None, row.id):
        raise BadRequest(
            f"Invalid volume type: Type {kind.id} is already associated with another qos specs: {kind.qos_specs_id}",
            kind="InvalidVolumeType",
        )
    rows.update(tx, volume_types, kind.id, qos_specs_id=row.id)


def disassociate(tx: Transaction, call: Call) -> None:
    """GET /qos-specs/{qos_id}/disassociate?vol_type_id=..."""
    row, kind = _load(tx, call), _type(tx, call)
    if kind.qos_specs_id == row.id:
        rows.update(tx, volume_types, kind.id, qos_specs_id=None)


def disassociate_all(tx: Transaction, call: Call) -> None:
    """GET /qos-specs/{qos_id}/disassociate_all."""
    tx.execute(_LOOSEN, {"key": _load(tx, call).id, "at": tx.now})


def _body(version: Any) -> Any:
    del version
    return Specs


_ONE = "/v3/qos-specs/{qos_id}"
_RULE = "volume_extension:qos_specs_manage"

ROUTES = (
    Route("GET", "/v3/qos-specs", list_, f"{_RULE}:get_all", query=LISTING.parameters),
    Route("POST", "/v3/qos-specs", create, f"{_RULE}:create", body=_body, envelope="qos_specs", schema=Specs),
    Route("GET", _ONE, show, f"{_RULE}:get"),
    Route("PUT", _ONE, update, f"{_RULE}:update", body=_body, envelope="qos_specs", schema=Specs),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete", status=202),
    Route("PUT", f"{_ONE}/delete_keys", delete_keys, f"{_RULE}:delete", body=Keys, status=202),
    Route("GET", f"{_ONE}/associations", associations, f"{_RULE}:get_all"),
    Route("GET", f"{_ONE}/associate", associate, f"{_RULE}:update", writes=True, status=202),
    Route("GET", f"{_ONE}/disassociate", disassociate, f"{_RULE}:update", writes=True, status=202),
    Route("GET", f"{_ONE}/disassociate_all", disassociate_all, f"{_RULE}:update", writes=True, status=202),
)

POLICIES = (
    Rule(f"{_RULE}:get_all", ADMIN, "List QoS specs, and the types that have them."),
    Rule(f"{_RULE}:get", ADMIN, "See QoS specs."),
    Rule(f"{_RULE}:create", ADMIN, "Make QoS specs."),
    Rule(f"{_RULE}:update", ADMIN, "Change QoS specs, and which types have them."),
    Rule(f"{_RULE}:delete", ADMIN, "Delete QoS specs, or keys of them."),
)
