"""From rows to specs: what hosts are to make true. Pure functions; `wanted` reads the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stackyard.host.network.metadata import METADATA4
from stackyard.host.specs import (
    NO_MAC,
    Address,
    AddressPair,
    DhcpOption,
    HostRecord,
    Neighbour,
    NetworkSpec,
    PortSpec,
    Qos,
    Route,
    SecurityGroupSpec,
    SecurityRule,
    Segment,
    ServicePort,
    SubnetSpec,
    TunnelPeer,
)
from stackyard.services.network import owners
from stackyard.services.network.ports.views import dns_assignment

_NAMELESS = owners.TRUSTED
"""Ports that DHCP and DNS do not speak of."""


def network_spec(
    network: Any,
    subnets: Sequence[Any],
    ports: Iterable[Any],
    default_domain: str,
    remote: Iterable[Any] = (),
    named: Iterable[Any] = (),
) -> NetworkSpec:
    """A network with its subnets and all ports on it, the service port among them.

    `remote` are the ports that are elsewhere, `named` the floating IPs whose names it answers.
    """
    domain = (network.dns_domain or default_domain).rstrip(".")
    by_id = {subnet.id: subnet for subnet in subnets}
    service = None
    hosts = []
    for port in ports:
        if port.device_owner == owners.DHCP:
            if network.admin_state_up:
                service = ServicePort(id=port.id, mac=port.mac_address, addresses=addresses(port.fixed_ips, by_id))
        elif port.device_owner not in _NAMELESS and port.fixed_ips:
            hosts.append(_host(port, domain))
    if service is not None:
        hosts += [_named(floating) for floating in named]
    return NetworkSpec(
        id=network.id,
        mtu=network.mtu,
        external=network.external,
        dns_domain=domain,
        subnets=tuple(subnet_spec(subnet) for subnet in subnets),
        service_port=service,
        hosts=tuple(hosts),
        segment=Segment(
            network_type=network.network_type,
            physical_network=network.physical_network,
            segmentation_id=network.segmentation_id,
        ),
        peers=peers(remote),
    )


def peers(remote: Iterable[Any]) -> tuple[TunnelPeer, ...]:
    """The hosts that have ports of a network, with those ports; each of `remote` names its host's tunnel address."""
    found: dict[str, list[Neighbour]] = {}
    for port in remote:
        ips = tuple(item["ip_address"] for item in port.fixed_ips)
        found.setdefault(port.tunnel_address, []).append(Neighbour(mac=port.mac_address, ips=ips))
    return tuple(TunnelPeer(address=address, neighbours=tuple(items)) for address, items in found.items())


def _host(port: Any, domain: str) -> HostRecord:
    names = dict.fromkeys(item["hostname"] for item in dns_assignment(port.dns_name, domain, port.fixed_ips))
    if port.dns_name and port.dns_domain:
        names[f"{port.dns_name}.{port.dns_domain.rstrip('.')}"] = None
    return HostRecord(
        mac=port.mac_address,
        ips=tuple(item["ip_address"] for item in port.fixed_ips),
        names=tuple(names),
        options=tuple(
            DhcpOption(name=item["opt_name"], value=item["opt_value"] or "", ip_version=item["ip_version"])
            for item in port.extra_dhcp_opts
        ),
    )


def _named(floating: Any) -> HostRecord:
    name = f"{floating.dns_name}.{floating.dns_domain.rstrip('.')}" if floating.dns_domain else floating.dns_name
    return HostRecord(mac=NO_MAC, ips=(floating.floating_ip_address,), names=(name,))


def subnet_spec(subnet: Any) -> SubnetSpec:
    """One subnet."""
    return SubnetSpec(
        id=subnet.id,
        cidr=subnet.cidr,
        gateway=subnet.gateway_ip,
        dhcp=subnet.enable_dhcp,
        dns_servers=tuple(subnet.dns_nameservers),
        host_routes=routes(subnet.host_routes),
        ipv6_mode=subnet.ipv6_ra_mode or subnet.ipv6_address_mode,
    )


