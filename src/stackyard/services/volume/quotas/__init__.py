"""Quotas of volumes: what projects may have.

usage.py counts, limits.py says which limits are in force; sets.py, classes.py and absolute.py are what callers may ask.
"""

from __future__ import annotations

from stackyard.services.volume.quotas import absolute, classes, sets

ROUTES = (*sets.ROUTES, *classes.ROUTES, *absolute.ROUTES)
POLICIES = (*sets.POLICIES, *classes.POLICIES, *absolute.POLICIES)
