"""Actions for administrators: saying what state a server is in, and having its network looked at again."""

from __future__ import annotations

from typing import Any, Literal

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Gone
from stackyard.core.policy import Rule
from stackyard.services import keys
from stackyard.services.compute.rules import ADMIN
from stackyard.services.compute.servers import tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import Power, VmState
from stackyard.services.network import api as network_api


class State(Body):
    """`{"os-resetState": {"state": "active"}}`."""

    state: Literal["active", "error"]


def reset_state(tx: Transaction, call: Call, body: State) -> None:
    """Say that the server is active, or in error; a task that it has ends."""
    server = call.target
    tasks.record(tx, call, server, "resetState", finished=True)
    timeline.record(tx, tasks.KIND, server.id, f"state set to {body.state}")
    columns: dict[str, Any] = {"vm_state": VmState.ERROR}
    if body.state == "active":
        columns = {"vm_state": VmState.ACTIVE, "power": Power.RUNNING}
    tasks.update(tx, server.id, task=None, task_state=None, task_request_id=None, **columns)
    if server.host is not None:
        tasks.mark(tx, server.id, server.host)


def inject_network_info(tx: Transaction, call: Call, body: Any) -> None:
    """Have the wires of the server's ports looked at, and made anew where they are not as they should be."""
    del body
    server = call.target
    tasks.require_unlocked(call, server, "inject_network_info")
    network_api.look_again(tx, [interface["port"] for interface in server.interfaces])
    tasks.mark(tx, server.id, server.host or call.runtime[keys.HOST_NAME])


def reset_network(tx: Transaction, call: Call, body: Any) -> None:
    """An action of Xen's, gone since Nova 23."""
    del tx, call, body
    raise Gone(
        "This action only works with the Xen virt driver, which was deprecated in the 20.0.0 (Train) release. "
        "It was removed in the 23.0.0 (Wallaby) release."
    )


ACTIONS = (
    Action(
        name="os-resetState",
        operation=reset_state,
        rule="os_compute_api:os-admin-actions:reset_state",
        body=State,
    ),
    Action(
        name="injectNetworkInfo",
        operation=inject_network_info,
        rule="os_compute_api:os-admin-actions:inject_network_info",
    ),
    Action(name="resetNetwork", operation=reset_network, rule="os_compute_api:any"),
)

POLICIES = (
    Rule("os_compute_api:os-admin-actions:reset_state", ADMIN, "Say what state a server is in."),
    Rule("os_compute_api:os-admin-actions:inject_network_info", ADMIN, "Have a server's network looked at again."),
)
