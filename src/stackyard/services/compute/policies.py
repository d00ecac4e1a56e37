"""Who may do what with servers: Nova's rules with Nova's defaults.

Each noun declares its own (`POLICIES` in its module), with these fragments; all are spliced here.
"""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.compute import (
    aggregates,
    assisted_volume_snapshots,
    audit_log,
    consoles,
    extensions,
    flavors,
    hypervisors,
    keypairs,
    limits,
    migrations,
    proxies,
    quotas,
    server_groups,
    services,
    usage,
    zones,
)
from stackyard.services.compute.hosts import routes as host_routes
from stackyard.services.compute.rules import ANY
from stackyard.services.compute.servers import (
    administration,
    deletion,
    evacuate,
    inside,
    live_migrations,
    locking,
    migrate,
    power,
    rebuild,
    rescue,
    resize,
    shelve,
    snapshots,
)
from stackyard.services.compute.servers import routes as server_routes

POLICIES: tuple[Rule, ...] = (
    *consoles.POLICIES,
    *power.POLICIES,
    *locking.POLICIES,
    *inside.POLICIES,
    *deletion.POLICIES,
    *administration.POLICIES,
    *rebuild.POLICIES,
    *resize.POLICIES,
    *rescue.POLICIES,
    *shelve.POLICIES,
    *snapshots.POLICIES,
    *migrate.POLICIES,
    *evacuate.POLICIES,
    *live_migrations.POLICIES,
    *assisted_volume_snapshots.POLICIES,
    Rule("os_compute_api:any", ANY, "Ask for an action on a server; the action's own rule is checked then."),
    *flavors.POLICIES,
    *services.POLICIES,
    *hypervisors.POLICIES,
    *host_routes.POLICIES,
    *aggregates.POLICIES,
    *server_groups.POLICIES,
    *quotas.POLICIES,
    *limits.POLICIES,
    *usage.POLICIES,
    *migrations.POLICIES,
    *zones.POLICIES,
    *keypairs.POLICIES,
    *extensions.POLICIES,
    *audit_log.POLICIES,
    *proxies.POLICIES,
    *server_routes.POLICIES,
)
