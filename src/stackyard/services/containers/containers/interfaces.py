"""Connecting a container to networks and security groups after it was made."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from stackyard.core import reconcile, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.containers import action_log
from stackyard.services.containers.containers import ports, states, tables
from stackyard.services.containers.containers.bodies import Net, Short
from stackyard.services.containers.containers.create import KIND
from stackyard.services.containers.containers.values import of_call
from stackyard.services.network import api as network_api


class AttachParameters(Body):
    """A network with an address, or a port."""

    network: Short | None = None
    port: Short | None = None
    fixed_ip: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class DetachParameters(Body):
    """A network, or (from 1.17) a port."""

    network: Short | None = None
    port: Short | None = None


class GroupParameters(Body):
    """A security group, by name or id."""

    name: Short


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../network_list: an entry an address before 1.18, an entry a port since."""
    del tx
    if not call.since(1, 18):
        return {
            "networks": [
                {"net_id": network, "port_id": address["port"], **_fixed(address)}
                for network, addresses in call.target.addresses.items()
                for address in addresses
            ]
        }
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for network, addresses in call.target.addresses.items():
        for address in addresses:
            found.setdefault((network, address["port"]), []).append(_fixed(address))
    return {
        "networks": [
            {"net_id": network, "port_id": port, "fixed_ips": fixed} for (network, port), fixed in found.items()
        ]
    }


def _fixed(address: dict[str, Any]) -> dict[str, Any]:
    return {"subnet_id": address["subnet_id"], "version": address["version"], "ip_address": address["addr"]}


def attach(tx: Transaction, call: Call) -> Reply:
    """POST .../network_attach?network=|port=&fixed_ip=."""
    row = call.target
    states.require(row, "network_attach")
    asked = of_call(AttachParameters, call)
    if (asked.network is None) == (asked.port is None):
        raise BadRequest("Invalid input for query: exactly one of network and port must be given.")
    requested = ports.resolve_one(tx, call, _net(asked))
    if requested.network_id in row.addresses:
        if asked.port is not None:
            raise BadRequest(
                f"Cannot attach port '{asked.port}' to container '{row.uuid}' because another port on the same "
                "network is already attached to this container.",
                kind="Invalid",
            )
        raise BadRequest(f"Network '{asked.network}' is already connected to container '{row.uuid}'.", kind="Invalid")
    interfaces, addresses = list(row.interfaces), dict(row.addresses)
    owner = ports.Owner(row.uuid, row.name, row.hostname)
    ports.add(tx, call, owner, requested, (interfaces, addresses, list(row.security_groups)))
    _rewired(tx, call, "network_attach", interfaces=interfaces, addresses=addresses)
    return Reply(status=202)


def _net(asked: AttachParameters) -> Net:
    v6 = asked.fixed_ip is not None and ":" in asked.fixed_ip
    return Net(
        network=asked.network,
        port=asked.port,
        v4_fixed_ip=None if v6 else asked.fixed_ip,
        v6_fixed_ip=asked.fixed_ip if v6 else None,
    )


def detach(tx: Transaction, call: Call) -> None:
    """POST .../network_detach?network=|port=."""
    row = call.target
    states.require(row, "network_detach")
    asked = of_call(DetachParameters, call)
    if (asked.network is None) == (asked.port is None):
        raise BadRequest("Invalid input for query: exactly one of network and port must be given.")
    if asked.port is not None:
        port = network_api.find_port(tx, call.caller, asked.port)
        gone = [interface for interface in row.interfaces if interface["port"] == port.id]
    else:
        network = network_api.find_network(tx, call.caller, asked.network or "")
        gone = [interface for interface in row.interfaces if interface["network"] == network.id]
    if not gone:
        what = f"Port '{asked.port}'" if asked.port is not None else f"Network '{asked.network}'"
        raise BadRequest(f"{what} is not attached to container '{row.uuid}'.", kind="Invalid")
    names = {interface["port"] for interface in gone}
    interfaces = [interface for interface in row.interfaces if interface["port"] not in names]
    kept = {
        network: [address for address in addresses if address["port"] not in names]
        for network, addresses in row.addresses.items()
    }
    addresses = {network: found for network, found in kept.items() if found}
    ports.give_back(tx, call.runtime, gone)
    _rewired(tx, call, "network_detach", interfaces=interfaces, addresses=addresses)


def add_group(tx: Transaction, call: Call) -> None:
    """POST .../add_security_group?name= (to 1.14)."""
    row = call.target
    states.require(row, "add_security_group")
    (group,) = ports.groups_of(tx, call, [of_call(GroupParameters, call).name])
    if group in row.security_groups:
        raise BadRequest(f"Security group {group} has been added to container.", kind="InvalidValue")
    _regroup(tx, call, "add_security_group", [*row.security_groups, group])


def remove_group(tx: Transaction, call: Call) -> None:
    """POST .../remove_security_group?name= (to 1.14)."""
    row = call.target
    states.require(row, "remove_security_group")
    (group,) = ports.groups_of(tx, call, [of_call(GroupParameters, call).name])
    if group not in row.security_groups:
        raise BadRequest(f"Security group {group} was not added to container.", kind="InvalidValue")
    _regroup(tx, call, "remove_security_group", [known for known in row.security_groups if known != group])


def _regroup(tx: Transaction, call: Call, action: str, groups: list[str]) -> None:
    row = call.target
    if not row.interfaces:
        raise InvalidField("name", "the container is on no network.")
    for interface in row.interfaces:
        network_api.set_security_groups(tx, interface["port"], groups)
    tables.update(tx, row, security_groups=groups)
    action_log.begin(tx, call, row.uuid, action, finished=True)
    timeline.record(tx, KIND, row.uuid, f"{action} asked", ", ".join(groups))


def _rewired(tx: Transaction, call: Call, action: str, **values: Any) -> None:
    row = call.target
    tables.update(tx, row, wiring_changed=True, **values)
    action_log.begin(tx, call, row.uuid, action)
    timeline.record(tx, KIND, row.uuid, f"{action} asked")
    reconcile.mark(tx, reconcile.kind_on(KIND, row.host), row.uuid)
