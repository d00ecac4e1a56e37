"""What the API shows of a router."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.services.network import resources
from stackyard.services.network.routers import gateways


def view(row: Any, zone: str, *, kinds: bool) -> dict[str, Any]:
    """A router in its availability zone; with `kinds`, also which kind it is."""
    shown = resources.standard_view(row)
    outside = [_gateway(gateway) for gateway in gateways.of(row)]
    shown.update({
        "name": row.name,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "external_gateway_info": outside[0] if outside else None,
        "external_gateways": outside,
        "enable_snat": row.enable_snat,
        "enable_ndp_proxy": row.enable_ndp_proxy and bool(outside),
        "enable_default_route_ecmp": row.enable_default_route_ecmp,
        "enable_default_route_bfd": False,
        "routes": row.routes,
        "conntrack_helpers": row.conntrack_helpers,
        "flavor_id": row.flavor_id,
        "availability_zone_hints": row.availability_zone_hints,
        "availability_zones": [zone],
    })  # fmt: skip
    if kinds:
        shown["distributed"] = row.distributed
        shown["ha"] = row.ha
    return shown


def _gateway(gateway: gateways.Gateway) -> dict[str, Any]:
    return {
        "network_id": gateway.network_id,
        "enable_snat": gateway.enable_snat,
        "external_fixed_ips": gateway.ips,
        "qos_policy_id": gateway.qos_policy_id,
    }


def shown_to(call: Call, row: Any) -> dict[str, Any]:
    """A router as this caller may see it."""
    return view(row, call.runtime.settings.network.availability_zone, kinds=call.allows("get_router:ha", {}))
