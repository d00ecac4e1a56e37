"""Writing networks: the one place where a network's row, segments, quota and marks are made and removed together."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import hosts, marks, resources, sharing
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.networks.bodies import (
    NewNetwork,
    read_domain,
    read_mtu,
    read_segments,
    read_zones,
)
from stackyard.services.network.qos import api as qos
from stackyard.services.network.resources import either, flag
from stackyard.services.network.segments import provider
from stackyard.services.network.tables import network_segments, networks

_INSERT = sa.insert(networks)
_DELETE = sa.delete(networks).where(networks.c.id == bindparam("id"))
_DEFAULT = sa.select(networks.c.id).where(networks.c.is_default, networks.c.external, networks.c.id != bindparam("id"))


def insert(tx: Transaction, runtime: Runtime, project_id: str, body: NewNetwork) -> dict[str, Any]:
    """Write a new network's row; also for the networks that a new cloud has."""
    external = flag("router:external", body.external, default=False)
    segments = _segments(tx, runtime, project_id, body, external=external)
    resources.reserve(tx, runtime, project_id, "network")
    row = resources.new_row(tx, new_uuid(), project_id, body)
    row |= {
        "tags": resources.read_tags(either(body.tags, None) or []),
        "admin_state_up": flag("admin_state_up", body.admin_state_up, default=True),
        "status": "ACTIVE",
        "status_reason": "",
        "shared": flag("shared", body.shared, default=False),
        "external": external,
        "is_default": external and flag("is_default", body.is_default, default=False),
        "mtu": mtu_of(runtime, body, segments[0]),
        "port_security_enabled": flag("port_security_enabled", body.port_security_enabled, default=True),
        "dns_domain": read_domain(either(body.dns_domain, "")),
        "network_type": segments[0].network_type,
        "physical_network": segments[0].physical_network,
        "segmentation_id": segments[0].segmentation_id,
        "subnet_ids": [],
        "availability_zone_hints": read_zones(body.availability_zone_hints, runtime),
        "qos_policy_id": qos.default_policy(tx, project_id) if body.qos_policy_id is UNSET else body.qos_policy_id,
        "vlan_transparent": _transparent(body, segments[0]),
        "dhcp_agent": True,
    }
    if row["is_default"]:
        refuse_second_default(tx, row["id"])
    tx.execute(_INSERT, row)
    provider.store(tx, row["id"], segments)
    if row["shared"]:
        sharing.share_with_all(tx, "network", row["id"], project_id, on=True)
    if external:
        sharing.share_with_all(tx, "network", row["id"], project_id, on=True, action=sharing.EXTERNAL)
    resources.store_tags(tx, [row])
    timeline.record(tx, marks.NETWORK, row["id"], "create asked")
    marks.network(tx, row["id"])
    return row


def _segments(
    tx: Transaction, runtime: Runtime, project_id: str, body: NewNetwork, *, external: bool
) -> list[provider.Segment]:
    """What the body asks for; an external network that asks for nothing stays on its host, which leads it out."""
    wishes = read_segments(body)
    if not wishes and external:
        wishes = [provider.Segment(provider.LOCAL)]
    if not wishes:
        return [provider.reserve(tx, runtime, project_id, None)]
    return [provider.reserve(tx, runtime, project_id, wish) for wish in wishes]


def mtu_of(runtime: Runtime, body: Any, segment: Any) -> int:
    """The MTU that is asked for, else the cloud's own, less what a tunnel takes where there are tunnels."""
    most = hosts.mtu_of_new(runtime.settings.network, str(segment.network_type))
    asked = read_mtu(body.mtu) or most
    if asked > most and segment.network_type == provider.VXLAN and runtime.settings.network.tunnel_address:
        raise invalid(f"Requested MTU is too big, maximum is {most}: tunnels take a part of each packet.")
    return asked


def _transparent(body: NewNetwork, segment: provider.Segment) -> bool | None:
    """Whether tagged frames pass. A network that is itself a VLAN has no room for further tags."""
    if body.vlan_transparent is UNSET or body.vlan_transparent is None:
        return None
    wanted = flag("vlan_transparent", body.vlan_transparent, default=False)
    if wanted and segment.network_type == provider.VLAN:
        raise invalid("Backend does not support VLAN Transparency.", kind="VlanTransparencyDriverError")
    return wanted


def refuse_second_default(tx: Transaction, network_id: str) -> None:
    """Raise DefaultExternalNetworkExists when there is another default external network."""
    present = tx.scalar(_DEFAULT, {"id": network_id})
    if present is not None:
        raise conflict("DefaultExternalNetworkExists", f"A default external network already exists: {present}.")


_RENUMBER = (
    sa.update(network_segments)
    .where(network_segments.c.network_id == bindparam("network"))
    .values(segmentation_id=bindparam("number"), place=bindparam("new_place"))
)


def renumber(tx: Transaction, row: Any, segment: provider.Segment) -> None:
    """Give the only segment of a network another number; raises VlanIdInUse, TunnelIdInUse."""
    provider.refuse_taken(tx, segment)
    tx.execute(_RENUMBER, {"network": row.id, "number": segment.segmentation_id, "new_place": segment.place})


def remove(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete a network that has nothing on it any more."""
    resources.forget_tags(tx, row.id)
    provider.forget(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    resources.release(tx, runtime, row.project_id, "network")
    timeline.record(tx, marks.NETWORK, row.id, "delete asked")
    marks.network(tx, row.id)
