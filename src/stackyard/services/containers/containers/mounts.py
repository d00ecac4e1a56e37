"""Volumes of containers: found or made with the container, mounted on its host before it starts, given back after it.

They are in the row's `spec["mounts"]`: `{"type": "volume", "destination", "volume_id", "auto_remove"}`; one that was
made for the container goes with it. Which attachment is the container's is told by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict, NotFound
from stackyard.core.reconcile import GiveUp
from stackyard.core.runtime import Runtime
from stackyard.host.errors import NotFoundError
from stackyard.services.keys import HOST_NAME
from stackyard.services.volume import api as volume_api


def take(tx: Transaction, call: Call, uuid: str, mounts: Sequence[dict[str, Any]], host: str) -> list[dict[str, Any]]:
    """Reserve the volumes that a new container names, and ask for those that it wants made; its mounts as kept.

    Raises NotFound, Conflict (in use, or kept on another host), BadRequest, 413 for quotas.
    """
    return [_take(tx, call, uuid, mount, host) if mount["type"] == "volume" else mount for mount in mounts]


def _take(tx: Transaction, call: Call, uuid: str, mount: dict[str, Any], host: str) -> dict[str, Any]:
    kept = {"type": "volume", "destination": mount["destination"], "auto_remove": mount["source"] is None}
    if mount["source"] is None:
        made = volume_api.create(
            tx, call.runtime, call.caller, volume_api.Request(size=mount["size"], hint_host=host)
        )  # fmt: skip
        return kept | {"volume_id": made.id}
    volume = _find(tx, call, mount["source"])
    if not volume_api.is_reachable(call.runtime, volume, host):
        raise Conflict(f"Volume {volume.id} is kept on host {volume.host}, and the container is on {host}.")
    try:
        volume_api.attach(
            tx, call.runtime, call.caller, volume.id, uuid, host=host, mountpoint=mount["destination"],
            mode=_mode(volume),
        )  # fmt: skip
    except BadRequest as error:
        raise Conflict(f"Volume {volume.id} cannot be used: {error.message}", kind="VolumeInUse") from error
    return kept | {"volume_id": volume.id}


def _mode(volume: Any) -> str:
    return "ro" if volume.admin_metadata.get("readonly") == "True" else "rw"


def _find(tx: Transaction, call: Call, name_or_id: str) -> Any:
    if ids.is_uuid(name_or_id):
        return volume_api.find(tx, call.caller, name_or_id)
    found = volume_api.named(tx, call.caller, name_or_id)
    if not found:
        raise NotFound(f"Volume {name_or_id[:80]} could not be found.", kind="VolumeNotFound")
    if len(found) > 1:
        raise Conflict("Multiple cinder volumes exist with same name. Please use the uuid instead.")
    return found[0]


def of(row: Any) -> list[dict[str, Any]]:
    """The volumes among a container's mounts."""
    return [mount for mount in row.spec["mounts"] if mount["type"] == "volume"]


def mount(runtime: Runtime, row: Any) -> dict[str, Path] | None:
    """Mount a container's volumes on this host: where each is, by its id; None while one is still being made.

    Raises GiveUp for one that could not be made, HostError.
    """
    wanted = of(row)
    if not wanted:
        return {}
    volumes = runtime.database.read("containers.volumes", volume_api.rows, [mount["volume_id"] for mount in wanted])
    for mount in wanted:
        volume = volumes.get(mount["volume_id"])
        if volume is None or volume_api.has_failed(volume):
            raise GiveUp(f"Volume {mount['volume_id']} is not usable: {getattr(volume, 'fault', None) or 'it is gone'}")
        if volume.status in ("creating", "downloading"):
            return None
    try:
        modes = runtime.database.write("containers.reserve volumes", _reserve, runtime, row, wanted)
    except ApiError as error:
        raise GiveUp(error.message) from error
    places = {
        key: volume_api.mount(runtime, volumes[key], read_only=mode == "ro") for key, mode in modes.items()
    }  # fmt: skip
    runtime.database.write("containers.volumes attached", _attached, runtime, row, wanted)
    return places


def _reserve(tx: Transaction, runtime: Runtime, row: Any, wanted: list[dict[str, Any]]) -> dict[str, str]:
    """Have an attachment to each; how each is attached, by the volume's id."""
    owner, modes = Caller(user_id=row.user_id, project_id=row.project_id), {}
    for mount in wanted:
        found = _attachment(tx, row, mount)
        if found is None:
            found = volume_api.attach(
                tx, runtime, owner, mount["volume_id"], row.uuid, host=row.host, mountpoint=mount["destination"]
            )
        modes[mount["volume_id"]] = found.attach_mode
    return modes


def _attachment(tx: Transaction, row: Any, mount: dict[str, Any]) -> Any:
    found = volume_api.attachments_of(tx, mount["volume_id"])
    return next((one for one in found if one.instance_id == row.uuid), None)


def _attached(tx: Transaction, runtime: Runtime, row: Any, wanted: list[dict[str, Any]]) -> None:
    for mount in wanted:
        found = _attachment(tx, row, mount)
        if found is not None and found.attach_status != "attached":
            volume_api.attached(tx, found.id, mount["destination"], host=runtime[HOST_NAME])


def unmount(runtime: Runtime, row: Any) -> None:
    """The container is gone from this host: unmount what nothing else here uses."""
    for mount in of(row):
        volume, others = runtime.database.read("containers.volume users", _users, runtime, row, mount["volume_id"])
        if volume is None or others or not volume.host:
            continue
        try:
            volume_api.unmount(runtime, volume)
        except NotFoundError:
            continue


def _users(tx: Transaction, runtime: Runtime, row: Any, volume_id: str) -> tuple[Any, bool]:
    volume = volume_api.rows(tx, [volume_id]).get(volume_id)
    return volume, volume_api.is_mounted_for_others(tx, volume_id, runtime[HOST_NAME], row.uuid)


def give_back(tx: Transaction, runtime: Runtime, row: Any) -> bool:
    """Let a container's volumes go, and delete those that were made for it; whether all of these are gone."""
    gone = True
    for mount in of(row):
        found = _attachment(tx, row, mount)
        if found is not None:
            volume_api.detached(tx, found.id)
        if mount["auto_remove"]:
            volume_api.delete(tx, runtime, mount["volume_id"])
            left = volume_api.rows(tx, [mount["volume_id"]]).get(mount["volume_id"])
            gone = gone and (left is None or volume_api.has_failed(left))
    return gone
