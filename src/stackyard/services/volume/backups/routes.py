"""The routes of backups, and the rules on them."""

from __future__ import annotations

from stackyard.core.actions import Action, endpoint
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume.backups import bodies, finding, operations, records, restoring
from stackyard.services.volume.rules import ADMIN, MEMBER, READER

_ALL = "/v3/backups"
_ONE = f"{_ALL}/{{backup_id}}"
_QUERY = operations.LISTING.parameters
_ADMIN = "volume_extension:backup_admin_actions"

ACTIONS = (
    Action(name="os-reset_status", operation=operations.reset_status, rule=f"{_ADMIN}:reset_status", body=bodies.Reset),
    Action(name="os-force_delete", operation=operations.force_delete, rule=f"{_ADMIN}:force_delete"),
)

ROUTES = (
    Route("GET", _ALL, operations.list_, "backup:get_all", query=_QUERY),
    Route("GET", f"{_ALL}/detail", operations.detail, "backup:get_all", query=_QUERY),
    Route("POST", _ALL, operations.create, "backup:create", body=bodies.new_backup, envelope="backup", status=202),
    Route("POST", f"{_ALL}/import_record", records.import_, "backup:backup-import", body=bodies.Imported, status=201),
    Route("GET", _ONE, operations.show, "backup:get", target=finding.load),
    Route(
        "PUT", _ONE, operations.update, "backup:update", target=finding.load, body=bodies.changed_backup,
        envelope="backup", since=Microversion(3, 9),
    ),
    Route("DELETE", _ONE, operations.delete, "backup:delete", target=finding.load, status=202),
    Route(
        "POST", f"{_ONE}/restore", restoring.restore, "backup:restore", target=finding.load, body=bodies.Restore,
        envelope="restore", status=202,
    ),
    Route("GET", f"{_ONE}/export_record", records.export, "backup:export-import", target=finding.load),
    Route(
        "POST", f"{_ONE}/action", endpoint(ACTIONS, finding.load, "backups"), "volume:any", edge=True, body=dict,
        status=202,
    ),
)  # fmt: skip

POLICIES = (
    Rule("backup:get_all", READER, "List backups."),
    Rule("backup:get", READER, "See a backup."),
    Rule("backup:create", MEMBER, "Back a volume up."),
    Rule("backup:update", MEMBER, "Change a backup's name, description and metadata."),
    Rule("backup:delete", MEMBER, "Delete a backup."),
    Rule("backup:restore", MEMBER, "Restore a backup."),
    Rule("backup:backup-import", ADMIN, "Import the record of a backup."),
    Rule("backup:export-import", ADMIN, "Export the record of a backup."),
    Rule("backup:backup_project_attribute", ADMIN, "See whose a backup is."),
    Rule(f"{_ADMIN}:reset_status", ADMIN, "Reset the status of a backup."),
    Rule(f"{_ADMIN}:force_delete", ADMIN, "Delete a backup whatever its status."),
)
