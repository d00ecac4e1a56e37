"""Names, tags and options of Kuryr, by which it finds again what it made and what it only uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

EXISTING_POOL: Final = "kuryr.subnetpool.existing"
"""Tag of a subnet pool that was there before us."""

EXISTING_PORT: Final = "kuryr.port.existing"
"""Tag of a port that was there before us."""

DEVICE_OWNER: Final = "compute:kuryr"
"""Device owner of ports that containers have; also the tag of ports that we made to hold an address."""

OWN_PORT: Final = "kuryr.port.endpoint"
"""Tag of a port that was made with its endpoint, its address being somebody else's to give: it goes with it."""

MADE_SUBNET: Final = "kuryr.subnet.made"
"""Tag of a subnet that we made."""

UNBOUND_PORT: Final = "kuryr-unbound-port"
EXPOSED_PREFIX: Final = "kuryr-exposed-"

GENERIC_OPTIONS: Final = "com.docker.network.generic"
EXPOSED_PORTS: Final = "com.docker.network.endpoint.exposedports"
PORT_MAP: Final = "com.docker.network.portmap"
MAC_ADDRESS: Final = "com.docker.network.endpoint.macaddress"
INTERNAL: Final = "com.docker.network.internal"
MTU: Final = "com.docker.network.driver.mtu"
GATEWAY: Final = "com.docker.network.gateway"
ADDRESS_TYPE: Final = "RequestAddressType"

NETWORK_OPTIONS: Final = frozenset(
    {"neutron.net.uuid", "neutron.net.name", "neutron.net.shared"}
    | {f"neutron.{noun}{version}.{key}" for noun in ("subnet", "pool") for version in ("", ".v6")
       for key in ("uuid", "name")}
)  # fmt: skip
"""What may be said by `docker network create -o` and `--ipam-opt`."""

DEFAULT_POOLS: Final = {4: "kuryr", 6: "kuryr6"}
"""Subnet pools that networks without a subnet of their own are cut out of, when there are such."""

PROTOCOLS: Final = {6: "tcp", 17: "udp", 132: "sctp"}


def id_tags(docker_id: str) -> list[str]:
    """The tags that say which network or endpoint of Docker something is; tags were once too short for an id."""
    tags = [f"kuryr.net.uuid.lh:{docker_id[:32]}"]
    if len(docker_id) > 32:
        tags.append(f"kuryr.net.uuid.uh:{docker_id[32:64]}")
    return tags


def existing_network_tag(network_id: str) -> str:
    """The tag of a network that was there before Docker's network used it."""
    return f"kuryr.net.existing:{network_id[:12]}"


ASKED = "kuryr.pool.asked:"
"""Tag of a pool that we made: the moment, in nanoseconds, when Docker asked for it."""


def requested_tag(cidr: str) -> str:
    """The tag that says that a network with this CIDR is about to be cut out of a pool, or is."""
    return f"kuryr.subnetpool.cidr:{cidr}"


def network_name(network_id: str) -> str:
    """The name of a network that we make."""
    return f"kuryr-net-{network_id[:8]}"


def subnet_name(cidr: str) -> str:
    """The name of a subnet that we make."""
    return f"kuryr-subnet-{cidr}"


def pool_name(cidr: str) -> str:
    """The name of a subnet pool that we make."""
    return f"kuryrPool-{cidr}"


def port_name(endpoint_id: str) -> str:
    """The name of an endpoint's port."""
    return f"{endpoint_id}-port"


def members(tags: Iterable[str]) -> int:
    """How many networks of Docker's these tags say that something is of."""
    return sum(tag.startswith("kuryr.net.uuid.lh:") for tag in tags)


def device_name(port_id: str) -> str:
    """The name of a container's device until Docker takes it: a prefix and the first digits of its port's id."""
    return f"t_c{port_id.replace('-', '')[:12]}"
