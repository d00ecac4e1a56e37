"""A small laboratory: a driver of its own cloud, and namespaces that stand for containers."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import select
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackyard.host.network import names, netns
from stackyard.host.network.kernel import KernelNetworkDriver, Reach
from stackyard.host.specs import (
    Address,
    HostRecord,
    NetworkSpec,
    PortSpec,
    RouterGateway,
    RouterInterface,
    RouterSpec,
    SecurityGroupSpec,
    SecurityRule,
    ServicePort,
    SubnetSpec,
)

OUTSIDE = f"198.18.{os.getpid() % 250}"
"""First three numbers of the external network's addresses; runs that share a machine must not share them."""


BEYOND = f"198.19.{os.getpid() % 250}"
"""The same for a network beyond the host."""


LOSSES = 5.0
"""Seconds for a connection that is to come about: TCP sends a first packet that was lost again after 1 and 3."""


def new_id() -> str:
    return str(uuid.uuid4())


def new_mac() -> str:
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in os.urandom(3))


def free_port() -> int:
    """A TCP port of the host that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether the condition became true in time; asked again and again without sleeping through it."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


def subnet(cidr: str, **options: Any) -> SubnetSpec:
    first = str(next(ipaddress.ip_network(cidr).hosts()))
    return SubnetSpec(id=new_id(), cidr=cidr, **{"gateway": first, **options})


def allow(direction: str, ethertype: int = 4, **options: Any) -> SecurityRule:
    return SecurityRule(direction=direction, ethertype=ethertype, **options)


EVERYTHING = tuple(allow(direction, version) for direction in ("ingress", "egress") for version in (4, 6))
OUTWARD = tuple(allow("egress", version) for version in (4, 6))


def run(*command: str, netns_path: str | None = None, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    prefix = ["nsenter", f"--net={netns_path}", "--"] if netns_path else []
    return subprocess.run(
        [*prefix, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )


@dataclass
class Place:
    """A namespace, or the host itself when `path` is that of this process."""

    path: str

    def within(self, function: Callable[[], object]) -> object:
        def body() -> object:
            descriptor = netns.open_namespace(self.path)
            try:
                netns.join(descriptor)
            finally:
                os.close(descriptor)
            return function()

        return netns.in_thread(body)

    def run(self, *command: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
        return run(*command, netns_path=self.path, timeout=timeout)

    def pings(self, address: str, *, wait: float = 1.0, count: int = 1) -> bool:
        return self.run("ping", "-n", "-c", str(count), "-i", "0.2", "-W", str(wait), address).returncode == 0

    def new_socket(self, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
        made = self.within(lambda: socket.socket(family, kind))
        assert isinstance(made, socket.socket)
        return made

    @contextlib.contextmanager
    def serves(self, port: int, family: int = socket.AF_INET) -> Iterator[socket.socket]:
        """A TCP server that nobody needs to run: the kernel accepts connections into its backlog."""
        with self.new_socket(family=family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("", port))
            listener.listen(8)
            yield listener

    def connect(self, address: str, port: int, wait: float = LOSSES) -> socket.socket | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.new_socket(family=family)
        made.settimeout(wait)
        try:
            made.connect((address, port))
        except OSError:
            made.close()
            return None
        return made

    def reaches(self, address: str, port: int, wait: float = LOSSES) -> bool:
        made = self.connect(address, port, wait)
        if made is None:
            return False
        made.close()
        return True


def echoes(client: socket.socket, server: socket.socket, wait: float = 0.8) -> bool:
    """Whether a byte sent by the client arrives at the server's end of the connection."""
    try:
        client.send(b"x")
    except OSError:
        return False
    if not select.select([server], [], [], wait)[0]:
        return False
    return server.recv(100) != b""


HOST = Place(f"/proc/{os.getpid()}/ns/net")


@dataclass
class Endpoint(Place):
    """A namespace with a port."""

    name: str = ""
    spec: PortSpec | None = None

    @property
    def port(self) -> PortSpec:
        assert self.spec is not None
        return self.spec

    @property
    def address(self) -> str:
        return self.port.addresses[0].ip


