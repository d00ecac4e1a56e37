"""Changing a group: its name, and which volumes are in it; and its end."""

from __future__ import annotations

from typing import Any

from stackyard.core import reconcile, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.volume import rows, statuses, tasks
from stackyard.services.volume.fields import stripped
from stackyard.services.volume.groups import bodies, finding
from stackyard.services.volume.groups.creation import KIND
from stackyard.services.volume.tables import groups
from stackyard.services.volume.volumes import deletion
from stackyard.services.volume.volumes import finding as volume_finding

REMOVABLE = (statuses.AVAILABLE, statuses.IN_USE, statuses.ERROR, statuses.ERROR_DELETING)


def update(tx: Transaction, call: Call, group: Any, body: bodies.ChangedGroup) -> None:
    """Raises InvalidGroup and InvalidVolume (400)."""
    given = dict(body.given())
    if not given:
        raise BadRequest("Invalid input for group: name, description, add_volumes or remove_volumes must be given.")
    if group.status != statuses.AVAILABLE:
        raise invalid(f"Group status must be available, but current status is: {group.status}.")
    added, removed = _ids(given.pop("add_volumes", None)), _ids(given.pop("remove_volumes", None))
    both = sorted(added & removed)
    if both:
        raise _volume(f"Some volumes are in both add and remove volume list: {', '.join(both)[:500]}.")
    named = {name: stripped(value) for name, value in given.items()}
    members = {one.id: one for one in finding.volumes_of(tx, group.id)}
    for volume_id in removed:
        _require_removable(group, members.get(volume_id), volume_id)
    for volume_id in added:
        _require_addable(tx, call, group, volume_id)
    for volume_id in removed:
        tasks.update(tx, volume_id, group_id=None)
    for volume_id in added:
        tasks.update(tx, volume_id, group_id=group.id)
    rows.update(tx, groups, group.id, **named)
    timeline.record(tx, KIND, group.id, "changed", f"{len(added)} volumes added, {len(removed)} removed")


def _ids(text: str | None) -> set[str]:
    return {part.strip() for part in (text or "").split(",") if part.strip()}


def _require_removable(group: Any, volume: Any, volume_id: str) -> None:
    if volume is None:
        raise _volume(f"Cannot remove volume {volume_id[:80]} from group {group.id} because it is not in the group.")
    if volume.status not in REMOVABLE:
        raise _volume(
            f"Cannot remove volume {volume_id} from group {group.id} because volume is in an invalid state: "
            f"{volume.status}. Valid states are: {', '.join(REMOVABLE)}."
        )


def _require_addable(tx: Transaction, call: Call, group: Any, volume_id: str) -> None:
    volume = volume_finding.by_id(tx, volume_id)
    if volume is None or (volume.project_id != call.caller.project_id and not call.caller.is_admin):
        reason = "volume cannot be found"
    elif volume.group_id:
        reason = f"it is already in group {volume.group_id}"
    elif volume.project_id != group.project_id:
        reason = "they belong to different projects"
    elif volume.volume_type_id not in group.volume_type_ids:
        reason = f"volume type {volume.volume_type_id} is not supported by the group"
    elif volume.status not in statuses.READY:
        reason = f"volume is in an invalid state: {volume.status}. Valid states are: {', '.join(statuses.READY)}"
    elif (volume.host, volume.backend) != (group.host, group.backend):
        reason = "it is kept in another back end than the group"
    else:
        return
    raise _volume(f"Cannot add volume {volume_id[:80]} to group {group.id} because {reason}.")


def delete(tx: Transaction, call: Call, group: Any, *, with_volumes: bool, force: bool = False) -> None:
    """Have a group deleted, with its volumes when it has any and `with_volumes`; raises InvalidGroup."""
    allowed = (statuses.AVAILABLE, statuses.ERROR, statuses.ERROR_DELETING)
    if group.status not in allowed and not force:
        raise invalid(f"Group status must be available or error, but current status is: {group.status}.")
    members = finding.volumes_of(tx, group.id)
    if members and not with_volumes:
        raise invalid(f"Group {group.id} is not empty: delete-volumes flag needs to be set to delete its volumes.")
    if finding.snapshots_of(tx, group.id):
        raise invalid(f"Group {group.id} still has group snapshots: delete them first.")
    if finding.is_being_copied(tx, group.id):
        raise invalid(f"Group {group.id} is being used as a source for creating another group.")
    for volume in members:
        deletion.delete(tx, call.runtime, volume, caller=call.caller, force=force, of_group=True)
    rows.update(tx, groups, group.id, status=statuses.DELETING)
    timeline.record(tx, KIND, group.id, "delete asked")
    reconcile.mark(tx, KIND, group.id)


def invalid(reason: str) -> BadRequest:
    """Cinder's InvalidGroup."""
    return BadRequest(f"Invalid Group: {reason}", kind="InvalidGroup")


def _volume(reason: str) -> BadRequest:
    return BadRequest(f"Invalid volume: {reason}", kind="InvalidVolume")
