"""Quotas of compute: what projects, and users in them, may have.

limits.py: the limits in force, and the checks that others make; sets.py and classes.py: what callers may ask.
"""

from __future__ import annotations

from stackyard.services.compute.quotas import classes, sets
from stackyard.services.compute.quotas.limits import limit, own_of_user

__all__ = ["POLICIES", "ROUTES", "limit", "own_of_user"]

ROUTES = (*sets.ROUTES, *classes.ROUTES)
POLICIES = (*sets.POLICIES, *classes.POLICIES)
