"""Networks, ports, routers and security groups, as one host makes them true."""

from __future__ import annotations

from stackyard.host.specs.base import Spec


class Route(Spec, frozen=True):
    """A static route: packets to `destination` (a CIDR) go to `next_hop` (an address)."""

    destination: str
    next_hop: str


class Address(Spec, frozen=True):
    """An address on an interface, with the prefix length of its subnet."""

    ip: str
    prefix_length: int


class AddressPair(Spec, frozen=True):
    """A further source that a port may send from: an address or CIDR, and a MAC (the port's own when None)."""

    ip: str
    mac: str | None = None


class SubnetSpec(Spec, frozen=True):
    """One subnet of a network. `ipv6_mode` is None, "slaac", "dhcpv6-stateful" or "dhcpv6-stateless"."""

    id: str
    cidr: str
    gateway: str | None = None
    dhcp: bool = True
    dns_servers: tuple[str, ...] = ()
    host_routes: tuple[Route, ...] = ()
    ipv6_mode: str | None = None


class HostRecord(Spec, frozen=True):
    """One port as DHCP and DNS know it: its MAC, its addresses, and the names that resolve to them."""

    mac: str
    ips: tuple[str, ...]
    names: tuple[str, ...] = ()


class ServicePort(Spec, frozen=True):
    """The network's own port (owner network:dhcp), from which its DHCP and DNS server answers."""

    id: str
    mac: str
    addresses: tuple[Address, ...]


class NetworkSpec(Spec, frozen=True):
    """A tenant network: a bridge, and a DHCP and DNS server when `service_port` is given.

    An `external` network is also joined to the host itself: the host gets each subnet's gateway address on it
    and forwards and masquerades for it.
    """

    id: str
    mtu: int = 1500
    external: bool = False
    dns_domain: str = "openstacklocal"
    subnets: tuple[SubnetSpec, ...] = ()
    service_port: ServicePort | None = None
    hosts: tuple[HostRecord, ...] = ()


class PortSpec(Spec, frozen=True):
    """One port: a veth pair from the network's bridge into the namespace `netns` (a path), where it is `device`.

    `gateways` are default routes, `routes` further ones. With `port_security` false neither anti-spoofing nor
    security groups apply. `admin_up` false means that nothing passes.
    """

    id: str
    network_id: str
    mac: str
    netns: str
    device: str = "eth0"
    mtu: int = 1500
    addresses: tuple[Address, ...] = ()
    gateways: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    admin_up: bool = True
    port_security: bool = True
    security_groups: tuple[str, ...] = ()
    allowed_pairs: tuple[AddressPair, ...] = ()


class SecurityRule(Spec, frozen=True):
    """Allows what it matches. `direction` is ingress or egress, `ethertype` 4 or 6.

    `protocol` is a name or an IP protocol number as text, None for any; for tcp, udp, sctp the ports are a range, for
    icmp `port_min` is the type and `port_max` the code. At most one of `remote_cidr` and `remote_group` is given.
    """

    direction: str
    ethertype: int
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str | None = None
    remote_group: str | None = None


class SecurityGroupSpec(Spec, frozen=True):
    """A group's rules, and the addresses of all ports that are in it (on any host), for rules that name the group."""

    id: str
    rules: tuple[SecurityRule, ...] = ()
    members: tuple[str, ...] = ()


class RouterInterface(Spec, frozen=True):
    """A router's leg on a tenant network."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[Address, ...]
    subnets: tuple[SubnetSpec, ...] = ()


class RouterGateway(Spec, frozen=True):
    """A router's leg on an external network; `snat` hides tenants behind its first IPv4 address."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[Address, ...]
    next_hops: tuple[str, ...] = ()
    snat: bool = True


class FloatingIPSpec(Spec, frozen=True):
    """A public address that is translated, both ways, to a tenant's address behind the router."""

    id: str
    floating_ip: str
    fixed_ip: str


class RouterSpec(Spec, frozen=True):
    """A router: a namespace with a leg on each network, static routes, SNAT and floating IPs; IPv6 by advertisement."""

    id: str
    admin_up: bool = True
    interfaces: tuple[RouterInterface, ...] = ()
    gateway: RouterGateway | None = None
    floating_ips: tuple[FloatingIPSpec, ...] = ()
    routes: tuple[Route, ...] = ()


class NetworkObservation(Spec, frozen=True):
    """What is in the kernel now, by id. `problems` maps a resource id to what is wrong with it."""

    networks: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    routers: frozenset[str] = frozenset()
    security_groups: frozenset[str] = frozenset()
    problems: dict[str, str] = {}
