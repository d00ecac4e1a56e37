"""Names and leases of a network: dnsmasq's files, as text. Pure; `servers.py` runs the program.

One file holds what only a start reads (its name carries a digest of its text, so that a running server tells which
configuration it has); hosts, leases and options stand in files of their own, which SIGHUP makes dnsmasq read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import re
from pathlib import Path

from stackyard.host.network import checks
from stackyard.host.network.metadata import METADATA4
from stackyard.host.specs import NO_MAC, DhcpOption, HostRecord, NetworkSpec, SubnetSpec

DEVICE = "service"
"""Name of the server's device in its namespace."""

Lease = tuple[str, checks.IPAddress]
"""A MAC and the address that it gets."""

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
        "no-resolv", "no-hosts", "no-poll", "bind-dynamic", "except-interface=lo", f"interface={DEVICE}",
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
    """Names: a bare one stands so and with the network's domain, one with a domain so, and bare if it is that."""
    domain = checks.host_name(spec.dns_domain)
    lines = []
    for host in spec.hosts:
        words: dict[str, None] = {}
        for name in map(checks.host_name, host.names):
            bare = name.removesuffix(f".{domain}")
            words |= dict.fromkeys((name,) if "." in bare else (f"{bare}.{domain}", bare))
        if words:
            lines += [f"{checks.address(ip)} {' '.join(words)}" for ip in host.ips]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------- leases

_CLIENT_ID = ("client-id", "61")
_HARMLESS_ID = re.compile(r"[A-Za-z0-9:._-]{1,64}\Z")


def _host_tag(host: HostRecord) -> str:
    return f"host{checks.mac(host.mac).replace(':', '')}"


def _leased(spec: NetworkSpec, address: checks.IPAddress) -> bool:
    """Whether the server gives the address away; SLAAC addresses and those of stateless DHCPv6 nobody gives."""
    return any(
        address in checks.network(subnet.cidr) and subnet.ipv6_mode != "dhcpv6-stateless" for subnet in _serving(spec)
    )


def leases_in(text: str) -> frozenset[Lease]:
    """Who gets which address, as a file of leases says."""
    found = set()
    for line in text.splitlines():
        mac, *words = line.split(",")
        for word in words:
            with contextlib.suppress(ValueError):
                found.add((mac, ipaddress.ip_address(word.strip("[]"))))
    return frozenset(found)


def leases_text(spec: NetworkSpec) -> str:
    """Who gets which address: a line for each address, as dnsmasq wants it for several on one MAC."""
    lines = []
    for host in (item for item in spec.hosts if item.mac != NO_MAC):
        name = checks.host_name(host.names[0]).split(".")[0] if host.names else ""
        words = [f"set:{_host_tag(host)}"] if host.options else []
        words += [f"id:{item.value}" for item in host.options if _is_client_id(item)][:1]
        found = [item for item in map(checks.address, host.ips) if _leased(spec, item)]
        shown = [str(item) if item.version == 4 else f"[{item}]" for item in found]
        shown = shown or ([""] if words else [])
        lines += [",".join(filter(None, (checks.mac(host.mac), *words, item, name))) for item in shown]
    return "\n".join(lines) + "\n"


def _is_client_id(option: DhcpOption) -> bool:
    return option.name in _CLIENT_ID and bool(_HARMLESS_ID.match(option.value))


# ---------------------------------------------------------------------------------------------------- options

