"""Floating IPs and their pools until 2.35, and addresses given to servers by an action until 2.43."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from stackyard.core import ids
from stackyard.core.body import Body, OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import ANY, MEMBER, READER
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.network import api as network

_BASE = "os_compute_api:os-floating-ips"
_POOLS = "os_compute_api:os-floating-ip-pools"
_NIC = "os_compute_api:os-multinic"
_LAST = Microversion(2, 35)
_LAST_ACTION = Microversion(2, 43)
_Address = Annotated[str, Meta(min_length=1, max_length=45)]


class NewFloatingIp(OpenBody, kw_only=True):
    """POST /os-floating-ips; `pool` is an external network's name or id."""

    pool: Annotated[str, Meta(max_length=255)] | None = None


class Associated(Body, kw_only=True):
    """A floating IP, and which of the server's addresses it leads to."""

    address: _Address
    fixed_address: _Address | None = None


class OneAddress(Body, kw_only=True):
    """An address of the server."""

    address: _Address


class OneNetwork(Body, kw_only=True):
    """The network on which the server is to have another address."""

    network_id: Annotated[str, Meta(min_length=1, max_length=36)] | int = field(name="networkId")


def _neutron(tx: Transaction, call: Call) -> network.Inward:
    return network.Inward(tx, call.runtime, call.caller)


def _externals(tx: Transaction, call: Call) -> list[dict[str, Any]]:
    return _neutron(tx, call).list("networks", router__external="True")


