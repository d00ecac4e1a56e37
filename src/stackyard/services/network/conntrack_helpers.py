"""Conntrack helpers of a router: protocols whose further connections it recognises (FTP's data, SIP's calls)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import marks, resources, seen
from stackyard.services.network.checks import ADMIN, PARENT_MEMBER, PARENT_READER, any_of, rules
from stackyard.services.network.port_forwardings.bodies import read_protocol
from stackyard.services.network.resources import Text
from stackyard.services.network.routers import operations as routers_
from stackyard.services.network.tables import conntrack_helpers, routers

NAMES = ("conntrack_helper", "conntrack_helpers")

HELPERS: dict[str, tuple[str, ...]] = {
    "amanda": ("udp",),
    "ftp": ("tcp",),
    "h323": ("udp", "tcp"),
    "irc": ("tcp",),
    "netbios-ns": ("udp",),
    "pptp": ("tcp",),
    "sane": ("tcp",),
    "sip": ("udp", "tcp"),
    "snmp": ("udp",),
    "tftp": ("udp",),
}
"""The helpers that may be asked for, each with its protocols."""

_LARGEST_PORT = 65535
_SHOWN = ("id", "protocol", "port", "helper")
_INSERT = sa.insert(conntrack_helpers)
_DELETE = sa.delete(conntrack_helpers).where(conntrack_helpers.c.id == bindparam("id"))
_OF_PARENT = conntrack_helpers.c.router_id == bindparam("parent")
_ONE = sa.select(conntrack_helpers).where(conntrack_helpers.c.id == bindparam("id"), _OF_PARENT)
_ALL_OF = sa.select(conntrack_helpers).where(_OF_PARENT).order_by(conntrack_helpers.c.port, conntrack_helpers.c.id)

LISTING = Listing(
    conntrack_helpers,
    {name: resources.column_filter(conntrack_helpers.c[name]) for name in _SHOWN},
    sort_keys=("protocol", "port", "helper"),
    max_limit=resources.LARGEST_PAGE,
)


class HelperFields(Body):
    """What a helper may be changed to."""

    protocol: str | int | UnsetType = UNSET
    port: int | str | UnsetType = UNSET
    helper: str | UnsetType = UNSET


class NewHelper(HelperFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def load_parent(tx: Transaction, call: Call) -> seen.Found:
    """The router in the path; raises RouterNotFound."""
    row = routers_.load(tx, call)
    return seen.Found(row._mapping, **{"ext_parent:project_id": row.project_id})


def load(tx: Transaction, call: Call) -> seen.Found:
    """The helper in the path; raises ConntrackHelperNotFound."""
    parent = load_parent(tx, call)
    wanted = call.path["conntrack_helper_id"]
    row = tx.first(_ONE, {"id": wanted, "parent": parent.id})
    if row is None:
        raise NotFound(f"Conntrack Helper {wanted} could not be found.", kind="ConntrackHelperNotFound")
    return seen.Found(row._mapping, **{"ext_parent:project_id": parent.project_id})


def view(row: Any) -> dict[str, Any]:
    """A helper as the API shows it."""
    return {name: getattr(row, name) for name in _SHOWN}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /routers/{router_id}/conntrack_helpers."""
    scope = Scope("of a router", _OF_PARENT, {"parent": call.target.id})
    return resources.listed(call, "conntrack_helpers", resources.page_of(tx, call.query, LISTING, scope), view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /routers/{router_id}/conntrack_helpers/{conntrack_helper_id}."""
    del tx
    return {"conntrack_helper": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /routers/{router_id}/conntrack_helpers, one or many."""
    bodies, bulk = resources.read_bodies(call, NewHelper, *NAMES)
    views = []
    for body in bodies:
        for name in ("protocol", "port", "helper"):
            if getattr(body, name) is UNSET:
                raise InvalidField(f"conntrack_helper.{name}", "a conntrack helper needs one.")
        row = {"id": new_uuid(), "router_id": call.target.id} | _read(body)
        _check(tx, row)
        _write(tx, _INSERT, row)
        timeline.record(tx, marks.ROUTER, call.target.id, "conntrack helper added", row["helper"])
        views.append({name: row[name] for name in _SHOWN})
    _changed(tx, call.target.id)
    return resources.created(call, NAMES, views, bulk=bulk)


def _read(body: HelperFields) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if body.protocol is not UNSET:
        found["protocol"] = read_protocol(body.protocol)
    if body.port is not UNSET:
        found["port"] = resources.integer("port", body.port)
        if not 1 <= found["port"] <= _LARGEST_PORT:
            raise InvalidField("port", f"{found['port']} is not between 1 and {_LARGEST_PORT}.")
    if body.helper is not UNSET:
        found["helper"] = body.helper
    return found


def _check(tx: Transaction, row: dict[str, Any]) -> None:
    helper, protocol = row["helper"], row["protocol"]
    if helper not in HELPERS:
        raise BadRequest(f"Conntrack Helper {helper} is not allowed.", kind="ConntrackHelperNotAllowed")
    if protocol not in HELPERS[helper]:
        raise BadRequest(
            f"Conntrack Helper {helper} does not support: {protocol}. Supported protocols are: "
            f"{', '.join(HELPERS[helper])}",
            kind="InvalidProtocolForHelper",
        )
    for other in tx.all(_ALL_OF, {"parent": row["router_id"]}):
        if other.id != row["id"] and (other.helper, other.protocol, other.port) == (helper, protocol, row["port"]):
            raise BadRequest(
                "A duplicate conntrack helper entry with same attributes already exists, conflicting values are "
                f"{{'helper': '{helper}', 'protocol': '{protocol}', 'port': {row['port']}}}",
                kind="BadRequest",
            )


def _write(tx: Transaction, statement: sa.Executable, row: dict[str, Any]) -> None:
    try:
        tx.execute(statement, row)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error


def _changed(tx: Transaction, router_id: str) -> None:
    """Write on a router which helpers it has."""
    found = [
        {"protocol": row.protocol, "port": row.port, "helper": row.helper}
        for row in tx.all(_ALL_OF, {"parent": router_id})
    ]
    resources.touch(tx, routers, router_id, conntrack_helpers=found)
    marks.router(tx, router_id)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/conntrack_helpers/{conntrack_helper_id}."""
    row, changes = call.target, _read(call.body)
    after = {name: row[name] for name in (*_SHOWN, "router_id")} | changes
    _check(tx, after)
    if changes:
        statement = sa.update(conntrack_helpers).where(conntrack_helpers.c.id == bindparam("key")).values(**changes)
        _write(tx, statement, {"key": row.id})
        _changed(tx, row.router_id)
    return {"conntrack_helper": {name: after[name] for name in _SHOWN}}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /routers/{router_id}/conntrack_helpers/{conntrack_helper_id}."""
    tx.execute(_DELETE, {"id": call.target.id})
    timeline.record(tx, marks.ROUTER, call.target.router_id, "conntrack helper removed", call.target.helper)
    _changed(tx, call.target.router_id)


_ALL = "/v2.0/routers/{router_id}/conntrack_helpers"
_PATH = f"{_ALL}/{{conntrack_helper_id}}"

ROUTES = (
    Route("GET", _ALL, list_, "get_router_conntrack_helper", target=load_parent),
    Route("POST", _ALL, create, "create_router_conntrack_helper", target=load_parent, body=dict, status=201),
    Route("GET", _PATH, show, "get_router_conntrack_helper", target=load),
    Route("PUT", _PATH, update, "update_router_conntrack_helper", target=load, body=HelperFields,
          envelope="conntrack_helper"),
    Route("DELETE", _PATH, delete, "delete_router_conntrack_helper", target=load, status=204),
)  # fmt: skip

POLICIES = (
    *rules(
        any_of(ADMIN, PARENT_MEMBER),
        "create_router_conntrack_helper",
        "update_router_conntrack_helper",
        "delete_router_conntrack_helper",
        about="Make, change and delete a conntrack helper of a router.",
    ),
    Rule("get_router_conntrack_helper", any_of(ADMIN, PARENT_READER), "See a conntrack helper of a router."),
)
