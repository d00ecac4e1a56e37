"""What the API shows of a port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stackyard.core.call import Call
from stackyard.services.network import resources


def dns_assignment(name: str, domain: str, fixed_ips: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The names that the network's DNS answers for a port's addresses: its own, or one made of the address."""
    ending = domain.rstrip(".")
    found = []
    for item in fixed_ips:
        address = item["ip_address"]
        host = name or f"host-{address.replace('.', '-').replace(':', '-')}"
        found.append({"ip_address": address, "hostname": host, "fqdn": f"{host}.{ending}."})
    return found


def view(row: Any, domain: str, *, binding: bool) -> dict[str, Any]:
    """A port; with `binding`, also where it is bound. `domain` is that of its network's names."""
    shown = resources.standard_view(row)
    shown.update({
        "name": row.name,
        "network_id": row.network_id,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "mac_address": row.mac_address,
        "fixed_ips": row.fixed_ips,
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "security_groups": row.security_group_ids,
        "port_security_enabled": row.port_security_enabled,
        "allowed_address_pairs": row.allowed_address_pairs,
        "dns_name": row.dns_name,
        "dns_assignment": dns_assignment(row.dns_name, domain, row.fixed_ips),
        "binding:vnic_type": row.binding_vnic_type,
    })  # fmt: skip
    if binding:
        wired = row.netns is not None
        shown["binding:host_id"] = row.binding_host
        shown["binding:profile"] = row.binding_profile
        shown["binding:vif_type"] = "bridge" if wired else "unbound"
        shown["binding:vif_details"] = {"port_filter": True, "connectivity": "l2"} if wired else {}
    return shown


def sees_binding(call: Call) -> bool:
    """Whether the caller may see where ports are bound."""
    return call.allows("get_port:binding:host_id", {})
