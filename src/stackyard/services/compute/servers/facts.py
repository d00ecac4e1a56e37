"""What views of servers show that is not in the servers' rows, read for many servers with a statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.compute import hosts
from stackyard.services.compute.tables import block_devices, server_tags
from stackyard.services.network import api as network_api

_TAGS = (
    sa.select(server_tags.c.server_id, server_tags.c.tag)
    .where(server_tags.c.server_id.in_(bindparam("keys", expanding=True)))
    .order_by(server_tags.c.tag)
)
_b = block_devices.c
_VOLUMES = (
    sa.select(_b.server_id, _b.volume_id, _b.delete_on_termination)
    .where(_b.server_id.in_(bindparam("keys", expanding=True)), _b.volume_id.is_not(None))
    .order_by(_b.created_at, _b.id)
)


class Port(msgspec.Struct):
    """A port of a server: `ips` (address, version), `floating` addresses that lead to it."""

    id: str
    network: str
    mac: str
    ips: list[tuple[str, int]]
    floating: list[str]
    groups: list[str]


class Facts:
    """What was read, by server."""

    def __init__(self) -> None:
        self.ports: dict[str, dict[str, Port]] = {}
        self.tags: dict[str, list[str]] = {}
        self.volumes: dict[str, list[tuple[str, bool]]] = {}
        self.group_names: Mapping[str, str] = {}
        self.hosts: dict[str, Any] | None = None
        self.now: datetime

    @classmethod
    def read(cls, tx: Transaction, call: Call, rows: Sequence[Any]) -> Facts:
        """Read what the call's microversion shows of these servers."""
        found = cls()
        found.now = tx.now
        server_ids = [row.id for row in rows]
        if not server_ids:
            return found
        found.read_ports(network_api.ports_of_devices(tx, server_ids))
        group_ids = sorted({group for own in found.ports.values() for port in own.values() for group in port.groups})
        found.group_names = network_api.names_of_security_groups(tx, group_ids)
        if call.since(2, 26):
            for row in tx.all(_TAGS, {"keys": server_ids}):
                found.tags.setdefault(row.server_id, []).append(row.tag)
        for row in tx.all(_VOLUMES, {"keys": server_ids}):
            found.volumes.setdefault(row.server_id, []).append((row.volume_id, row.delete_on_termination))
        if call.since(2, 16) and call.caller.is_admin:
            found.hosts = {row.host: row for row in hosts.rows(tx)}
        return found

    def read_ports(self, rows: Sequence[Any]) -> None:
        """Take in what the network service says of ports, a row for each floating IP of one."""
        for row in rows:
            own = self.ports.setdefault(row.device_id, {})
            port = own.get(row.id)
            if port is None:
                ips = [(ip["ip_address"], 6 if ":" in ip["ip_address"] else 4) for ip in row.fixed_ips]
                port = own[row.id] = Port(row.id, row.network_name, row.mac_address, ips, [], row.security_group_ids)
            if row.floating_ip_address is not None:
                port.floating.append(row.floating_ip_address)

    def in_order(self, row: Any) -> list[Port]:
        """A server's ports as its row has them in order, others (bound to it by hand) after them."""
        own = self.ports.get(row.id)
        if not own:
            return []
        if len(own) == 1:
            return list(own.values())
        first = [own[interface["port"]] for interface in row.interfaces if interface["port"] in own]
        named = {port.id for port in first}
        return first + [port for port in own.values() if port.id not in named]

    def addresses(self, row: Any, extended: bool) -> dict[str, list[dict[str, Any]]]:
        """A server's addresses by network: the fixed ones, then the floating ones."""
        found: dict[str, list[dict[str, Any]]] = {}
        late: list[tuple[str, dict[str, Any]]] = []
        for port in self.in_order(row):
            shown = found.setdefault(port.network, [])
            for address, version in port.ips:
                shown.append(_address(address, version, port.mac, "fixed", extended))
            late += [(port.network, _address(ip, 4, port.mac, "floating", extended)) for ip in port.floating]
        for network, floating in late:
            found[network].append(floating)
        return found

    def security_groups(self, server_id: str) -> list[dict[str, str]]:
        """The names of the groups that a server's ports are in, each once."""
        names = {
            self.group_names[group]: None
            for port in self.ports.get(server_id, {}).values()
            for group in port.groups
            if group in self.group_names
        }
        return [{"name": name} for name in names]

    def host_status(self, host: str | None) -> str:
        """UP, DOWN, MAINTENANCE or UNKNOWN, and empty for a server that is on no host."""
        if not host:
            return ""
        row = (self.hosts or {}).get(host)
        if row is None:
            return "UNKNOWN"
        if row.disabled:
            return "MAINTENANCE"
        if row.forced_down:
            return "DOWN"
        return "UP" if hosts.is_up(row, self.now) else "UNKNOWN"


def _address(address: str, version: int, mac: str, kind: str, extended: bool) -> dict[str, Any]:
    if not extended:
        return {"version": version, "addr": address}
    return {"version": version, "addr": address, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}
