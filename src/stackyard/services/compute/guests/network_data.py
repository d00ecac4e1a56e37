"""network_data.json: the links, networks and services of a guest, as Nova describes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from stackyard.services.network.api import GuestPort, GuestSubnet

_DEVICE_NAME_LENGTH = 14


def network_data(ports: Sequence[GuestPort]) -> dict[str, Any]:
    """Links, networks and services. Of a port's subnets the first of each IP version counts."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, str]] = []
    for port in ports:
        chosen = [next((one for one in port.subnets if one.version == version), None) for version in (4, 6)]
        if not any(chosen):
            continue
        links.append(_link(port))
        for subnet in filter(None, chosen):
            networks.append(_network(port, subnet, len(networks)))
            services += [service for service in _dns(subnet) if service not in services]
    return {"links": links, "networks": networks, "services": services}


def _link(port: GuestPort) -> dict[str, Any]:
    # Where DHCP tells the MTU, this does not.
    told = any(subnet.dhcp for subnet in port.subnets)
    return {
        "id": _link_id(port),
        "vif_id": port.id,
        "type": "bridge",
        "mtu": None if told else port.mtu,
        "ethernet_mac_address": port.mac,
    }


def _link_id(port: GuestPort) -> str:
    return f"tap{port.id}"[:_DEVICE_NAME_LENGTH]


def _network(port: GuestPort, subnet: GuestSubnet, number: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": f"network{number}"}
    if subnet.ipv6_address_mode is None and subnet.dhcp:
        kind = f"ipv{subnet.version}_dhcp"
        return shown | {"type": kind, "link": _link_id(port), "network_id": port.network_id}
    whole = ipaddress.ip_network(subnet.cidr)
    mode = f"_{subnet.ipv6_address_mode}" if subnet.ipv6_address_mode else ""
    return shown | {
        "type": f"ipv{subnet.version}{mode}",
        "link": _link_id(port),
        "ip_address": subnet.addresses[0],
        "netmask": str(whole.netmask),
        "routes": _routes(subnet),
        "network_id": port.network_id,
        "services": _dns(subnet),
    }


def _routes(subnet: GuestSubnet) -> list[dict[str, str]]:
    everything = "0.0.0.0" if subnet.version == 4 else "::"  # noqa: S104  a destination, nothing listens there
    found = []
    if subnet.gateway:
        found.append({"network": everything, "netmask": everything, "gateway": subnet.gateway})
    for route in subnet.routes:
        whole = ipaddress.ip_network(route["destination"], strict=False)
        network, netmask = str(whole.network_address), str(whole.netmask)
        found.append({"network": network, "netmask": netmask, "gateway": route["nexthop"]})
    return found


def _dns(subnet: GuestSubnet) -> list[dict[str, str]]:
    return [{"type": "dns", "address": address} for address in subnet.dns]
