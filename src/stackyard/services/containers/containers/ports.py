"""A container's ports: the only place where containers and the network service meet.

`interfaces` of a container's row is what the reconciler wires: port, network, device, and whether the port is the
container's own (made for it, and deleted with it). `addresses` is the same as the API shows it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, InvalidField, NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.containers.containers.bodies import Net
from stackyard.services.containers.containers.finding import project_of
from stackyard.services.containers.containers.names import dns_label
from stackyard.services.network import api as network_api

DEVICE_OWNER = "compute:zun"

Interface = dict[str, Any]
Addresses = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Owner:
    """The container that ports are made for."""

    uuid: str
    name: str
    hostname: str


@dataclass(frozen=True, slots=True)
class Requested:
    """One connection: a network, or a port that exists already."""

    network_id: str
    port_id: str | None = None
    fixed_ips: tuple[str, ...] = ()


def resolve(tx: Transaction, call: Call, nets: list[Net]) -> list[Requested]:
    """Find what the names mean; without any, the project's own network. Refuses what the caller may not use."""
    if not nets:
        network = network_api.oldest_network(tx, call.caller)
        return [_allowed(call, network, Requested(network.id))]
    return [resolve_one(tx, call, net) for net in nets]


def resolve_one(tx: Transaction, call: Call, net: Net) -> Requested:
    """The same, of one."""
    if net.port is not None:
        port = network_api.find_port(tx, call.caller, net.port)
        if port.device_id:
            raise Conflict(f"Port {port.id} is still in use.", kind="PortInUse")
        return Requested(port.network_id, port.id)
    network = network_api.find_network(tx, call.caller, net.network or "")
    fixed = [
        _address(name, value, version)
        for name, value, version in (("v4-fixed-ip", net.v4_fixed_ip, 4), ("v6-fixed-ip", net.v6_fixed_ip, 6))
        if value
    ]
    return _allowed(call, network, Requested(network.id, None, tuple(fixed)))


def _address(name: str, value: str, version: int) -> str:
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise InvalidField(name, f"'{value}' is not an IP address.", kind="SchemaValidationError") from None
    if found.version != version:
        raise InvalidField(name, f"'{value}' is not an IPv{version} address.", kind="SchemaValidationError")
    return str(found)


def _allowed(call: Call, network: Any, requested: Requested) -> Requested:
    if network.external and not network.shared and not call.allows("network:attach_external_network"):
        raise Forbidden(
            f"It is not allowed to create an interface on external network {network.id}",
            kind="ExternalNetworkAttachForbidden",
        )
    return requested


def groups_of(tx: Transaction, call: Call, names: list[str]) -> list[str]:
    """The ids of security groups, each once; the default one is there whenever it is named."""
    if "default" in names:
        network_api.ensure_default_group(tx, call.runtime, project_of(call))
    try:
        return network_api.find_security_groups(tx, call.caller, names)
    except NotFound as error:
        raise BadRequest(error.message, kind="InvalidValue") from None


def expose(tx: Transaction, call: Call, uuid: str, exposed: list[str]) -> str:
    """Make a group of the container's own that lets these ports in (80/tcp), and return its id."""
    rules = []
    for port in exposed:
        number, _, protocol = port.partition("/")
        ports = {"port_range_min": int(number), "port_range_max": int(number)}
        rules += [
            {"direction": "ingress", "ethertype": ethertype, "protocol": protocol, **ports}
            for ethertype in ("IPv4", "IPv6")
        ]
    return network_api.create_security_group(
        tx,
        call.runtime,
        project_of(call),
        f"zun-{uuid}",
        description="The exposed ports of a container.",
        rules=rules,
    )


def take(
    tx: Transaction, call: Call, owner: Owner, requested: list[Requested], groups: list[str]
) -> tuple[list[Interface], Addresses]:
    """Make or claim a port for each connection; returns interfaces and addresses of a row."""
    interfaces: list[Interface] = []
    addresses: Addresses = {}
    for item in requested:
        add(tx, call, owner, item, (interfaces, addresses, groups))
    return interfaces, addresses


def add(
    tx: Transaction,
    call: Call,
    owner: Owner,
    item: Requested,
    into: tuple[list[Interface], Addresses, list[str]],
) -> None:
    """Make or claim one port, and add it to interfaces and addresses."""
    interfaces, addresses, groups = into
    own = item.port_id is None
    port_id = _make(tx, call, owner, item, groups) if item.port_id is None else item.port_id
    if not own:
        network_api.claim_port(tx, port_id, device_id=owner.uuid, device_owner=DEVICE_OWNER)
    device = _free_device(interfaces)
    interfaces.append({"port": port_id, "network": item.network_id, "device": device, "own": own})
    shown = network_api.port_view(tx, port_id) or {"fixed_ips": ()}
    addresses.setdefault(item.network_id, []).extend(
        {
            "addr": fixed["ip_address"],
            "port": port_id,
            "version": ipaddress.ip_address(fixed["ip_address"]).version,
            "subnet_id": fixed["subnet_id"],
            "preserve_on_delete": not own,
        }
        for fixed in shown["fixed_ips"]
    )


def _make(tx: Transaction, call: Call, owner: Owner, item: Requested, groups: list[str]) -> str:
    wanted = network_api.PortRequest(
        network_id=item.network_id,
        project_id=project_of(call),
        name=owner.name,
        device_id=owner.uuid,
        device_owner=DEVICE_OWNER,
        dns_name=dns_label(owner.hostname),
        fixed_ips=tuple({"ip_address": ip} for ip in item.fixed_ips) or None,
        security_groups=tuple(groups) if groups else None,
    )
    return str(network_api.create_port(tx, call.runtime, call.caller, wanted).id)


def _free_device(interfaces: list[Interface]) -> str:
    used = {interface["device"] for interface in interfaces}
    return next(name for name in (f"eth{index}" for index in range(len(used) + 1)) if name not in used)


def give_back(tx: Transaction, runtime: Runtime, interfaces: list[Interface]) -> None:
    """Delete the ports that were the container's own; free those that were given to it. Gone already is fine."""
    for interface in interfaces:
        try:
            if interface["own"]:
                network_api.delete_port(tx, runtime, interface["port"])
            else:
                network_api.unbind_port(tx, interface["port"])
                network_api.claim_port(tx, interface["port"], device_id="", device_owner="")
        except NotFound:
            continue


def drop_group(tx: Transaction, runtime: Runtime, group_id: str | None) -> None:
    """Delete the container's own security group, if it has one."""
    if group_id is None:
        return
    try:
        network_api.delete_security_group(tx, runtime, group_id)
    except Conflict:
        # Somebody has put ports of his own into it: then it is theirs.
        return
