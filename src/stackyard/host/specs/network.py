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


class DhcpOption(Spec, frozen=True):
    """One more DHCP option for a port: a name as dnsmasq knows it or a number, for clients of IP version 4 or 6."""

    name: str
    value: str
    ip_version: int = 4


NO_MAC = "00:00:00:00:00:00"
"""The MAC of a host record that is a name only."""


class HostRecord(Spec, frozen=True):
    """One port as DHCP and DNS know it: its MAC, its addresses, the names that resolve to them, its own options."""

    mac: str
    ips: tuple[str, ...]
    names: tuple[str, ...] = ()
    options: tuple[DhcpOption, ...] = ()


class ServicePort(Spec, frozen=True):
    """The network's own port (owner network:dhcp), from which its DHCP and DNS server answers."""

    id: str
    mac: str
    addresses: tuple[Address, ...]


class Segment(Spec, frozen=True):
    """How a network's frames travel between hosts.

    `network_type` is local (not at all), vxlan (`segmentation_id` is the VNI), flat or vlan (`physical_network` names
    an interface of the host in the driver's settings, `segmentation_id` is the VLAN's number).
    """

    network_type: str = "local"
    physical_network: str | None = None
    segmentation_id: int | None = None


class Neighbour(Spec, frozen=True):
    """A port on another host: whoever sends to `mac` sends to that host, and ARP and ND for `ips` are answered here."""

    mac: str
    ips: tuple[str, ...] = ()


class TunnelPeer(Spec, frozen=True):
    """Another host that a vxlan network is on: the address of its tunnel end, and the ports that it has."""

    address: str
    neighbours: tuple[Neighbour, ...] = ()


class NetworkSpec(Spec, frozen=True):
    """A tenant network: a bridge, and a DHCP and DNS server when `service_port` is given.

    An `external` network of type local is also joined to the host itself: the host gets each subnet's gateway address
    on it and forwards and masquerades for it; one on a physical network leads out by that. A vxlan network without
    `peers` has no tunnel. `metadata` says that the service port answers on 169.254.169.254 and fe80::a9fe:a9fe.
    """

    id: str
    mtu: int = 1500
    external: bool = False
    dns_domain: str = "openstacklocal"
    subnets: tuple[SubnetSpec, ...] = ()
    service_port: ServicePort | None = None
    hosts: tuple[HostRecord, ...] = ()
    segment: Segment = Segment()
    peers: tuple[TunnelPeer, ...] = ()
    metadata: bool = True


class BandwidthLimit(Spec, frozen=True):
    """At most `max_kbps` (1000 bits a second), in bursts of `max_burst_kbps` (1000 bits; 0: a fitting size).

    `direction` is as the port's owner sees it: egress is what the port sends.
    """

    direction: str
    max_kbps: int
    max_burst_kbps: int = 0


class PacketRateLimit(Spec, frozen=True):
    """At most `max_kpps` (1000 packets a second), in bursts of `max_burst_kpps` (1000 packets; 0: a fitting size)."""

    direction: str
    max_kpps: int
    max_burst_kpps: int = 0


class Qos(Spec, frozen=True):
    """What a port or floating IP may use of the network. `dscp` (0 to 63) is written into what it sends.

    `minimum_kbps` is what its egress is promised on the way out of the host.
    """

    bandwidth: tuple[BandwidthLimit, ...] = ()
    packet_rate: tuple[PacketRateLimit, ...] = ()
    dscp: int | None = None
    minimum_kbps: int | None = None


class PortSpec(Spec, frozen=True):
    """One port, wired as its `kind` says.

    veth: a pair from the network's bridge into the namespace `netns` (a path), where it is `device`. tap: a tap device
    on the bridge, in the fabric's namespace, for a machine to open; `netns`, `device`, addresses and routes say
    nothing, as a machine configures itself. offered: like veth, but another program (Docker) moves the inner end on
    from `netns` and configures it, so that it is neither configured here nor looked for there again. vlan: the frames
    that the port `parent` exchanges tagged with `vlan_id` (a trunk's subport). `gateways` are default routes, `routes`
    further ones. With `port_security` false neither anti-spoofing nor security groups apply. `admin_up` false means
    that nothing passes.
    """

    id: str
    network_id: str
    mac: str
    netns: str = ""
    kind: str = "veth"
    parent: str | None = None
    vlan_id: int | None = None
    device: str = "eth0"
    mtu: int = 1500
    addresses: tuple[Address, ...] = ()
    gateways: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    admin_up: bool = True
    port_security: bool = True
    security_groups: tuple[str, ...] = ()
    allowed_pairs: tuple[AddressPair, ...] = ()
    qos: Qos | None = None


