"""Making a volume: what is asked for is checked, a back end chosen, the row written with the task to make it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.log import request_id_var
from stackyard.core.runtime import Runtime
from stackyard.services.volume import hosts, messages, scheduler, statuses, tasks
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.scheduler import NoValidBackend, Place
from stackyard.services.volume.tables import volume_services, volumes
from stackyard.services.volume.types import finding as types
from stackyard.services.volume.volumes import finding, sources
from stackyard.services.volume.volumes.sources import Source

_INSERT = sa.insert(volumes)
_ZONE = sa.select(volume_services.c.zone).where(volume_services.c.zone == bindparam("zone")).limit(1)
_BACKENDS = (
    sa.select(volume_services.c.backend)
    .where(volume_services.c.host == bindparam("host"), volume_services.c.binary == hosts.VOLUME)
    .order_by(volume_services.c.id)
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A volume that somebody wants: `size` in GiB (None: that of what it is made from), made from at most one source.

    `volume_type` is a name or id; `hint_host` the host that is going to use it; `group` the row of its group; `hints`
    are the scheduler's.
    """

    size: int | None = None
    name: str | None = None
    description: str | None = None
    volume_type: str | None = None
    availability_zone: str | None = None
    image_id: str | None = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    backup_id: str | None = None
    metadata: Mapping[str, str] = {}
    multiattach: bool = False
    hint_host: str | None = None
    hints: Mapping[str, Any] = {}
    group: Any = None


def create(tx: Transaction, runtime: Runtime, caller: Caller, request: Request) -> Any:
    """Have a volume made, and return its row.

    Raises BadRequest (InvalidInput, InvalidVolume, ...), NotFound of a source or type, 413 for quotas. When no back end
    can keep it, the volume is in `error`, with the reason as its fault.
    """
    source = sources.find(tx, caller, request)
    size = _size(request.size, source)
    kind = _volume_type(tx, caller, request, source)
    zone = _zone(tx, runtime, request, source)
    usage.require_size(tx, runtime, _project(caller), size)
    usage.reserve(tx, runtime, _project(caller), kind.id, volumes=1, gigabytes=size)
    row = _row(tx, caller, request, source) | {
        "size": size,
        "availability_zone": zone,
        "volume_type_id": kind.id,
        "multiattach": is_multiattach(kind),
    }
    try:
        place = _place(tx, runtime, row, kind, request, source)
        row |= {"host": place.host, "backend": place.backend}
    except NoValidBackend as error:
        row |= {"status": statuses.ERROR, "task": None, "fault": str(error)[:1000]}
    tx.execute(_INSERT, row)
    timeline.record(tx, tasks.VOLUME, row["id"], "create asked", row["fault"] or f"{size} GiB")
    if row["task"] is not None:
        tasks.mark(tx, runtime, row["id"], row["host"])
    else:
        sources.not_used(tx, source)
        _tell(tx, row)
    return finding.by_id(tx, row["id"])


