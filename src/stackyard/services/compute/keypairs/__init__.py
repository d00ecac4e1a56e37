"""Key pairs: what servers let their users in by; a user's own, in whatever project."""

from __future__ import annotations

from stackyard.services.compute.keypairs.operations import POLICIES, ROUTES
from stackyard.services.compute.keypairs.rows import find

__all__ = ["POLICIES", "ROUTES", "find"]
