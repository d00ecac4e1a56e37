"""What other services may ask of volumes: find, make, attach, detach, delete them, and where they are on this host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.runtime import Runtime
from stackyard.host.disks import VolumeDriver
from stackyard.host.errors import HostError
from stackyard.services import keys
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.attachments import state
from stackyard.services.volume.snapshots import creation as snapshot_creation
from stackyard.services.volume.snapshots.finding import by_ids as snapshot_rows
from stackyard.services.volume.snapshots.finding import find as find_snapshot
from stackyard.services.volume.snapshots.finding import of_project as snapshots_of_project
from stackyard.services.volume.statuses import has_failed, is_ready
from stackyard.services.volume.types import finding as types
from stackyard.services.volume.volumes import deletion, finding, sources
from stackyard.services.volume.volumes.creation import Request, create
from stackyard.services.volume.volumes.finding import by_ids as rows
from stackyard.services.volume.volumes.finding import find, named, of_project

__all__ = [
    "Request",
    "attach",
    "attached",
    "attachment",
    "attachments_of",
    "create",
    "delete",
    "detached",
    "detaching",
    "find",
    "find_snapshot",
    "has_failed",
    "is_mounted_for_others",
    "is_reachable",
    "is_ready",
    "location",
    "mount",
    "named",
    "of_project",
    "reimage",
    "remove",
    "remove_snapshot",
    "require_attachable",
    "roll_detaching",
    "rows",
    "snapshot",
    "snapshot_rows",
    "snapshots_of_project",
    "type_names",
    "unmount",
]


def delete(tx: Transaction, runtime: Runtime, volume_id: str) -> None:
    """Have a volume deleted with the server that it was made for; no error when it is gone or cannot be deleted now.

    One that is attached elsewhere, or has snapshots, stays.
    """
    row = finding.by_id(tx, volume_id)
    if row is None or row.status == statuses.DELETING:
        return
    try:
        deletion.delete(tx, runtime, row, force=row.status == statuses.CREATING)
    except BadRequest:
        return


def remove(tx: Transaction, runtime: Runtime, caller: Caller, volume_id: str) -> None:
    """Have a volume of the caller's deleted; raises NotFound, BadRequest (InvalidVolume)."""
    deletion.delete(tx, runtime, find(tx, caller, volume_id), caller=caller)


def remove_snapshot(tx: Transaction, runtime: Runtime, caller: Caller, snapshot_id: str) -> None:
    """The same of a snapshot; raises NotFound, BadRequest (InvalidSnapshot)."""
    snapshot_creation.delete(tx, runtime, find_snapshot(tx, caller, snapshot_id))


def type_names(tx: Transaction) -> dict[str, str]:
    """The names of volume types, by id."""
    return {row.id: row.name for row in types.rows(tx).values()}


def require_attachable(tx: Transaction, volume: Any, *, mode: str = "rw", server_id: str | None = None) -> None:
    """Raise BadRequest (InvalidVolume, InvalidVolumeAttachMode) unless a volume can be attached (once more) now."""
    state.require_mode(volume, mode)
    state.require_reservable(tx, volume, server_id)


def attach(
    tx: Transaction,
    runtime: Runtime,
    caller: Caller,
    volume_id: str,
    server_id: str,
    *,
    host: str | None,
    mountpoint: str | None,
    mode: str = "rw",
) -> Any:
    """Reserve a volume for a server, and return the attachment's row; `attached` once it is there.

    `host` is the server's, None when it has none yet. Raises NotFound, BadRequest (InvalidVolume). The volume is
    `reserved`, or `attaching` when the host is known.
    """
    volume = find(tx, caller, volume_id)
    require_attachable(tx, volume, mode=mode, server_id=server_id)
    row = state.reserve(
        tx, volume, user_id=caller.user_id, instance_id=server_id, attached_host=host, mountpoint=mountpoint,
        attach_mode=mode,
    )  # fmt: skip
    del runtime
    if host is not None:
        state.update(tx, row.id, attach_status=statuses.ATTACHING)
        state.settle(tx, volume.id)
    return state.by_id(tx, row.id)


def attachment(tx: Transaction, attachment_id: str) -> Any:
    """An attachment's row; None when there is none (any more)."""
    return state.by_id(tx, attachment_id)


def attachments_of(tx: Transaction, volume_id: str) -> list[Any]:
    """A volume's attachments, the oldest first."""
    return state.of_volume(tx, volume_id)