def _tell(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Say to the volume's project that no back end has room for it, and why."""
    messages.write(
        tx,
        project_id=row["project_id"],
        request_id=request_id_var.get(None) or ids.new_request_id(),
        resource_type=messages.VOLUME,
        resource_id=row["id"],
        action="001",
        detail="003",
        reason=row["fault"],
    )


def is_multiattach(kind: Any) -> bool:
    """Whether volumes of a type may be attached several times."""
    return kind is not None and str(kind.extra_specs.get("multiattach", "")).lower() == "<is> true"


def _project(caller: Caller) -> str:
    if caller.project_id is None:
        raise BadRequest("Invalid input received: a volume is made in a project; use a token of one.")
    return caller.project_id


def _size(asked: int | None, source: Source) -> int:
    size = asked or source.size
    if size is None:
        raise BadRequest(
            "Invalid input received: Invalid input for size: a volume that is not made from a snapshot, volume or "
            "backup needs a size in GiB.",
            kind="InvalidInput",
        )
    if size < source.least:
        raise BadRequest(
            f"Invalid input received: Volume size '{size}'GB cannot be smaller than the {source.word} size "
            f"{source.least}GB. It must be >= {source.word} size.",
            kind="InvalidInput",
        )
    return size


def _volume_type(tx: Transaction, caller: Caller, request: Request, source: Source) -> Any:
    if request.volume_type:
        kind = types.find(tx, caller, request.volume_type)
    elif source.volume_type_id and (found := types.row(tx, source.volume_type_id)) is not None:
        kind = found
    else:
        kind = types.default(tx, _project(caller))
    require_usable(tx, kind)
    if request.group is not None and kind.id not in request.group.volume_type_ids:
        raise BadRequest(
            f"Invalid input received: Invalid volume_type provided: {kind.id} (requested type must be supported by "
            "this group).",
            kind="InvalidInput",
        )
    return kind


def require_usable(tx: Transaction, kind: Any) -> None:
    """Raise BadRequest for a type that asks for what this cloud does not have."""
    del tx
    if kind.encryption is not None:
        raise BadRequest(
            f"Invalid input received: Volume type {kind.name} asks for encryption, which this cloud's back ends do not "
            "have. Use another volume type.",
            kind="InvalidInput",
        )


def require_size_of_type(kind: Any, size: int) -> None:
    """Raise BadRequest (InvalidInput) when a type's volumes may not have this size."""
    least, most = (_limit_of(kind, f"provisioning:{word}_vol_size") for word in ("min", "max"))
    if (least is not None and size < least) or (most is not None and size > most):
        raise BadRequest(
            f"Invalid input received: Specified volume size of '{size}GB' is not one that volume type {kind.name} may "
            f"have: from {least or 1} to {most or 'any'} GB.",
            kind="InvalidInput",
        )


def _limit_of(kind: Any, key: str) -> int | None:
    text = str(kind.extra_specs.get(key, ""))
    return int(text) if text.isascii() and text.isdigit() else None


def _zone(tx: Transaction, runtime: Runtime, request: Request, source: Source) -> str:
    asked = request.availability_zone
    if request.group is not None:
        asked = request.group.availability_zone
    own = runtime.settings.volume.availability_zone
    zone = asked or source.zone or own
    if asked and asked != own and tx.first(_ZONE, {"zone": asked}) is None:
        raise BadRequest(
            f"Invalid input received: Availability zone '{asked[:255]}' is invalid.", kind="InvalidAvailabilityZone"
        )
    if source.zone and zone != source.zone:
        raise BadRequest(
            f"Invalid input received: Volume must be in the same availability zone as the {source.word}",
            kind="InvalidInput",
        )
    return zone


def _place(
    tx: Transaction, runtime: Runtime, row: Mapping[str, Any], kind: Any, request: Request, source: Source
) -> Place:
    require_size_of_type(kind, row["size"])
    group = request.group
    only = source.place
    if only is None and group is not None and group.host:
        only = Place(group.host, group.backend)
    size, zone = row["size"], row["availability_zone"]
    host = source.host or request.hint_host
    if only is not None or not host or runtime.settings.volume.shared:
        return scheduler.place(tx, runtime, size, zone, kind, request.hints, only=only)
    refusal = NoValidBackend(f"Host {host}, where the volume has to be, keeps no volumes.")
    for found in tx.all(_BACKENDS, {"host": host}):
        try:
            return scheduler.place(tx, runtime, size, None, kind, only=Place(host, found.backend))
        except NoValidBackend as error:
            refusal = error
    raise refusal


def _row(tx: Transaction, caller: Caller, request: Request, source: Source) -> dict[str, Any]:
    task: dict[str, Any] = {"name": "create", "source": source.kind}
    if source.id is not None:
        task["source_id"] = source.id
    return {
        "id": ids.new_uuid(),
        "project_id": _project(caller),
        "user_id": caller.user_id,
        "name": request.name,
        "description": request.description,
        "encrypted": False,
        "encryption_key_id": None,
        "metadata": {**source.metadata, **request.metadata},
        "admin_metadata": {},
        "bootable": source.bootable,
        "image_metadata": source.image_metadata,
        "snapshot_id": source.id if source.kind == "snapshot" else None,
        "source_volid": source.id if source.kind == "volume" else None,
        "image_id": source.id if source.kind == "image" else None,
        "backup_id": source.id if source.kind == "backup" else None,
        "group_id": None if request.group is None else request.group.id,
        "host": None,
        "backend": None,
        "status": statuses.CREATING,
        "previous_status": None,
        "migration_status": None,
        "replication_status": None,
        "task": task,
        "task_request_id": request_id_var.get(None),
        "fault": None,
        "use_quota": True,
        "created_at": tx.now,
        "updated_at": None,
        "launched_at": None,
    }
