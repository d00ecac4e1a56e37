"""What the API shows of a port."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.network import resources
from stackyard.services.network.qos import api as qos
from stackyard.services.network.tables import networks, ports, qos_policies, trunk_subports, trunks

_MOST_IDS = 500
_TRUNKS = sa.select(trunks.c.id, trunks.c.port_id)
_TRUNKS_OF = _TRUNKS.where(trunks.c.port_id.in_(bindparam("ids", expanding=True)))
_SUBPORTS = (
    sa.select(trunk_subports, ports.c.mac_address)
    .join(ports, ports.c.id == trunk_subports.c.port_id)
    .where(trunk_subports.c.trunk_id.in_(bindparam("trunks", expanding=True)))
    .order_by(trunk_subports.c.segmentation_id)
)
_POLICIES = sa.select(qos_policies.c.id, qos_policies.c.rules).where(
    qos_policies.c.id.in_(bindparam("ids", expanding=True))
)
_REQUESTED = {
    "minimum_bandwidth": {"egress": "NET_BW_EGR_KILOBIT_PER_SEC", "ingress": "NET_BW_IGR_KILOBIT_PER_SEC"},
    "minimum_packet_rate": {
        "any": "NET_PACKET_RATE_KILOPACKET_PER_SEC",
        "egress": "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
        "ingress": "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
    },
}
"""What placement calls that which a rule promises, by direction."""

NETWORK_COLUMNS = (
    networks.c.dns_domain.label("network_domain"),
    networks.c.qos_policy_id.label("network_qos_policy_id"),
    networks.c.physical_network.label("network_physical"),
)
"""What a view needs of a port's network, beside the port's own columns."""


def of_network(network: Any) -> dict[str, Any]:
    """The same from a network's row, for a port whose own row is at hand."""
    return {
        "network_domain": network.dns_domain,
        "network_qos_policy_id": network.qos_policy_id,
        "network_physical": network.physical_network,
    }


@dataclass(slots=True)
class Facts:
    """What a view shows beyond a port's row, and what of it the caller may see."""

    domain: str
    binding: bool
    resource_request: bool
    hints: bool
    trusted: bool
    trunks: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)


def facts(tx: Transaction, call: Call, rows: Sequence[Any], *, new: bool = False) -> Facts:
    """Read them for these ports; `new` ones are on no trunk yet."""
    found = Facts(
        domain=call.runtime.settings.network.dns_domain,
        binding=sees_binding(call),
        resource_request=call.allows("get_port:resource_request", {}),
        hints=call.allows("get_port:hints", {}),
        trusted=call.allows("get_port:trusted", {}),
    )
    if rows and not new:
        found.trunks = _trunks(tx, rows)
    if found.resource_request:
        wanted = {policy for row in rows if (policy := row.qos_policy_id or row.network_qos_policy_id)}
        if wanted:
            found.policies = {row.id: row.rules for row in tx.all(_POLICIES, {"ids": sorted(wanted)})}
    return found


def _trunks(tx: Transaction, rows: Sequence[Any]) -> dict[str, dict[str, Any]]:
    parents = tx.all(_TRUNKS) if len(rows) > _MOST_IDS else tx.all(_TRUNKS_OF, {"ids": [row.id for row in rows]})
    if not parents:
        return {}
    below: dict[str, list[dict[str, Any]]] = {row.id: [] for row in parents}
    for sub in tx.all(_SUBPORTS, {"trunks": list(below)}):
        below[sub.trunk_id].append(
            {
                "port_id": sub.port_id,
                "segmentation_type": sub.segmentation_type,
                "segmentation_id": sub.segmentation_id,
                "mac_address": sub.mac_address,
            }
        )
    return {row.port_id: {"trunk_id": row.id, "sub_ports": below[row.id]} for row in parents}


