"""Ports of servers, many at once: made, found with what their servers show of them, claimed and let go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.network import auto_allocation, marks, seen
from stackyard.services.network.tables import (
    floating_ips,
    ip_allocations,
    networks,
    port_security_groups,
    ports,
    security_groups,
    subnets,
)

_OF_DEVICES = (
    sa.select(ports)
    .where(ports.c.device_id.in_(bindparam("devices", expanding=True)))
    .order_by(ports.c.created_at, ports.c.id)
)
_SHOWN = (
    sa.select(
        ports.c.device_id,
        ports.c.id,
        ports.c.mac_address,
        networks.c.name.label("network_name"),
        sa.cast(ports.c.fixed_ips, sa.Text).label("fixed_ips"),
        floating_ips.c.floating_ip_address,
        security_groups.c.name.label("group_name"),
    )
    .select_from(
        ports.join(networks, networks.c.id == ports.c.network_id)
        .outerjoin(floating_ips, floating_ips.c.port_id == ports.c.id)
        .outerjoin(port_security_groups, port_security_groups.c.port_id == ports.c.id)
        .outerjoin(security_groups, security_groups.c.id == port_security_groups.c.security_group_id)
    )
    .where(ports.c.device_id.in_(bindparam("devices", expanding=True)))
    .order_by(ports.c.created_at, ports.c.id, floating_ips.c.id, security_groups.c.name)
)
_CLAIM = (
    sa.update(ports)
    .where(ports.c.id.in_(bindparam("keys", expanding=True)))
    .values(
        device_id=bindparam("new_device"), device_owner=bindparam("new_owner"),
        revision_number=ports.c.revision_number + 1, updated_at=bindparam("at"),
    )
)  # fmt: skip
_CLAIM_AND_NAME = _CLAIM.values(dns_name=bindparam("new_dns_name"))
_USABLE = (
    seen.NETWORKS.where(
        sa.not_(networks.c.external), sa.or_(networks.c.project_id == bindparam("project"), seen.NETWORK_SHARED)
    )
    .order_by(networks.c.created_at)
    .limit(2)
)
_WITH_ADDRESS = (
    sa.select(ports.c.device_id)
    .join(ip_allocations, ip_allocations.c.port_id == ports.c.id)
    .where(ip_allocations.c.ip_address.contains(bindparam("part", type_=sa.String), autoescape=False))
    .distinct()
)
_SUBNET = sa.select(subnets.c.id).where(subnets.c.network_id == bindparam("network")).limit(1)


def ports_of_devices(tx: Transaction, device_ids: Sequence[str]) -> Sequence[Any]:
    """The ports of workloads, oldest first."""
    return tx.all(_OF_DEVICES, {"devices": device_ids}) if device_ids else ()


def shown_ports(tx: Transaction, device_ids: Sequence[str]) -> Sequence[Any]:
    """What workloads show of their ports, oldest first: a row for each floating IP and security group of a port.

    Columns: device_id, id, mac_address, network_name, fixed_ips (JSON as text), floating_ip_address, group_name; the
    last two are None where there is none.
    """
    return tx.all(_SHOWN, {"devices": device_ids}) if device_ids else ()


def claim_ports(
    tx: Transaction, port_ids: Sequence[str], *, device_id: str, device_owner: str, dns_name: str | None = None
) -> None:
    """Say which workload ports belong to, and what they are called (None: as before); empty texts: to none any more."""
    if not port_ids:
        return
    values = {"keys": list(port_ids), "new_device": device_id, "new_owner": device_owner, "at": tx.now}
    if dns_name is None:
        tx.execute(_CLAIM, values)
    else:
        tx.execute(_CLAIM_AND_NAME, values | {"new_dns_name": dns_name})
    timeline.record_all(tx, marks.PORT, port_ids, "claimed" if device_id else "released", device_id)


def usable_networks(tx: Transaction, caller: Caller) -> Sequence[Any]:
    """The networks that a workload which names none may be meant to be on: own and shared ones; at most two."""
    return tx.all(_USABLE, {"project": caller.project_id, "caller": caller.project_id})


def has_subnet(tx: Transaction, network_id: str) -> bool:
    """Whether a network has any subnet."""
    return tx.first(_SUBNET, {"network": network_id}) is not None


def auto_allocated_network(tx: Transaction, runtime: Runtime, caller: Caller) -> str:
    """The network of the caller's auto-allocated topology, which is made when there is none; its id.

    Raises Conflict (AutoAllocationFailure, OverQuota) when it cannot be made.
    """
    if not caller.project_id:
        raise NotFound("A token without a project has no topology.")
    return auto_allocation.ensure(tx, runtime, caller.project_id)


def devices_with_address(tx: Transaction, parts: Sequence[str]) -> list[str]:
    """The devices that have a port with an address in which one of these texts is found."""
    found: dict[str, None] = {}
    for part in parts:
        found |= dict.fromkeys(tx.execute(_WITH_ADDRESS, {"part": part}).scalars())
    return [device for device in found if device]