def routes(stored: Iterable[Mapping[str, str]]) -> tuple[Route, ...]:
    """Routes as rows keep them."""
    return tuple(Route(destination=item["destination"], next_hop=item["nexthop"]) for item in stored)


def addresses(fixed_ips: Iterable[Mapping[str, str]], subnets: Mapping[str, Any]) -> tuple[Address, ...]:
    """A port's addresses, each with its subnet's prefix length."""
    return tuple(
        Address(ip=item["ip_address"], prefix_length=int(subnets[item["subnet_id"]].cidr.rpartition("/")[2]))
        for item in fixed_ips
        if item["subnet_id"] in subnets
    )


def port_spec(
    port: Any, network: Any, subnets: Sequence[Any], *, qos: Qos | None = None, trunk: Any = None
) -> PortSpec:
    """A port that is bound: one default route a family, from the first subnet that has a gateway.

    `trunk` says which port carries a subport (`parent_id`), under which VLAN (`segmentation_id`), and
    whether it lets it (`trunk_up`).
    """
    by_id = {subnet.id: subnet for subnet in subnets}
    used = [by_id[key] for key in dict.fromkeys(item["subnet_id"] for item in port.fixed_ips) if key in by_id]
    gateways: dict[int, str] = {}
    for subnet in used:
        if subnet.gateway_ip:
            gateways.setdefault(subnet.ip_version, subnet.gateway_ip)
    return PortSpec(
        id=port.id,
        network_id=port.network_id,
        mac=port.mac_address,
        netns=port.netns,
        kind=port.wire,
        parent=trunk.parent_id if trunk is not None else None,
        vlan_id=trunk.segmentation_id if trunk is not None else None,
        device=port.device or "eth0",
        mtu=network.mtu,
        addresses=addresses(port.fixed_ips, by_id),
        gateways=tuple(gateways.values()),
        routes=(
            *(route for subnet in used for route in routes(subnet.host_routes)),
            *_to_metadata(network, subnets, used),
        ),
        admin_up=port.admin_state_up and network.admin_state_up and (trunk is None or trunk.trunk_up),
        port_security=port.port_security_enabled,
        security_groups=tuple(port.security_group_ids),
        allowed_pairs=tuple(
            AddressPair(ip=item["ip_address"], mac=item["mac_address"]) for item in port.allowed_address_pairs
        ),
        qos=qos,
    )


_METADATA = Route(destination=f"{METADATA4}/32", next_hop=METADATA4)


def _to_metadata(network: Any, subnets: Sequence[Any], used: Sequence[Any]) -> tuple[Route, ...]:
    """The network's server has the address on the wire; where there is none, a router answers by the default route."""
    served = network.admin_state_up and any(item.enable_dhcp for item in subnets)
    return (_METADATA,) if served and any(item.ip_version == 4 for item in used) else ()


def security_group_spec(group: Any, rules: Iterable[Any], members: Iterable[Any]) -> SecurityGroupSpec:
    """A group with its rules and the addresses of the ports in it that are wired anywhere."""
    found: dict[str, None] = {}
    for port in members:
        found |= dict.fromkeys(item["ip_address"] for item in port.fixed_ips)
        pairs = (item["ip_address"] for item in port.allowed_address_pairs)
        found |= dict.fromkeys(text for text in pairs if "/" not in text)
    return SecurityGroupSpec(
        id=group.id, rules=tuple(_rule(rule) for rule in rules), members=tuple(found), stateful=group.stateful
    )


def _rule(rule: Any) -> SecurityRule:
    return SecurityRule(
        direction=rule.direction,
        ethertype=4 if rule.ethertype == "IPv4" else 6,
        protocol=rule.protocol,
        port_min=rule.port_range_min,
        port_max=rule.port_range_max,
        remote_cidr=rule.normalized_cidr,
        remote_group=rule.remote_group_id,
        remote_address_group=rule.remote_address_group_id,
    )
