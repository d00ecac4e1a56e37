"""Device owners that the network service itself gives ports, and what follows from them."""

from __future__ import annotations

DHCP = "network:dhcp"
ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
LOCAL_IP = "network:local_ip"

AUTO_DELETE = frozenset({DHCP})
"""Ports that do not keep their network or subnet from being deleted, for they go with it."""

ROUTER = frozenset({ROUTER_INTERFACE, ROUTER_GATEWAY})
"""Ports of routers: they choose their addresses, also in subnets where others build theirs from the MAC."""

TRUSTED = frozenset({DHCP, ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP, LOCAL_IP})
"""Ports without security groups."""
