"""What a router may be given: bodies, and the reading of routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import BadRequest
from stackyard.services.network.addresses import IPNetwork, read_address, read_network
from stackyard.services.network.faults import invalid
from stackyard.services.network.resources import Flag, Text, flag

_MOST_ROUTES = 30


class GatewayInfo(Body, kw_only=True):
    """Where a router leads out."""

    network_id: str | None = None
    enable_snat: Flag | UnsetType = UNSET
    external_fixed_ips: list[dict[str, str]] | UnsetType | None = UNSET
    qos_policy_id: Text | UnsetType | None = UNSET


class GatewayList(msgspec.Struct, forbid_unknown_fields=True):
    """Gateways to add, to remove, or to have and no others."""

    external_gateways: list[GatewayInfo]


class RouteItem(Body, kw_only=True):
    """A static route."""

    destination: str
    nexthop: str


class RouterFields(Body):
    """What a router may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    admin_state_up: Flag | UnsetType = UNSET
    external_gateway_info: GatewayInfo | UnsetType | None = UNSET
    routes: list[RouteItem] | UnsetType | None = UNSET
    distributed: Flag | UnsetType | None = UNSET
    ha: Flag | UnsetType | None = UNSET
    enable_ndp_proxy: Flag | UnsetType | None = UNSET
    enable_default_route_ecmp: Flag | UnsetType | None = UNSET
    enable_default_route_bfd: Flag | UnsetType | None = UNSET


class NewRouter(RouterFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET
    availability_zone_hints: list[Text] | UnsetType | None = UNSET
    flavor_id: Text | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET


class InterfaceBody(Body):
    """What is plugged into a router or taken from it; the whole body, without an envelope."""

    subnet_id: str | UnsetType | None = UNSET
    port_id: str | UnsetType | None = UNSET


class RouteList(msgspec.Struct, forbid_unknown_fields=True):
    """Routes to add or remove."""

    routes: list[RouteItem] = []


KINDS = ("distributed", "ha")
"""Flags that say what kind of router it is, and change only while it is down."""


def read_flags(body: RouterFields, *names: str) -> dict[str, bool]:
    """The flags that a body sets; null leaves one as it is."""
    values = ((name, getattr(body, name)) for name in names)
    return {
        name: flag(name, value, default=False) for name, value in values if value is not UNSET and value is not None
    }


def refuse_unserved(body: RouterFields) -> None:
    """What this cloud does not do may be refused, not asked for."""
    if read_flags(body, "enable_default_route_bfd").get("enable_default_route_bfd"):
        raise invalid("enable_default_route_bfd is not served by this cloud; leave it out or set it to false.")


def read_routes(
    given: Iterable[RouteItem], connected: Sequence[IPNetwork], own: frozenset[str]
) -> list[dict[str, str]]:
    """Routes as rows keep them; each next hop is a neighbour on a connected subnet and not the router itself."""
    found: list[dict[str, str]] = []
    for index, item in enumerate(given):
        where = f"routes[{index}]"
        destination = read_network(f"{where}.destination", item.destination)
        nexthop = read_address(f"{where}.nexthop", item.nexthop)
        route = {"destination": str(destination), "nexthop": str(nexthop)}
        if destination.version != nexthop.version:
            raise _bad(route, "destination and nexthop are not of one IP version")
        if not any(nexthop in network for network in connected):
            raise _bad(route, "the nexthop is not connected with router")
        if str(nexthop) in own:
            raise _bad(route, "the nexthop is used by router")
        if route in found:
            raise _bad(route, "it is given twice")
        found.append(route)
    if len(found) > _MOST_ROUTES:
        raise too_many_routes()
    return found


def stored_routes(stored: Iterable[dict[str, str]]) -> list[RouteItem]:
    """Routes of a row, to be read again."""
    return [RouteItem(destination=item["destination"], nexthop=item["nexthop"]) for item in stored]


def too_many_routes() -> BadRequest:
    """A router has all the routes that it may have."""
    return BadRequest(f"The number of routes exceeds the maximum {_MOST_ROUTES}.", kind="RoutesExhausted")


def _bad(route: dict[str, str], reason: str) -> BadRequest:
    return BadRequest(f"Invalid format for routes: {route}, {reason}.", kind="InvalidRoutes")


def refuse_overlap(new: Iterable[Any], present: Iterable[Any]) -> None:
    """Raise BadRequest when a subnet (row) that is to be connected overlaps one that is."""
    taken = [(ipaddress.ip_network(subnet.cidr), subnet) for subnet in present]
    for subnet in new:
        network = ipaddress.ip_network(subnet.cidr)
        for other, owner in taken:
            if subnet.id == owner.id:
                raise BadRequest(f"Router already has a port on subnet {subnet.id}", kind="BadRequest")
            if network.version == other.version and network.overlaps(other):
                raise BadRequest(
                    f"Cidr {network} of subnet {subnet.id} overlaps with cidr {other} of subnet {owner.id}",
                    kind="BadRequest",
                )
