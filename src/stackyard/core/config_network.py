"""Settings of the network service."""

from __future__ import annotations

from dataclasses import dataclass

from stackyard.core.config_checks import (
    address,
    between,
    cidr,
    named_interfaces,
    number_range,
    one_of,
    ports,
    setting,
    vlan_ranges,
)


@dataclass(frozen=True, slots=True)
class Network:
    """The networks that are seeded, and what tenants' networks have in common."""

    public_cidr: str = setting("172.24.4.0/24", "The public network's IPv4 subnet: floating IPs.", cidr(4))
    private_cidr: str = setting("10.0.0.0/24", "The private network's IPv4 subnet.", cidr(4))
    private_cidr_v6: str = setting("fd53:7461:636b::/64", "The private network's IPv6 subnet.", cidr(6))
    pool_cidr: str = setting(
        "10.192.0.0/12", "What networks that projects get by themselves (`--network auto`) are cut out of.", cidr(4)
    )
    pool_cidr_v6: str = setting("fd53:7461:706f::/48", "The same for IPv6.", cidr(6))
    mtu: int = setting(
        1500,
        "MTU of new networks in bytes; with tunnels, of the network between the hosts, of which they take a part.",
        between(1280, 65535),
    )
    tunnel_address: str = setting(
        "", "Address of this host by which the others reach it: tenants' networks then span hosts.", address
    )
    dns_domain: str = setting("openstacklocal", "Domain of the names that a network's DNS answers.")
    host_ports: tuple[int, ...] = setting((), "TCP ports of this machine that tenants may reach.", ports)
    availability_zone: str = setting("nova", "The availability zone that networks and routers are in.")
    tenant_network_type: str = setting(
        "vxlan", "What networks are made of when nobody says: vxlan, vlan or local.", one_of("vxlan", "vlan", "local")
    )
    vni_range: str = setting("1:16777215", "First and last VXLAN number of tenants' networks.", number_range(2**24 - 1))
    physical_networks: tuple[str, ...] = setting(
        (),
        "Physical networks of this machine and the interfaces they are on, each as name:interface.",
        named_interfaces,
    )
    take_used_interfaces: bool = setting(
        default=False,
        help_text="Give a flat network its interface also when the host itself has addresses there, and loses them.",
    )
    vlan_ranges: tuple[str, ...] = setting(
        (), "VLANs that networks may have without an administrator naming one, each as name:first:last.", vlan_ranges
    )
