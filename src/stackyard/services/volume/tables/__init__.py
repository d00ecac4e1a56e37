"""The volume service's tables, by area."""

from __future__ import annotations

from stackyard.services.volume.tables.backups import backups, messages, transfers
from stackyard.services.volume.tables.groups import group_snapshots, groups
from stackyard.services.volume.tables.services import volume_services
from stackyard.services.volume.tables.types import (
    default_volume_types,
    group_type_projects,
    group_types,
    qos_specs,
    volume_type_projects,
    volume_types,
)
from stackyard.services.volume.tables.volumes import attachments, snapshots, volumes

__all__ = [
    "attachments",
    "backups",
    "default_volume_types",
    "group_snapshots",
    "group_type_projects",
    "group_types",
    "groups",
    "messages",
    "qos_specs",
    "snapshots",
    "transfers",
    "volume_services",
    "volume_type_projects",
    "volume_types",
    "volumes",
]
