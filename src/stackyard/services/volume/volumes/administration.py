"""What is done to a volume's record: its flags, its status; its forced end; going back to its last snapshot."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core import timeline
from stackyard.core.actions import Action
from stackyard.core.body import Body, OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict
from stackyard.core.microversion import Microversion
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.attachments import state
from stackyard.services.volume.fields import Flag, Text, truth
from stackyard.services.volume.snapshots import finding as snapshot_finding
from stackyard.services.volume.volumes import abandoning, deletion
from stackyard.services.volume.volumes.operations import require_not_in_maintenance

_MIGRATION_STATUSES = ("migrating", "error", "success", "completing", "none", "starting")


class ReadOnly(Body):
    """os-update_readonly_flag."""

    readonly: Flag


class Bootable(Body):
    """os-set_bootable."""

    bootable: Flag


class ResetStatus(Body):
    """os-reset_status: at least one of them."""

    status: Text | UnsetType | None = UNSET
    attach_status: Text | UnsetType | None = UNSET
    migration_status: Text | UnsetType | None = UNSET


class Revert(OpenBody):
    """revert: to its last snapshot."""

    snapshot_id: Text | None = None


def set_read_only(tx: Transaction, call: Call, body: ReadOnly) -> None:
    """os-update_readonly_flag: whether it is attached for reading alone."""
    if call.target.status != statuses.AVAILABLE:
        raise BadRequest(
            f"Invalid volume: Volume {call.target.id} status must be available to update readonly flag, but current "
            f"status is: {call.target.status}.",
            kind="InvalidVolume",
        )
    kept = {**call.target.admin_metadata, "readonly": str(truth(body.readonly))}
    tasks.update(tx, call.target.id, admin_metadata=kept)


def set_bootable(tx: Transaction, call: Call, body: Bootable) -> None:
    """os-set_bootable."""
    require_not_in_maintenance(call.target, "updated")
    tasks.update(tx, call.target.id, bootable=truth(body.bootable))


def reset_status(tx: Transaction, call: Call, body: ResetStatus) -> None:
    """os-reset_status: what the record says is wrong; whatever is under way is forgotten."""
    volume = call.target
    status = _word("status", body.status, statuses.VOLUME_STATUSES)
    attach_status = _word("attach_status", body.attach_status, (statuses.ATTACHED, statuses.DETACHED))
    migration_status = _word("migration_status", body.migration_status, _MIGRATION_STATUSES)
    if not (status or attach_status or migration_status):
        raise BadRequest(
            "Invalid input for os-reset_status: Must specify 'status', 'attach_status' or 'migration_status' for "
            "update."
        )
    if status in (statuses.DELETING, statuses.ERROR_DELETING, statuses.DETACHING):
        raise BadRequest(f"Cannot reset-state to {status}")
    held = state.of_volume(tx, volume.id)
    if status == statuses.IN_USE and not held:
        raise BadRequest("Cannot reset-state to in-use because volume does not have any attachments.")
    columns: dict[str, Any] = {}
    if status:
        abandoning.abandon(tx, call.runtime, volume)
        columns |= {"status": status, "task": None}
    if migration_status:
        columns["migration_status"] = None if migration_status == "none" else migration_status
    if attach_status == statuses.DETACHED:
        for one in held:
            state.remove(tx, one)
    if columns:
        tasks.update(tx, volume.id, **columns)
    told = f"status {status}, attach_status {attach_status}, migration_status {migration_status}"
    timeline.record(tx, tasks.VOLUME, volume.id, "status reset", told)


def _word(name: str, value: str | UnsetType | None, allowed: tuple[str, ...]) -> str | None:
    if value is UNSET or not value:
        return None
    word = value.lower()
    if word not in allowed:
        raise BadRequest(f"Invalid input for os-reset_status.{name}: '{value[:40]}' is none of {', '.join(allowed)}.")
    return word


def force_delete(tx: Transaction, call: Call, body: Any) -> None:
    """os-force_delete: whatever its status."""
    del body
    deletion.delete(tx, call.runtime, call.target, caller=call.caller, force=True)


def revert(tx: Transaction, call: Call, body: Revert) -> None:
    """revert (3.40): it begins again as its last snapshot is."""
    volume = call.target
    taken = snapshot_finding.of_volume(tx, volume.id)
    if not taken:
        raise BadRequest(f"Volume {volume.id} doesn't have any snapshots.")
    last = taken[0]
    if body.snapshot_id != last.id:
        raise BadRequest(f"Specified snapshot {body.snapshot_id} is None or not the latest one of volume {volume.id}.")
    if last.volume_size != volume.size:
        raise BadRequest(
            f"Can't revert volume {volume.id} to its latest snapshot {last.id}. The volume size must be equal to the "
            "snapshot size."
        )
    for word, row in (("Volume", volume), ("Snapshot", last)):
        if row.status != statuses.AVAILABLE:
            raise Conflict(
                f"Can't revert volume {volume.id} to its latest snapshot {last.id}. {word}'s status must be "
                f"'available'; it is {row.status}.",
                kind=f"Invalid{word}",
            )
    tasks.update(tx, last.id, kind=tasks.SNAPSHOT, status=statuses.RESTORING)
    tasks.begin_for(tx, call, volume, "revert", statuses.REVERTING, snapshot_id=last.id, status=volume.status)


_ADMIN = "volume_extension:volume_admin_actions:"
ACTIONS = (
    Action(name="os-update_readonly_flag", operation=set_read_only, rule="volume:update_readonly_flag", body=ReadOnly),
    Action(name="os-set_bootable", operation=set_bootable, rule="volume:update", body=Bootable, status=200),
    Action(name="os-reset_status", operation=reset_status, rule=f"{_ADMIN}reset_status", body=ResetStatus),
    Action(name="os-force_delete", operation=force_delete, rule=f"{_ADMIN}force_delete"),
    Action(
        name="revert", operation=revert, rule="volume:revert_to_snapshot", body=Revert, since=Microversion(3, 40)
    ),
)  # fmt: skip
