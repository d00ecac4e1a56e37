"""Endpoints: the place of one container on one network, which is a port.

Docker moves the container's end of the wire on by itself: Join offers it in the namespace that Docker runs in, under
a name that the answer tells, and Docker takes it into the container, names it anew and gives it its addresses. The
other end, with its filters, is as any port's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.plugins.kuryr import exposed, names
from stackyard.plugins.kuryr.addresses import holders
from stackyard.plugins.kuryr.bodies import CreateEndpoint, EndpointOnly, Interface, Join
from stackyard.plugins.kuryr.session import Session, read_interface
from stackyard.services import keys
from stackyard.services.network import api as network_api

OWN_NAMESPACE = "/proc/self/ns/net"
"""The namespace that this process was started in, and that Docker's is expected to be."""

_NEXT_HOP = 0
"""libnetwork's type of a route that leads to an address."""


def create(session: Session, body: CreateEndpoint) -> dict[str, Any]:
    """/NetworkDriver.CreateEndpoint: the port that holds the addresses becomes the endpoint's."""
    network = session.joined_network(body.network_id)
    interface = body.interface or Interface()
    mac = interface.mac_address.lower()
    port = session.port(network, body.endpoint_id)
    if port is None:
        wanted = _fixed_ips(session, network, interface)
        port = _claim(session, body.endpoint_id, wanted) or _make(session, network, wanted)
        port = _take(session, port, body.endpoint_id, wanted, mac)
    return {"Interface": {} if mac else {"MacAddress": port["mac_address"]}}


def _fixed_ips(session: Session, network: Mapping[str, Any], interface: Interface) -> list[dict[str, str]]:
    """The addresses that Docker has for the container, each with its subnet."""
    found = []
    for field, text in (("Address", interface.address), ("AddressIPv6", interface.address_ipv6)):
        if not text:
            continue
        given = read_interface(f"Interface.{field}", text)
        subnets = session.neutron.list("subnets", network_id=network["id"], cidr=str(given.network))
        if not subnets:
            raise NotFound(f"Network {network['id']} has no subnet {given.network}.")
        found.append({"subnet_id": subnets[0]["id"], "ip_address": str(given.ip)})
    if not found:
        raise BadRequest("Interface address v4 or v6 not provided.")
    return found


def _claim(session: Session, endpoint_id: str, wanted: list[dict[str, str]]) -> dict[str, Any] | None:
    """Of the ports that hold these addresses the one to use: the user's own rather than ours. The others go."""
    held = {port["id"]: port for item in wanted for port in holders(session, item["subnet_id"], item["ip_address"])}
    for port in held.values():
        if port["device_id"] or port["device_owner"] or port["project_id"] != session.project_id:
            raise Conflict(f"Port {port['id']} has the address of endpoint {endpoint_id[:12]}, and is in use.")
    ranked = sorted(held.values(), key=lambda port: names.DEVICE_OWNER in port["tags"])
    for port in ranked[1:]:
        if names.DEVICE_OWNER not in port["tags"]:
            raise Conflict(f"Ports {ranked[0]['id']} and {port['id']} each have an address of one endpoint.")
        session.service.delete("port", port["id"])
    return ranked[0] if ranked else None


def _make(session: Session, network: Mapping[str, Any], wanted: list[dict[str, str]]) -> dict[str, Any]:
    """A port for addresses that somebody else gives out (`--ipam-driver default`)."""
    port = session.neutron.create(
        "port", network_id=network["id"], project_id=session.project_id, name=names.UNBOUND_PORT, fixed_ips=wanted
    )
    session.neutron.tag("port", port, add=[names.OWN_PORT])
    return {**port, "tags": [names.OWN_PORT]}