class Tap(Spec, frozen=True):
    """Where the device of a port of kind tap is: its name, and the path of the namespace that it is in."""

    namespace: str
    device: str


class SecurityRule(Spec, frozen=True):
    """Allows what it matches. `direction` is ingress or egress, `ethertype` 4 or 6.

    `protocol` is a name or an IP protocol number as text, None for any; for tcp, udp, sctp the ports are a range, for
    icmp `port_min` is the type and `port_max` the code. At most one of the remotes is given.
    """

    direction: str
    ethertype: int
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str | None = None
    remote_group: str | None = None
    remote_address_group: str | None = None


class SecurityGroupSpec(Spec, frozen=True):
    """A group's rules, and the addresses of all ports that are in it (on any host), for rules that name the group.

    The answers to what the rules of a group that is not `stateful` allow need rules of their own.
    """

    id: str
    rules: tuple[SecurityRule, ...] = ()
    members: tuple[str, ...] = ()
    stateful: bool = True


class AddressGroupSpec(Spec, frozen=True):
    """Addresses (CIDRs, IPv4 and IPv6) that rules of security groups name together."""

    id: str
    addresses: tuple[str, ...] = ()


class RouterInterface(Spec, frozen=True):
    """A router's leg on a tenant network."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[Address, ...]
    subnets: tuple[SubnetSpec, ...] = ()


class RouterGateway(Spec, frozen=True):
    """A router's leg on an external network; `snat` hides tenants behind its first IPv4 address.

    All but those in `routed` (CIDRs), which are of that network's address scope: there they are known as they are.
    `qos` limits what passes between tenants and that address.
    """

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[Address, ...]
    next_hops: tuple[str, ...] = ()
    snat: bool = True
    routed: tuple[str, ...] = ()
    qos: Qos | None = None


class FloatingIPSpec(Spec, frozen=True):
    """A public address that is translated, both ways, to a tenant's address behind the router."""

    id: str
    floating_ip: str
    fixed_ip: str
    qos: Qos | None = None


class PortForwarding(Spec, frozen=True):
    """Some ports of a public address that are translated to those of a tenant's address behind the router.

    `protocol` is tcp, udp, sctp or dccp. The two ranges (first, last) are of one length, or the internal one is a
    single port.
    """

    id: str
    floating_ip: str
    protocol: str
    external_ports: tuple[int, int]
    fixed_ip: str
    internal_ports: tuple[int, int]


class ConntrackHelper(Spec, frozen=True):
    """A protocol whose further connections the router recognises: `helper` (ftp, tftp, sip, ...) on a port."""

    helper: str
    protocol: str
    port: int


class MeteringRule(Spec, frozen=True):
    """Counts, or with `excluded` does not count, what passes the gateway in a direction (ingress comes in)."""

    direction: str
    excluded: bool = False
    remote_cidr: str | None = None
    source_cidr: str | None = None
    destination_cidr: str | None = None


class MeteringLabel(Spec, frozen=True):
    """A counter of bytes and packets."""

    id: str
    rules: tuple[MeteringRule, ...] = ()


class RouterSpec(Spec, frozen=True):
    """A router: a namespace with a leg on each network, static routes, SNAT and floating IPs; IPv6 by advertisement.

    The first of several `gateways` has the default route; with `ecmp` all have a part of it. For `proxied` IPv6
    addresses the router answers neighbour discovery on its gateways and forwards what comes.
    """

    id: str
    admin_up: bool = True
    interfaces: tuple[RouterInterface, ...] = ()
    gateways: tuple[RouterGateway, ...] = ()
    ecmp: bool = False
    floating_ips: tuple[FloatingIPSpec, ...] = ()
    port_forwardings: tuple[PortForwarding, ...] = ()
    routes: tuple[Route, ...] = ()
    conntrack_helpers: tuple[ConntrackHelper, ...] = ()
    proxied: tuple[str, ...] = ()
    metering: tuple[MeteringLabel, ...] = ()

    @property
    def gateway(self) -> RouterGateway | None:
        """The gateway with the default route."""
        return self.gateways[0] if self.gateways else None


NetworkPart = NetworkSpec | PortSpec | RouterSpec | SecurityGroupSpec | AddressGroupSpec
"""Whatever a network driver makes."""


class NetworkObservation(Spec, frozen=True):
    """What is in the kernel now, by id. `problems` maps a resource id to what is wrong with it."""

    networks: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    routers: frozenset[str] = frozenset()
    security_groups: frozenset[str] = frozenset()
    address_groups: frozenset[str] = frozenset()
    problems: dict[str, str] = {}
