"""Bringing ports to the kernel at once, with all that they need: networks, groups, then the ports themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.specs import NetworkSpec, PortSpec, SecurityGroupSpec
from stackyard.services import keys
from stackyard.services.network import wanted
from stackyard.services.network.tables import ports

_STATUS = (
    sa.update(ports)
    .where(ports.c.id.in_(bindparam("ids", expanding=True)), ports.c.netns.is_not(None))
    .where(sa.or_(ports.c.status != bindparam("wanted_status"), ports.c.status_reason != ""))
    .values(status=bindparam("wanted_status"), status_reason="")
)


@dataclass(slots=True)
class Wiring:
    """What a few ports need, in the order of applying."""

    networks: list[NetworkSpec] = field(default_factory=list)
    groups: list[SecurityGroupSpec] = field(default_factory=list)
    ports: list[PortSpec] = field(default_factory=list)


def read(tx: Transaction, runtime: Runtime, port_ids: Sequence[str]) -> Wiring:
    """The specs of these ports (those that are bound), of their networks, and of the groups that decide for them."""
    found = Wiring()
    found.ports = [spec for port_id in port_ids if (spec := wanted.port(tx, port_id)) is not None]
    for network_id in dict.fromkeys(port.network_id for port in found.ports):
        network = wanted.network(tx, runtime, network_id)
        if network is not None:
            found.networks.append(network)
    groups: dict[str, SecurityGroupSpec] = {}
    waiting = [group_id for port in found.ports for group_id in port.security_groups]
    named: list[str] = []
    for group_id in dict.fromkeys(waiting):
        group = wanted.security_group(tx, group_id)
        if group is not None:
            groups[group_id] = group
            named += [rule.remote_group for rule in group.rules if rule.remote_group]
    for group_id in dict.fromkeys(named):
        if group_id not in groups and (group := wanted.security_group(tx, group_id)) is not None:
            groups[group_id] = group
    found.groups = list(groups.values())
    return found


def wire(runtime: Runtime, port_ids: Sequence[str]) -> None:
    """Apply all that these ports need and say that they are up. Raises HostError, SpecError."""
    wiring = runtime.database.read("network.wiring", read, runtime, port_ids)
    driver = runtime[keys.NETWORK_DRIVER]
    for network in wiring.networks:
        driver.apply_network(network)
    for group in wiring.groups:
        driver.apply_security_group(group)
    for port in wiring.ports:
        driver.apply_port(port)
    up = [port.id for port in wiring.ports if port.admin_up]
    down = [port.id for port in wiring.ports if not port.admin_up]
    runtime.database.write("network.wired", set_status, up, down)


def set_status(tx: Transaction, up: Sequence[str], down: Sequence[str] = ()) -> None:
    """Say of bound ports that they are up, or administratively down."""
    for ids, status in ((up, "ACTIVE"), (down, "DOWN")):
        if ids:
            tx.execute(_STATUS, {"ids": list(ids), "wanted_status": status})
