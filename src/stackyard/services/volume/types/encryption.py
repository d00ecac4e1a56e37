"""Encryption of a type's volumes: how, and by whom; and what a volume's own is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stackyard.core import ids, timeline
from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import rows
from stackyard.services.volume.fields import Text, Whole, whole
from stackyard.services.volume.rules import ADMIN, READER
from stackyard.services.volume.tables import volume_types
from stackyard.services.volume.types import finding, operations
from stackyard.services.volume.volumes import finding as volumes_finding

Where = Literal["front-end", "back-end"]
Provider = Annotated[str, Meta(max_length=255)]


class NewEncryption(OpenBody, kw_only=True):
    """POST /types/{type_id}/encryption."""

    provider: Provider
    control_location: Where
    key_size: Whole | UnsetType | None = UNSET
    cipher: Text | UnsetType | None = UNSET


class ChangedEncryption(OpenBody, kw_only=True):
    """PUT /types/{type_id}/encryption/{encryption_id}."""

    provider: Provider | UnsetType = UNSET
    control_location: Where | UnsetType = UNSET
    key_size: Whole | UnsetType | None = UNSET
    cipher: Text | UnsetType | None = UNSET


def _load(tx: Transaction, call: Call) -> Any:
    return finding.find_by_id(tx, call.caller, call.path["type_id"])


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /types/{type_id}/encryption: empty when there is none."""
    return _view(_load(tx, call))


def _view(row: Any) -> dict[str, Any]:
    has = row.encryption
    if has is None:
        return {}
    return {"volume_type_id": row.id, "deleted": False, "deleted_at": None, **has}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /types/{type_id}/encryption/{key}: one field of it."""
    row, key = _load(tx, call), call.path["key"]
    found = _view(row)
    if key not in found:
        raise _no_such(row.id)
    return {key: found[key]}


def _no_such(type_id: str) -> NotFound:
    return NotFound(f"Volume type encryption for type {type_id} does not exist.", kind="VolumeTypeEncryptionNotFound")


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /types/{type_id}/encryption."""
    row = _unused(tx, call, "create")
    if row.encryption is not None:
        raise BadRequest(f"Volume type encryption for type {row.id} already exists.", kind="VolumeTypeEncryptionExists")
    given = _given(call.body)
    has = {"encryption_id": ids.new_uuid(), "cipher": None, "key_size": None, **given, "created_at": iso_naive(tx.now)}
    _write(tx, row, has | {"updated_at": None})
    shown = {name: value for name, value in has.items() if name != "created_at"}
    return {"encryption": shown | {"volume_type_id": row.id}}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /types/{type_id}/encryption/{encryption_id}."""
    row = _unused(tx, call, "update")
    if row.encryption is None or row.encryption["encryption_id"] != call.path["key"]:
        raise _no_such(row.id)
    given = _given(call.body)
    _write(tx, row, {**row.encryption, **given, "updated_at": iso_naive(tx.now)})
    return {"encryption": given}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /types/{type_id}/encryption/{encryption_id}."""
    row = _unused(tx, call, "delete")
    if row.encryption is None or call.path["key"] not in (row.encryption["encryption_id"], "provider"):
        raise _no_such(row.id)
    _write(tx, row, None)


def _given(body: Any) -> dict[str, Any]:
    found = dict(body.given())
    if found.get("key_size") is not None:
        found["key_size"] = whole("encryption.key_size", found["key_size"])
    return found


def _unused(tx: Transaction, call: Call, what: str) -> Any:
    row = _load(tx, call)
    if operations.in_use(tx, row.id):
        raise BadRequest(f"Cannot {what} encryption specs. Volume type in use.")
    return row


def _write(tx: Transaction, row: Any, has: dict[str, Any] | None) -> None:
    rows.update(tx, volume_types, row.id, encryption=has)
    timeline.record(tx, operations.KIND, row.id, "encryption changed")


def of_volume(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /volumes/{volume_id}/encryption: what who attaches it needs to read it."""
    volume = call.target
    kind = finding.row(tx, volume.volume_type_id)
    if not volume.encrypted or kind is None or kind.encryption is None:
        return {"encryption_key_id": None}
    names = ("cipher", "control_location", "key_size", "provider")
    return {name: kind.encryption[name] for name in names} | {"encryption_key_id": volume.encryption_key_id}


def item_of_volume(tx: Transaction, call: Call) -> Any:
    """GET /volumes/{volume_id}/encryption/{key}: one field of it."""
    found = of_volume(tx, call)
    if call.path["key"] not in found:
        raise NotFound(f"The volume's encryption has no {call.path['key'][:255]}.")
    return found[call.path["key"]]


_ALL = "/v3/types/{type_id}/encryption"
_ONE = f"{_ALL}/{{key}}"
_RULE = "volume_extension:volume_type_encryption"
_OF_VOLUME = "/v3/volumes/{volume_id}/encryption"
_METADATA = "volume_extension:volume_encryption_metadata"

ROUTES = (
    Route("GET", _ALL, list_, f"{_RULE}:get"),
    Route("POST", _ALL, create, f"{_RULE}:create", body=NewEncryption, envelope="encryption"),
    Route("GET", _ONE, show, f"{_RULE}:get"),
    Route("PUT", _ONE, update, f"{_RULE}:update", body=ChangedEncryption, envelope="encryption"),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete", status=202),
    Route("GET", _OF_VOLUME, of_volume, _METADATA, target=volumes_finding.load),
    Route("GET", f"{_OF_VOLUME}/{{key}}", item_of_volume, _METADATA, target=volumes_finding.load),
)

POLICIES = (
    Rule(f"{_RULE}:get", ADMIN, "See how a type's volumes are encrypted."),
    Rule(f"{_RULE}:create", ADMIN, "Have a type's volumes be encrypted."),
    Rule(f"{_RULE}:update", ADMIN, "Change how a type's volumes are encrypted."),
    Rule(f"{_RULE}:delete", ADMIN, "Have a type's volumes not be encrypted."),
    Rule(_RULE, ADMIN, "Everything about the encryption of types at once (kept for older policy files)."),
    Rule(_METADATA, READER, "See how a volume is encrypted."),
)
