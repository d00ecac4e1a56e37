"""What tests of routers, floating IPs and their like do again and again."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron


def plug(user: Neutron, router: dict[str, Any], status: int = 200, **what: str) -> Any:
    """Put a router onto a subnet or port."""
    return user.call("PUT", f"routers/{router['id']}/add_router_interface", what, status=status)


def unplug(user: Neutron, router: dict[str, Any], status: int = 200, **what: str) -> Any:
    """Take a router from a subnet or port."""
    return user.call("PUT", f"routers/{router['id']}/remove_router_interface", what, status=status)


def routed(demo: Neutron, public: dict[str, Any], cidr: str = "10.20.0.0/24") -> tuple[dict[str, Any], ...]:
    """A network, its subnet, and a router from it to the public network."""
    network, subnet = demo.network(cidr)
    router = demo.create("router", name="r", external_gateway_info={"network_id": public["id"]})
    plug(demo, router, subnet_id=subnet["id"])
    return network, subnet, router
