"""Names of everything the network driver makes, derived from ids alone, so that a crash loses no track of anything.

Device names hold at most 15 characters, so they carry the first 12 hexadecimal digits of an id; the whole id stands in
the device's alias (`ip -d link` shows it), which is what `observe` reads.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

from stackyard.host.errors import SpecError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_CLOUD = re.compile(r"[a-z0-9]{4,16}\Z")
_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}\Z")

LINK_GROUP = 5921
"""Interface group of everything in the fabric, so that one kernel call removes it all."""

DOOMED_GROUP = 5922
"""Interface group of devices about to be deleted: the kernel takes some 20 ms to delete one, and no longer for many."""

ROUTE_PROTOCOL = 83
"""Routing protocol number of the routes we add: tells them from anybody else's."""


def check_id(value: str) -> str:
    """The id itself, or SpecError when it could not stand in a kernel name or comment."""
    if not _ID.match(value):
        raise SpecError(f"{value!r} is not an id: letters, digits, '_', '.', '-', at most 64 of them")
    return value


def check_cloud(value: str) -> str:
    """The cloud's id itself; 4 to 16 lower-case letters and digits."""
    if not _CLOUD.match(value):
        raise SpecError(f"{value!r} is not a cloud id: 4 to 16 lower-case letters and digits")
    return value


def check_device(value: str) -> str:
    """The name of a device inside a namespace, as the kernel would accept it."""
    if not _DEVICE.match(value) or value == "lo":
        raise SpecError(f"{value!r} is not an interface name")
    return value


def short(identifier: str) -> str:
    """Twelve characters that stand for an id in kernel names: a UUID's first digits, a digest of anything else."""
    try:
        return uuid.UUID(identifier).hex[:12]
    except ValueError:
        return hashlib.sha256(identifier.encode()).hexdigest()[:12]


def derived_mac(text: str) -> str:
    """A MAC address of local meaning that a text always gives."""
    digest = hashlib.blake2s(text.encode(), digest_size=5).hexdigest()
    return ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])


def bridge(network_id: str) -> str:
    """Bridge of a network, in the fabric."""
    return f"syb{short(network_id)}"


def port(port_id: str) -> str:
    """Fabric end of a port's veth pair."""
    return f"syp{short(port_id)}"


def limiter(port_id: str) -> str:
    """Device that what a port sends passes, to be limited there."""
    return f"syq{short(port_id)}"


def router_leg(port_id: str) -> str:
    """Fabric end of a router's veth pair."""
    return f"syr{short(port_id)}"


def inner_leg(port_id: str) -> str:
    """Router's end of its veth pair on a tenant network."""
    return f"leg{short(port_id)}"


def inner_gateway(port_id: str) -> str:
    """Router's end of its veth pair on the external network."""
    return f"gw-{short(port_id)}"


def server_leg(network_id: str) -> str:
    """Fabric end of the veth pair of a network's DHCP and DNS server."""
    return f"syd{short(network_id)}"


def external_leg(network_id: str) -> str:
    """Fabric end of the veth pair that joins an external network to the host."""
    return f"syx{short(network_id)}"


def tunnel(network_id: str) -> str:
    """VXLAN device of a network, in the fabric."""
    return f"syv{short(network_id)}"


def uplink(network_id: str) -> str:
    """Device in the fabric by which a network is on one of the host's physical networks."""
    return f"syu{short(network_id)}"


def host_leg_prefix(cloud: str) -> str:
    """What the names of all of a cloud's devices in the host's own namespace begin with."""
    return f"sy{cloud[:6]}x"


def host_leg(cloud: str, network_id: str) -> str:
    """The host's own end of that pair: the one device that appears beside the host's own."""
    return f"{host_leg_prefix(cloud)}{short(network_id)[:6]}"


def fabric_namespace(cloud: str) -> str:
    """Namespace with every bridge and filter of a cloud."""
    return f"sy-{cloud}"


def router_namespace(cloud: str, router_id: str) -> str:
    """Namespace of a router."""
    return f"sy-{cloud}-r-{short(router_id)}"


def server_namespace(cloud: str, network_id: str) -> str:
    """Namespace of a network's DHCP and DNS server."""
    return f"sy-{cloud}-d-{short(network_id)}"


@dataclass(frozen=True)
class Alias:
    """What a device of ours says of itself: its kind, the whole id, its network, and one more word by kind.

    Kinds: network (`extra` is its conntrack zone), port, limiter (of a port), leg (`extra` is the router), server,
    external, router, tunnel, uplink (`extra` is the host's interface, with a '-' before it when that was down).
    """

    cloud: str
    kind: str
    id: str
    network_id: str = "-"
    extra: str = "-"

    def __str__(self) -> str:
        return f"stackyard {self.cloud} {self.kind} {self.id} {self.network_id} {self.extra}"


def parse_alias(text: str | None) -> Alias | None:
    """The alias that a device carries, or None when the device is not ours."""
    words = (text or "").split(" ")
    if len(words) != 6 or words[0] != "stackyard":
        return None
    return Alias(*words[1:])
