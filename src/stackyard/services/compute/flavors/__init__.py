"""Flavors: the sizes that servers come in. rows.py finds them, the other modules are their API."""

from __future__ import annotations

from stackyard.services.compute.flavors import access, extra_specs, operations
from stackyard.services.compute.flavors.rows import find, seed, snapshot

__all__ = ["POLICIES", "ROUTES", "find", "seed", "snapshot"]

ROUTES = (*operations.ROUTES, *extra_specs.ROUTES, *access.ROUTES)

POLICIES = (*operations.POLICIES, *extra_specs.POLICIES, *access.POLICIES)
