"""The routes of servers and of what they have, and the rules on them; actions are in action_routes.py and beside it."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.servers import operations

ROUTES: tuple[Route, ...] = (*operations.ROUTES,)

POLICIES: tuple[Rule, ...] = (*operations.POLICIES,)
