"""Limits (limits): what a project may have and what it has, in the names that clients ask for first."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume.quotas import limits
from stackyard.services.volume.rules import READER

_MOST = {
    "maxTotalVolumeGigabytes": "gigabytes",
    "maxTotalBackupGigabytes": "backup_gigabytes",
    "maxTotalVolumes": "volumes",
    "maxTotalSnapshots": "snapshots",
    "maxTotalBackups": "backups",
}
_USED = {
    "totalVolumesUsed": "volumes",
    "totalGigabytesUsed": "gigabytes",
    "totalSnapshotsUsed": "snapshots",
    "totalBackupsUsed": "backups",
    "totalBackupGigabytesUsed": "backup_gigabytes",
}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /limits: the caller's project's; an administrator may name another one since 3.39."""
    project_id = call.caller.project_id or ""
    if call.caller.is_admin and call.since(3, 39):
        project_id = call.query.get("project_id") or call.query.get("tenant_id") or project_id
    if len(project_id) > 64:
        raise InvalidField("project_id", "an id has at most 64 characters")
    allowed = limits.in_force(tx, call.runtime, project_id)
    found = {name: allowed[resource] for name, resource in _MOST.items()}
    if call.allows("limits_extension:used_limits"):
        used = limits.in_use(tx, project_id)
        found |= {name: used[resource] for name, resource in _USED.items()}
    return {"limits": {"rate": [], "absolute": found}}


ROUTES = (Route("GET", "/v3/limits", show, "volume:any", query=("project_id", "tenant_id")),)

POLICIES = (Rule("limits_extension:used_limits", READER, "See with the limits what is in use."),)
