"""Transfers: a volume is given to whoever in another project shows the key (os-volume-transfer, volume-transfers).

Only a keyed hash of the key is kept; who made the transfer is told it once. Accepting moves the volume, its quota and,
unless told otherwise, its snapshots to the caller's project, and the transfer is gone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.core.paging import Filter, Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import lists, rows, statuses, tasks
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.fields import Flag, Text, Uuid, stripped, truth
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.rules import MEMBER, READER
from stackyard.services.volume.snapshots import finding as snapshot_finding
from stackyard.services.volume.tables import snapshots, transfers
from stackyard.services.volume.volumes import finding as volume_finding

_t = transfers.c
_BY_ID = sa.select(transfers).where(_t.id == bindparam("key"))
_OF_VOLUME = sa.select(transfers).where(_t.volume_id == bindparam("volume"))
_ADD = sa.insert(transfers)
LISTING = Listing(
    transfers,
    {"name": Filter(_t.name), "volume_id": Filter(_t.volume_id), "id": Filter(_t.id)},
    sort_keys=("id", "name", "created_at", "volume_id"),
    default_sort=(("created_at", "asc"), ("id", "asc")),
)
_OWNED = lists.Owned(_t.source_project_id)


class NewTransfer(Body, kw_only=True):
    """POST /os-volume-transfer, and /volume-transfers until 3.54."""

    volume_id: Uuid
    name: Text | None = None


class NewTransfer55(NewTransfer, kw_only=True):
    """POST /volume-transfers since 3.55."""

    no_snapshots: Flag = False


class Accept(Body, kw_only=True):
    """POST .../{transfer_id}/accept."""

    auth_key: str | int


def _new(version: Microversion | None) -> type[NewTransfer]:
    return NewTransfer55 if version is None or version >= (3, 55) else NewTransfer


def _hash(salt: str, key: str) -> str:
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """A transfer of a volume of the caller's project, with the volume's owner; raises TransferNotFound."""
    row = _any(tx, call)
    if row.source_project_id != call.caller.project_id and not call.caller.is_admin:
        raise not_found("Transfer", call.path["transfer_id"][:80])
    return {**row._mapping, "row": row, "project_id": row.source_project_id}


def _any(tx: Transaction, call: Call) -> Any:
    transfer_id = call.path["transfer_id"]
    row = tx.first(_BY_ID, {"key": transfer_id}) if ids.is_uuid(transfer_id) else None
    if row is None:
        raise not_found("Transfer", transfer_id[:80])
    return row


def _brief(call: Call, row: Any) -> dict[str, Any]:
    links = lists.links(call, f"os-volume-transfer/{row.id}")
    return {"id": row.id, "volume_id": row.volume_id, "name": row.name, "links": links}


def _full(call: Call, row: Any) -> dict[str, Any]:
    found = _brief(call, row) | {"created_at": iso_naive(row.created_at)}
    if call.since(3, 55):
        found["no_snapshots"] = row.no_snapshots
    if call.since(3, 57):
        found |= {
            "destination_project_id": row.destination_project_id,
            "source_project_id": row.source_project_id,
            "accepted": row.accepted,
        }
    return found


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-volume-transfer."""
    found = lists.find(tx, call, LISTING, "os-volume-transfer", _OWNED.scope(call))
    return found.answer("transfers", [_brief(call, row) for row in found.rows])


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-volume-transfer/detail."""
    found = lists.find(tx, call, LISTING, "os-volume-transfer/detail", _OWNED.scope(call))
    return found.answer("transfers", [_full(call, row) for row in found.rows])


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-volume-transfer/{transfer_id}."""
    del tx
    return {"transfer": _full(call, call.target["row"])}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-volume-transfer: the one answer that has the key in it."""
    body: NewTransfer = call.body
    volume = volume_finding.find(tx, call.caller, body.volume_id)
    call.require("volume:create_transfer", volume)
    no_snapshots = truth(getattr(body, "no_snapshots", False))
    _require_possible(tx, call, volume, no_snapshots=no_snapshots)
    salt, key = secrets.token_hex(4), secrets.token_hex(8)
    row = {
        "id": ids.new_uuid(), "volume_id": volume.id, "name": stripped(body.name), "salt": salt,
        "key_hash": _hash(salt, key), "no_snapshots": no_snapshots, "source_project_id": volume.project_id,
        "destination_project_id": None, "accepted": False, "created_at": tx.now,
    }  # fmt: skip
    tx.execute(_ADD, row)
    tasks.update(tx, volume.id, status=statuses.AWAITING_TRANSFER, previous_status=volume.status)
    timeline.record(tx, tasks.VOLUME, volume.id, "transfer offered")
    return {"transfer": _full(call, tx.first(_BY_ID, {"key": row["id"]})) | {"auth_key": key}}


def _require_possible(tx: Transaction, call: Call, volume: Any, *, no_snapshots: bool) -> None:
    if volume.status != statuses.AVAILABLE or tx.first(_OF_VOLUME, {"volume": volume.id}) is not None:
        raise _invalid(f"status must be available, but it is {volume.status}")
    if volume.group_id:
        raise _invalid(f"Volume {volume.id} must not be part of a group.")
    if volume.encryption_key_id and (no_snapshots or not call.since(3, 70)):
        raise _invalid("transferring encrypted volume is not supported")
    taken = [] if no_snapshots else snapshot_finding.of_volume(tx, volume.id)
    for one in taken:
        if one.status != statuses.AVAILABLE:
            raise BadRequest(f"Invalid snapshot: snapshot: {one.id} status must be available", kind="InvalidSnapshot")


def _invalid(reason: str) -> BadRequest:
    return BadRequest(f"Invalid volume: {reason}", kind="InvalidVolume")


def accept(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-volume-transfer/{transfer_id}/accept: by anybody who has the key."""
    row = _any(tx, call)
    if not hmac.compare_digest(row.key_hash, _hash(row.salt, str(call.body.auth_key)[:256])):
        raise BadRequest(
            f"Invalid auth key: Attempt to transfer {row.id} with invalid auth key.", kind="InvalidAuthKey"
        )
    if call.caller.project_id is None:
        raise BadRequest("Invalid input received: a volume belongs to a project; use a token of one.")
    volume = volume_finding.by_id(tx, row.volume_id)
    if volume.group_id:
        raise _invalid(f"Volume {volume.id} must not be part of a consistency group.")
    _move(tx, call, volume, no_snapshots=row.no_snapshots)
    rows.delete(tx, transfers, row.id)
    return {"transfer": _brief(call, row)}


