"""What the API does with port forwardings of a floating IP."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import floating, resources, seen
from stackyard.services.network.checks import ADMIN, PARENT_MEMBER, PARENT_READER, any_of, rules
from stackyard.services.network.faults import conflict
from stackyard.services.network.floatingips import operations as floatingips
from stackyard.services.network.floatingips.association import address_of, router_to
from stackyard.services.network.port_forwardings.bodies import (
    ForwardingFields,
    NewForwarding,
    collision,
    overlap,
    read_ports,
    read_protocol,
    refuse_uneven,
)
from stackyard.services.network.resources import either
from stackyard.services.network.tables import floating_ips, port_forwardings

NAMES = ("port_forwarding", "port_forwardings")

_INSERT = sa.insert(port_forwardings)
_ONE = sa.select(port_forwardings).where(
    port_forwardings.c.id == bindparam("id"), port_forwardings.c.floatingip_id == bindparam("parent")
)
_INSIDE = sa.select(port_forwardings).where(
    port_forwardings.c.internal_port_id == bindparam("port"),
    port_forwardings.c.internal_ip_address == bindparam("address"),
    port_forwardings.c.protocol == bindparam("protocol"),
)
_BOUND = sa.select(floating_ips).where(floating_ips.c.port_id == bindparam("port")).limit(1)
_OF_PARENT = port_forwardings.c.floatingip_id == bindparam("parent")

_FILTERS = ("id", "protocol", "internal_port_id", "description")
_UNFILTERABLE = ("internal_ip_address", "internal_port")
LISTING = Listing(
    port_forwardings,
    {name: resources.column_filter(port_forwardings.c[name]) for name in _FILTERS}
    | {"external_port": resources.column_filter(port_forwardings.c.external_port_start)},
    sort_keys=("protocol", "internal_port_id"),
    max_limit=resources.LARGEST_PAGE,
)


def load_parent(tx: Transaction, call: Call) -> seen.Found:
    """The floating IP in the path; raises FloatingIPNotFound."""
    row = floatingips.load(tx, call)
    return seen.Found(row._mapping, **{"ext_parent:project_id": row.project_id})


def load(tx: Transaction, call: Call) -> seen.Found:
    """The port forwarding in the path; raises PortForwardingNotFound."""
    parent = load_parent(tx, call)
    wanted = call.path["port_forwarding_id"]
    row = tx.first(_ONE, {"id": wanted, "parent": parent.id})
    if row is None:
        raise NotFound(f"Port Forwarding {wanted} could not be found.", kind="PortForwardingNotFound")
    return seen.Found(row._mapping, parent=parent, **{"ext_parent:project_id": parent.project_id})


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /floatingips/{floatingip_id}/port_forwardings."""
    for name in _UNFILTERABLE:
        if call.query.get(name) is not None:
            raise BadRequest(
                f"Port Forwarding filter {name} is not supported.", kind="PortForwardingNotSupportFilterField"
            )
    scope = Scope("of a floating IP", _OF_PARENT, {"parent": call.target.id})
    page = resources.page_of(tx, call.query, LISTING, scope)
    return resources.listed(call, "port_forwardings", page, floating.forwarding_view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /floatingips/{floatingip_id}/port_forwardings/{port_forwarding_id}."""
    del tx
    return {"port_forwarding": resources.shown(call, floating.forwarding_view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /floatingips/{floatingip_id}/port_forwardings, one or many."""
    bodies, bulk = resources.read_bodies(call, NewForwarding, *NAMES)
    parent = call.target
    if parent.port_id:
        raise conflict(
            "FloatingIPPortAlreadyAssociated",
            f"Floating IP {parent.floating_ip_address} ({parent.id}) leads to port {parent.port_id} as a whole, so "
            "that none of its ports can be forwarded.",
        )
    views = [floating.forwarding_view(_create(tx, call, body)) for body in bodies]
    return resources.created(call, NAMES, views, bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewForwarding) -> Any:
    parent = load_parent(tx, call)
    for name in ("internal_port_id", "protocol"):
        if getattr(body, name) is UNSET:
            raise InvalidField(f"port_forwarding.{name}", "a port forwarding needs one.")
    inner, outer = read_ports("internal", body), read_ports("external", body)
    for side, ports in (("internal", inner), ("external", outer)):
        if ports is None:
            raise InvalidField(f"port_forwarding.{side}_port", "a port forwarding needs one, or a range.")
    values = {
        "internal_port_id": body.internal_port_id,
        "internal_ip_address": either(body.internal_ip_address, None),
        "protocol": read_protocol(either(body.protocol, "")),
    } | _columns(internal=inner, external=outer)
    router_id = _check(tx, call, parent, values, "")
    row = resources.new_row(tx, new_uuid(), parent.project_id, body) | values | {"floatingip_id": parent.id}
    del row["name"], row["tags"]
    try:
        tx.execute(_INSERT, row)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    resources.touch(tx, floating_ips, parent.id, router_id=router_id)
    timeline.record(tx, "port_forwarding", row["id"], "created", parent.id)
    floating.forwardings_changed(tx, parent.id, router_id)
    return tx.first(_ONE, {"id": row["id"], "parent": parent.id})


def _columns(**sides: tuple[int, int] | None) -> dict[str, int]:
    return {
        f"{side}_port_{end}": ports[index]
        for side, ports in sides.items()
        if ports is not None
        for index, end in enumerate(("start", "end"))
    }


def _check(tx: Transaction, call: Call, parent: Any, values: dict[str, Any], own_id: str) -> str:
    """Complete and check what a port forwarding is to be; returns the router that it goes through."""
    refuse_uneven(
        (values["internal_port_start"], values["internal_port_end"]),
        (values["external_port_start"], values["external_port_end"]),
    )
    port = seen.port(tx, call.caller, values["internal_port_id"])
    own = [item for item in port.fixed_ips if ":" not in item["ip_address"]]
    if not own:
        raise BadRequest(
            f"Requested internal port {port.id} must allocate an IPv4 address at least.", kind="BadRequest"
        )
    address = values["internal_ip_address"] or own[0]["ip_address"]
    item = address_of(port, address)
    values["internal_ip_address"] = item["ip_address"]
    _refuse_bound(tx, port, item["ip_address"])
    try:
        router_id = router_to(tx, parent.floating_network_id, port, item["subnet_id"])
    except NotFound as error:
        raise BadRequest(error.message, kind="BadRequest") from None
    if parent.router_id and parent.router_id != router_id:
        raise BadRequest(
            f"The Floating IP {parent.id} had been set on router {parent.router_id}, the internal Neutron port "
            f"{port.id} can not reach it",
            kind="BadRequest",
        )
    _refuse_collision(tx, parent, values, own_id)
    return router_id


def _refuse_bound(tx: Transaction, port: Any, address: str) -> None:
    bound = tx.first(_BOUND, {"port": port.id})
    if bound is not None:
        raise conflict(
            "PortHasBindingFloatingIP",
            f"Cannot create port forwarding with port {port.id} using fixed IP {address}, as that port already has a "
            f"binding floating IP {bound.floating_ip_address} ({bound.id}).",
        )


def _refuse_collision(tx: Transaction, parent: Any, values: dict[str, Any], own_id: str) -> None:
    inside = {"port": values["internal_port_id"], "address": values["internal_ip_address"],
              "protocol": values["protocol"]}  # fmt: skip
    inner = (values["internal_port_start"], values["internal_port_end"])
    for row in tx.all(_INSIDE, inside):
        if row.id != own_id and overlap(row, "internal", inner):
            raise collision("internal", row, values)
    outer = (values["external_port_start"], values["external_port_end"])
    for row in floating.forwardings(tx, parent.id):
        if row.id != own_id and row.protocol == values["protocol"] and overlap(row, "external", outer):
            raise collision("external", row, values)


_CHECKED = ("internal_port_id", "internal_ip_address", "protocol", "internal_port_start", "internal_port_end",
            "external_port_start", "external_port_end")  # fmt: skip


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /floatingips/{floatingip_id}/port_forwardings/{port_forwarding_id}."""
    row, body, parent = call.target, call.body, call.target.parent
    values = {name: row[name] for name in _CHECKED}
    if body.internal_port_id is not UNSET and body.internal_port_id != row.internal_port_id:
        values |= {"internal_port_id": body.internal_port_id, "internal_ip_address": None}
    if either(body.internal_ip_address, None):
        values["internal_ip_address"] = body.internal_ip_address
    if body.protocol is not UNSET:
        values["protocol"] = read_protocol(body.protocol)
    values |= _columns(internal=read_ports("internal", body), external=read_ports("external", body))
    router_id = parent.router_id
    if any(values[name] != row[name] for name in _CHECKED):
        router_id = _check(tx, call, parent, values, row.id)
    if body.description is not UNSET:
        values["description"] = body.description or ""
    try:
        resources.touch(tx, port_forwardings, row.id, **values)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    timeline.record(tx, "port_forwarding", row.id, "updated")
    floating.forwardings_changed(tx, parent.id, router_id)
    return {"port_forwarding": floating.forwarding_view(tx.first(_ONE, {"id": row.id, "parent": parent.id}))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /floatingips/{floatingip_id}/port_forwardings/{port_forwarding_id}."""
    floating.drop_forwarding(tx, call.target)


_ALL = "/v2.0/floatingips/{floatingip_id}/port_forwardings"
_PATH = f"{_ALL}/{{port_forwarding_id}}"

ROUTES = (
    Route("GET", _ALL, list_, "get_floatingip_port_forwarding", target=load_parent),
    Route("POST", _ALL, create, "create_floatingip_port_forwarding", target=load_parent, body=dict, status=201),
    Route("GET", _PATH, show, "get_floatingip_port_forwarding", target=load),
    Route("PUT", _PATH, update, "update_floatingip_port_forwarding", target=load, body=ForwardingFields,
          envelope="port_forwarding"),
    Route("DELETE", _PATH, delete, "delete_floatingip_port_forwarding", target=load, status=204),
)  # fmt: skip

POLICIES = (
    *rules(
        any_of(ADMIN, PARENT_MEMBER),
        "create_floatingip_port_forwarding",
        "update_floatingip_port_forwarding",
        "delete_floatingip_port_forwarding",
        about="Make, change and delete a port forwarding of a floating IP.",
    ),
    Rule("get_floatingip_port_forwarding", any_of(ADMIN, PARENT_READER), "See a port forwarding of a floating IP."),
)
