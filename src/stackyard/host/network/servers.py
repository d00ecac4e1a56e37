"""The DHCP and DNS server of a network: dnsmasq in a namespace of its own, which outlives this process."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
from pathlib import Path

from stackyard.host.network import checks, daemons, dns, layer3, names, netns
from stackyard.host.network.announcements import release, send_frames
from stackyard.host.network.daemons import Daemon
from stackyard.host.network.fabric import Fabric, Pair
from stackyard.host.network.metadata import METADATA4, METADATA6, Door
from stackyard.host.network.metadata_sockets import MetadataSockets
from stackyard.host.network.names import Alias
from stackyard.host.network.neighbours import device_addresses
from stackyard.host.specs import Address, NetworkSpec, ServicePort

_RESOLV_CONF = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
_METRIC = 100
_FILES = {"hosts": dns.hosts_text, "leases": dns.leases_text, "options": dns.options_text}
"""What a running server reads again."""

_METADATA6 = Address(ip=METADATA6, prefix_length=64)
_EADDRNOTAVAIL = 99


def host_resolvers() -> tuple[str, ...]:
    """The host's own name servers; systemd's list first, for its /etc/resolv.conf names only itself."""
    for path in _RESOLV_CONF:
        with contextlib.suppress(OSError):
            found = dns.resolvers(path.read_text(errors="replace"))
            if found:
                return found
    return ()


class Servers:
    """Keeps the servers. Methods run in the fabric's thread."""

    def __init__(self, fabric: Fabric, state_directory: Path, metadata: MetadataSockets) -> None:
        self._fabric = fabric
        self._metadata = metadata
        self.directory = state_directory / "dns"

    def _directory(self, network_id: str) -> Path:
        return self.directory / names.short(network_id)

    def _user(self) -> str:
        """nobody, when it may read the state directory, else root: dnsmasq reads its files again at every change."""
        resolved = self.directory.resolve()
        open_to_all = all(path.stat().st_mode & stat.S_IXOTH for path in (resolved, *resolved.parents))
        return "nobody" if open_to_all else "root"

    def apply(self, spec: NetworkSpec) -> None:
        """Make the network's server be as the spec says; none without a service port."""
        if spec.service_port is None:
            self.remove(spec.id)
            return
        with contextlib.ExitStack() as undo:
            self._apply_leg(spec, spec.service_port, undo)
            self.apply_hosts(spec)
            undo.pop_all()

    def _apply_leg(self, spec: NetworkSpec, port: ServicePort, undo: contextlib.ExitStack) -> None:
        namespace, outer = names.server_namespace(self._fabric.cloud, spec.id), names.server_leg(spec.id)
        alias = Alias(self._fabric.cloud, "server", spec.id, spec.id)
        if netns.create(namespace):
            undo.callback(self.remove, spec.id)
            self._fabric.delete_link(outer)
        descriptor = netns.open_namespace(netns.path_of(namespace))
        try:
            link = self._fabric.link(outer)
            if link is None:
                pair = Pair(outer, dns.DEVICE, descriptor, checks.mac(port.mac), spec.mtu, alias)
                link = self._fabric.make_pair(pair, undo)
            self._fabric.settle(link, alias, up=True)
            with self._fabric.inside(descriptor) as ip:
                index = socket.if_nametoindex(dns.DEVICE)
                layer3.prepare_ipv6(dns.DEVICE, accept_advertisements=False)
                ip.link("set", index=1, state="up")
                message = ip.link("get", index=index)[0]
                if message.get_attr("IFLA_ADDRESS") != checks.mac(port.mac):
                    ip.link("set", index=index, state="down")
                    ip.link("set", index=index, address=checks.mac(port.mac))
                layer3.sync_addresses(ip, index, _addresses(spec, port), lambda _: True)
                if not spec.metadata:
                    layer3.ignoring((_EADDRNOTAVAIL,), ip.addr, "del", index=index, address=METADATA6, prefixlen=64)
                ip.link("set", index=index, state="up", mtu=spec.mtu)
                layer3.sync_links(ip, index, _unserved(spec, port))
                gateways = [item.gateway for item in spec.subnets if item.gateway]
                layer3.sync_routes(ip, index, layer3.default_routes(dict.fromkeys(gateways)), _METRIC)
        finally:
            os.close(descriptor)
        door = Door("network", spec.id)
        if spec.metadata:
            undo.callback(self._metadata.close, door)
            self._metadata.open(door, namespace, dns.DEVICE)
        else:
            self._metadata.close(door)

    def apply_hosts(self, spec: NetworkSpec) -> None:
        """Write the server's files, and start it, make it read them again, or leave it be, as the change needs."""
        if spec.service_port is None:
            return
        directory = self._directory(spec.id)
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        upstream = host_resolvers() if any(item.gateway for item in spec.subnets) else ()
        text = dns.main_text(spec, directory, self._user(), upstream)
        departed = _leases(directory) - dns.leases_in(dns.leases_text(spec))
        changed = [_write(directory / name, render(spec)) for name, render in _FILES.items()]
        daemon = self._daemon(spec.id, dns.main_name(text))
        # Nobody can give an IPv6 lease back but its client; a server that starts anew knows of no lease.
        if daemon.pid() is not None and not any(item.version == 6 for _, item in departed):
            if any(changed):
                daemon.reload()
                self._release(spec, spec.service_port, departed)
            return
        daemons.end_recorded(directory / "pid", directory)
        for old in directory.glob("dnsmasq-*.conf"):
            old.unlink()
        _write(directory / dns.main_name(text), text)
        daemon.start()

    def _release(self, spec: NetworkSpec, port: ServicePort, departed: frozenset[dns.Lease]) -> None:
        """Give leases back in their clients' name: else the server would keep the address from its next owner."""
        frames = []
        for mac, address in departed:
            own = (checks.address(item.ip) for item in port.addresses)
            same = (item for item in own if any(_both_in(subnet.cidr, item, address) for subnet in spec.subnets))
            server = next(same, None)
            if server is not None:
                frames.append(release(mac, str(address), checks.mac(port.mac), str(server)))
        if frames:
            send_frames(names.server_leg(spec.id), frames)

    def _daemon(self, network_id: str, main_name: str) -> Daemon:
        directory = self._directory(network_id)
        marker = f"--conf-file={directory / main_name}"
        namespace = names.server_namespace(self._fabric.cloud, network_id)
        return Daemon(namespace, ("dnsmasq", marker), directory / "pid", marker)

    def remove(self, network_id: str) -> None:
        """End the server and remove its namespace; gone is fine."""
        namespace, directory = names.server_namespace(self._fabric.cloud, network_id), self._directory(network_id)
        self._metadata.close(Door("network", network_id))
        if not directory.exists() and not netns.exists(namespace):
            return
        daemons.end_recorded(directory / "pid", directory)
        self._fabric.delete_link(names.server_leg(network_id))
        netns.delete(namespace)
        shutil.rmtree(directory, ignore_errors=True)

    def problem(self, spec: NetworkSpec) -> str | None:
        """What is wrong with a server that this process has applied."""
        if spec.service_port is None:
            return None
        if self._fabric.index(names.server_leg(spec.id)) is None:
            return "its DHCP and DNS server has lost its device"
        mains = [path.name for path in self._directory(spec.id).glob("dnsmasq-*.conf")]
        if not any(self._daemon(spec.id, name).pid() for name in mains):
            return "its DHCP and DNS server does not run"
        if not _addresses_of(spec, spec.service_port) <= self._present_addresses(spec.id):
            return "its DHCP and DNS server has lost an address"
        if not all(_read(self._directory(spec.id) / name) == render(spec) for name, render in _FILES.items()):
            return "its DHCP and DNS server's files were changed"
        return self._metadata.problem(Door("network", spec.id)) if spec.metadata else None

    def _present_addresses(self, network_id: str) -> frozenset[tuple[str, int]]:
        namespace = names.server_namespace(self._fabric.cloud, network_id)
        if not netns.exists(namespace):
            return frozenset()
        descriptor = netns.open_namespace(netns.path_of(namespace))
        try:
            with netns.inside(descriptor):
                return device_addresses(dns.DEVICE)
        finally:
            os.close(descriptor)