def dns_assignment(name: str, domain: str, fixed_ips: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The names that the network's DNS answers for a port's addresses: its own, or one made of the address."""
    ending = domain.rstrip(".")
    found = []
    for item in fixed_ips:
        address = item["ip_address"]
        host = name or f"host-{address.replace('.', '-').replace(':', '-')}"
        found.append({"ip_address": address, "hostname": host, "fqdn": f"{host}.{ending}."})
    return found


def view(row: Any, known: Facts) -> dict[str, Any]:
    """A port, as those see it who may know what `known` says."""
    shown = resources.standard_view(row)
    shown.update({
        "name": row.name,
        "network_id": row.network_id,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "mac_address": row.mac_address,
        "fixed_ips": row.fixed_ips,
        "ip_allocation": row.ip_allocation,
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "security_groups": row.security_group_ids,
        "port_security_enabled": row.port_security_enabled,
        "allowed_address_pairs": row.allowed_address_pairs,
        "extra_dhcp_opts": row.extra_dhcp_opts,
        "dns_name": row.dns_name,
        "dns_domain": row.dns_domain,
        "dns_assignment": dns_assignment(row.dns_name, row.network_domain or known.domain, row.fixed_ips),
        "qos_policy_id": row.qos_policy_id,
        "qos_network_policy_id": row.network_qos_policy_id,
        "data_plane_status": row.data_plane_status,
        "propagate_uplink_status": row.propagate_uplink_status,
        "numa_affinity_policy": row.numa_affinity_policy,
        "device_profile": row.device_profile,
        "hardware_offload_type": row.hardware_offload_type,
        "binding:vnic_type": row.binding_vnic_type,
    })  # fmt: skip
    trunk = known.trunks.get(row.id)
    if trunk is not None:
        shown["trunk_details"] = trunk
    if known.resource_request:
        shown["resource_request"] = _request(row, known.policies)
    if known.hints:
        shown["hints"] = row.hints
    if known.trusted:
        shown["trusted"] = row.trusted
    if known.binding:
        kind = vif_type(row)
        shown["binding:host_id"] = row.binding_host
        shown["binding:profile"] = row.binding_profile
        shown["binding:vif_type"] = kind
        shown["binding:vif_details"] = vif_details(kind)
    return shown


def vif_type(row: Any) -> str:
    """How a port is plugged."""
    if row.netns is not None:
        return "bridge"
    return str(row.vif_type) if row.binding_host else "unbound"


def vif_details(vif_type: str) -> dict[str, Any]:
    """What whoever plugs the port has to know of how."""
    return {"port_filter": True, "connectivity": "l2"} if vif_type == "bridge" else {}


def _request(row: Any, policies: dict[str, Any]) -> dict[str, Any] | None:
    """What the effective policy asks of placement: a group for bandwidth, one for packets."""
    rules = policies.get(qos.effective_policy(row, _Network(row)) or "", ()) if policies else ()
    if not rules:
        return None
    groups = []
    for kind, classes in _REQUESTED.items():
        wanted = {
            classes[rule["direction"]]: rule.get("min_kbps") or rule.get("min_kpps")
            for rule in rules
            if rule["type"] == kind and rule["direction"] in classes
        }
        traits = [f"CUSTOM_VNIC_TYPE_{row.binding_vnic_type.upper().replace('-', '_')}"]
        if kind == "minimum_bandwidth" and row.network_physical:
            traits.insert(0, f"CUSTOM_PHYSNET_{row.network_physical.upper().replace('-', '_').replace('.', '_')}")
        if wanted:
            group_id = str(uuid.uuid5(uuid.UUID(row.id), kind))
            groups.append({"id": group_id, "required": traits, "resources": wanted})
    return {"request_groups": groups, "same_subtree": [group["id"] for group in groups]} if groups else None


class _Network:
    """A port's network, as far as its QoS policy goes."""

    def __init__(self, row: Any) -> None:
        self.qos_policy_id = row.network_qos_policy_id


def for_admin(domain: str) -> Facts:
    """What an administrator sees of a port without its trunk and resource request."""
    return Facts(domain=domain, binding=True, resource_request=False, hints=True, trusted=True)


def sees_binding(call: Call) -> bool:
    """Whether the caller may see where ports are bound."""
    return call.allows("get_port:binding:host_id", {})
