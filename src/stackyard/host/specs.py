"""What the control plane tells a host to make true, and what the host reports back: plain data, nothing else.

A spec is complete: a driver that gets it needs no other source to make the thing true, may get it again at any time
(applying twice is applying once), and removes what the spec no longer says. Addresses are text, sizes are MiB,
times are seconds unless a name says otherwise. All are msgspec structs, so that they travel to a remote agent as JSON.
"""

from __future__ import annotations

import msgspec


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every spec: immutable, comparable, built by keyword only."""


# ---------------------------------------------------------------------------------------------------- network


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


# ------------------------------------------------------------------------------------------------- containers


class BindMount(Spec, frozen=True):
    """A path of the host, or a named volume's mount point, shown inside a container."""

    source: str
    target: str
    read_only: bool = False


class HealthCheck(Spec, frozen=True):
    """A command (run by the shell) that must exit 0."""

    command: str
    interval: float = 30
    timeout: float = 30
    retries: int = 3


class ContainerSpec(Spec, frozen=True):
    """A container, as any engine can make it. `id` is ours; engines name theirs `<prefix>-<id>` from it.

    `command` and `entrypoint` override the image's when not None. `memory` is MiB; `cpus` may be fractional; 0 and None
    mean no limit. `restart_policy` is no, always, on-failure or unless-stopped. The container runs in the sandbox of
    the same id, which must exist.
    """

    id: str
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    workdir: str | None = None
    hostname: str | None = None
    memory: int | None = None
    cpus: float | None = None
    disk: int | None = None
    restart_policy: str = "no"
    restart_retries: int = 0
    tty: bool = False
    interactive: bool = False
    privileged: bool = False
    health_check: HealthCheck | None = None
    mounts: tuple[BindMount, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    hosts: dict[str, str] = {}


class ContainerObservation(Spec, frozen=True):
    """What the engine says of one container.

    `state` is created, running, paused, restarting, exited or dead; `health` is None, starting, healthy or unhealthy.
    `exit_code` and `finished_at` speak of the last run; `error` is the engine's own text when a start failed.
    `ports` are the image's exposed ports (80/tcp). Times are ISO 8601 text.
    """

    id: str
    state: str
    pid: int = 0
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    health: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    hostname: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    workdir: str = ""
    labels: dict[str, str] = {}
    ports: tuple[str, ...] = ()


class ExecResult(Spec, frozen=True):
    """What a command run inside a container printed (stdout and stderr as they came) and its exit code."""

    output: bytes
    exit_code: int


class ContainerStats(Spec, frozen=True):
    """One sample of use. `cpu_percent` is measured between two samples, 100 a core."""

    cpu_percent: float
    memory_used: int
    memory_limit: int
    block_read: int
    block_written: int
    network_received: int
    network_sent: int


class ProcessTable(Spec, frozen=True):
    """What ps prints of a container's processes."""

    titles: tuple[str, ...]
    processes: tuple[tuple[str, ...], ...]


class ImageObservation(Spec, frozen=True):
    """An image in the engine's store: its content id, the names it has, its size in bytes."""

    id: str
    names: tuple[str, ...]
    size: int


class EngineEvent(Spec, frozen=True):
    """Something happened to one of our containers, seen by the engine (start, die, oom, health, destroy)."""

    container_id: str
    action: str


class EngineInfo(Spec, frozen=True):
    """The engine itself: `sandbox_mode` names how containers join our network namespaces (see the driver)."""

    name: str
    version: str
    sandbox_mode: str
    runtimes: tuple[str, ...]
    cpus: int
    memory: int
    kernel_version: str
    operating_system: str
    architecture: str
