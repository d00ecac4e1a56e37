"""Compute: Nova's API, microversions 2.1 to 2.104, for machines, application containers and system containers.

Read ROUTES first; each noun has a module or folder of its name. An operation on a server writes what is wanted
(servers/), the reconciler of its host has a machine driver bring it about (reconcile/). The scheduler chooses hosts.
"""

from __future__ import annotations

from stackyard.core.microversion import MicroversionRange
from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.services.compute import consoles, flavors, keypairs, versions
from stackyard.services.compute.faults import fault
from stackyard.services.compute.policies import POLICIES
from stackyard.services.compute.servers.action_routes import Action, endpoint

ACTIONS: tuple[Action, ...] = (*consoles.ACTIONS,)

ROUTES: tuple[Route, ...] = (
    Route("GET", "/", versions.root, PUBLIC),
    Route("GET", "/v2.1", versions.v21, PUBLIC),
    *consoles.ROUTES,
    *flavors.ROUTES,
    *keypairs.ROUTES,
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
)