def _take(
    session: Session, port: Mapping[str, Any], endpoint_id: str, wanted: list[dict[str, str]], mac: str
) -> dict[str, Any]:
    """Make a port the endpoint's."""
    ours = names.DEVICE_OWNER in port["tags"] or names.OWN_PORT in port["tags"]
    changes: dict[str, Any] = {"device_id": endpoint_id, "device_owner": names.DEVICE_OWNER, "admin_state_up": True}
    if ours:
        changes["name"] = names.port_name(endpoint_id)
    if mac and mac != port["mac_address"]:
        changes["mac_address"] = mac
    kept = [item for item in port["fixed_ips"] if item not in wanted] if not ours else []
    if [item for item in wanted if item not in port["fixed_ips"]] or changes.get("mac_address"):
        changes["fixed_ips"] = [*wanted, *kept]
    taken = session.service.update("port", port["id"], **changes)
    tags = names.id_tags(endpoint_id) + ([] if ours else [names.EXISTING_PORT])
    session.neutron.tag("port", taken, add=tags)
    return taken


def delete(session: Session, body: EndpointOnly) -> dict[str, Any]:
    """/NetworkDriver.DeleteEndpoint: the port is nobody's again, and goes with its address. Gone is fine."""
    network = session.network(body.network_id)
    port = session.port(network, body.endpoint_id) if network is not None else None
    if port is None:
        return {}
    exposed.withdraw(session, port)
    network_api.unbind_port(session.tx, port["id"])
    if names.OWN_PORT in port["tags"]:
        session.service.delete("port", port["id"])
        return {}
    changes: dict[str, Any] = {"device_id": "", "device_owner": ""}
    if names.DEVICE_OWNER in port["tags"]:
        changes |= {"name": names.UNBOUND_PORT, "dns_name": ""}
    freed = session.service.update("port", port["id"], **changes)
    session.neutron.tag("port", freed, drop=[*names.id_tags(body.endpoint_id), names.EXISTING_PORT])
    return {}


def show(session: Session, body: EndpointOnly) -> tuple[dict[str, Any], bool]:
    """/NetworkDriver.EndpointOperInfo: the answer, and whether there is a port without a name."""
    network = session.network(body.network_id)
    port = session.port(network, body.endpoint_id) if network is not None else None
    if port is None:
        return {"Value": {}}, False
    return {"Value": {"status": port["status"], "port": port["id"]}}, not port["dns_name"]


def join(session: Session, body: Join) -> tuple[dict[str, Any], str]:
    """/NetworkDriver.Join: the answer, and the port whose wire is to be made now."""
    network = session.joined_network(body.network_id)
    port = session.port(network, body.endpoint_id)
    if port is None:
        raise NotFound(f"There is no port of endpoint {body.endpoint_id}.")
    device = names.device_name(port["id"])
    host = session.runtime[keys.HOST_NAME]
    network_api.bind_port(session.tx, port["id"], netns=OWN_NAMESPACE, device=device, host=host, wire="offered")
    answer: dict[str, Any] = {
        "InterfaceName": {"SrcName": device, "DstPrefix": "eth"},
        "StaticRoutes": [],
        "DisableGatewayService": True,
    }
    used = {item["subnet_id"] for item in port["fixed_ips"]}
    # The port may also have addresses that Docker knows nothing of: those that IPv6 hosts give themselves.
    tags = ",".join(names.id_tags(body.network_id))
    for subnet in session.neutron.list("subnets", network_id=network["id"], tags=tags):
        if subnet["id"] in used:
            _lead_out(answer, subnet)
    return answer, port["id"]


def _lead_out(answer: dict[str, Any], subnet: Mapping[str, Any]) -> None:
    if subnet["gateway_ip"]:
        answer["Gateway" if subnet["ip_version"] == 4 else "GatewayIPv6"] = subnet["gateway_ip"]
    for route in subnet["host_routes"]:
        version = ipaddress.ip_address(route["nexthop"]).version
        if version == subnet["ip_version"]:
            answer["StaticRoutes"].append(
                {"Destination": route["destination"], "RouteType": _NEXT_HOP, "NextHop": route["nexthop"]}
            )
