"""Making a volume larger, attached or not."""

from __future__ import annotations

from stackyard.core.actions import Action
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.fields import Whole, whole
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.types import finding as types
from stackyard.services.volume.volumes import creation


class Extend(Body):
    """os-extend: its new size in GiB."""

    new_size: Whole


class Completion(Body):
    """os-extend_volume_completion: whether the server could not follow."""

    error: bool | str | None = None


def extend(tx: Transaction, call: Call, body: Extend) -> None:
    """os-extend: of one that is in use since 3.42."""
    volume, size = call.target, whole("os-extend.new_size", body.new_size, least=1)
    attached = call.since(3, 42) and volume.status == statuses.IN_USE
    if attached:
        call.require("volume:extend_attached_volume", volume)
    if size <= volume.size:
        raise BadRequest(
            "Invalid input received: New size for extend must be greater than current size. "
            f"(current: {volume.size}, extended: {size}).",
            kind="InvalidInput",
        )
    kind = types.row(tx, volume.volume_type_id)
    if kind is not None:
        creation.require_size_of_type(kind, size)
    statuses.require(volume, (statuses.IN_USE,) if attached else (statuses.AVAILABLE,), "extend")
    statuses.require_settled(volume, "extend")
    usage.require_size(tx, call.runtime, volume.project_id, size)
    if volume.use_quota:
        more = size - volume.size
        usage.reserve(tx, call.runtime, volume.project_id, volume.volume_type_id, gigabytes=more)
    tasks.begin_for(tx, call, volume, "extend", statuses.EXTENDING, size=size, status=volume.status)


def complete(tx: Transaction, call: Call, body: Completion) -> None:
    """os-extend_volume_completion (3.71): of back ends that wait for the server; none of this cloud's does."""
    del tx, body
    raise BadRequest(
        f"Invalid volume: Volume {call.target.id} is not being extended by its server: this cloud's back ends do not "
        "wait for that.",
        kind="InvalidVolume",
    )


ACTIONS = (
    Action(name="os-extend", operation=extend, rule="volume:extend", body=Extend),
    Action(
        name="os-extend_volume_completion", operation=complete, body=Completion,
        rule="volume_extension:volume_admin_actions:extend_volume_completion",
    ),
)  # fmt: skip
