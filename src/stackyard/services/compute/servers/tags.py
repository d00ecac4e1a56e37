"""A server's tags, since 2.26."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import MEMBER, READER
from stackyard.services.compute.servers import fields, finding
from stackyard.services.compute.servers.metadata import CHANGEABLE
from stackyard.services.compute.servers.states import require
from stackyard.services.compute.tables import server_tags

_ALL = sa.select(server_tags.c.tag).where(server_tags.c.server_id == bindparam("server")).order_by(server_tags.c.tag)
_ADD = sa.insert(server_tags)
_CLEAR = sa.delete(server_tags).where(server_tags.c.server_id == bindparam("server"))
_DROP = _CLEAR.where(server_tags.c.tag == bindparam("name"))


class Tags(Body):
    """`{"tags": [...]}`."""

    tags: list[Any]


def _tags(tx: Transaction, call: Call) -> list[str]:
    return [row.tag for row in tx.all(_ALL, {"server": call.target.id})]


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../tags."""
    return {"tags": _tags(tx, call)}


def show(tx: Transaction, call: Call) -> Reply:
    """GET .../tags/{tag}: whether the server has it."""
    if call.path["tag"] not in _tags(tx, call):
        raise _missing(call)
    return Reply(status=204)


def _missing(call: Call) -> NotFound:
    return NotFound(f"Server {call.target.id} has no tag '{call.path['tag'][:80]}'", kind="InstanceTagNotFound")


def update_all(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT .../tags."""
    require(call.target, "update tags", CHANGEABLE, tasks=None)
    tags = fields.check_tags("tags", call.body.tags)
    tx.execute(_CLEAR, {"server": call.target.id})
    if tags:
        tx.execute(_ADD, [{"server_id": call.target.id, "tag": tag} for tag in tags])
    return {"tags": tags}


def update(tx: Transaction, call: Call) -> Reply:
    """PUT .../tags/{tag}: 201 when it is new."""
    server, tag = call.target, call.path["tag"]
    require(server, "update tag", CHANGEABLE, tasks=None)
    fields.check_tag("tag", tag)
    present = _tags(tx, call)
    if len(present) >= fields.MOST_TAGS:
        raise BadRequest(f"The number of tags exceeded the per-server limit {fields.MOST_TAGS}")
    if tag in present:
        return Reply(status=204)
    tx.execute(_ADD, {"server_id": server.id, "tag": tag})
    place = call.url(f"/v2.1/servers/{server.id}/tags/{quote(tag, safe='')}")
    return Reply(b"", status=201, headers={"Location": place})


def delete(tx: Transaction, call: Call) -> None:
    """DELETE .../tags/{tag}."""
    require(call.target, "delete tag", CHANGEABLE, tasks=None)
    if tx.execute(_DROP, {"server": call.target.id, "name": call.path["tag"]}).rowcount == 0:
        raise _missing(call)


def delete_all(tx: Transaction, call: Call) -> None:
    """DELETE .../tags."""
    require(call.target, "delete tags", CHANGEABLE, tasks=None)
    tx.execute(_CLEAR, {"server": call.target.id})


_PATH = "/v2.1/servers/{server_id}/tags"
_RULE = "os_compute_api:os-server-tags:"
_SINCE = Microversion(2, 26)

ROUTES = (
    Route("GET", _PATH, list_, f"{_RULE}index", target=finding.load, since=_SINCE),
    Route("PUT", _PATH, update_all, f"{_RULE}update_all", target=finding.load, body=Tags, since=_SINCE),
    Route("DELETE", _PATH, delete_all, f"{_RULE}delete_all", target=finding.load, status=204, since=_SINCE),
    Route("GET", f"{_PATH}/{{tag}}", show, f"{_RULE}show", target=finding.load, since=_SINCE),
    Route("PUT", f"{_PATH}/{{tag}}", update, f"{_RULE}update", target=finding.load, since=_SINCE),
    Route("DELETE", f"{_PATH}/{{tag}}", delete, f"{_RULE}delete", target=finding.load, status=204, since=_SINCE),
)

POLICIES = (
    Rule(f"{_RULE}index", READER, "See a server's tags."),
    Rule(f"{_RULE}show", READER, "See whether a server has a tag."),
    Rule(f"{_RULE}update_all", MEMBER, "Replace a server's tags."),
    Rule(f"{_RULE}update", MEMBER, "Give a server a tag."),
    Rule(f"{_RULE}delete", MEMBER, "Take a tag from a server."),
    Rule(f"{_RULE}delete_all", MEMBER, "Take all tags from a server."),
)
