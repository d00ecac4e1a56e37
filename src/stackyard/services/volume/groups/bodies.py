"""What may be asked of groups."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from stackyard.core.body import Body
from stackyard.services.volume.fields import Description, Flag, Text, Uuid

Named = Annotated[str, Meta(min_length=1, max_length=255)]
Ids = Annotated[str, Meta(max_length=65535)]
"""Ids of volumes with commas between them."""


class NewGroup(Body, kw_only=True):
    """POST /groups."""

    group_type: Named
    volume_types: Annotated[list[Named], Meta(min_length=1, max_length=255)]
    name: Text | None = None
    description: Description | None = None
    availability_zone: Text | None = None


class ChangedGroup(Body, kw_only=True):
    """PUT /groups/{group_id}."""

    name: Text | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    add_volumes: Ids | UnsetType | None = UNSET
    remove_volumes: Ids | UnsetType | None = UNSET


class Copy(Body, kw_only=True):
    """POST /groups/action, create-from-src."""

    name: Text | None = None
    description: Description | None = None
    group_snapshot_id: Uuid | None = None
    source_group_id: Uuid | None = None


class Deletion(Body, kw_only=True):
    """delete."""

    delete_volumes: Flag = field(default=False, name="delete-volumes")


class Reset(Body, kw_only=True):
    """reset_status."""

    status: Annotated[str, Meta(min_length=1, max_length=32)]


class Nothing(Body, kw_only=True):
    """An empty object."""


class Failover(Body, kw_only=True):
    """failover_replication."""

    allow_attached_volume: Flag = False
    secondary_backend_id: Text | None = None


class NewSnapshot(Body, kw_only=True):
    """POST /group_snapshots."""

    group_id: Uuid
    name: Text | None = None
    description: Description | None = None
