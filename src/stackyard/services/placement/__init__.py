"""Placement: what hosts and other providers have, and who has taken how much of it; microversions 1.0 to 1.39.

Read ROUTES first; each noun has a module of its name. Other services ask api.py, in their own transactions.
"""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.microversion import MicroversionRange
from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.services.placement import (
    aggregates,
    allocations,
    candidates,
    inventories,
    providers,
    reshaper,
    resource_classes,
    traits,
    usages,
)
from stackyard.services.placement.answers import fresh
from stackyard.services.placement.faults import MAXIMUM, MINIMUM, fault
from stackyard.services.placement.policies import POLICIES


def root(tx: Transaction, call: Call) -> Reply:
    """GET /: the versions."""
    version: dict[str, Any] = {
        "id": f"v{MINIMUM}",
        "max_version": str(MAXIMUM),
        "min_version": str(MINIMUM),
        "status": "CURRENT",
    }
    return fresh(call, {"versions": [version | {"links": [{"rel": "self", "href": ""}]}]}, tx.now)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/", root, PUBLIC),
    *providers.ROUTES,
    *inventories.ROUTES,
    *aggregates.ROUTES,
    *traits.ROUTES,
    *resource_classes.ROUTES,
    *usages.ROUTES,
    *allocations.ROUTES,
    *candidates.ROUTES,
    *reshaper.ROUTES,
)

SERVICE = Service(
    type="placement",
    name="placement",
    mount="/placement",
    classic_port=8778,
    routes=ROUTES,
    policies=POLICIES,
    fault=fault,
    microversions=MicroversionRange("placement", MINIMUM, MAXIMUM),
)
