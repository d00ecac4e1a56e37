"""A volume comes to a server that is there, and leaves it: what the requests write; reconcile/volumes.py does it."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden
from stackyard.services.compute.servers import abilities, tasks
from stackyard.services.compute.servers.states import VmState
from stackyard.services.compute.volumes import naming, rows
from stackyard.services.compute.volumes.rows import State
from stackyard.services.volume import api as volume_api


def attach(
    tx: Transaction, call: Call, server: Any, volume: Any, *, device: str | None, tag: str | None, ends: bool
) -> str:
    """Begin to give a server a volume, and return its device; `ends`: the volume is deleted with the server.

    Raises BadRequest (InvalidVolume, ...), Forbidden (too many), NotImplementedHere.
    """
    offloaded = server.vm_state == VmState.SHELVED_OFFLOADED
    naming.check(server.kind, device)
    _check(tx, call, server, volume, tag, offloaded=offloaded)
    have = rows.of_server(tx, server.id)
    if len(have) >= naming.MOST:
        raise Forbidden(
            f"The maximum allowed number of disk devices ({naming.MOST}) to attach to a single instance has been "
            "exceeded.",
            kind="TooManyDiskDevices",
        )
    name = _device(tx, server, have, device)
    attachment = volume_api.attach(
        tx, call.runtime, call.caller, volume.id, server.id, host=server.host, mountpoint=name, mode=mode_of(volume)
    )
    action = tasks.record(tx, call, server, "attach_volume", finished=offloaded)
    rows.insert(
        tx, server_id=server.id, device_name=name, volume_id=volume.id, volume_size=volume.size,
        attachment_id=attachment.id, state=State.ATTACHED if offloaded else State.ATTACHING, action_id=action,
        delete_on_termination=ends, tag=tag,
    )  # fmt: skip
    if offloaded:
        volume_api.attached(tx, attachment.id, name)
    else:
        tasks.mark(tx, server.id, server.host)
    return name


def mode_of(volume: Any) -> str:
    """How a server gets it: one that is read only cannot be written to."""
    return "ro" if volume.admin_metadata.get("readonly") == "True" else "rw"


def _check(tx: Transaction, call: Call, server: Any, volume: Any, tag: str | None, *, offloaded: bool) -> None:
    others = rows.of_volume(tx, volume.id)
    if others and not volume.multiattach:
        named = " ".join(row.server_id for row in others)
        raise _invalid(f"volume {volume.id} is already attached to instances: {named}")
    if any(row.server_id == server.id for row in others):
        raise _invalid(f"volume {volume.id} already attached")
    require_multiattach(call, volume)
    if offloaded and tag is not None:
        raise BadRequest(
            "Tagged volume attachment is not supported for shelved-offloaded instances.",
            kind="VolumeTaggedAttachToShelvedNotSupported",
        )
    if offloaded and volume.multiattach:
        raise BadRequest(
            "Attaching multiattach volumes is not supported for shelved-offloaded instances.",
            kind="MultiattachToShelvedNotSupported",
        )
    abilities.require(call, server, "attach_volume")
    require_reachable(call, volume, server.host)


def require_multiattach(call: Call, volume: Any) -> None:
    """Raise BadRequest for a volume of several servers, which requests before 2.60 do not know of."""
    if volume.multiattach and not call.since(2, 60):
        raise BadRequest(
            "Multiattach volumes are only supported starting with compute API version 2.60.",
            kind="MultiattachNotSupportedOldMicroversion",
        )


def require_reachable(call: Call, volume: Any, host: str | None) -> None:
    """Raise BadRequest (InvalidVolume) when a host's servers cannot have the volume."""
    if host is not None and volume.host and not volume_api.is_reachable(call.runtime, volume, host):
        raise _invalid(f"volume {volume.id} is kept on host {volume.host}, and the server is on {host}")


def _invalid(reason: str) -> BadRequest:
    return BadRequest(f"Invalid volume: {reason}", kind="InvalidVolume")


def _device(tx: Transaction, server: Any, have: list[Any], asked: str | None) -> str:
    local = rows.local_disks(tx, server.id)
    count = len(local) or sum(bool(server.flavor.get(name)) for name in ("ephemeral", "swap"))
    return naming.next_device(
        server.kind, asked, {row.device_name for row in have}, root=server.root_device_name, local=count
    )


def detach(tx: Transaction, call: Call, server: Any, row: Any) -> None:
    """Begin to take a volume from a server. Raises BadRequest (InvalidVolume)."""
    if row.boot_index == 0:
        raise BadRequest("Cannot detach a root device volume")
    if row.attachment_id is None or row.state in (State.MAKING, State.ATTACHING):
        raise _invalid(f"volume {row.volume_id} is still being attached to instance {server.id}")
    volume_api.detaching(tx, row.attachment_id)
    offloaded = server.host is None
    action = tasks.record(tx, call, server, "detach_volume", finished=offloaded)
    if offloaded:
        volume_api.detached(tx, row.attachment_id)
        rows.delete(tx, row.id)
        if row.delete_on_termination:
            volume_api.delete(tx, call.runtime, row.volume_id)
        return
    rows.update(tx, row.id, state=State.DETACHING, action_id=action)
    tasks.mark(tx, server.id, server.host)
