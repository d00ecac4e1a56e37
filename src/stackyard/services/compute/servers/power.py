"""Actions that start, stop, reboot, pause and suspend servers: each writes a task, which the server's host does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.policy import Rule
from stackyard.services.compute.rules import MEMBER
from stackyard.services.compute.servers import abilities, tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import VmState, require, require_launched

_S = VmState
HARD_REBOOT = (_S.ACTIVE, _S.STOPPED, _S.PAUSED, _S.SUSPENDED, _S.ERROR)
WHILE_REBOOTING = (
    None, "rebooting", "reboot_pending", "reboot_started", "resuming", "rebooting_hard", "unpausing", "pausing",
    "suspending",
)  # fmt: skip
"""The tasks that a hard reboot takes the place of, as in Nova."""


class Reboot(Body):
    """`{"reboot": {"type": "SOFT"}}`."""

    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


def _simple(
    action: str, states: Iterable[VmState], task_state: str, ability: str = ""
) -> Callable[[Transaction, Call, Any], None]:
    """An action without arguments whose task has its name."""
    allowed = tuple(states)

    def operation(tx: Transaction, call: Call, body: Any) -> None:
        del body
        server = call.target
        tasks.require_unlocked(call, server, action)
        require(server, action, allowed)
        require_launched(server, action)
        if ability:
            abilities.require(call, server, ability)
        tasks.begin(tx, call, server, action, name=action, task_state=task_state)

    return operation


def reboot(tx: Transaction, call: Call, body: Reboot) -> None:
    """SOFT asks the server's system to restart; HARD ends it and starts it, also when it is stopped or in ERROR."""
    server = call.target
    hard = body.type.upper() == "HARD"
    tasks.require_unlocked(call, server, "reboot")
    if hard:
        require(server, "reboot", HARD_REBOOT, tasks=WHILE_REBOOTING)
    else:
        require(server, "reboot", (_S.ACTIVE,))
    require_launched(server, "reboot")
    task_state = "rebooting_hard" if hard else "rebooting"
    tasks.begin(tx, call, server, "reboot", name="reboot", task_state=task_state, hard=hard)


_STARTABLE = (_S.STOPPED, _S.ERROR)
"""ERROR beyond Nova: whose server was removed from its host behind our back starts it, and it is made anew."""

ACTIONS = (
    Action(
        name="os-start",
        operation=_simple("start", _STARTABLE, "powering-on"),
        rule="os_compute_api:servers:start",
    ),
    Action(
        name="os-stop",
        operation=_simple("stop", (_S.ACTIVE, _S.ERROR), "powering-off"),
        rule="os_compute_api:servers:stop",
    ),
    Action(name="reboot", operation=reboot, rule="os_compute_api:servers:reboot", body=Reboot),
    Action(
        name="pause",
        operation=_simple("pause", (_S.ACTIVE,), "pausing", "pause"),
        rule="os_compute_api:os-pause-server:pause",
    ),
    Action(
        name="unpause",
        operation=_simple("unpause", (_S.PAUSED,), "unpausing"),
        rule="os_compute_api:os-pause-server:unpause",
    ),
    Action(
        name="suspend",
        operation=_simple("suspend", (_S.ACTIVE,), "suspending", "suspend"),
        rule="os_compute_api:os-suspend-server:suspend",
    ),
    Action(
        name="resume",
        operation=_simple("resume", (_S.SUSPENDED,), "resuming"),
        rule="os_compute_api:os-suspend-server:resume",
    ),
)

POLICIES = (
    Rule("os_compute_api:servers:start", MEMBER, "Start a server."),
    Rule("os_compute_api:servers:stop", MEMBER, "Stop a server."),
    Rule("os_compute_api:servers:reboot", MEMBER, "Reboot a server."),
    Rule("os_compute_api:os-pause-server:pause", MEMBER, "Pause a server."),
    Rule("os_compute_api:os-pause-server:unpause", MEMBER, "Let a paused server go on."),
    Rule("os_compute_api:os-suspend-server:suspend", MEMBER, "Suspend a server."),
    Rule("os_compute_api:os-suspend-server:resume", MEMBER, "Resume a suspended server."),
)
