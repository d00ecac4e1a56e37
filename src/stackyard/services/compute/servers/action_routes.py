"""POST /servers/{id}/action: one address for everything that can be done to a server (see core/actions.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackyard.core import actions as core_actions
from stackyard.core.actions import Action
from stackyard.core.call import Call
from stackyard.services.compute.servers import finding

__all__ = ["Action", "endpoint"]


def endpoint(actions: tuple[Action, ...]) -> Callable[[Call], Any]:
    """The edge operation that serves these actions on servers."""
    return core_actions.endpoint(actions, finding.load, "servers")
