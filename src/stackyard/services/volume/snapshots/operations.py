"""Snapshots: create, list, show, change, delete; their statuses as an administrator or a driver sets them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from stackyard.core import actions, timeline
from stackyard.core.actions import Action
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import metadata, statuses, tasks
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.fields import Description, Flag, Metadata, Text, Uuid, stripped, truth
from stackyard.services.volume.managing import routes as managing
from stackyard.services.volume.rules import ADMIN, MEMBER, READER
from stackyard.services.volume.snapshots import creation, finding, listing, views
from stackyard.services.volume.volumes import finding as volume_finding

STATUSES = (
    statuses.ERROR, statuses.AVAILABLE, statuses.CREATING, statuses.DELETING, "deleted", "updating",
    statuses.ERROR_DELETING, "unmanaging", statuses.BACKING_UP, statuses.RESTORING,
)  # fmt: skip

_FORCE_TEXT = (
    "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward compatability, however, when "
    "the 'force' flag is passed with a value evaluating to True, it is silently ignored."
)


class New(Body):
    """A new snapshot of a volume."""

    volume_id: Uuid | None
    name: Text | UnsetType | None = UNSET
    display_name: Text | UnsetType | None = UNSET
    description: Description | None = None
    force: Flag | UnsetType = UNSET
    metadata: Metadata | None = None


class Update(Body):
    """Fields that may be changed."""

    name: Text | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    display_name: Text | UnsetType | None = UNSET
    display_description: Description | UnsetType | None = UNSET


class ResetStatus(Body):
    """os-reset_status."""

    status: Annotated[str, Meta(min_length=1, max_length=40)]


class UpdateStatus(Body):
    """os-update_snapshot_status: what a driver outside says."""

    status: Annotated[str, Meta(max_length=40)]
    progress: Annotated[str, Meta(max_length=8)] | None = None


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /snapshots: of a volume that is in use with `force`, or since 3.66."""
    body = call.body
    if body.volume_id is None:
        raise not_found("Volume", "None")
    volume = volume_finding.find(tx, call.caller, body.volume_id)
    call.require("volume:create_snapshot", volume)
    force = body.force is not UNSET and truth(body.force)
    if call.since(3, 66) and body.force is not UNSET and not force:
        raise BadRequest(_FORCE_TEXT)
    name = body.display_name if body.name is UNSET else body.name
    row = creation.create(
        tx, call.runtime, call.caller, volume, name=None if name is UNSET else stripped(name),
        description=stripped(body.description), metadata=body.metadata, in_use=force or call.since(3, 66),
    )  # fmt: skip
    return {"snapshot": views.plain(call, row)}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /snapshots/{snapshot_id}."""
    del tx
    return {"snapshot": views.detail(call, call.target)}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /snapshots/{snapshot_id}: name and description."""
    given, columns = call.body, dict[str, Any]()
    for name, older in (("name", "display_name"), ("description", "display_description")):
        for field in (older, name):
            value = getattr(given, field)
            if value is not UNSET:
                columns[name] = stripped(value)
    if not columns:
        raise BadRequest("Invalid input for snapshot: it needs name or description.")
    tasks.update(tx, call.target.id, kind=tasks.SNAPSHOT, **columns)
    timeline.record(tx, tasks.SNAPSHOT, call.target.id, "updated", ", ".join(columns))
    return {"snapshot": views.plain(call, finding.by_id(tx, call.target.id))}


def delete(tx: Transaction, call: Call) -> Reply:
    """DELETE /snapshots/{snapshot_id}."""
    creation.delete(tx, call.runtime, call.target)
    return Reply(status=202)


def force_delete(tx: Transaction, call: Call, body: Any) -> None:
    """os-force_delete: whatever its status."""
    del body
    creation.delete(tx, call.runtime, call.target, force=True)


def reset_status(tx: Transaction, call: Call, body: ResetStatus) -> None:
    """os-reset_status: what the record says is wrong; whatever is under way is forgotten."""
    status = body.status.lower()
    if status not in STATUSES:
        raise BadRequest(f"Invalid input for os-reset_status.status: '{body.status}' is none of {', '.join(STATUSES)}.")
    tasks.update(tx, call.target.id, kind=tasks.SNAPSHOT, status=status, task=None)
    timeline.record(tx, tasks.SNAPSHOT, call.target.id, "status reset", status)


