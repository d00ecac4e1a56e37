"""Who may do what with servers: Nova's rules with Nova's defaults.

Each noun declares its own (`POLICIES` in its module), with these fragments; all are spliced here.
"""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.compute import aggregates, consoles, extensions, flavors, hypervisors, keypairs, services, zones
from stackyard.services.compute.hosts import routes as host_routes
from stackyard.services.compute.rules import ANY
from stackyard.services.compute.servers import administration, deletion, inside, locking, power

POLICIES: tuple[Rule, ...] = (
    *consoles.POLICIES,
    *power.POLICIES,
    *locking.POLICIES,
    *inside.POLICIES,
    *deletion.POLICIES,
    *administration.POLICIES,
    Rule("os_compute_api:any", ANY, "Ask for an action on a server; the action's own rule is checked then."),
    *flavors.POLICIES,
    *services.POLICIES,
    *hypervisors.POLICIES,
    *host_routes.POLICIES,
    *aggregates.POLICIES,
    *zones.POLICIES,
    *keypairs.POLICIES,
    *extensions.POLICIES,
)