def _move(tx: Transaction, call: Call, volume: Any, *, no_snapshots: bool) -> None:
    to, runtime = str(call.caller.project_id), call.runtime
    usage.require_size(tx, runtime, to, volume.size)
    taken = [] if no_snapshots else snapshot_finding.of_volume(tx, volume.id)
    counted = [one for one in taken if one.use_quota]
    sizes = sum(one.volume_size for one in counted) + (volume.size if volume.use_quota else 0)
    number = 1 if volume.use_quota else 0
    kind = volume.volume_type_id
    usage.reserve(tx, runtime, volume.project_id, kind, volumes=-number, snapshots=-len(counted), gigabytes=-sizes)
    usage.reserve(tx, runtime, to, kind, volumes=number, snapshots=len(counted), gigabytes=sizes)
    whose = {"project_id": to, "user_id": call.caller.user_id}
    tasks.update(tx, volume.id, status=statuses.AVAILABLE, **whose)
    for one in taken:
        rows.update(tx, snapshots, one.id, **whose)
    timeline.record(tx, tasks.VOLUME, volume.id, "transferred", f"to project {to}")


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /os-volume-transfer/{transfer_id}: the volume stays."""
    row = call.target["row"]
    rows.delete(tx, transfers, row.id)
    volume = volume_finding.by_id(tx, row.volume_id)
    if volume is not None and volume.status == statuses.AWAITING_TRANSFER:
        tasks.update(tx, volume.id, status=statuses.AVAILABLE)
        timeline.record(tx, tasks.VOLUME, volume.id, "transfer withdrawn")


def _routes(base: str, body: Any, since: Microversion | None) -> tuple[Route, ...]:
    one, query = f"{base}/{{transfer_id}}", LISTING.parameters
    return (
        Route("GET", base, list_, "volume:get_all_transfers", query=query, since=since),
        Route("GET", f"{base}/detail", detail, "volume:get_all_transfers", query=query, since=since),
        Route(
            "POST", base, create, "volume:create_transfer", body=body, envelope="transfer", status=202, since=since
        ),
        Route("GET", one, show, "volume:get_transfer", target=load, since=since),
        Route("DELETE", one, delete, "volume:delete_transfer", target=load, status=202, since=since),
        Route(
            "POST", f"{one}/accept", accept, "volume:accept_transfer", body=Accept, envelope="accept", status=202,
            since=since,
        ),
    )  # fmt: skip


ROUTES = (
    *_routes("/v3/os-volume-transfer", NewTransfer, None),
    *_routes("/v3/volume-transfers", _new, Microversion(3, 55)),
)

POLICIES = (
    Rule("volume:get_all_transfers", READER, "List transfers of volumes."),
    Rule("volume:get_transfer", READER, "See a transfer of a volume."),
    Rule("volume:create_transfer", MEMBER, "Offer a volume to another project."),
    Rule("volume:accept_transfer", MEMBER, "Take a volume that is offered."),
    Rule("volume:delete_transfer", MEMBER, "Withdraw the offer of a volume."),
)
