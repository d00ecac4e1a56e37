"""The routes of servers and of what they have, and the rules on them; actions are in action_routes.py and beside it."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.servers import (
    attachments,
    external_events,
    instance_actions,
    interfaces,
    looking,
    metadata,
    operations,
    tags,
)

_NOUNS = (operations, metadata, tags, looking, interfaces, attachments, instance_actions, external_events)

ROUTES: tuple[Route, ...] = tuple(route for noun in _NOUNS for route in noun.ROUTES)

POLICIES: tuple[Rule, ...] = tuple(rule for noun in _NOUNS for rule in noun.POLICIES)
