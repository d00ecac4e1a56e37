"""Nova's older calls that stand for other services' APIs, asked here as the caller; and those that are gone."""

from __future__ import annotations

from stackyard.services.compute.proxies import (
    baremetal,
    floating_ips,
    gone,
    images,
    networks,
    security_groups,
    shares,
    volumes,
)
from stackyard.services.compute.proxies.volumes_boot import routes as volumes_boot

__all__ = ["ACTIONS", "POLICIES", "ROUTES", "volumes_boot"]

ROUTES = (
    *security_groups.ROUTES,
    *floating_ips.ROUTES,
    *networks.ROUTES,
    *images.ROUTES,
    *volumes.ROUTES,
    *shares.ROUTES,
    *baremetal.ROUTES,
    *gone.ROUTES,
)

ACTIONS = (*security_groups.ACTIONS, *floating_ips.ACTIONS)

POLICIES = (
    *security_groups.POLICIES,
    *floating_ips.POLICIES,
    *networks.POLICIES,
    *volumes.POLICIES,
    *shares.POLICIES,
    *baremetal.POLICIES,
)
