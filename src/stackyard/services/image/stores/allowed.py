"""What may be fetched: the schemes, hosts and ports that the operator allows, and the addresses behind a host's name.

The lists mean what Glance's `import_filtering_opts` mean (an allow-list that is not empty makes its deny-list void),
but for hosts, where an empty allow-list allows none. The address that was checked is the address that is connected to,
so a name that resolves differently a moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from stackyard.core.config_image import Image

ANY = "*"
PORTS = {"http": 80, "https": 443}
LONGEST_URL = 2048
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\\]")


class NotAllowed(Exception):
    """The address may not be fetched from; the text says what about it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect for a URL, checked: `addresses` are allowed ones, in the order to try them."""

    scheme: str
    host: str
    port: int
    target: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """The operator's lists."""

    schemes: tuple[str, ...]
    hosts: tuple[str, ...]
    denied_hosts: tuple[str, ...]
    ports: tuple[int, ...]
    denied_ports: tuple[int, ...]

    @classmethod
    def of(cls, settings: Image) -> Allowed:
        """From the settings; hosts as URLs have them, in lower case."""
        hosts, denied = (tuple(map(_tidy, names)) for names in (settings.allowed_hosts, settings.disallowed_hosts))
        schemes = settings.allowed_schemes
        return cls(schemes, hosts, denied, settings.allowed_ports, settings.disallowed_ports)

    def check(self, url: str) -> SplitResult:
        """Take a URL apart and look at its words alone. Raises NotAllowed."""
        if not isinstance(url, str) or len(url) > LONGEST_URL or _UNSAFE.search(url):
            raise NotAllowed("it is not a URL that can be fetched")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise NotAllowed("it is not a URL that can be fetched") from None
        if parts.scheme not in PORTS or parts.scheme not in self.schemes:
            raise NotAllowed(f"the scheme {parts.scheme[:20]!r} is not allowed")
        if parts.username is not None or parts.password is not None:
            raise NotAllowed("it holds a user name or password")
        host = _tidy(parts.hostname or "")
        if not host or not _permits(host, self.hosts, self.denied_hosts, open_when_empty=False):
            raise NotAllowed(f"the host {host[:255]!r} is not allowed")
        if not _permits(port or PORTS[parts.scheme], self.ports, self.denied_ports, open_when_empty=True):
            raise NotAllowed(f"the port {port or PORTS[parts.scheme]} is not allowed")
        return parts

    def resolve(self, url: str) -> Place:
        """Check a URL and find the addresses to connect to; asks the name server. Raises NotAllowed."""
        parts = self.check(url)
        host = _tidy(parts.hostname or "")
        port = parts.port or PORTS[parts.scheme]
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NotAllowed(f"the host {host[:255]!r} has no address") from None
        addresses = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
        usable = tuple(address for address in addresses if self._may_reach(host, address))
        if not usable:
            raise NotAllowed(f"the host {host[:255]!r} has no address that may be reached")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Place(parts.scheme, host, port, target, usable)

    def _may_reach(self, host: str, address: str) -> bool:
        if host in self.hosts or address in self.hosts:
            return True
        return address not in self.denied_hosts and is_public(address)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large: no private, loopback, link-local or reserved one."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


def _permits(value: object, allowed: Collection[object], denied: Collection[object], *, open_when_empty: bool) -> bool:
    if allowed and ANY not in allowed:
        return value in allowed
    if not allowed and not open_when_empty:
        return False
    return value not in denied


def _tidy(host: str) -> str:
    return host.rstrip(".").lower()
