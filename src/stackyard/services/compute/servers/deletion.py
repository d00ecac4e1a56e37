"""Actions about deleted servers: deleting at once whatever is under way, and restoring what was deleted softly.

Servers are deleted at once (Nova's reclaim_instance_interval 0), so that there is nothing to restore as a rule.
"""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.policy import Rule
from stackyard.services.compute.rules import MEMBER
from stackyard.services.compute.servers import tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.operations import begin_delete
from stackyard.services.compute.servers.states import VmState, require


def force_delete(tx: Transaction, call: Call, body: Any) -> None:
    """Delete at once, in any state, also when it was deleted softly."""
    del body
    begin_delete(tx, call, call.target)


def restore(tx: Transaction, call: Call, body: Any) -> None:
    """Bring back a server that was deleted softly."""
    del body
    server = call.target
    require(server, "restore", (VmState.SOFT_DELETED,))
    tasks.begin(tx, call, server, "restore", name="restore", task_state="restoring")


ACTIONS = (
    Action(name="forceDelete", operation=force_delete, rule="os_compute_api:os-deferred-delete:force"),
    Action(name="restore", operation=restore, rule="os_compute_api:os-deferred-delete:restore"),
)

POLICIES = (
    Rule("os_compute_api:os-deferred-delete:force", MEMBER, "Delete a server at once."),
    Rule("os_compute_api:os-deferred-delete:restore", MEMBER, "Restore a server that was deleted softly."),
)
