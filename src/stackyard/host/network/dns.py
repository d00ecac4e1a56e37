"""Names and leases of a network: dnsmasq's files, as text. Pure; `servers.py` runs the program.

One file holds what only a start reads (its name carries a digest of its text, so that a running server tells which
configuration it has); hosts, leases and options stand in files of their own, which SIGHUP makes dnsmasq read again.
"""

from __future__ import annotations

import hashlib
import ipaddress
from pathlib import Path

from stackyard.host.network import checks
from stackyard.host.specs import NetworkSpec, SubnetSpec

DEVICE = "service"
"""Name of the server's device in its namespace."""

_LEASE_SECONDS = 86400
_ROUTE_OPTIONS = ("option:classless-static-route", "249")
"""The standard's option and the number that Microsoft's clients ask for."""


def _tag(spec: NetworkSpec, subnet: SubnetSpec) -> str:
    return f"subnet{spec.subnets.index(subnet)}"


def _serving(spec: NetworkSpec) -> list[SubnetSpec]:
    """Subnets that get addresses or options from this server. SLAAC alone needs no server."""
    return [item for item in spec.subnets if item.dhcp and item.ipv6_mode != "slaac" and _served_family(item)]


def _served_family(subnet: SubnetSpec) -> bool:
    return checks.network(subnet.cidr).version == 4 or subnet.ipv6_mode is not None


def _range(spec: NetworkSpec, subnet: SubnetSpec) -> str:
    cidr, tag = checks.network(subnet.cidr), _tag(spec, subnet)
    if cidr.version == 4:
        return f"dhcp-range=set:{tag},{cidr.network_address},static,{cidr.netmask},{_LEASE_SECONDS}s"
    return f"dhcp-range=set:{tag},{cidr.network_address},static,{max(64, cidr.prefixlen)},{_LEASE_SECONDS}s"


def resolvers(text: str) -> tuple[str, ...]:
    """Addresses that /etc/resolv.conf's text names and that another namespace could reach."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                item = ipaddress.ip_address(words[1])
            except ValueError:
                continue
            if not item.is_loopback and not item.is_link_local:
                found.append(str(item))
    return tuple(found)


def main_text(spec: NetworkSpec, directory: Path, user: str, upstream: tuple[str, ...]) -> str:
    """What only a start reads. `upstream` are the servers asked for names of the outside world."""
    domain = checks.host_name(spec.dns_domain)
    lines = [
        "no-resolv", "no-hosts", "no-poll", "bind-interfaces", "except-interface=lo", f"interface={DEVICE}",
        "domain-needed", "bogus-priv", f"domain={domain}", f"local=/{domain}/", "cache-size=1000",
        f"user={user}", f"pid-file={directory / 'pid'}", f"addn-hosts={directory / 'hosts'}",
        f"dhcp-hostsfile={directory / 'leases'}", f"dhcp-optsfile={directory / 'options'}",
        "dhcp-authoritative", "leasefile-ro", "dhcp-lease-max=65536", "dhcp-no-override",
        *(f"server={item}" for item in upstream),
        *(_range(spec, subnet) for subnet in _serving(spec)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main_name(text: str) -> str:
    """File name of that text."""
    return f"dnsmasq-{hashlib.blake2s(text.encode(), digest_size=6).hexdigest()}.conf"


def hosts_text(spec: NetworkSpec) -> str:
    """Names, each bare and with the network's domain."""
    domain = checks.host_name(spec.dns_domain)
    lines = []
    for host in spec.hosts:
        words: dict[str, None] = {}
        for name in map(checks.host_name, host.names):
            bare = name.removesuffix(f".{domain}")
            words |= dict.fromkeys((f"{bare}.{domain}", bare))
        if words:
            lines += [f"{checks.address(ip)} {' '.join(words)}" for ip in host.ips]
    return "\n".join(lines) + "\n"


def leases_text(spec: NetworkSpec) -> str:
    """Who gets which address: a line for each address, as dnsmasq wants it for several on one MAC."""
    lines = []
    for host in spec.hosts:
        name = checks.host_name(host.names[0]).split(".")[0] if host.names else ""
        for text in host.ips:
            item = checks.address(text)
            shown = str(item) if item.version == 4 else f"[{item}]"
            lines.append(",".join(filter(None, (checks.mac(host.mac), shown, name))))
    return "\n".join(lines) + "\n"


def options_text(spec: NetworkSpec) -> str:
    """DHCP options by subnet: router, name servers, MTU, routes."""
    lines = []
    own = [checks.address(item.ip) for item in spec.service_port.addresses] if spec.service_port else []
    for subnet in _serving(spec):
        cidr, tag = checks.network(subnet.cidr), f"tag:{_tag(spec, subnet)}"
        servers = [checks.address(item) for item in subnet.dns_servers]
        servers = [item for item in servers if item.version == cidr.version] or [
            item for item in own if item.version == cidr.version and item in cidr
        ]
        if cidr.version == 6:
            if servers:
                lines.append(f"{tag},option6:dns-server,{','.join(f'[{item}]' for item in servers)}")
            continue
        lines.append(f"{tag},option:router" + (f",{checks.address(subnet.gateway)}" if subnet.gateway else ""))
        lines.append(f"{tag},option:dns-server" + "".join(f",{item}" for item in servers))
        lines.append(f"{tag},option:mtu,{spec.mtu}")
        if subnet.host_routes:
            lines += [f"{tag},{option},{_routes(subnet)}" for option in _ROUTE_OPTIONS]
    return "\n".join(lines) + "\n"


def _routes(subnet: SubnetSpec) -> str:
    """Clients that take static routes ignore the router option, so the default route stands here too."""
    routes = [f"{checks.network(item.destination)},{checks.address(item.next_hop)}" for item in subnet.host_routes]
    if subnet.gateway:
        routes.append(f"0.0.0.0/0,{checks.address(subnet.gateway)}")
    return ",".join(routes)
