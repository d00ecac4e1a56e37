"""Compute: Nova's API, microversions 2.1 to 2.104, for machines, application containers and system containers.

Read ROUTES first; each noun has a module or folder of its name. An operation on a server writes what is wanted
(servers/), the reconciler of its host has a machine driver bring it about (reconcile/). The scheduler chooses hosts.
"""

from __future__ import annotations

from stackyard.core.microversion import MicroversionRange
from stackyard.core.routes import Route, Service
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
    versions,
    zones,
)
from stackyard.services.compute.faults import fault
from stackyard.services.compute.hosts import routes as host_routes
from stackyard.services.compute.policies import POLICIES
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
from stackyard.services.compute.servers.action_routes import Action, endpoint

ACTIONS: tuple[Action, ...] = (
    *consoles.ACTIONS,
    *power.ACTIONS,
    *locking.ACTIONS,
    *inside.ACTIONS,
    *deletion.ACTIONS,
    *administration.ACTIONS,
    *rebuild.ACTIONS,
    *resize.ACTIONS,
    *rescue.ACTIONS,
    *shelve.ACTIONS,
    *snapshots.ACTIONS,
    *migrate.ACTIONS,
    *evacuate.ACTIONS,
    *proxies.ACTIONS,
)

_ROUTES: tuple[Route, ...] = (
    *versions.ROUTES,
    *consoles.ROUTES,
    *inside.ROUTES,
    *live_migrations.ROUTES,
    *assisted_volume_snapshots.ROUTES,
    *flavors.ROUTES,
    *services.ROUTES,
    *hypervisors.ROUTES,
    *host_routes.ROUTES,
    *aggregates.ROUTES,
    *server_groups.ROUTES,
    *quotas.ROUTES,
    *limits.ROUTES,
    *usage.ROUTES,
    *migrations.ROUTES,
    *zones.ROUTES,
    *keypairs.ROUTES,
    *extensions.ROUTES,
    *audit_log.ROUTES,
    *proxies.ROUTES,
    *server_routes.ROUTES,
    Route(
        "POST",
        "/v2.1/servers/{server_id}/action",
        endpoint(ACTIONS),
        "os_compute_api:any",
        status=202,
        body=dict,
        edge=True,
        writes=True,
    ),
)

ROUTES = (*_ROUTES, *proxies.volumes_boot(_ROUTES))

WEBSOCKETS = consoles.WEBSOCKETS

SERVICE = Service(
    type="compute",
    name="nova",
    mount="/compute",
    classic_port=8774,
    catalog_path="/v2.1",
    routes=ROUTES,
    policies=POLICIES,
    fault=fault,
    microversions=MicroversionRange("compute", versions.MINIMUM, versions.MAXIMUM, "x-openstack-nova-api-version"),
    readdress=versions.address,
    hides_methods=True,
    request_id_header="x-compute-request-id",
)
