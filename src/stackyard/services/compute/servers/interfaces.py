"""A server's network cards (os-interface): listed, plugged and unplugged while it is there.

The request changes the server's `interfaces`, and the network's ports with them; the host's reconciler has the running
server have those cards and no others (reconcile/interfaces.py).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict, InvalidField, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import MEMBER, READER
from stackyard.services.compute.servers import fields, finding, networks, removal, tasks
from stackyard.services.compute.servers.states import VmState, require
from stackyard.services.network import api as network_api

_CHANGEABLE = (VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED)
_MISSING = frozenset({"PortNotFound", "NetworkNotFound"})
_TAKEN = frozenset({"FixedIpAlreadyInUse", "PortInUse"})


class Address(Body):
    """One address that is asked for."""

    ip_address: str


class Attachment(Body):
    """What stands under interfaceAttachment; all of it may be left out."""

    net_id: str | UnsetType = UNSET
    port_id: str | UnsetType = UNSET
    fixed_ips: list[Address] | UnsetType = UNSET
    tag: str | UnsetType = UNSET


class NewInterface(Body):
    """POST .../os-interface."""

    attachment: Attachment = msgspec.field(default_factory=Attachment, name="interfaceAttachment")


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-interface."""
    finding.refuse_query(call)
    return {"interfaceAttachments": [_view(call, call.target, port) for port in _ports(tx, call.target)]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-interface/{port_id}."""
    finding.refuse_query(call)
    return {"interfaceAttachment": _shown(tx, call, call.target, call.path["port_id"])}


def _ports(tx: Transaction, server: Any) -> list[Any]:
    return list(network_api.ports_of_devices(tx, [server.id]))


def _shown(tx: Transaction, call: Call, server: Any, port_id: str) -> dict[str, Any]:
    for port in _ports(tx, server):
        if port.id == port_id:
            return _view(call, server, port)
    raise NotFound(f"Instance {server.id} does not have a port with id {port_id[:80]}", kind="PortNotFound")


def _view(call: Call, server: Any, port: Any) -> dict[str, Any]:
    found = {
        "net_id": port.network_id,
        "port_id": port.id,
        "mac_addr": port.mac_address,
        "port_state": port.status,
        "fixed_ips": port.fixed_ips,
    }
    if call.since(2, 70):
        tags = {interface["port"]: interface.get("tag") for interface in server.interfaces}
        found["tag"] = tags.get(port.id)
    return found


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST .../os-interface: a new port on a network, or one that is there, becomes the server's."""
    server, body = call.target, call.body.attachment
    item = _wanted(call, body)
    tasks.require_unlocked(call, server, "attach_interface")
    require(server, "attach_interface", _CHANGEABLE)
    plugged = {"id": server.id, "hostname": server.hostname, "zone": server.zone}
    try:
        wanted = networks.Wanted(nics=[item] if item else None)
        nics = networks.resolve(tx, call, wanted, 1, project_id=server.project_id)
        if not nics:
            raise BadRequest(
                f"No specific network was requested and none are available for project '{server.project_id}'.",
                kind="InterfaceAttachFailedNoNetwork",
            )
        networks.plug(tx, call, [plugged], nics, _groups(tx, call, server), project_id=server.project_id)
    except ApiError as error:
        raise _as_told(error) from error
    device = _free_device(server)
    added = [interface | {"device": device} for interface in plugged["interfaces"]]
    tasks.update(tx, server.id, interfaces=[*server.interfaces, *added])
    tasks.record(tx, call, server, "attach_interface", finished=True)
    if server.host is not None:
        tasks.mark(tx, server.id, server.host)
    return {"interfaceAttachment": _shown(tx, call, finding.by_id(tx, server.id), added[0]["port"])}


def _wanted(call: Call, body: Attachment) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if body.net_id is not UNSET:
        found["uuid"] = fields.check_uuid("interfaceAttachment.net_id", body.net_id)
    if body.port_id is not UNSET:
        if body.net_id is not UNSET:
            raise BadRequest("Must not input both network_id and port_id")
        found["port"] = fields.check_uuid("interfaceAttachment.port_id", body.port_id)
    if body.fixed_ips is not UNSET:
        if len(body.fixed_ips) != 1:
            raise InvalidField("interfaceAttachment.fixed_ips", "it has one item.")
        address = fields.check_address("interfaceAttachment.fixed_ips[0].ip_address", body.fixed_ips[0].ip_address)
        if body.net_id is UNSET:
            raise BadRequest("Must input network_id when request IP address")
        found["fixed_ip"] = address
    if body.tag is not UNSET:
        if not call.since(2, 49):
            raise InvalidField("interfaceAttachment", "Additional properties are not allowed ('tag' was unexpected)")
        tag = fields.check_tag("interfaceAttachment.tag", body.tag)
        if any(interface.get("tag") == tag for interface in call.target.interfaces):
            raise BadRequest(f"Tag '{tag}' is another interface's of this server already.")
        if not found:
            raise BadRequest("A tag needs a network or a port: name net_id or port_id.")
        found["tag"] = tag
    return found


def _groups(tx: Transaction, call: Call, server: Any) -> tuple[str, ...] | None:
    """A further card is in the groups that the server's others are in."""
    groups = tuple({group: None for port in _ports(tx, server) for group in port.security_group_ids})
    return groups if groups and server.project_id == call.caller.project_id else None


def _as_told(error: ApiError) -> ApiError:
    if error.kind in _MISSING:
        return NotFound(error.message, kind=error.kind)
    if error.kind in _TAKEN:
        return Conflict(error.message, kind=error.kind)
    return BadRequest(error.message, kind=error.kind) if isinstance(error, Conflict) else error


def _free_device(server: Any) -> str:
    taken = {interface.get("device") for interface in server.interfaces}
    return next(name for number in range(len(taken) + 1) if (name := f"eth{number}") not in taken)


def delete(tx: Transaction, call: Call) -> Reply:
    """DELETE .../os-interface/{port_id}."""
    server, port_id = call.target, call.path["port_id"]
    tasks.require_unlocked(call, server, "detach_interface")
    require(server, "detach_interface", _CHANGEABLE)
    _shown(tx, call, server, port_id)
    gone = [interface for interface in server.interfaces if interface["port"] == port_id]
    removal.release_ports(tx, call.runtime, gone or [{"port": port_id, "made": False}])
    kept = [interface for interface in server.interfaces if interface["port"] != port_id]
    tasks.update(tx, server.id, interfaces=kept)
    tasks.record(tx, call, server, "detach_interface", finished=True)
    if server.host is not None:
        tasks.mark(tx, server.id, server.host)
    return Reply(status=202)


_PATH = "/v2.1/servers/{server_id}/os-interface"
_RULE = "os_compute_api:os-attach-interfaces:"

ROUTES = (
    Route("GET", _PATH, list_, f"{_RULE}list", target=finding.load),
    Route("GET", f"{_PATH}/{{port_id}}", show, f"{_RULE}show", target=finding.load),
    Route("POST", _PATH, create, f"{_RULE}create", target=finding.load, body=NewInterface),
    Route("DELETE", f"{_PATH}/{{port_id}}", delete, f"{_RULE}delete", target=finding.load, status=202),
)

POLICIES = (
    Rule(f"{_RULE}list", READER, "See a server's network cards."),
    Rule(f"{_RULE}show", READER, "See one of a server's network cards."),
    Rule(f"{_RULE}create", MEMBER, "Give a server a network card."),
    Rule(f"{_RULE}delete", MEMBER, "Take a network card from a server."),
)
