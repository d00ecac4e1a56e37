"""Hosts on one machine: each a network namespace of its own with an interface on a common bridge, and a driver."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from tests.dataplane.lab import EVERYTHING, Endpoint, Lab, Place, new_id, new_mac

from stackyard.host.network import netns
from stackyard.host.network.kernel import Reach
from stackyard.host.specs import (
    Address,
    HostRecord,
    Neighbour,
    NetworkSpec,
    Segment,
    ServicePort,
    SubnetSpec,
    TunnelPeer,
)


@dataclass
class Host:
    """A host: its namespace, the address of its tunnel's end, and its driver."""

    place: Place
    address: str
    lab: Lab


@dataclass
class Underlay:
    """The network between the hosts: a namespace with a bridge, to which each host has a veth pair `eth1`."""

    directory: Path
    name: str = field(default_factory=lambda: f"syt-{uuid.uuid4().hex[:8]}")
    hosts: list[Host] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.middle = self.namespace("mid")
        self.command("ip", "link", "add", "wire", "type", "bridge", at=self.middle)
        self.command("ip", "link", "set", "wire", "up", at=self.middle)

    def namespace(self, suffix: str) -> Place:
        name = f"{self.name}-{suffix}"
        self.namespaces.append(name)
        netns.create(name)
        return Place(netns.path_of(name))

    @staticmethod
    def command(*words: str, at: Place) -> str:
        done = at.run(*words)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def plug(self, place: Place, device: str, outer: str, mtu: int = 1500) -> None:
        """A veth pair from a host to the bridge."""
        inside = ("type", "veth", "peer", "name", device, "netns", Path(place.path).name)
        self.command("ip", "link", "add", outer, "mtu", str(mtu), *inside, at=self.middle)
        self.command("ip", "link", "set", outer, "master", "wire", "up", at=self.middle)
        self.command("ip", "link", "set", device, "mtu", str(mtu), "up", at=place)

    def machine(self, number: int) -> tuple[Place, str]:
        """A namespace that stands for a machine, and its address on the network between them."""
        place, address = self.namespace(f"h{number}"), f"192.0.2.{number}"
        self.command("ip", "link", "set", "lo", "up", at=place)
        self.plug(place, "eth1", f"h{number}")
        self.command("ip", "addr", "add", f"{address}/24", "dev", "eth1", at=place)
        return place, address

    def host(self, **reach: Any) -> Host:
        place, address = self.machine(len(self.hosts) + 1)
        way = Reach(tunnel_address=address, host_namespace=place.path, **reach)
        made = Host(place, address, Lab(self.directory / f"h{address[-1]}", reach=way))
        self.hosts.append(made)
        return made

    def close(self) -> None:
        for host in self.hosts:
            host.lab.close()
        for name in self.namespaces:
            netns.delete(name)


@dataclass
class Spanning:
    """A network on several hosts, and who is where; `apply` writes all of it to each host, as the database would."""

    hosts: list[Host]
    number: int
    subnets: tuple[SubnetSpec, ...]
    served: bool = False
    mtu: int = 1450

    def __post_init__(self) -> None:
        self.id = new_id()
        self.ends: list[tuple[Host, Endpoint]] = []
        self.service = ServicePort(id=new_id(), mac=new_mac(), addresses=(Address(ip="10.1.0.2", prefix_length=24),))
        self.groups = {id(host): host.lab.group(*EVERYTHING) for host in self.hosts}

    def spec(self, host: Host) -> NetworkSpec:
        peers = tuple(
            TunnelPeer(
                address=other.address,
                neighbours=tuple(
                    Neighbour(mac=end.port.mac, ips=tuple(item.ip for item in end.port.addresses))
                    for at, end in self.ends
                    if at is other
                ),
            )
            for other in self.hosts
            if other is not host
        )
        return NetworkSpec(
            id=self.id, mtu=self.mtu, subnets=self.subnets, peers=peers,
            segment=Segment(network_type="vxlan", segmentation_id=self.number),
            service_port=self.service if self.served else None,
            hosts=tuple(
                HostRecord(mac=end.port.mac, ips=(end.address,), names=(f"host-{end.address.replace('.', '-')}",))
                for _, end in self.ends
            ),
        )  # fmt: skip

    def apply(self) -> None:
        for host in self.hosts:
            host.lab.driver.apply_network(self.spec(host))

    def attach(self, host: Host, *ips: str, **options: Any) -> Endpoint:
        values = {"groups": (self.groups[id(host)],), "mtu": self.mtu, **options}
        end = host.lab.attach(msgspec.structs.replace(self.spec(host)), *ips, **values)
        self.ends.append((host, end))
        self.apply()
        return end

    def move(self, end: Endpoint, to: Host) -> Endpoint:
        """Wire a port on another host, with the same MAC and addresses."""
        (at,) = [host for host, known in self.ends if known is end]
        at.lab.driver.remove_port(end.port.id)
        self.ends = [(host, known) for host, known in self.ends if known is not end]
        new = to.lab.place()
        spec = msgspec.structs.replace(end.port, netns=new.path, security_groups=(self.groups[id(to)].id,))
        moved = Endpoint(path=new.path, name=new.name, spec=spec)
        self.ends.append((to, moved))
        self.apply()
        to.lab.driver.apply_port(spec)
        return moved


@contextlib.contextmanager
def captured(place: Place, device: str, expression: str) -> Iterator[list[str]]:
    """The packets that pass a device meanwhile, one line each."""
    argv = ["nsenter", f"--net={place.path}", "--", "tcpdump", "--immediate-mode", "-lnei", device, expression]
    packets: list[str] = []
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stdout is not None
    for line in process.stderr:
        if "listening on" in line:
            break
    try:
        yield packets
    finally:
        threading.Event().wait(0.3)  # what was sent last has still to be read and printed
        process.terminate()
        # What a tunnel carries stands on a line of its own, without a time before it.
        packets += re.split(r"\n(?=\d\d:\d\d:\d\d\.\d)", process.stdout.read().strip())
        packets[:] = filter(None, packets)
        process.wait()
        process.stdout.close()
        process.stderr.close()
