"""What the API shows of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.network import address_scopes, resources, sharing
from stackyard.services.network.tables import network_rbacs, network_segments, subnets

_MOST_IDS = 500
_SUBNETS = sa.select(subnets.c.network_id, subnets.c.enable_dhcp, subnets.c.segment_id)
_SUBNETS_OF = _SUBNETS.where(subnets.c.network_id.in_(bindparam("ids", expanding=True)))
_SEGMENTS = (
    sa.select(network_segments)
    .where(
        network_segments.c.network_id.in_(
            sa.select(network_segments.c.network_id).where(network_segments.c.segment_index > 0)
        )
    )
    .order_by(network_segments.c.segment_index)
)
_SHARED = sa.select(network_rbacs.c.object_id).where(
    network_rbacs.c.target_project == bindparam("caller"),
    network_rbacs.c.object_type == "network",
    network_rbacs.c.action == sharing.SHARED,
)


@dataclass(slots=True)
class Facts:
    """What a view shows of networks beyond their rows: which are shared with the caller's project, which serve DHCP,
    which are routed, which have several segments, and the address scopes they are in, by network and IP version.
    """

    zone: str
    provider: bool
    shared: set[str] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    routed: set[str] = field(default_factory=set)
    scopes: Mapping[tuple[str, int], str] = field(default_factory=dict)
    segments: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def facts(tx: Transaction, call: Call, rows: Sequence[Any]) -> Facts:
    """Read them for these networks."""
    found = Facts(call.runtime.settings.network.availability_zone, sees_provider(call))
    if len(rows) > _MOST_IDS:
        known = tx.all(_SUBNETS)
    else:
        known = tx.all(_SUBNETS_OF, {"ids": [row.id for row in rows]}) if rows else ()
    for subnet in known:
        if subnet.enable_dhcp:
            found.served.add(subnet.network_id)
        if subnet.segment_id:
            found.routed.add(subnet.network_id)
    found.scopes = address_scopes.of_networks(tx, None if len(rows) > _MOST_IDS else [row.id for row in rows])
    found.shared.update(tx.connection.execute(_SHARED, {"caller": call.caller.project_id}).scalars())
    if found.provider:
        for row in tx.all(_SEGMENTS):
            found.segments.setdefault(row.network_id, []).append(_provider(row))
    return found


def _provider(row: Any) -> dict[str, Any]:
    return {
        "provider:network_type": row.network_type,
        "provider:physical_network": row.physical_network,
        "provider:segmentation_id": row.segmentation_id,
    }


def view(row: Any, known: Facts) -> dict[str, Any]:
    """A network as the API shows it; provider attributes to those who may see them."""
    shown = resources.standard_view(row)
    shown.update({
        "name": row.name,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "shared": row.shared or row.id in known.shared,
        "router:external": row.external,
        "mtu": row.mtu,
        "port_security_enabled": row.port_security_enabled,
        "dns_domain": row.dns_domain,
        "subnets": row.subnet_ids,
        "availability_zone_hints": row.availability_zone_hints,
        "availability_zones": [known.zone] if row.id in known.served and row.dhcp_agent else [],
        "ipv4_address_scope": known.scopes.get((row.id, 4)),
        "ipv6_address_scope": known.scopes.get((row.id, 6)),
        "l2_adjacency": row.id not in known.routed,
        "qos_policy_id": row.qos_policy_id,
        "vlan_transparent": row.vlan_transparent,
    })  # fmt: skip
    if row.external:
        shown["is_default"] = row.is_default
    if known.provider:
        several = known.segments.get(row.id, ())
        shown |= {"segments": several} if len(several) > 1 else _provider(row)
    return shown


def sees_provider(call: Call) -> bool:
    """Whether the caller may see how networks are made."""
    return call.allows("get_network:provider:network_type", {})