_NEXT = {
    statuses.CREATING: (statuses.CREATING, statuses.AVAILABLE, statuses.ERROR),
    statuses.DELETING: (statuses.DELETING, statuses.ERROR_DELETING),
}


def update_status(tx: Transaction, call: Call, body: UpdateStatus) -> None:
    """os-update_snapshot_status: of one that is being made or deleted by somebody else."""
    now = call.target.status
    if now not in _NEXT:
        raise BadRequest(f"Snapshot status {now} not allowed for update_snapshot_status")
    if body.status not in _NEXT[now]:
        raise BadRequest(f"Provided snapshot status {body.status} not allowed for snapshot with status {now}.")
    columns: dict[str, Any] = {"status": body.status}
    if body.progress:
        number = body.progress.removesuffix("%")
        if number == body.progress or not (number.isascii() and number.isdigit() and int(number) <= 100):
            raise BadRequest(
                f"Invalid input for os-update_snapshot_status.progress: '{body.progress}' is not 0% to 100%."
            )
        columns["progress"] = body.progress
    tasks.update(tx, call.target.id, kind=tasks.SNAPSHOT, **columns)


_ADMIN = "volume_extension:snapshot_admin_actions:"
_UPDATE_STATUS = "snapshot_extension:snapshot_actions:update_snapshot_status"

ACTIONS = (
    Action(name="os-reset_status", operation=reset_status, rule=f"{_ADMIN}reset_status", body=ResetStatus),
    Action(name="os-force_delete", operation=force_delete, rule=f"{_ADMIN}force_delete"),
    Action(name="os-update_snapshot_status", operation=update_status, rule=_UPDATE_STATUS, body=UpdateStatus),
    *managing.SNAPSHOT_ACTIONS,
)

_PATH = "/v3/snapshots"
_ONE = f"{_PATH}/{{snapshot_id}}"

ROUTES = (
    Route("GET", _PATH, listing.index, "volume:get_all_snapshots", query=listing.PARAMETERS),
    Route("GET", f"{_PATH}/detail", listing.detail, "volume:get_all_snapshots", query=listing.PARAMETERS),
    Route("POST", _PATH, create, "volume:create_snapshot", envelope="snapshot", body=New, status=202),
    Route("GET", _ONE, show, "volume:get_snapshot", target=finding.load),
    Route("PUT", _ONE, update, "volume:update_snapshot", target=finding.load, envelope="snapshot", body=Update),
    Route("DELETE", _ONE, delete, "volume:delete_snapshot", target=finding.load),
    Route(
        "POST",
        f"{_ONE}/action",
        actions.endpoint(ACTIONS, finding.load, "snapshots"),
        "volume:any",
        edge=True,
        body=dict,
    ),
    *metadata.routes(
        metadata.Metadata("Snapshot", tasks.SNAPSHOT),
        f"{_ONE}/metadata",
        {
            "get": "volume:get_snapshot_metadata",
            "create": "volume:update_snapshot_metadata",
            "update": "volume:update_snapshot_metadata",
            "delete": "volume:delete_snapshot_metadata",
        },
        finding.load,
    ),
)

POLICIES = (
    Rule("volume:get_all_snapshots", READER, "List snapshots."),
    Rule("volume:create_snapshot", MEMBER, "Make a snapshot of a volume."),
    Rule("volume:get_snapshot", READER, "See a snapshot."),
    Rule("volume:update_snapshot", MEMBER, "Change a snapshot's name or description."),
    Rule("volume:delete_snapshot", MEMBER, "Delete a snapshot."),
    Rule("volume_extension:extended_snapshot_attributes", READER, "See whose snapshots are, and how far they are."),
    Rule("volume:get_snapshot_metadata", READER, "See a snapshot's metadata."),
    Rule("volume:update_snapshot_metadata", MEMBER, "Change a snapshot's metadata."),
    Rule("volume:delete_snapshot_metadata", MEMBER, "Delete a snapshot's metadata."),
    Rule(f"{_ADMIN}reset_status", ADMIN, "Set a snapshot's status."),
    Rule(f"{_ADMIN}force_delete", ADMIN, "Delete a snapshot whatever its status."),
    Rule(_UPDATE_STATUS, MEMBER, "Say how far a snapshot is that somebody else makes."),
)
