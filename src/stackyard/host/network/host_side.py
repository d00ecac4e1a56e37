"""The host's own end of external networks: gateway addresses, masquerading, and what tenants may reach on the host.

The only things made in the host's own namespace are one veth end for each external network, one nftables table, and,
where another program (Docker) drops forwarded packets by default, one accepting rule for each direction.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.network import checks, layer3, names, netns
from stackyard.host.network.fabric import Fabric, Pair
from stackyard.host.network.names import Alias
from stackyard.host.network.nft import Chain, Nftables
from stackyard.host.specs import Address, NetworkSpec


def gateway_addresses(spec: NetworkSpec) -> tuple[Address, ...]:
    """What the host is on an external network: each subnet's gateway."""
    return tuple(
        Address(ip=subnet.gateway, prefix_length=checks.network(subnet.cidr).prefixlen)
        for subnet in spec.subnets
        if subnet.gateway
    )


def table_chains(cloud: str, joined: dict[str, NetworkSpec], host_ports: tuple[int, ...]) -> tuple[Chain, ...]:
    """The host's table: closed to tenants but for answers, ICMP and `host_ports`; masquerading for what goes out."""
    every = f'"{names.host_leg_prefix(cloud)}*"'
    hide = []
    for _, spec in sorted(joined.items()):
        for subnet in spec.subnets:
            cidr = checks.network(subnet.cidr)
            family = "ip" if cidr.version == 4 else "ip6"
            hide.append(f"{family} saddr {cidr} oifname != {every} masquerade")
    ports = ", ".join(map(str, sorted(set(host_ports))))
    guard = [
        f"iifname != {every} accept",
        "ct state established,related accept",
        "meta l4proto { 1, 58 } accept",
        *((f"tcp dport {{ {ports} }} accept",) if ports else ()),
        "drop",
    ]
    return (
        Chain("input", tuple(guard), "{ type filter hook input priority 0; policy accept; }"),
        Chain("outward", tuple(hide), "{ type nat hook postrouting priority 100; policy accept; }"),
    )


class HostSide:
    """Keeps the host's ends. Methods run in the fabric's thread and visit the host's namespace."""

    def __init__(self, fabric: Fabric, host_ports: tuple[int, ...]) -> None:
        self._fabric = fabric
        self._host_ports = host_ports
        self._table = f"inet stackyard_{fabric.cloud}"
        self._joined: dict[str, NetworkSpec] = {}

    def _mac(self, network_id: str) -> str:
        return names.derived_mac(f"{self._fabric.cloud} {network_id}")

    def join(self, spec: NetworkSpec, undo: contextlib.ExitStack) -> None:
        """Give the host its addresses on the network; `undo` takes back what a failure leaves."""
        inner, outer = names.host_leg(self._fabric.cloud, spec.id), names.external_leg(spec.id)
        alias = Alias(self._fabric.cloud, "external", spec.id, spec.id)
        link = self._fabric.link(outer)
        if link is None:
            descriptor = self._fabric.open_host()
            try:
                pair = Pair(outer, inner, descriptor, self._mac(spec.id), spec.mtu, alias)
                link = self._fabric.make_pair(pair, undo)
            finally:
                os.close(descriptor)
        with self._fabric.on_host() as ip:
            index = next(iter(ip.link_lookup(ifname=inner)), None)
            if index is None:
                raise HostError(f"{inner}, the host's end of external network {spec.id}, is in another namespace")
            _check_unused(ip, index, spec)
            self._joined[spec.id] = spec
            undo.callback(self._joined.pop, spec.id, None)
            self._write_table()
            layer3.prepare_ipv6(inner, accept_advertisements=False)
            layer3.sync_addresses(ip, index, gateway_addresses(spec), lambda _: True)
            ip.link("set", index=index, ifalias=str(alias), state="up", mtu=spec.mtu)
            _enable_forwarding()
            pass_foreign_filters(inner)
        self._fabric.settle(link, alias, up=True)

    def leave(self, network_id: str) -> None:
        """Take the host off the network."""
        outer, inner = names.external_leg(network_id), names.host_leg(self._fabric.cloud, network_id)
        if self._fabric.index(outer) is None and network_id not in self._joined:
            return
        self._fabric.delete_link(outer)
        self._joined.pop(network_id, None)
        with self._fabric.on_host():
            restore_foreign_filters(inner)
            self._write_table()

    def _chains(self) -> tuple[Chain, ...]:
        return table_chains(self._fabric.cloud, self._joined, self._host_ports)

    def _write_table(self) -> None:
        """Write the whole table at once; it is small. Runs in the host's namespace."""
        nft = Nftables()
        try:
            text = f"add table {self._table}\ndelete table {self._table}\n"
            if self._joined:
                text += f"add table {self._table}\n" + "".join(chain.text(self._table) for chain in self._chains())
            nft.run(text)
        finally:
            nft.close()

    def problem(self, spec: NetworkSpec) -> str | None:
        """What is wrong with the host's end of a network that this process has joined."""
        inner = names.host_leg(self._fabric.cloud, spec.id)
        with self._fabric.on_host() as ip:
            index = next(iter(ip.link_lookup(ifname=inner)), None)
            if index is None:
                return "the host's end is gone"
            if not layer3.is_up(ip, index):
                return "the host's end is down"
            if not layer3.has_addresses(ip, index, gateway_addresses(spec)):
                return "the host has lost its address on it"
            nft = Nftables()
            try:
                listing = nft.list_table(self._table)
            finally:
                nft.close()
            return None if all(map(listing.holds, self._chains())) else "the host's filter was changed"

    def purge(self) -> None:
        """Remove everything made in the host's namespace."""
        with self._fabric.on_host() as ip:
            for message in ip.get_links():
                alias = names.parse_alias(message.get_attr("IFLA_IFALIAS"))
                name = message.get_attr("IFLA_IFNAME")
                if (alias and alias.cloud == self._fabric.cloud) or name in self._known_devices():
                    restore_foreign_filters(name)
                    ip.link("del", index=message["index"])
            self._joined.clear()
            self._write_table()

    def _known_devices(self) -> set[str]:
        return {names.host_leg(self._fabric.cloud, network_id) for network_id in self._joined}


