"""What views of servers show that is not in the servers' rows, read for many servers with a statement each.

What is read stays as it came from the database, in tuples that can be compared and hashed, so that a view is made anew
only when something that it shows has changed (views.py).
"""

from __future__ import annotations

from collections.abc import Sequence
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

_KEYS: sa.BindParameter[Any] = bindparam("keys", expanding=True)
_b = block_devices.c
_VOLUMES = sa.select(
    _b.server_id, _b.volume_id.label("value"), _b.delete_on_termination.label("ends"), _b.created_at.label("at")
).where(_b.server_id.in_(_KEYS), _b.volume_id.is_not(None))
_TAGS = sa.select(
    server_tags.c.server_id,
    server_tags.c.tag.label("value"),
    sa.cast(sa.null(), sa.Boolean).label("ends"),
    sa.cast(sa.null(), _b.created_at.type).label("at"),
).where(server_tags.c.server_id.in_(_KEYS))
_VOLUMES_ALONE = _VOLUMES.order_by("at", "value")
_TAGS_AND_VOLUMES = sa.union_all(_TAGS, _VOLUMES).order_by("at", "value")

_decode = msgspec.json.decode
_NOTHING: tuple[Any, ...] = ()


class Facts:
    """What was read, by server. `ports` as network.api's shown_ports; `more` are tags (`ends` None) and volumes."""

    def __init__(self) -> None:
        self.ports: dict[str, tuple[Any, ...]] = {}
        self.more: dict[str, tuple[Any, ...]] = {}
        self._hosts: dict[str, Any] = {}
        self._now: datetime

    @classmethod
    def read(cls, tx: Transaction, call: Call, server_ids: Sequence[str], *, statuses: bool = False) -> Facts:
        """Read what the call's microversion shows of these servers, their hosts' `statuses` with it."""
        found = cls()
        found._now = tx.now
        if server_ids:
            found.ports = _by_server(network_api.shown_ports(tx, server_ids))
            extra = _TAGS_AND_VOLUMES if call.since(2, 26) else _VOLUMES_ALONE
            found.more = _by_server(tx.all(extra, {"keys": server_ids}))
            if statuses:
                found._hosts = {row.host: row for row in hosts.rows(tx)}
        return found

    def of(self, server_id: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """All that was read of a server, to be compared."""
        return self.ports.get(server_id, _NOTHING), self.more.get(server_id, _NOTHING)

    def tags(self, server_id: str) -> list[str]:
        """A server's tags."""
        return [row.value for row in self.more.get(server_id, ()) if row.ends is None]

    def volumes(self, server_id: str) -> list[tuple[str, bool]]:
        """A server's volumes, and whether each goes with it."""
        return [(row.value, row.ends) for row in self.more.get(server_id, ()) if row.ends is not None]

    def addresses(self, server: Any, *, extended: bool) -> dict[str, list[dict[str, Any]]]:
        """A server's addresses by network, in the order of its cards: the fixed ones, then the floating ones."""
        ports: dict[str, list[Any]] = {}
        for row in self.ports.get(server.id, ()):
            ports.setdefault(row.id, []).append(row)
        order = [item["port"] for item in server.interfaces if item["port"] in ports] if len(ports) > 1 else []
        found: dict[str, list[dict[str, Any]]] = {}
        late: list[tuple[str, dict[str, Any]]] = []
        for port_id in dict.fromkeys([*order, *ports]):
            first = ports[port_id][0]
            shown = found.setdefault(first.network_name, [])
            for ip in _decode(first.fixed_ips):
                shown.append(_address(ip["ip_address"], first.mac_address, "fixed", extended=extended))
            outer = dict.fromkeys(row.floating_ip_address for row in ports[port_id] if row.floating_ip_address)
            late += [
                (first.network_name, _address(text, first.mac_address, "floating", extended=extended)) for text in outer
            ]
        for network, floating in late:
            found[network].append(floating)
        return found

    def security_groups(self, server_id: str) -> list[dict[str, str]]:
        """The names of the groups that a server's ports are in, each once."""
        rows = self.ports.get(server_id, ())
        return [{"name": name} for name in dict.fromkeys(row.group_name for row in rows if row.group_name is not None)]

    def host_status(self, host: str | None) -> str:
        """UP, DOWN, MAINTENANCE or UNKNOWN, and empty for a server that is on no host."""
        if not host:
            return ""
        row = self._hosts.get(host)
        if row is None:
            return "UNKNOWN"
        if row.disabled:
            return "MAINTENANCE"
        if row.forced_down:
            return "DOWN"
        return "UP" if hosts.is_up(row, self._now) else "UNKNOWN"


def _by_server(rows: Sequence[Any]) -> dict[str, tuple[Any, ...]]:
    """Rows by their first column."""
    found: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        found[row[0]] = (*found.get(row[0], ()), row)
    return found


def _address(address: str, mac: str, kind: str, *, extended: bool) -> dict[str, Any]:
    version = 6 if ":" in address else 4
    if not extended:
        return {"version": version, "addr": address}
    return {"version": version, "addr": address, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}
