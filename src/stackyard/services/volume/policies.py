"""Who may do what with volumes: Cinder's rules with Cinder's defaults.

Each noun declares its own (`POLICIES` in its module), with the fragments of rules.py; all are spliced here.
"""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.volume import (
    clusters,
    group_types,
    host_uses,
    message_routes,
    pools,
    qos,
    quotas,
    services,
    transfers,
)
from stackyard.services.volume.attachments import operations as attachments
from stackyard.services.volume.backups import routes as backup_routes
from stackyard.services.volume.groups import routes as group_routes
from stackyard.services.volume.managing import routes as managing_routes
from stackyard.services.volume.rules import ANY
from stackyard.services.volume.snapshots import operations as snapshots
from stackyard.services.volume.types import routes as type_routes
from stackyard.services.volume.volumes import routes as volume_routes

POLICIES: tuple[Rule, ...] = (
    Rule("volume:any", ANY, "Ask for an action on a volume, snapshot, ...; the action's own rule is checked then."),
    *volume_routes.POLICIES,
    *snapshots.POLICIES,
    *attachments.POLICIES,
    *type_routes.POLICIES,
    *qos.POLICIES,
    *group_types.POLICIES,
    *group_routes.POLICIES,
    *transfers.POLICIES,
    *message_routes.POLICIES,
    *managing_routes.POLICIES,
    *backup_routes.POLICIES,
    *quotas.POLICIES,
    *services.POLICIES,
    *host_uses.POLICIES,
    *pools.POLICIES,
    *clusters.POLICIES,
)
