"""Taking over and letting go: os-volume-manage, os-snapshot-manage, manageable_volumes, manageable_snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotImplementedHere, ServiceUnavailable
from stackyard.core.log import request_id_var
from stackyard.core.microversion import Microversion
from stackyard.host.disks import VolumeDriver
from stackyard.host.errors import HostError
from stackyard.host.specs import VolumeObservation
from stackyard.services import keys
from stackyard.services.volume import hosts, lists, statuses, tasks
from stackyard.services.volume.fields import Description, Flag, Host, Metadata, Text, Uuid, stripped, truth
from stackyard.services.volume.managing import references
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.snapshots import finding as snapshot_finding
from stackyard.services.volume.snapshots import removal as snapshot_removal
from stackyard.services.volume.snapshots import views as snapshot_views
from stackyard.services.volume.tables import snapshots, volumes
from stackyard.services.volume.types import finding as types
from stackyard.services.volume.volumes import creation, removal
from stackyard.services.volume.volumes import finding as volume_finding
from stackyard.services.volume.volumes import views as volume_views

_ADD_VOLUME, _ADD_SNAPSHOT = sa.insert(volumes), sa.insert(snapshots)
_VOLUME_IDS = sa.select(volumes.c.id).where(volumes.c.host == bindparam("on"))
_SNAPSHOT_IDS = sa.select(snapshots.c.id).where(snapshots.c.host == bindparam("on"))
_UNMANAGEABLE = (statuses.AVAILABLE, statuses.ERROR, statuses.ERROR_MANAGING)


class ManagedVolume(Body, kw_only=True):
    """POST /os-volume-manage."""

    ref: dict[str, Any] | str
    host: Host | None = None
    name: Text | None = None
    description: Description | None = None
    volume_type: Text | None = None
    availability_zone: Text | None = None
    metadata: Metadata | None = None
    bootable: Flag = False


class ManagedVolume16(ManagedVolume, kw_only=True):
    """The same since 3.16."""

    cluster: Text | UnsetType | None = UNSET


class ManagedSnapshot(Body, kw_only=True):
    """POST /os-snapshot-manage."""

    volume_id: Uuid
    ref: dict[str, Any] | str | None
    name: Text | None = None
    description: Description | None = None
    metadata: Metadata | None = None


def managed_volume(version: Microversion | None) -> type[ManagedVolume]:
    """The body of POST /os-volume-manage at a microversion."""
    return ManagedVolume16 if version is None or version >= (3, 16) else ManagedVolume


def _service(tx: Transaction, host: str | None, cluster: Any = None) -> Any:
    """The service of the back end that a request names."""
    if bool(host) == bool(cluster):
        raise BadRequest("One and only one of cluster and host must be set.", kind="InvalidInput")
    name, backend = hosts.split(host or "")
    row = hosts.find(tx, name, backend, hosts.VOLUME)
    if row is None:
        raise BadRequest(f"Host '{(host or str(cluster))[:255]}' not found: there is no such back end.")
    if row.disabled or not hosts.is_up(row, tx.now):
        raise ServiceUnavailable(f"The service of {host} is down or disabled.", kind="ServiceUnavailable")
    return row


def manage(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-volume-manage: the host of the back end takes it over."""
    body: ManagedVolume = call.body
    cluster = getattr(body, "cluster", None)
    service = _service(tx, body.host, None if cluster is UNSET else cluster)
    reference = references.read(body.ref)
    if volume_finding.by_id(tx, reference) is not None:
        raise _managed_already(reference)
    project_id = call.caller.project_id or ""
    kind = types.find(tx, call.caller, body.volume_type) if body.volume_type else types.default(tx, project_id)
    creation.require_usable(tx, kind)
    usage.reserve(tx, call.runtime, project_id, kind.id, volumes=1)
    row = {
        "id": ids.new_uuid(), "project_id": project_id, "user_id": call.caller.user_id, "name": stripped(body.name),
        "description": stripped(body.description), "size": 0, "volume_type_id": kind.id,
        "availability_zone": body.availability_zone or service.zone, "multiattach": creation.is_multiattach(kind),
        "bootable": truth(body.bootable), "encrypted": False, "encryption_key_id": None,
        "metadata": dict(body.metadata or {}), "admin_metadata": {}, "image_metadata": None, "snapshot_id": None,
        "source_volid": None, "image_id": None, "backup_id": None, "group_id": None, "host": service.host,
        "backend": service.backend, "status": statuses.CREATING, "previous_status": None, "migration_status": None,
        "replication_status": None, "task": {"name": "manage", "reference": reference},
        "task_request_id": request_id_var.get(None), "fault": None, "use_quota": True, "created_at": tx.now,
        "updated_at": None, "launched_at": None,
    }  # fmt: skip
    tx.execute(_ADD_VOLUME, row)
    timeline.record(tx, tasks.VOLUME, str(row["id"]), "manage asked", reference)
    tasks.mark(tx, call.runtime, str(row["id"]), service.host)
    return {"volume": volume_views.plain(tx, call, volume_finding.by_id(tx, str(row["id"])))}


def _managed_already(reference: str) -> BadRequest:
    return BadRequest(
        f"Unable to manage existing volume. Volume {reference} already managed.", kind="ManageExistingAlreadyManaged"
    )


