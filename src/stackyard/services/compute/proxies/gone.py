"""What Nova had once and removed: these addresses stay, and say so (410)."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Gone
from stackyard.core.routes import Route

_NETWORK = "Nova has no networks of its own any more; use the network service's API."
_CELLS = "Cells version 1 were removed."
_CERTIFICATES = "The service that signed certificates was removed."
_CONSOLES = "The XenAPI's consoles were removed; use remote-consoles."

# method and path below /v2.1, and why it is gone
_REMOVED = (
    ("GET", "os-agents", "Guest agents were the XenAPI driver's, which was removed."),
    ("POST", "os-agents", "Guest agents were the XenAPI driver's, which was removed."),
    ("PUT", "os-agents/{id}", "Guest agents were the XenAPI driver's, which was removed."),
    ("DELETE", "os-agents/{id}", "Guest agents were the XenAPI driver's, which was removed."),
    ("GET", "os-cells", _CELLS),
    ("POST", "os-cells", _CELLS),
    ("GET", "os-cells/capacities", _CELLS),
    ("GET", "os-cells/detail", _CELLS),
    ("GET", "os-cells/info", _CELLS),
    ("POST", "os-cells/sync_instances", _CELLS),
    ("GET", "os-cells/{id}", _CELLS),
    ("PUT", "os-cells/{id}", _CELLS),
    ("DELETE", "os-cells/{id}", _CELLS),
    ("GET", "os-cells/{id}/capacities", _CELLS),
    ("POST", "os-certificates", _CERTIFICATES),
    ("GET", "os-certificates/{id}", _CERTIFICATES),
    ("GET", "os-cloudpipe", _NETWORK),
    ("POST", "os-cloudpipe", _NETWORK),
    ("PUT", "os-cloudpipe/{id}", _NETWORK),
    ("GET", "os-fixed-ips/{id}", _NETWORK),
    ("POST", "os-fixed-ips/{id}/action", _NETWORK),
    ("GET", "os-floating-ip-dns", _NETWORK),
    ("PUT", "os-floating-ip-dns/{id}", _NETWORK),
    ("DELETE", "os-floating-ip-dns/{id}", _NETWORK),
    ("GET", "os-floating-ip-dns/{domain_id}/entries/{id}", _NETWORK),
    ("PUT", "os-floating-ip-dns/{domain_id}/entries/{id}", _NETWORK),
    ("DELETE", "os-floating-ip-dns/{domain_id}/entries/{id}", _NETWORK),
    ("GET", "os-floating-ips-bulk", _NETWORK),
    ("POST", "os-floating-ips-bulk", _NETWORK),
    ("GET", "os-floating-ips-bulk/{id}", _NETWORK),
    ("PUT", "os-floating-ips-bulk/{id}", _NETWORK),
    ("GET", "os-fping", _NETWORK),
    ("GET", "os-fping/{id}", _NETWORK),
    ("POST", "os-networks", _NETWORK),
    ("POST", "os-networks/add", _NETWORK),
    ("DELETE", "os-networks/{network_id}", _NETWORK),
    ("POST", "os-networks/{network_id}/action", _NETWORK),
    ("GET", "os-security-group-default-rules", _NETWORK),
    ("POST", "os-security-group-default-rules", _NETWORK),
    ("GET", "os-security-group-default-rules/{id}", _NETWORK),
    ("DELETE", "os-security-group-default-rules/{id}", _NETWORK),
    ("POST", "os-tenant-networks", _NETWORK),
    ("DELETE", "os-tenant-networks/{network_id}", _NETWORK),
    ("GET", "servers/{server_id}/consoles", _CONSOLES),
    ("POST", "servers/{server_id}/consoles", _CONSOLES),
    ("GET", "servers/{server_id}/consoles/{id}", _CONSOLES),
    ("DELETE", "servers/{server_id}/consoles/{id}", _CONSOLES),
    ("GET", "servers/{server_id}/os-virtual-interfaces", "Use os-interface, or the network service's ports."),
)


def _route(method: str, path: str, reason: str) -> Route:
    def refuse(tx: Transaction, call: Call) -> Any:
        """Gone; the answer says what to use instead."""
        del tx, call
        raise Gone(reason)

    return Route(method, f"/v2.1/{path}", refuse, "os_compute_api:any", writes=False)


ROUTES = tuple(_route(*removed) for removed in _REMOVED)