def _addresses(spec: NetworkSpec, port: ServicePort) -> tuple[Address, ...]:
    """The port's own, and those at which metadata is asked for: whoever has no better way finds them on the wire."""
    if not spec.metadata:
        return port.addresses
    asked = (Address(ip=METADATA4, prefix_length=32), *((_METADATA6,) if Path("/proc/sys/net/ipv6").is_dir() else ()))
    return (*port.addresses, *asked)


def _addresses_of(spec: NetworkSpec, port: ServicePort) -> frozenset[tuple[str, int]]:
    return frozenset((str(checks.address(item.ip)), item.prefix_length) for item in _addresses(spec, port))


def _unserved(spec: NetworkSpec, port: ServicePort) -> list[str]:
    """Subnets in which the server has no address: their guests are answered all the same, on the wire."""
    own = [checks.address(item.ip) for item in port.addresses]
    return [item.cidr for item in spec.subnets if not any(one in checks.network(item.cidr) for one in own)]


def _both_in(cidr: str, one: checks.IPAddress, other: checks.IPAddress) -> bool:
    found = checks.network(cidr)
    return one in found and other in found


def _leases(directory: Path) -> frozenset[dns.Lease]:
    """Who might have a lease by what the server was told last."""
    try:
        return dns.leases_in((directory / "leases").read_text())
    except OSError:
        return frozenset()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _write(path: Path, text: str) -> bool:
    """Write a file whole, readable for the server's user; whether that changed it."""
    try:
        if path.read_text() == text:
            return False
    except FileNotFoundError:
        pass
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)
    return True