def pools(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-floating-ip-pools."""
    return {"floating_ip_pools": [{"name": one["name"] or one["id"]} for one in _externals(tx, call)]}


def _view(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    details = row["port_details"]
    return {
        "id": row["id"],
        "ip": row["floating_ip_address"],
        "fixed_ip": row["fixed_ip_address"],
        "instance_id": details["device_id"] or None if details else None,
        "pool": names.get(row["floating_network_id"]) or row["floating_network_id"],
    }


def _names(tx: Transaction, call: Call) -> dict[str, str]:
    return {one["id"]: one["name"] for one in _externals(tx, call)}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-floating-ips."""
    names = _names(tx, call)
    own = _neutron(tx, call).list("floatingips", project_id=call.caller.project_id or "")
    return {"floating_ips": [_view(row, names) for row in own]}


def _one(tx: Transaction, call: Call) -> dict[str, Any]:
    floating_id = call.path["floating_ip_id"]
    if not ids.is_uuid(floating_id):
        raise BadRequest(f"Invalid ID received {floating_id[:255]}.", kind="InvalidID")
    try:
        return _neutron(tx, call).show("floatingip", floating_id)
    except NotFound:
        raise NotFound(f"Floating IP not found for ID {floating_id}", kind="FloatingIpNotFound") from None


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-floating-ips/{id}."""
    return {"floating_ip": _view(_one(tx, call), _names(tx, call))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-floating-ips."""
    pool = call.body.pool
    externals = _externals(tx, call)
    if pool is None:
        externals.sort(key=lambda one: not one.get("is_default"))
        chosen = externals[0] if externals else None
    else:
        chosen = next((one for one in externals if pool in (one["id"], one["name"])), None)
    if chosen is None:
        raise NotFound("Floating IP pool not found.", kind="FloatingIpPoolNotFound")
    fields = {"floating_network_id": chosen["id"], "project_id": call.caller.project_id}
    where = f" in pool {pool}" if pool else ""
    try:
        made = _neutron(tx, call).create("floatingip", **fields)
    except Conflict as error:
        if error.kind == "OverQuota":
            raise Forbidden(f"IP allocation over quota{where}.", kind="FloatingIpLimitExceeded") from None
        raise NotFound(f"No more floating IPs{where or ' available'}.", kind="NoMoreFloatingIps") from None
    return {"floating_ip": _view(made, {chosen["id"]: chosen["name"]})}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /os-floating-ips/{id}."""
    _neutron(tx, call).delete("floatingip", _one(tx, call)["id"])


def _by_address(tx: Transaction, call: Call, address: str) -> dict[str, Any]:
    found = _neutron(tx, call).list("floatingips", floating_ip_address=address)
    if not found:
        raise NotFound("floating IP not found", kind="FloatingIpNotFoundForAddress")
    if len(found) > 1:
        raise Conflict(f"Multiple floating IPs are found for address {address}.")
    return found[0]


def add_floating(tx: Transaction, call: Call, body: Associated) -> None:
    """addFloatingIp: the address leads to the server from now on."""
    held = [
        (port.id, fixed["ip_address"])
        for port in network.ports_of_device(tx, call.target.id)
        for fixed in port.fixed_ips
    ]
    if not held:
        raise BadRequest("No fixed IPs associated to instance")
    if body.fixed_address is not None:
        chosen = next((pair for pair in held if pair[1] == body.fixed_address), None)
        if chosen is None:
            raise BadRequest("Specified fixed address not assigned to instance")
    else:
        chosen = next((pair for pair in held if ":" not in pair[1]), None)
        if chosen is None:
            raise BadRequest(
                f"Unable to associate floating IP {body.address} to any fixed IPs for instance {call.target.id}. "
                "Instance has no fixed IPv4 addresses to associate."
            )
    floating = _by_address(tx, call, body.address)
    try:
        _neutron(tx, call).update("floatingip", floating["id"], port_id=chosen[0], fixed_ip_address=chosen[1])
    except (Conflict, NotFound) as error:
        raise BadRequest(error.message) from None


def remove_floating(tx: Transaction, call: Call, body: OneAddress) -> None:
    """removeFloatingIp: the address leads nowhere from now on."""
    floating = _by_address(tx, call, body.address)
    ports = {port.id for port in network.ports_of_device(tx, call.target.id)}
    if floating["port_id"] not in ports:
        raise Conflict(f"Floating IP {body.address} is not associated with instance {call.target.id}.")
    _neutron(tx, call).update("floatingip", floating["id"], port_id=None)


def add_fixed(tx: Transaction, call: Call, body: OneNetwork) -> None:
    """addFixedIp: one more address of the network, on the server's port there."""
    wanted = str(body.network_id)
    port = next((one for one in network.ports_of_device(tx, call.target.id) if one.network_id == wanted), None)
    if port is None:
        raise BadRequest(
            f"Instance {call.target.id} has no port on network {wanted}.", kind="NetworkNotFoundForInstance"
        )
    if not port.fixed_ips:
        raise BadRequest(f"The port of instance {call.target.id} on network {wanted} is on no subnet.")
    _change_addresses(tx, call, port, [*port.fixed_ips, {"subnet_id": port.fixed_ips[0]["subnet_id"]}])


def remove_fixed(tx: Transaction, call: Call, body: OneAddress) -> None:
    """removeFixedIp: the address is taken from the server."""
    for port in network.ports_of_device(tx, call.target.id):
        kept = [fixed for fixed in port.fixed_ips if fixed["ip_address"] != body.address]
        if len(kept) < len(port.fixed_ips):
            _change_addresses(tx, call, port, kept)
            return
    raise BadRequest(
        f"Instance {call.target.id} doesn't have fixed IP '{body.address}'.", kind="FixedIpNotFoundForInstance"
    )


def _change_addresses(tx: Transaction, call: Call, port: Any, fixed_ips: list[dict[str, Any]]) -> None:
    try:
        _neutron(tx, call).update("port", port.id, fixed_ips=fixed_ips)
    except Conflict as error:
        raise BadRequest(error.message, kind="NoMoreFixedIps") from None


ACTIONS = (
    Action(name="addFloatingIp", operation=add_floating, rule=f"{_BASE}:add", body=Associated, until=_LAST_ACTION),
    Action(
        name="removeFloatingIp", operation=remove_floating, rule=f"{_BASE}:remove", body=OneAddress, until=_LAST_ACTION
    ),
    Action(name="addFixedIp", operation=add_fixed, rule=f"{_NIC}:add", body=OneNetwork, until=_LAST_ACTION),
    Action(name="removeFixedIp", operation=remove_fixed, rule=f"{_NIC}:remove", body=OneAddress, until=_LAST_ACTION),
)

_ALL = "/v2.1/os-floating-ips"
_ONE = "/v2.1/os-floating-ips/{floating_ip_id}"

ROUTES = (
    Route("GET", "/v2.1/os-floating-ip-pools", pools, _POOLS, until=_LAST),
    Route("GET", _ALL, list_, f"{_BASE}:list", until=_LAST),
    Route("POST", _ALL, create, f"{_BASE}:create", body=NewFloatingIp, until=_LAST),
    Route("GET", _ONE, show, f"{_BASE}:show", until=_LAST),
    Route("DELETE", _ONE, delete, f"{_BASE}:delete", status=202, until=_LAST),
)

POLICIES = (
    Rule(_POOLS, ANY, "List the pools that floating IPs come from."),
    Rule(f"{_BASE}:list", READER, "List floating IPs."),
    Rule(f"{_BASE}:show", READER, "See a floating IP."),
    Rule(f"{_BASE}:create", MEMBER, "Take a floating IP from a pool."),
    Rule(f"{_BASE}:delete", MEMBER, "Give a floating IP back."),
    Rule(f"{_BASE}:add", MEMBER, "Have a floating IP lead to a server."),
    Rule(f"{_BASE}:remove", MEMBER, "Have a floating IP lead to a server no more."),
    Rule(f"{_NIC}:add", MEMBER, "Give a server another address of a network."),
    Rule(f"{_NIC}:remove", MEMBER, "Take an address from a server."),
)
