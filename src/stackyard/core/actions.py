"""POST /servers/{server_id}/action: what can be done to a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackyard.core import actions
from stackyard.core.actions import Action
from stackyard.core.call import Call

__all__ = ["Action", "endpoint"]


def endpoint(servers_actions: tuple[Action, ...]) -> Callable[[Call], Any]:
    """The edge operation that serves these actions on servers."""
    return actions.endpoint(servers_actions, finding.load, "servers")
