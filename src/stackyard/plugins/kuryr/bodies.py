"""What Docker sends: the JSON of libnetwork's remote drivers. Keys that are not known are left alone."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from stackyard.core.body import OpenBody

DockerId = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64}|[0-9a-z]{25})\Z")]
"""An id of Docker's: 64 hexadecimal digits, or 25 letters and digits from its swarm mode."""

Text = Annotated[str, msgspec.Meta(max_length=255)]

_NAMES = {
    "network_id": "NetworkID",
    "endpoint_id": "EndpointID",
    "pool_id": "PoolID",
    "ipv4_data": "IPv4Data",
    "ipv6_data": "IPv6Data",
    "address_ipv6": "AddressIPv6",
    "host_ip": "HostIP",
    "ip": "IP",
}


def _docker_name(name: str) -> str:
    return _NAMES.get(name) or "".join(word.capitalize() for word in name.split("_"))


class DockerBody(OpenBody, rename=_docker_name, kw_only=True):
    """Base: fields are named as Go names them."""


class Anything(DockerBody):
    """A call whose content does not matter."""


class IpamData(DockerBody):
    """The addresses of a network that is to be: its subnet, gateway, and addresses to keep back."""

    pool: Text
    address_space: Text = ""
    gateway: Text = ""
    aux_addresses: dict[Text, Text] | None = None


class CreateNetwork(DockerBody):
    """/NetworkDriver.CreateNetwork."""

    network_id: DockerId
    ipv4_data: list[IpamData] | None
    ipv6_data: list[IpamData] | None
    options: dict[str, Any] | None = None


class NetworkOnly(DockerBody):
    """/NetworkDriver.DeleteNetwork."""

    network_id: DockerId


class AllocateNetwork(DockerBody):
    """/NetworkDriver.AllocateNetwork: what swarm mode asks before CreateNetwork."""

    options: dict[str, Any] | None = None


class Interface(DockerBody):
    """A container's interface: addresses in CIDR notation."""

    address: Text = ""
    address_ipv6: Text = ""
    mac_address: Text = ""


class CreateEndpoint(DockerBody):
    """/NetworkDriver.CreateEndpoint."""

    network_id: DockerId
    endpoint_id: DockerId
    interface: Interface | None
    options: dict[str, Any] | None = None


class EndpointOnly(DockerBody):
    """What names an endpoint and nothing more: DeleteEndpoint, EndpointOperInfo, Leave, Revoke..."""

    network_id: DockerId
    endpoint_id: DockerId


class Join(EndpointOnly):
    """/NetworkDriver.Join."""

    sandbox_key: Text
    options: dict[str, Any] | None = None


class ExposedPort(DockerBody):
    """A port that an image or `--expose` names."""

    proto: int
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]


class PublishedPort(ExposedPort):
    """A port that `-p` brings to the host; `host_port` 0: any."""

    ip: str = ""
    host_ip: str = ""
    host_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    host_port_end: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0


class ExternalConnectivity(EndpointOnly):
    """/NetworkDriver.ProgramExternalConnectivity."""

    options: dict[str, Any] | None = None


class RequestPool(DockerBody):
    """/IpamDriver.RequestPool."""

    address_space: Text
    pool: Text
    sub_pool: Text
    v6: bool
    options: dict[str, Any] | None = None


class ReleasePool(DockerBody):
    """/IpamDriver.ReleasePool."""

    pool_id: Text


class RequestAddress(DockerBody):
    """/IpamDriver.RequestAddress."""

    pool_id: Text
    address: Text
    options: dict[str, Any] | None = None


class ReleaseAddress(DockerBody):
    """/IpamDriver.ReleaseAddress."""

    pool_id: Text
    address: Text
