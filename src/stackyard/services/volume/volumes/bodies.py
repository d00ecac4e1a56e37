"""What callers send about volumes, as Cinder's schemas have it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body, OpenBody
from stackyard.core.microversion import Microversion
from stackyard.services.volume.fields import Description, Flag, Metadata, Text, Uuid, Whole

Zone = Annotated[str, Meta(min_length=1, max_length=255)]
Hints = dict[str, Any] | None


class _New(OpenBody):
    """Fields of a new volume; the oldest names of two of them are taken too."""

    name: Text | None = None
    description: Description | None = None
    display_name: Text | None = None
    display_description: Description | None = None
    volume_type: Text | None = None
    metadata: Metadata | None = None
    snapshot_id: Uuid | None = None
    source_volid: Uuid | None = None
    consistencygroup_id: Uuid | None = None
    size: Whole | None = None
    availability_zone: Zone | None = None
    multiattach: Flag | None = None
    image_id: Text | None = None
    image_ref: Text | None = msgspec.field(default=None, name="imageRef")


class NewVolume(_New):
    """Until 3.12: fields that are not known are ignored."""


class NewVolumeInGroup(_New):
    """3.13: it may be made in a group."""

    group_id: Text | None = None


class NewVolumeOfBackup(NewVolumeInGroup):
    """3.47: it may be made from a backup."""

    backup_id: Uuid | None = None


class NewVolumeStrict(NewVolumeOfBackup, forbid_unknown_fields=True):
    """3.53: fields that are not known are refused."""


def new_volume(version: Microversion | None) -> type[_New]:
    """The type of a create's `volume` at a microversion."""
    if version is None or version >= (3, 53):
        return NewVolumeStrict
    if version >= (3, 47):
        return NewVolumeOfBackup
    return NewVolumeInGroup if version >= (3, 13) else NewVolume


class Create(Body):
    """`{"volume": {...}, "OS-SCH-HNT:scheduler_hints": {...}}`; the volume is converted by its microversion."""

    volume: dict[str, Any]
    hints: Hints = msgspec.field(default=None, name="OS-SCH-HNT:scheduler_hints")


HintedVolume = Annotated[str, Meta(min_length=32, max_length=36)]
"""Of a volume, alone or in a list; with a pattern msgspec 0.22 frees the type twice in such a union."""


class HintsBody(OpenBody):
    """Scheduler hints: those that are known are checked."""

    local_to_instance: Uuid | None = None
    different_host: HintedVolume | list[Uuid] | UnsetType = UNSET
    same_host: HintedVolume | list[Uuid] | UnsetType = UNSET
    query: str | dict[str, Any] | UnsetType = UNSET


class Update(Body):
    """Fields that may be changed."""

    name: Text | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    display_name: Text | UnsetType | None = UNSET
    display_description: Description | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class AllMetadata(Body):
    """`{"metadata": {...}}`."""

    metadata: Metadata


class OneMetadata(Body):
    """`{"meta": {key: value}}`."""

    meta: Annotated[Metadata, Meta(min_length=1, max_length=1)]
