"""Whose metadata is asked for: the port behind an address on a network or a router, and who knows its device.

Which service knows what runs on a port is told by the port's device owner; it registers itself with `tell`. A port
whose owner nobody speaks for, and an address that is no port's, have no metadata.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.network.metadata import MetadataReply, MetadataRequest
from stackyard.services.network.tables import ip_allocations, ports, router_ports

_FOUND = sa.select(ports).limit(2)
_WITH_ADDRESS = sa.select(ip_allocations.c.port_id).where(ip_allocations.c.ip_address == bindparam("address"))
_ON_NETWORK = _FOUND.where(ports.c.network_id == bindparam("id"), ports.c.id.in_(_WITH_ADDRESS))
_BY_MAC = _FOUND.where(ports.c.network_id == bindparam("id"), ports.c.mac_address == bindparam("mac"))

_LEGS = ip_allocations.alias("legs")
_SUBNETS_OF_ROUTER = (
    sa.select(_LEGS.c.subnet_id)
    .join(router_ports, router_ports.c.port_id == _LEGS.c.port_id)
    .where(router_ports.c.router_id == bindparam("id"))
)
_BEHIND_ROUTER = _FOUND.where(ports.c.id.in_(_WITH_ADDRESS.where(ip_allocations.c.subnet_id.in_(_SUBNETS_OF_ROUTER))))


class DeviceMetadata(Protocol):
    """A service that knows what runs on ports of some owner."""

    def answer(self, port: Any, request: MetadataRequest) -> MetadataReply:
        """The reply to what a port's device asks; `port` is its row. Called from several threads."""
        ...


class PortMetadata:
    """The handler of the host's network driver (a MetadataHandler)."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[str, DeviceMetadata] = {}

    def tell(self, owner_prefix: str, devices: DeviceMetadata) -> None:
        """Ask `devices` for ports whose device owner begins so, as in "compute:"."""
        self._known[owner_prefix] = devices

    def answer(self, request: MetadataRequest) -> MetadataReply:
        """Find the port, and let who knows its device answer; 404 for all else, whichever it is."""
        port = self._runtime.database.read("metadata.port", find_port, request)
        if port is not None:
            for prefix, devices in self._known.items():
                if port.device_owner.startswith(prefix):
                    return devices.answer(port, request)
        return MetadataReply(404, body=f"There is no metadata for {request.source}.\n".encode())


def find_port(tx: Transaction, request: MetadataRequest) -> Any:
    """The port that a request comes from: by address, or by MAC for a link-local one; None when that is not one port.

    On a router only subnets that it is on count, for other subnets of the same networks may have the same addresses.
    """
    source = ipaddress.ip_address(request.source)
    if request.router_id is not None:
        rows = tx.all(_BEHIND_ROUTER, {"id": request.router_id, "address": str(source)})
    elif not source.is_link_local:
        rows = tx.all(_ON_NETWORK, {"id": request.network_id, "address": str(source)})
    elif request.source_mac is not None:
        rows = tx.all(_BY_MAC, {"id": request.network_id, "mac": request.source_mac})
    else:
        rows = []
    return rows[0] if len(rows) == 1 else None