def unmanage(tx: Transaction, call: Call, body: Any) -> None:
    """os-unmanage of a volume: forgotten, and left where it is."""
    del body
    row = call.target
    statuses.require(row, _UNMANAGEABLE, "be unmanaged")
    statuses.require_settled(row, "be unmanaged")
    if row.group_id or snapshot_finding.of_volume(tx, row.id):
        raise BadRequest(
            f"Invalid volume: Volume {row.id} must not be part of a group nor have snapshots to be unmanaged.",
            kind="InvalidVolume",
        )
    removal.forget(tx, call.runtime, row)
    timeline.record(tx, tasks.VOLUME, row.id, "unmanaged", f"left at {hosts.address(row.host, row.backend)}")


def manage_snapshot(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-snapshot-manage: the host of its volume looks for it."""
    body: ManagedSnapshot = call.body
    volume = volume_finding.find(tx, call.caller, body.volume_id)
    call.require("snapshot_extension:snapshot_manage", volume)
    if not volume.host:
        raise BadRequest(f"Invalid volume: Volume {volume.id} is kept nowhere.", kind="InvalidVolume")
    reference = references.read(body.ref)
    if snapshot_finding.by_id(tx, reference) is not None:
        raise _managed_already(reference)
    usage.reserve(tx, call.runtime, volume.project_id, volume.volume_type_id, snapshots=1, gigabytes=volume.size)
    row = {
        "id": reference, "project_id": volume.project_id, "user_id": call.caller.user_id, "volume_id": volume.id,
        "volume_size": volume.size, "volume_type_id": volume.volume_type_id, "name": stripped(body.name),
        "description": stripped(body.description), "metadata": dict(body.metadata or {}),
        "image_metadata": volume.image_metadata, "bootable": volume.bootable,
        "encryption_key_id": volume.encryption_key_id, "group_snapshot_id": None, "host": volume.host,
        "backend": volume.backend, "status": statuses.CREATING, "progress": "0%", "task": {"name": "manage"},
        "fault": None, "use_quota": True, "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(_ADD_SNAPSHOT, row)
    timeline.record(tx, tasks.SNAPSHOT, reference, "manage asked", f"of volume {volume.id}")
    tasks.mark(tx, call.runtime, reference, volume.host, kind=tasks.SNAPSHOT)
    return {"snapshot": snapshot_views.plain(call, snapshot_finding.by_id(tx, reference))}


def unmanage_snapshot(tx: Transaction, call: Call, body: Any) -> None:
    """os-unmanage of a snapshot: forgotten, and left where it is."""
    del body
    row = call.target
    statuses.require(row, (statuses.AVAILABLE, statuses.ERROR), "be unmanaged", what="Snapshot")
    if row.group_snapshot_id:
        raise BadRequest(f"Invalid snapshot: Snapshot {row.id} is part of a group snapshot.", kind="InvalidSnapshot")
    snapshot_removal.forget(tx, call.runtime, row)
    timeline.record(tx, tasks.SNAPSHOT, row.id, "unmanaged", f"left at {hosts.address(row.host, row.backend)}")


def listing(what: str, *, detailed: bool) -> Callable[[Call], Any]:
    """The edge operation that lists the `volumes` or `snapshots` of a back end of this host."""
    known_ids = _VOLUME_IDS if what == "volumes" else _SNAPSHOT_IDS

    async def list_(call: Call) -> Reply:
        """What a back end has, and what of it the cloud knows of."""
        cluster = call.query.get("cluster") if call.since(3, 17) else None
        service = await call.read("managing.service", _service, call.query.get("host"), cluster)
        if service.host != call.runtime[keys.HOST_NAME]:
            raise NotImplementedHere(
                f"What the back ends of host {service.host} have can be listed by that host's own API alone."
            )
        driver = call.runtime[keys.VOLUMES][service.backend]
        try:
            found = await call.in_thread(_all, driver, what)
        except HostError as error:
            raise ServiceUnavailable(f"The back end does not answer: {error}") from None
        rows = await call.read("managing.known", lambda tx: tx.all(known_ids, {"on": service.host}))
        known = {row.id for row in rows}
        views = [references.view(one, known, detailed=detailed) for one in _sorted(call, found)]
        if what == "snapshots":
            views = [view | {"source_reference": {}} for view in views]
        return Reply({f"manageable-{what}": list(lists.cut(call, views))}, status=200)

    return list_


def _all(driver: VolumeDriver, what: str) -> Sequence[VolumeObservation]:
    return driver.list() if what == "volumes" else driver.snapshots()


def _sorted(call: Call, found: Sequence[VolumeObservation]) -> list[VolumeObservation]:
    key, _, direction = (call.query.get("sort") or call.query.get("sort_key") or "reference").partition(":")
    direction = direction or call.query.get("sort_dir") or "desc"
    if key not in ("reference", "size"):
        raise BadRequest(f"Invalid sort keys passed: {key[:80]}; there are reference and size.")
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort dirs passed: {direction[:80]}; there are asc and desc.")
    by: Callable[[VolumeObservation], Any] = lambda one: (one.size, one.id) if key == "size" else one.id  # noqa: E731
    return sorted(found, key=by, reverse=direction == "desc")
