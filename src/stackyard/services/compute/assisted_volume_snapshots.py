"""os-assisted-volume-snapshots: snapshots that a volume service has compute take, where its own storage cannot.

The back ends of this cloud all can, so that what its servers have is refused, and told where to ask.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import SERVICE
from stackyard.services.compute.volumes import rows

_RULE = "os_compute_api:os-assisted-volume-snapshots"
_Text = Annotated[str, Meta(min_length=1)]


class CreateInfo(Body):
    """How the snapshot is to be taken."""

    snapshot_id: _Text
    type: Literal["qcow2"]
    new_file: _Text
    id: _Text | UnsetType = UNSET


class NewSnapshot(Body):
    """What stands under `snapshot`."""

    volume_id: _Text
    create_info: CreateInfo


def create(tx: Transaction, call: Call) -> None:
    """Refused: the volume is no server's, or its own service takes snapshots of it."""
    raise _refused(tx, call.body.volume_id)


def delete(tx: Transaction, call: Call) -> None:
    """Refused likewise; `delete_info` of the query is JSON that names the volume."""
    others = [key for key in call.query.keys() if key != "delete_info"]  # noqa: SIM118 (no mapping)
    if others and call.since(2, 75):
        raise BadRequest(f"Additional query parameters are not allowed: {', '.join(others)[:255]}")
    raise _refused(tx, _volume(call.query.get("delete_info")))


def _volume(given: str | None) -> str:
    if given is None:
        raise BadRequest("'delete_info'")
    try:
        info: Any = msgspec.json.decode(given)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"Invalid input for delete_info: {error}") from None
    if not isinstance(info, dict) or not isinstance(info.get("volume_id"), str):
        raise BadRequest("'volume_id'")
    return str(info["volume_id"])


def _refused(tx: Transaction, volume_id: str) -> BadRequest:
    if rows.of_volume(tx, volume_id):
        return BadRequest(
            f"Invalid volume: the volume service takes snapshots of volume {volume_id[:255]} by itself: ask it.",
            kind="InvalidVolume",
        )
    return BadRequest(f"No volume Block Device Mapping with id {volume_id[:255]}.", kind="VolumeBDMNotFound")


_PATH = "/v2.1/os-assisted-volume-snapshots"

ROUTES = (
    Route("POST", _PATH, create, f"{_RULE}:create", body=NewSnapshot, envelope="snapshot"),
    Route("DELETE", f"{_PATH}/{{snapshot_id}}", delete, f"{_RULE}:delete", status=204),
)

POLICIES = (
    Rule(f"{_RULE}:create", SERVICE, "Have compute take a snapshot of a volume."),
    Rule(f"{_RULE}:delete", SERVICE, "Have compute delete a snapshot of a volume that it took."),
)
