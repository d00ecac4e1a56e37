"""Bindings: on which host a port is, or is going to be. The active one is in the port's row, the others are prepared.

A machine that moves has its port bound inactively on the next host, and the binding activated when it is there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.routes import Route
from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.network import hosts, marks, resources, seen
from stackyard.services.network.checks import ADMIN, SERVICE, any_of, rules
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.ports import attributes, views
from stackyard.services.network.ports.bodies import read_vnic_type
from stackyard.services.network.resources import Text, either
from stackyard.services.network.tables import port_bindings, ports

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"

_OF_PORT = sa.select(port_bindings).where(port_bindings.c.port_id == bindparam("port")).order_by(port_bindings.c.host)
_ONE = _OF_PORT.where(port_bindings.c.host == bindparam("on"))
_INSERT = sa.insert(port_bindings)
_DELETE = sa.delete(port_bindings).where(
    port_bindings.c.port_id == bindparam("port"), port_bindings.c.host == bindparam("on")
)


class BindingFields(Body):
    """What a binding may be changed to."""

    vnic_type: Text | UnsetType = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET
    host: Text | UnsetType = UNSET


class NewBinding(Body, kw_only=True):
    """The body of a POST."""

    host: Text
    vnic_type: Text | UnsetType = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def vif_type(tx: Transaction, runtime: Runtime, host: str, vnic_type: str) -> str:
    """How a port is plugged on a host: by a bridge, not at all while it is bound nowhere, or it cannot be."""
    if not host:
        return "unbound"
    known = {runtime[keys.HOST_NAME], *hosts.names(tx)}
    return "bridge" if host in known and vnic_type == "normal" else "binding_failed"


def load(tx: Transaction, call: Call) -> Any:
    """The port in the path."""
    return seen.port(tx, call.caller, call.path["port_id"])


def _view(host: str, vnic_type: str, profile: Any, kind: str, status: str) -> dict[str, Any]:
    return {
        "host": host,
        "vif_type": kind,
        "vif_details": views.vif_details(kind),
        "vnic_type": vnic_type,
        "profile": profile,
        "status": status,
    }


def _prepared(row: Any) -> dict[str, Any]:
    return _view(row.host, row.vnic_type, row.profile, row.vif_type, INACTIVE)


def _active(port: Any) -> dict[str, Any]:
    return _view(port.binding_host, port.binding_vnic_type, port.binding_profile, views.vif_type(port), ACTIVE)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /ports/{port_id}/bindings."""
    port = call.target
    found = [_active(port)] if port.binding_host else []
    found += [_prepared(row) for row in tx.all(_OF_PORT, {"port": port.id})]
    wanted = {name: set(call.query.all(name)) for name in ("host", "vif_type", "vnic_type", "status")}
    kept = [item for item in found if all(not values or item[name] in values for name, values in wanted.items())]
    return {"bindings": [resources.shown(call, item) for item in kept]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /ports/{port_id}/bindings/{host}."""
    port, host = call.target, call.path["host"]
    found = _active(port) if port.binding_host == host else _prepared(_find(tx, port.id, host))
    return {"binding": resources.shown(call, found)}


def _find(tx: Transaction, port_id: str, host: str) -> Any:
    row = tx.first(_ONE, {"port": port_id, "on": host})
    if row is None:
        raise NotFound(f"Binding for port {port_id} for host {host} could not be found.", kind="PortBindingNotFound")
    return row


def create(tx: Transaction, call: Call) -> Reply:
    """POST /ports/{port_id}/bindings: a first one is active, a further one is prepared."""
    port, body = call.target, call.body
    _refuse_unowned(port)
    if not body.host:
        raise invalid("a binding needs a host.")
    if body.host == port.binding_host or tx.first(_ONE, {"port": port.id, "on": body.host}) is not None:
        raise conflict("PortBindingAlreadyExists", f"Binding for port {port.id} on host {body.host} already exists.")
    vnic_type = read_vnic_type(either(body.vnic_type, "normal"))
    profile = attributes.read_profile(either(body.profile, None))
    kind = vif_type(tx, call.runtime, body.host, vnic_type)
    if not port.binding_host:
        _write_active(tx, port, body.host, vnic_type, profile, kind)
        return Reply({"binding": _view(body.host, vnic_type, profile, kind, ACTIVE)}, status=201)
    row = {"port_id": port.id, "host": body.host, "vnic_type": vnic_type, "profile": profile, "vif_type": kind}
    tx.execute(_INSERT, row | {"created_at": tx.now})
    timeline.record(tx, marks.PORT, port.id, "binding prepared", f"on {body.host}")
    return Reply({"binding": _view(body.host, vnic_type, profile, kind, INACTIVE)}, status=201)


def _refuse_unowned(port: Any) -> None:
    """Only machines move; Neutron lets no other ports have several bindings."""
    if not port.device_owner.startswith("compute:"):
        raise invalid(f"Invalid port {port.id}. Operation only valid on compute ports (device_owner compute:...).")


def _write_active(tx: Transaction, port: Any, host: str, vnic_type: str, profile: dict[str, Any], kind: str) -> None:
    resources.touch(
        tx, ports, port.id, binding_host=host, binding_vnic_type=vnic_type, binding_profile=profile, vif_type=kind
    )
    timeline.record(tx, marks.PORT, port.id, "bound", f"on {host}")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /ports/{port_id}/bindings/{host}."""
    port, host, body = call.target, call.path["host"], call.body
    active = port.binding_host == host
    row = None if active else _find(tx, port.id, host)
    if body.host is not UNSET and body.host != host:
        raise invalid("a binding stays on its host; make another.")
    vnic_type, profile = (port.binding_vnic_type, port.binding_profile) if row is None else (row.vnic_type, row.profile)
    vnic_type = read_vnic_type(either(body.vnic_type, vnic_type))
    profile = profile if body.profile is UNSET else attributes.read_profile(body.profile)
    kind = vif_type(tx, call.runtime, host, vnic_type)
    if active:
        _write_active(tx, port, host, vnic_type, profile, kind)
        return {"binding": _view(host, vnic_type, profile, kind, ACTIVE)}
    tx.execute(_DELETE, {"port": port.id, "on": host})
    new = {"port_id": port.id, "host": host, "vnic_type": vnic_type, "profile": profile, "vif_type": kind}
    tx.execute(_INSERT, new | {"created_at": tx.now})
    return {"binding": _view(host, vnic_type, profile, kind, INACTIVE)}


def activate(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /ports/{port_id}/bindings/{host}/activate: what was active is prepared from now on."""
    port, host = call.target, call.path["host"]
    if port.binding_host == host:
        raise conflict("PortBindingAlreadyActive", f"Binding for port {port.id} on host {host} is already active.")
    row = _find(tx, port.id, host)
    tx.execute(_DELETE, {"port": port.id, "on": host})
    if port.binding_host:
        before = {"port_id": port.id, "host": port.binding_host, "vnic_type": port.binding_vnic_type}
        more = {"profile": port.binding_profile, "vif_type": port.vif_type, "created_at": tx.now}
        tx.execute(_INSERT, before | more)
    _write_active(tx, port, host, row.vnic_type, row.profile, row.vif_type)
    marks.network(tx, port.network_id, left=port.binding_host)
    if port.netns is not None:
        marks.port_left(tx, port.id, port.binding_host)
        marks.port(tx, port.id)
    return {"binding": _view(host, row.vnic_type, row.profile, row.vif_type, ACTIVE)}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /ports/{port_id}/bindings/{host}; of the active one too, after which the port is bound nowhere."""
    port, host = call.target, call.path["host"]
    if port.binding_host != host:
        _find(tx, port.id, host)
        tx.execute(_DELETE, {"port": port.id, "on": host})
        timeline.record(tx, marks.PORT, port.id, "binding dropped", f"on {host}")
        return
    if port.netns is not None:
        raise conflict(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port is wired on {host}; "
            "activate another binding first.",
        )
    _write_active(tx, port, "", port.binding_vnic_type, {}, "unbound")


_BINDINGS = "/v2.0/ports/{port_id}/bindings"
_BINDING = f"{_BINDINGS}/{{host}}"

ROUTES = (
    Route("GET", _BINDINGS, list_, "get_port_binding", target=load),
    Route("POST", _BINDINGS, create, "create_port_binding", target=load, body=NewBinding, envelope="binding",
          status=201),
    Route("GET", _BINDING, show, "get_port_binding", target=load),
    Route("PUT", _BINDING, update, "update_port_binding", target=load, body=BindingFields, envelope="binding"),
    Route("PUT", f"{_BINDING}/activate", activate, "activate", target=load, body=dict),
    Route("DELETE", _BINDING, delete, "delete_port_binding", target=load, status=204),
)  # fmt: skip

POLICIES = rules(
    any_of(ADMIN, SERVICE),
    "get_port_binding",
    "create_port_binding",
    "update_port_binding",
    "delete_port_binding",
    "activate",
    about="See, make, change, activate and delete a port's bindings to hosts.",
)
