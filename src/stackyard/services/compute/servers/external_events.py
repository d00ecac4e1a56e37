"""POST /os-server-external-events: other services tell what happened to what servers have."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import SERVICE
from stackyard.services.compute.servers import fields, tasks
from stackyard.services.compute.tables import servers
from stackyard.services.compute.volumes import ending

_KNOWN = sa.select(servers.c.id, servers.c.host).where(
    servers.c.id.in_(bindparam("keys", expanding=True)), servers.c.deleted_at.is_(None)
)
_NAMES: dict[str, tuple[int, int]] = {
    "network-changed": (2, 1),
    "network-vif-plugged": (2, 1),
    "network-vif-unplugged": (2, 1),
    "network-vif-deleted": (2, 1),
    "volume-extended": (2, 51),
    "power-update": (2, 76),
    "accelerator-request-bound": (2, 82),
    "volume-reimaged": (2, 93),
}
_TAG_REQUIRED = frozenset({"volume-extended", "power-update", "accelerator-request-bound"})


class Event(Body):
    """One thing that happened."""

    name: str
    server_uuid: str
    status: Literal["failed", "completed", "in-progress"] | UnsetType = UNSET
    tag: str | UnsetType = UNSET


class Events(Body):
    """The body."""

    events: list[Event]


def create(tx: Transaction, call: Call) -> Reply:
    """Take events in: each answer says whether it could be given to the server's host; 207 when one could not."""
    events: list[Event] = call.body.events
    if not events:
        raise InvalidField("events", "it is empty.")
    for index, event in enumerate(events):
        _check(call, f"events[{index}]", event)
    known = {row.id: row.host for row in tx.all(_KNOWN, {"keys": sorted({event.server_uuid for event in events})})}
    views = []
    for event in events:
        code = _code(event, known)
        if code == 200:
            tasks.mark(tx, event.server_uuid, known[event.server_uuid])
            if event.tag is not UNSET:
                ending.tell(tx, event.server_uuid, event.name, event.tag)
        view: dict[str, Any] = {"name": event.name, "server_uuid": event.server_uuid}
        if event.tag is not UNSET:
            view["tag"] = event.tag
        views.append(view | {"status": "completed" if code == 200 else "failed", "code": code})
    return Reply({"events": views}, status=200 if all(view["code"] == 200 for view in views) else 207)


def _check(call: Call, field: str, event: Event) -> None:
    since = _NAMES.get(event.name)
    if since is None or not call.since(*since):
        raise InvalidField(f"{field}.name", f"'{event.name[:80]}' is no event of this microversion.")
    fields.check_uuid(f"{field}.server_uuid", event.server_uuid)
    if event.tag is not UNSET and len(event.tag) > 255:
        raise InvalidField(f"{field}.tag", "it has at most 255 characters.")


def _code(event: Event, known: dict[str, str | None]) -> int:
    if event.server_uuid not in known:
        return 404
    if event.name in _TAG_REQUIRED and event.tag is UNSET:
        return 400
    return 200 if known[event.server_uuid] is not None else 422


_RULE = "os_compute_api:os-server-external-events:create"

ROUTES = (Route("POST", "/v2.1/os-server-external-events", create, _RULE, body=Events),)

POLICIES = (Rule(_RULE, SERVICE, "Tell what happened to what servers have."),)
