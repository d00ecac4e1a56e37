"""The routes of volume types and of what belongs to them, and the rules on them."""

from __future__ import annotations

from stackyard.services.volume.types import access, defaults, encryption, extra_specs, operations

ROUTES = (
    *operations.ROUTES,
    *extra_specs.ROUTES,
    *access.ROUTES,
    *encryption.ROUTES,
    *defaults.ROUTES,
)
POLICIES = (
    *operations.POLICIES,
    *extra_specs.POLICIES,
    *access.POLICIES,
    *encryption.POLICIES,
    *defaults.POLICIES,
)