@dataclass
class Lab:
    """One cloud under test. Everything that it makes is gone after `close`."""

    directory: Path
    host_ports: tuple[int, ...] = ()
    cloud: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    namespaces: list[str] = field(default_factory=list)
    reach: Reach = field(default_factory=Reach)

    def __post_init__(self) -> None:
        self.driver = self.new_driver()
        self.driver.start()

    def new_driver(self) -> KernelNetworkDriver:
        return KernelNetworkDriver(self.cloud, self.directory, host_ports=self.host_ports, reach=self.reach)

    def restart_driver(self) -> None:
        """As a new process would find things: nothing remembered."""
        self.driver.close()
        self.driver = self.new_driver()
        self.driver.start()

    @property
    def fabric(self) -> Place:
        return Place(netns.path_of(self.driver.fabric_namespace))

    def place(self) -> Endpoint:
        name = f"syt-{self.cloud}-{len(self.namespaces)}"
        self.namespaces.append(name)
        netns.create(name)
        return Endpoint(path=netns.path_of(name), name=name)

    def network(self, *subnets: SubnetSpec, **options: Any) -> NetworkSpec:
        spec = NetworkSpec(id=new_id(), subnets=subnets, **options)
        self.driver.apply_network(spec)
        return spec

    def group(self, *rules: SecurityRule, members: tuple[str, ...] = ()) -> SecurityGroupSpec:
        spec = SecurityGroupSpec(id=new_id(), rules=rules, members=members)
        self.driver.apply_security_group(spec)
        return spec

    def attach(
        self,
        network: NetworkSpec,
        *ips: str,
        groups: tuple[SecurityGroupSpec, ...] = (),
        at: Endpoint | None = None,
        **options: Any,
    ) -> Endpoint:
        """A port with these addresses (with prefix lengths) in a namespace of its own."""
        end = at or self.place()
        addresses = tuple(Address(ip=ip.partition("/")[0], prefix_length=int(ip.partition("/")[2] or 24)) for ip in ips)
        values = {"mac": new_mac(), "gateways": (), **options}
        spec = PortSpec(
            id=new_id(), network_id=network.id, netns=end.path, addresses=addresses,
            security_groups=tuple(group.id for group in groups), **values,
        )  # fmt: skip
        self.driver.apply_port(spec)
        return Endpoint(path=end.path, name=end.name, spec=spec)

    def served_network(self, *subnets: SubnetSpec, hosts: tuple[HostRecord, ...] = (), **options: Any) -> NetworkSpec:
        """A network with a DHCP and DNS server at each subnet's second address."""
        addresses = tuple(
            Address(ip=str(list(itertools.islice(ipaddress.ip_network(item.cidr).hosts(), 2))[1]),
                    prefix_length=ipaddress.ip_network(item.cidr).prefixlen)
            for item in subnets
        )  # fmt: skip
        service = ServicePort(id=new_id(), mac=new_mac(), addresses=addresses)
        return self.network(*subnets, service_port=service, hosts=hosts, **options)

    def router(
        self, *networks: NetworkSpec, external: NetworkSpec | None = None, gateway: str = "", **options: Any
    ) -> RouterSpec:
        """A router that is the gateway of every subnet of the networks, with a leg on the external one."""
        interfaces = tuple(
            RouterInterface(
                port_id=new_id(), network_id=network.id, mac=new_mac(), subnets=network.subnets,
                addresses=tuple(
                    Address(ip=str(item.gateway), prefix_length=ipaddress.ip_network(item.cidr).prefixlen)
                    for item in network.subnets
                ),
            )
            for network in networks
        )  # fmt: skip
        leg = None
        if external is not None:
            addresses = tuple(Address(ip=ip, prefix_length=64 if ":" in ip else 24) for ip in gateway.split())
            hops = tuple(str(item.gateway) for item in external.subnets)
            leg = RouterGateway(
                port_id=new_id(), network_id=external.id, mac=new_mac(), addresses=addresses, next_hops=hops
            )
        spec = RouterSpec(id=new_id(), interfaces=interfaces, gateways=(leg,) if leg is not None else (), **options)
        self.driver.apply_router(spec)
        return spec

    def outer(self, end: Endpoint) -> str:
        return names.port(end.port.id)

    def close(self) -> None:
        self.driver.purge()
        for name in self.namespaces:
            netns.delete(name)
