"""What a volume remembers of the image that it was made from, as actions: show, set, unset."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from stackyard.core import timeline
from stackyard.core.actions import Action
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.fields import Key

MOST = 256
"""Entries of one volume."""

Value = Annotated[str, Meta(max_length=65535)]


class Set(Body):
    """`{"metadata": {...}}`."""

    metadata: dict[Key, Value]


class Unset(Body):
    """`{"key": ...}`."""

    key: Annotated[str, Meta(min_length=1, max_length=255)]


def show(tx: Transaction, call: Call, body: Any) -> dict[str, Any]:
    """os-show_image_metadata."""
    del tx, body
    return {"metadata": dict(call.target.image_metadata or {})}


def set_(tx: Transaction, call: Call, body: Set) -> dict[str, Any]:
    """os-set_image_metadata: what is given is added."""
    held = dict(call.target.image_metadata or {}) | body.metadata
    if len(held) > MOST:
        raise BadRequest(f"Invalid input for metadata: a volume has at most {MOST} entries, this would be {len(held)}.")
    _write(tx, call, held)
    return {"metadata": held}


def unset(tx: Transaction, call: Call, body: Unset) -> None:
    """os-unset_image_metadata."""
    held = dict(call.target.image_metadata or {})
    if body.key not in held:
        raise NotFound(
            f"Glance metadata for volume/snapshot {call.target.id} cannot be found.", kind="GlanceMetadataNotFound"
        )
    del held[body.key]
    _write(tx, call, held)


def _write(tx: Transaction, call: Call, held: dict[str, Any]) -> None:
    if call.target.status in (statuses.MAINTENANCE, statuses.UPLOADING):
        raise BadRequest(
            f"Invalid volume: Updating volume metadata is not allowed for volumes in {call.target.status} status.",
            kind="InvalidVolume",
        )
    tasks.update(tx, call.target.id, image_metadata=held)
    timeline.record(tx, tasks.VOLUME, call.target.id, "image metadata changed")


_RULE = "volume_extension:volume_image_metadata:"

ACTIONS = (
    Action(name="os-show_image_metadata", operation=show, rule=f"{_RULE}show", status=200),
    Action(name="os-set_image_metadata", operation=set_, rule=f"{_RULE}set", body=Set, status=200),
    Action(name="os-unset_image_metadata", operation=unset, rule=f"{_RULE}remove", body=Unset, status=200),
)
