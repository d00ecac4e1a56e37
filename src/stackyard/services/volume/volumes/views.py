"""Volumes as Cinder shows them, at each microversion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.services.volume import hosts, lists
from stackyard.services.volume.attachments import state
from stackyard.services.volume.statuses import ATTACHED
from stackyard.services.volume.tables import group_types, groups, volume_services
from stackyard.services.volume.types import finding as types

_SHOWN_STATUS = {"managing": "creating", "error_managing": "error", "error_managing_deleting": "deleting"}
_SHOWN_ADMIN_METADATA = ("readonly", "attached_mode")
LEGACY_GROUP_TYPE = "default_cgsnapshot_type"

_SERVICES = sa.select(volume_services.c.uuid, volume_services.c.host, volume_services.c.backend).where(
    volume_services.c.binary == hosts.VOLUME
)
_LEGACY_GROUPS = (
    sa.select(groups.c.id)
    .join(group_types, group_types.c.id == groups.c.group_type_id)
    .where(groups.c.id.in_(bindparam("ids", expanding=True)), group_types.c.name == LEGACY_GROUP_TYPE)
)


def shown(moment: datetime | None) -> str | None:
    """A moment as Cinder has it."""
    return None if moment is None else iso_naive(moment)


def host_of(row: Any) -> str | None:
    """Where a volume is, as administrators see it: `host@backend#pool`."""
    return None if row.host is None else f"{row.host}@{row.backend}#{row.backend}"


def summary(call: Call, row: Any) -> dict[str, Any]:
    """Of lists without details."""
    return {"id": row.id, "name": row.name, "links": lists.links(call, f"volumes/{row.id}")}


def details(tx: Transaction, call: Call, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """All that may be seen of volumes, with what extends them (host, project, migration, image)."""
    facts = _Facts(tx, call, rows)
    return [facts.detail(row) | facts.extensions(row) for row in rows]


def plain(tx: Transaction, call: Call, row: Any) -> dict[str, Any]:
    """What creates and updates answer: without the extensions."""
    return _Facts(tx, call, [row]).detail(row)


class _Facts:
    """What lies in other tables about a list of volumes, read once."""

    def __init__(self, tx: Transaction, call: Call, rows: Sequence[Any]) -> None:
        self.call = call
        self.admin = call.caller.is_admin
        self.attachments = state.of_volumes(tx, [row.id for row in rows])
        self.types = types.rows(tx)
        grouped = sorted({row.group_id for row in rows if row.group_id})
        self.legacy = {row.id for row in tx.all(_LEGACY_GROUPS, {"ids": grouped})} if grouped else set[str]()
        self.services: dict[tuple[str, str], str] = {}
        if call.since(3, 48):
            self.services = {(row.host, row.backend): row.uuid for row in tx.all(_SERVICES)}

    def detail(self, row: Any) -> dict[str, Any]:
        kind = self.types.get(row.volume_type_id)
        shown_admin = {key: row.admin_metadata[key] for key in _SHOWN_ADMIN_METADATA if key in row.admin_metadata}
        view = {
            "id": row.id,
            "status": _SHOWN_STATUS.get(row.status, row.status),
            "size": row.size,
            "availability_zone": row.availability_zone,
            "created_at": shown(row.created_at),
            "updated_at": shown(row.updated_at),
            "name": row.name,
            "description": row.description,
            "volume_type": row.volume_type_id if kind is None else kind.name,
            "snapshot_id": row.snapshot_id,
            "source_volid": row.source_volid,
            "metadata": row.metadata | shown_admin,
            "links": lists.links(self.call, f"volumes/{row.id}"),
            "user_id": row.user_id,
            "bootable": str(row.bootable).lower(),
            "encrypted": row.encrypted,
            "replication_status": row.replication_status,
            "consistencygroup_id": row.group_id if row.group_id in self.legacy else None,
            "multiattach": row.multiattach,
            "attachments": [self._attachment(one) for one in self._attached(row)],
        }
        if self.admin:
            view["migration_status"] = row.migration_status
        return view | self._later(row)

    def _attached(self, row: Any) -> list[Any]:
        return [one for one in self.attachments.get(row.id, ()) if one.attach_status == ATTACHED]

    def _attachment(self, one: Any) -> dict[str, Any]:
        sees_host = self.admin or "service" in self.call.caller.roles
        return {
            "id": one.volume_id,
            "attachment_id": one.id,
            "volume_id": one.volume_id,
            "server_id": one.instance_id,
            "host_name": one.attached_host if sees_host else None,
            "device": one.mountpoint,
            "attached_at": shown(one.attached_at),
        }

    def _later(self, row: Any) -> dict[str, Any]:
        """What microversions have added."""
        call, view = self.call, dict[str, Any]()
        if call.since(3, 13):
            view["group_id"] = row.group_id
        if self.admin and call.since(3, 21):
            view["provider_id"] = None
        if call.since(3, 48):
            view["shared_targets"] = False
            view["service_uuid"] = self.services.get((row.host, row.backend))
        if self.admin and call.since(3, 61):
            view["cluster_name"] = None
        if call.since(3, 63):
            view["volume_type_id"] = row.volume_type_id
        if call.since(3, 64) and row.encryption_key_id:
            view["encryption_key_id"] = row.encryption_key_id
        if call.since(3, 65):
            view["consumes_quota"] = row.use_quota
        return view

    def extensions(self, row: Any) -> dict[str, Any]:
        call, view = self.call, dict[str, Any]()
        if call.allows("volume_extension:volume_host_attribute", row):
            view["os-vol-host-attr:host"] = host_of(row)
        if call.allows("volume_extension:volume_tenant_attribute", row):
            view["os-vol-tenant-attr:tenant_id"] = row.project_id
        if call.allows("volume_extension:volume_mig_status_attribute", row):
            view["os-vol-mig-status-attr:migstat"] = row.migration_status
            view["os-vol-mig-status-attr:name_id"] = None
        if row.image_metadata and call.allows("volume_extension:volume_image_metadata:show", row):
            view["volume_image_metadata"] = dict(row.image_metadata)
        return view
