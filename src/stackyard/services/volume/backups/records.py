"""Records of backups: what the database knows of one, to be had again when the database was lost."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import Meta

from stackyard.core import timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services import keys
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.backups import finding, views
from stackyard.services.volume.fields import Metadata, Text, Uuid
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.tables import backups

SERVICE = "cinder.backup.drivers.stackyard"
"""As which records say that they are kept; clients look for names of this kind."""
NOBODYS = "00000000-0000-0000-0000-000000000000"
"""The volume of an imported backup: its own may be gone."""

_ADD = sa.insert(backups)


class Known(msgspec.Struct, kw_only=True):
    """What a record says of a backup; what else is in it is ignored."""

    id: Uuid
    size: Annotated[int, Meta(ge=1, le=1 << 30)]
    name: Text | None = None
    description: Text | None = None
    kept_as: Uuid | None = None
    parent_id: Uuid | None = None
    host: Text | None = None
    container: Text | None = None
    object_count: Annotated[int, Meta(ge=0, le=1 << 62)] = 0
    availability_zone: Text | None = None
    metadata: Metadata = {}
    volume: dict[str, Any] = {}


def export(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /backups/{backup_id}/export_record."""
    del tx
    row = call.target
    if row.status != statuses.AVAILABLE:
        raise BadRequest(f"Invalid backup: Backup status must be available and not {row.status}.", kind="InvalidBackup")
    known = Known(
        id=row.id, size=row.size, name=row.name, description=row.description, kept_as=finding.kept_as(row),
        parent_id=row.parent_id, host=row.host, container=row.container, object_count=row.object_count,
        availability_zone=row.availability_zone, metadata=row.metadata, volume=row.volume,
    )  # fmt: skip
    text = base64.b64encode(msgspec.json.encode(known)).decode()
    return {"backup-record": {"backup_service": SERVICE, "backup_url": text}}


def _read(text: str) -> Known:
    try:
        document = msgspec.json.decode(base64.b64decode(text, validate=True))
        if not isinstance(document, dict):
            raise BadRequest("Can't parse backup record: it is no object.", kind="InvalidInput")
        for name in ("id", "size"):
            if name not in document:
                raise InvalidField("backup-record.backup_url", f"the record has no {name}")
        return msgspec.convert(document, Known)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidField("backup-record.backup_url", f"it is no backup record ({str(error)[:200]})") from None


def import_(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /backups/import_record: the host that has the content looks for it."""
    record = call.body.record
    if record.backup_service != SERVICE:
        raise InvalidField(
            "backup-record.backup_service", f"'{record.backup_service}' is not {SERVICE}, whose records are known here"
        )
    known = _read(record.backup_url)
    if finding.by_id(tx, known.id) is not None:
        raise BadRequest("Invalid backup: Backup already exists in database.", kind="InvalidBackup")
    project_id = str(call.caller.project_id or "")
    usage.reserve_backups(tx, call.runtime, project_id, backups=1, gigabytes=known.size)
    parent = known.parent_id if known.parent_id and finding.by_id(tx, known.parent_id) is not None else None
    row = {
        "id": known.id, "project_id": project_id, "user_id": call.caller.user_id, "name": known.name,
        "description": known.description, "volume_id": NOBODYS, "snapshot_id": None, "parent_id": parent,
        "metadata": known.metadata, "volume": known.volume | {finding.KEPT_AS: known.kept_as or known.id},
        "size": known.size, "container": known.container, "object_count": known.object_count,
        "availability_zone": known.availability_zone, "encryption_key_id": None, "data_timestamp": tx.now,
        "host": known.host or call.runtime[keys.HOST_NAME], "status": statuses.CREATING, "fail_reason": None,
        "restore_volume_id": None, "task": {"name": "import"}, "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(_ADD, row)
    timeline.record(tx, tasks.BACKUP, known.id, "import asked")
    tasks.mark(tx, call.runtime, known.id, str(row["host"]), kind=tasks.BACKUP)
    return {"backup": views.brief(call, finding.by_id(tx, known.id))}