_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+-]{0,63}\Z|[0-9]{1,5}\Z")
_HARMLESS_VALUE = re.compile(r"[A-Za-z0-9_./:@%+=?&~!$*()^\[\]-]*\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def options_text(spec: NetworkSpec) -> str:
    """DHCP options by subnet (router, name servers, MTU, routes), and those of single ports, which win."""
    lines = []
    for subnet in _serving(spec):
        four = checks.network(subnet.cidr).version == 4
        lines += _options4(spec, subnet) if four else _options6(spec, subnet)
    for host in spec.hosts:
        lines += [line for item in host.options if (line := _host_option(host, item))]
    return "\n".join(lines) + "\n"


def _name_servers(spec: NetworkSpec, subnet: SubnetSpec) -> list[checks.IPAddress]:
    """The subnet's own, else this server."""
    cidr = checks.network(subnet.cidr)
    given = [checks.address(item) for item in subnet.dns_servers]
    return [item for item in given if item.version == cidr.version] or _own_addresses(spec, subnet)


def _own_addresses(spec: NetworkSpec, subnet: SubnetSpec) -> list[checks.IPAddress]:
    cidr = checks.network(subnet.cidr)
    own = [checks.address(item.ip) for item in spec.service_port.addresses] if spec.service_port else []
    return [item for item in own if item.version == cidr.version and item in cidr]


def _options6(spec: NetworkSpec, subnet: SubnetSpec) -> list[str]:
    tag, servers = f"tag:{_tag(spec, subnet)}", _name_servers(spec, subnet)
    lines = [f"{tag},option6:domain-search,{checks.host_name(spec.dns_domain)}"]
    if servers:
        lines.append(f"{tag},option6:dns-server,{','.join(f'[{item}]' for item in servers)}")
    return lines


def _options4(spec: NetworkSpec, subnet: SubnetSpec) -> list[str]:
    tag = f"tag:{_tag(spec, subnet)}"
    gateway = _gateway(subnet)
    lines = [
        f"{tag},option:router" + (f",{gateway}" if gateway else ""),
        f"{tag},option:dns-server" + "".join(f",{item}" for item in _name_servers(spec, subnet)),
        f"{tag},option:mtu,{spec.mtu}",
    ]
    routes = _routes(spec, subnet)
    if routes:
        # Clients that take static routes ignore the router option, so the default route stands here too.
        text = ",".join(f"{destination},{hop}" for destination, hop in routes)
        text += f",0.0.0.0/0,{gateway}" if gateway else ""
        lines += [f"{tag},{option},{text}" for option in _ROUTE_OPTIONS]
    return lines


def _gateway(subnet: SubnetSpec) -> checks.IPAddress | None:
    """The subnet's gateway, or the next hop of a default route among its host routes."""
    defaults = (item.next_hop for item in subnet.host_routes if not checks.network(item.destination).prefixlen)
    text = subnet.gateway or next(defaults, None)
    return checks.address(text) if text else None


def _routes(spec: NetworkSpec, subnet: SubnetSpec) -> list[tuple[str, str]]:
    """Other subnets of the network, which are neighbours; the subnet's host routes; the way to metadata."""
    own = checks.network(subnet.cidr)
    cidrs = [checks.network(item.cidr) for item in spec.subnets]
    found = [(str(item), "0.0.0.0") for item in cidrs if item.version == 4 and item != own]  # noqa: S104  "on this wire"
    for route in subnet.host_routes:
        destination = checks.network(route.destination)
        if destination.prefixlen:
            found.append((str(destination), str(checks.address(route.next_hop))))
    server = next(iter(_own_addresses(spec, subnet)), None)
    metadata = f"{METADATA4}/32"
    if spec.metadata and server is not None and metadata not in dict(found):
        found.append((metadata, str(server)))
    return found


def _host_option(host: HostRecord, option: DhcpOption) -> str | None:
    """One option of one port. What dnsmasq could not take for a name is left out, for it would not read on."""
    if option.name in _CLIENT_ID or not _OPTION_NAME.match(option.name):
        return None
    if option.ip_version == 6:
        name = f"option6:{option.name}"
    else:
        name = option.name if option.name.isdigit() else f"option:{option.name}"
    value = f",{quoted(option.value)}" if option.value else ""
    return f"tag:{_host_tag(host)},{name}{value}"


def quoted(value: str) -> str:
    """An option's value, so that nothing in it ends the line or begins another option.

    Commas divide it, as they do for dnsmasq; a part with anything but harmless characters is in quotes.
    """
    return ",".join(part if _HARMLESS_VALUE.match(part) else _in_quotes(part) for part in value.split(","))


def _in_quotes(part: str) -> str:
    shown = (_ESCAPES.get(item, item) for item in part if item in _ESCAPES or item.isprintable())
    return f'"{"".join(shown)}"'
