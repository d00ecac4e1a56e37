"""Everything that a server's documents are made of, read in one transaction."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute.guests import vendor_data
from stackyard.services.compute.tables import block_devices
from stackyard.services.network import api as network_api

_DEVICES = (
    sa.select(block_devices)
    .where(block_devices.c.server_id == bindparam("server"))
    .order_by(block_devices.c.device_name, block_devices.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A server as its documents tell of it. `content` holds files by their path in the guest (on a config drive).

    `password` is its administrator's, which only a config drive tells.
    """

    server: Any
    ports: Sequence[network_api.GuestPort]
    block_devices: Sequence[Any]
    vendor_data: Mapping[str, Any]
    domain: str
    zone: str
    content: Sequence[tuple[str, bytes]] = ()
    password: str | None = None

    @property
    def hostname(self) -> str:
        """Its host name, with the domain of guests."""
        return f"{self.server.hostname}.{self.domain}" if self.domain else str(self.server.hostname)

    @property
    def user_data(self) -> bytes | None:
        """The user data as the user meant it; None when there is none."""
        return None if self.server.user_data is None else decode(self.server.user_data)

    def addresses(self, version: int) -> list[str]:
        """Its addresses of this IP version, in the order of its ports."""
        return [
            address
            for port in self.ports
            for subnet in port.subnets
            if subnet.version == version
            for address in subnet.addresses
        ]

    def floating_ips(self) -> list[str]:
        """Its floating addresses."""
        return [address for port in self.ports for address in port.floating_ips]

    def security_groups(self) -> list[str]:
        """The names of the groups that its ports are in, each once."""
        return list(dict.fromkeys(name for port in self.ports for name in port.security_groups))


def gather(tx: Transaction, runtime: Runtime, server: Any) -> Guest:
    """What there is to tell of the server of this row."""
    compute = runtime.settings.compute
    given = {item["port"]: place for place, item in enumerate(server.interfaces)}
    ports = [port for port in network_api.guest_ports(tx, server.id) if port.id in given]
    return Guest(
        server=server,
        ports=sorted(ports, key=lambda port: given[port.id]),
        block_devices=tx.all(_DEVICES, {"server": server.id}),
        vendor_data=vendor_data.static(Path(compute.vendordata_file) if compute.vendordata_file else None),
        domain=compute.guest_domain,
        zone=server.zone or compute.availability_zone,
    )


def with_files(guest: Guest, password: str | None = None) -> Guest:
    """The same with what only a config drive has: files that the user gave when the server was made, a password."""
    files = [(str(item["path"]), decode(item["contents"])) for item in guest.server.personality or ()]
    return replace(guest, content=files, password=password)


def decode(text: str) -> bytes:
    """What base64 stands for, however it is broken into lines; what is none is taken as it is."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


def as_json(document: Any) -> bytes:
    """A document as guests read it."""
    return msgspec.json.encode(document)