def _check_unused(ip: Any, index: int, spec: NetworkSpec) -> None:
    """Refuse a gateway address that the host has on another device already, as from another cloud."""
    wanted = {item.ip for item in gateway_addresses(spec)}
    for message in ip.get_addr():
        if message["index"] != index and message.get_attr("IFA_ADDRESS") in wanted:
            text = message.get_attr("IFA_ADDRESS")
            raise HostError(f"the host has the address {text} already: give the external network another subnet")


def _enable_forwarding() -> None:
    """Forward packets; a host that learnt its own IPv6 default route by advertisement must go on learning it."""
    netns.write_sysctl("ipv4/ip_forward", 1)
    configuration = Path("/proc/sys/net/ipv6/conf")
    if not configuration.is_dir() or (configuration / "all/forwarding").read_text().strip() == "1":
        return
    for device in configuration.iterdir():
        if (device / "accept_ra").read_text().strip() == "1":
            (device / "accept_ra").write_text("2\n")
    netns.write_sysctl("ipv6/conf/all/forwarding", 1)


_DIRECTIONS = ("-i", "-o")


def _filter_command(program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run iptables in the namespace that this thread is in; a missing program is a failed command."""
    command = [program, "-w", "5", *arguments]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(command, 127, b"", b"")


def pass_foreign_filters(device: str) -> None:
    """Where iptables' FORWARD chain drops by default (Docker makes it so), let this device's packets through it."""
    for program in ("iptables", "ip6tables"):
        if not _filter_command(program, "-S", "FORWARD").stdout.startswith(b"-P FORWARD DROP"):
            continue
        docker = _filter_command(program, "-S", "DOCKER-USER").returncode == 0
        chain = "DOCKER-USER" if docker else "FORWARD"
        for direction in _DIRECTIONS:
            rule = (chain, direction, device, "-j", "ACCEPT")
            if _filter_command(program, "-C", *rule).returncode != 0:
                done = _filter_command(program, "-I", *rule)
                if done.returncode != 0:
                    raise HostError(f"{program} drops forwarded packets and cannot be told to let {device} pass")


def restore_foreign_filters(device: str) -> None:
    """Take the accepting rules away again."""
    for program in ("iptables", "ip6tables"):
        for chain in ("DOCKER-USER", "FORWARD"):
            if device.encode() not in _filter_command(program, "-S", chain).stdout:
                continue
            for direction in _DIRECTIONS:
                _filter_command(program, "-D", chain, direction, device, "-j", "ACCEPT")
