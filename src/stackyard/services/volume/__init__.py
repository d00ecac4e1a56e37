"""Volumes: Cinder's API, microversions 3.0 to 3.71.

Read ROUTES first; each noun has a module or folder of its name. An operation writes what is wanted, the reconciler of
the host that keeps the volume has a volume driver bring it about (reconcile/). The scheduler chooses back ends.
"""

from __future__ import annotations

from stackyard.core.microversion import MicroversionRange
from stackyard.core.routes import Route, Service
from stackyard.services.volume import (
    clusters,
    extensions,
    group_types,
    host_uses,
    message_routes,
    pools,
    qos,
    quotas,
    resource_filters,
    services,
    transfers,
    versions,
    zones,
)
from stackyard.services.volume.attachments import operations as attachments
from stackyard.services.volume.backups import routes as backup_routes
from stackyard.services.volume.faults import fault
from stackyard.services.volume.groups import routes as group_routes
from stackyard.services.volume.managing import routes as managing_routes
from stackyard.services.volume.policies import POLICIES
from stackyard.services.volume.snapshots import operations as snapshots
from stackyard.services.volume.types import routes as type_routes
from stackyard.services.volume.volumes import routes as volume_routes

ROUTES: tuple[Route, ...] = (
    *versions.ROUTES,
    *volume_routes.ROUTES,
    *snapshots.ROUTES,
    *attachments.ROUTES,
    *type_routes.ROUTES,
    *qos.ROUTES,
    *group_types.ROUTES,
    *group_routes.ROUTES,
    *transfers.ROUTES,
    *message_routes.ROUTES,
    *managing_routes.ROUTES,
    *backup_routes.ROUTES,
    *quotas.ROUTES,
    *services.ROUTES,
    *host_uses.ROUTES,
    *pools.ROUTES,
    *clusters.ROUTES,
    *zones.ROUTES,
    *extensions.ROUTES,
    *resource_filters.ROUTES,
)

SERVICE = Service(
    type="block-storage",
    name="cinder",
    mount="/volume",
    classic_port=8776,
    catalog_path="/v3/%(project_id)s",
    also_known_as=(("volumev3", "cinderv3"),),
    routes=ROUTES,
    policies=POLICIES,
    fault=fault,
    microversions=MicroversionRange("volume", versions.MINIMUM, versions.MAXIMUM),
    readdress=versions.address,
    hides_methods=True,
)
