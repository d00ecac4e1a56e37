"""What may be asked of backups."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from stackyard.core.body import Body
from stackyard.core.microversion import Microversion
from stackyard.services.volume.fields import Description, Flag, Metadata, Text, Uuid


class NewBackup(Body, kw_only=True):
    """POST /backups."""

    volume_id: Uuid
    container: Text | None = None
    description: Description | None = None
    incremental: Flag = False
    force: Flag = False
    name: Text | None = None
    snapshot_id: Uuid | None = None


class NewBackup43(NewBackup, kw_only=True):
    """The same since 3.43."""

    metadata: Metadata | None = None


class NewBackup51(NewBackup43, kw_only=True):
    """The same since 3.51."""

    availability_zone: Text | None = None


class ChangedBackup(Body, kw_only=True):
    """PUT /backups/{backup_id} since 3.9."""

    name: Text | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET


class ChangedBackup43(ChangedBackup, kw_only=True):
    """The same since 3.43."""

    metadata: Metadata | UnsetType = UNSET


class Restore(Body, kw_only=True):
    """POST /backups/{backup_id}/restore: to a volume, or else to a new one with this name."""

    name: Text | None = None
    volume_id: Uuid | None = None


class Record(Body, kw_only=True):
    """POST /backups/import_record."""

    backup_service: Text
    backup_url: Annotated[str, Meta(min_length=1, max_length=65536)]


class Imported(Body, kw_only=True):
    """POST /backups/import_record, all of it."""

    record: Record = field(name="backup-record")


class Reset(Body, kw_only=True):
    """os-reset_status."""

    status: Annotated[str, Meta(min_length=1, max_length=32)]


def new_backup(version: Microversion | None) -> type[NewBackup]:
    """The body of POST /backups at a microversion."""
    if version is None or version >= (3, 51):
        return NewBackup51
    return NewBackup43 if version >= (3, 43) else NewBackup


def changed_backup(version: Microversion | None) -> type[ChangedBackup]:
    """The body of PUT /backups/{backup_id} at a microversion."""
    return ChangedBackup43 if version is None or version >= (3, 43) else ChangedBackup
