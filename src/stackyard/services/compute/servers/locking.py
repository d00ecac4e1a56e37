"""Locked servers: only an administrator, or whoever may override locks, changes them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.services.compute.rules import ADMIN, MEMBER
from stackyard.services.compute.servers import tasks
from stackyard.services.compute.servers.action_routes import Action

OWNER, ADMINISTRATOR = "owner", "admin"


class Lock(Body):
    """`{"lock": {"locked_reason": "..."}}`, since 2.73."""

    locked_reason: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None


def _who(call: Call, server: Any) -> str:
    return OWNER if server.project_id == call.caller.project_id else ADMINISTRATOR


def lock(tx: Transaction, call: Call, body: Any) -> None:
    """Lock a server; an owner does not take over what is locked already."""
    server = call.target
    who = _who(call, server)
    if server.locked and who == OWNER:
        return
    tasks.record(tx, call, server, "lock", finished=True)
    reason = body.locked_reason if isinstance(body, Lock) else None
    tasks.update(tx, server.id, locked=True, locked_by=who, locked_reason=reason)


def unlock(tx: Transaction, call: Call, body: Any) -> None:
    """Unlock a server; what somebody else has locked needs a rule of its own."""
    del body
    server = call.target
    if server.locked_by and server.locked_by != _who(call, server):
        call.require("os_compute_api:os-lock-server:unlock:unlock_override", server)
    tasks.record(tx, call, server, "unlock", finished=True)
    tasks.update(tx, server.id, locked=False, locked_by=None, locked_reason=None)


_V273 = Microversion(2, 73)
ACTIONS = (
    Action(name="lock", operation=lock, rule="os_compute_api:os-lock-server:lock", until=Microversion(2, 72)),
    Action(name="lock", operation=lock, rule="os_compute_api:os-lock-server:lock", body=Lock, since=_V273),
    Action(name="unlock", operation=unlock, rule="os_compute_api:os-lock-server:unlock"),
)

POLICIES = (
    Rule("os_compute_api:os-lock-server:lock", MEMBER, "Lock a server."),
    Rule("os_compute_api:os-lock-server:unlock", MEMBER, "Unlock a server."),
    Rule(
        "os_compute_api:os-lock-server:unlock:unlock_override",
        ADMIN,
        "Unlock a server that somebody else has locked, and act on locked servers.",
    ),
)