def attached(tx: Transaction, attachment_id: str, mountpoint: str | None = None, *, host: str | None = None) -> None:
    """The server has it: the volume is in use. No error when the attachment is gone meanwhile."""
    row = state.by_id(tx, attachment_id)
    if row is None:
        return
    given = {"mountpoint": mountpoint or row.mountpoint, "attached_host": host or row.attached_host}
    if row.attach_status == statuses.ATTACHED:
        state.update(tx, row.id, **given)
        return
    state.complete(tx, row, **given)


def detaching(tx: Transaction, attachment_id: str) -> None:
    """A server is about to let it go; raises BadRequest (InvalidVolume) when the volume is not in use."""
    row = state.get(tx, attachment_id)
    state.begin_detaching(tx, finding.by_id(tx, row.volume_id))


def roll_detaching(tx: Transaction, attachment_id: str) -> None:
    """It could not be let go: the volume is in use as before."""
    row = state.by_id(tx, attachment_id)
    if row is not None:
        state.roll_detaching(tx, finding.by_id(tx, row.volume_id))


def detached(tx: Transaction, attachment_id: str) -> None:
    """The server no longer has it: the attachment is gone, the volume available, unless others have it still."""
    row = state.by_id(tx, attachment_id)
    if row is not None:
        state.remove(tx, row)


def is_mounted_for_others(tx: Transaction, volume_id: str, host: str, but: str) -> bool:
    """Whether a container on the host, other than `but`, has the volume, so that it is to stay mounted."""
    return any(
        row.instance_id != but and row.attached_host == host and not (row.mountpoint or "/dev/").startswith("/dev/")
        for row in state.of_volume(tx, volume_id)
    )


def snapshot(
    tx: Transaction,
    runtime: Runtime,
    caller: Caller,
    volume_id: str,
    name: str | None,
    *,
    description: str | None = None,
    force: bool = False,
) -> Any:
    """Have a snapshot made of a volume (with `force` of one that is in use, too), and return its row."""
    volume = find(tx, caller, volume_id)
    return snapshot_creation.create(tx, runtime, caller, volume, name=name, description=description, in_use=force)


def reimage(tx: Transaction, runtime: Runtime, caller: Caller, volume_id: str, image_id: str) -> None:
    """Have the volume of a server that does not run begin again as an image is; its status comes back after that.

    Raises NotFound, BadRequest for the volume's state, or when the image does not fit.
    """
    volume = find(tx, caller, volume_id)
    statuses.require(volume, (statuses.IN_USE, statuses.RESERVED, statuses.AVAILABLE), "be reimaged")
    source = sources.of_image(tx, caller, image_id)
    if source.least > volume.size:
        raise BadRequest(
            f"Invalid input received: Size of specified image {source.least}GB is larger than volume size "
            f"{volume.size}GB.",
            kind="InvalidInput",
        )
    columns = {"status": statuses.DOWNLOADING, "previous_status": volume.status, "bootable": True}
    columns |= {"image_metadata": source.image_metadata, "image_id": source.id}
    tasks.begin(tx, runtime, volume, "reimage", columns=columns, image_id=source.id, status=volume.status)


def location(runtime: Runtime, row: Any) -> Path:
    """The file or device that has a volume's content, on this host; raises HostError when it cannot be reached here."""
    return _driver(runtime, row).path(row.id)


def mount(runtime: Runtime, row: Any, *, read_only: bool = False) -> Path:
    """Where this host has mounted the volume's file system, for containers; raises HostError."""
    return _driver(runtime, row).mount(row.id, read_only=read_only)


def unmount(runtime: Runtime, row: Any) -> None:
    """Undo `mount`."""
    _driver(runtime, row).unmount(row.id)


def is_reachable(runtime: Runtime, row: Any, host: str) -> bool:
    """Whether servers on a host can have the volume: it is kept there, or on what all hosts share."""
    driver = runtime[keys.VOLUMES].get(row.backend)
    return row.host == host or runtime.settings.volume.shared or (driver is not None and "shared" in driver.abilities)


def _driver(runtime: Runtime, row: Any) -> VolumeDriver:
    here = runtime[keys.HOST_NAME]
    driver = runtime[keys.VOLUMES].get(row.backend)
    if driver is None:
        raise HostError(f"Volume {row.id} is kept by the back end {row.backend}, which this host does not have.")
    if not is_reachable(runtime, row, here):
        raise HostError(
            f"Volume {row.id} is on host {row.host}, and its back end is not shared: it cannot be used on {here}."
        )
    return driver
