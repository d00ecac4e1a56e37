"""The hosts of the cloud: each process writes its own row, and beats; the others read it.

On SQLite there is one process and so one host. On PostgreSQL any number of processes share the rows, each on a host of
its own, and everything here is read in the transaction at hand: nothing has to be sent around.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.config_network import Network
from stackyard.core.db import Database, Transaction
from stackyard.core.reconcile import kind_on, work
from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.network.tables import network_hosts

HEARTBEAT_SECONDS = 10.0
ALIVE_SECONDS = 35.0
"""A host that has not beaten for so long is taken to be gone."""

_TUNNEL_BYTES = {4: 50, 6: 70}
"""What a VXLAN packet has around a tenant's frame, by the IP version of the network between the hosts."""

_ALL = sa.select(network_hosts).order_by(network_hosts.c.joined_at, network_hosts.c.name)
_ONE = sa.select(network_hosts).where(network_hosts.c.name == bindparam("key"))
_INSERT = sa.insert(network_hosts)
_START = (
    sa.update(network_hosts)
    .where(network_hosts.c.name == bindparam("key"))
    .values(
        tunnel_address=bindparam("tunnel"), physical_networks=bindparam("physical"), zone=bindparam("in_zone"),
        started_at=bindparam("now"), heartbeat_at=bindparam("now"),
    )
)  # fmt: skip
_BEAT = sa.update(network_hosts).where(network_hosts.c.name == bindparam("key")).values(heartbeat_at=bindparam("now"))
_FORGET = sa.delete(network_hosts).where(network_hosts.c.name == bindparam("key"))
_NAMES = "SELECT string_agg(name, ',' ORDER BY joined_at, name) FROM network_hosts"

_local: WeakKeyDictionary[Database, str] = WeakKeyDictionary()


def use_name(database: Database, name: str) -> None:
    """Say which of the database's hosts this process is on."""
    _local[database] = name


def local(tx: Transaction) -> str:
    """The host that this process is on; empty when nobody has said."""
    return _local.get(tx.database, "")


def names(tx: Transaction) -> tuple[str, ...]:
    """Every host, the one that has been there longest first."""
    here = local(tx)
    if tx.database.is_sqlite:
        return (here,)
    found = tx.peek(_NAMES)
    return tuple(found.split(",")) if found else (here,)


def rows(tx: Transaction) -> Sequence[Any]:
    """Every host's row, the one that has been there longest first."""
    return tx.all(_ALL)


def is_alive(row: Any, now: datetime) -> bool:
    """Whether a host has beaten lately."""
    beaten: datetime = row.heartbeat_at
    return now - beaten < timedelta(seconds=ALIVE_SECONDS)


def physical_networks(settings: Network) -> dict[str, str]:
    """Physical network -> this host's interface on it."""
    return {name: device for name, _, device in (item.partition(":") for item in settings.physical_networks)}


def mtu_of_new(settings: Network, network_type: str) -> int:
    """The largest packet that a new network of a type carries: tunnels take their part of what is between hosts."""
    if network_type != "vxlan" or not settings.tunnel_address:
        return settings.mtu
    return settings.mtu - _TUNNEL_BYTES[ipaddress.ip_address(settings.tunnel_address).version]


def register(tx: Transaction, runtime: Runtime) -> bool:
    """Write this host's row at its start; whether the others have to learn of a new tunnel address."""
    settings, name = runtime.settings.network, runtime[keys.HOST_NAME]
    before = tx.first(_ONE, {"key": name})
    tunnel = settings.tunnel_address or None
    physical = physical_networks(settings)
    if before is not None:
        values = {"key": name, "tunnel": tunnel, "physical": physical, "in_zone": settings.availability_zone}
        tx.execute(_START, values | {"now": tx.now})
        return bool(before.tunnel_address != tunnel)
    moments = {"joined_at": tx.now, "started_at": tx.now, "heartbeat_at": tx.now}
    row = {"name": name, "tunnel_address": tunnel, "physical_networks": physical, "zone": settings.availability_zone}
    tx.insert_once(_INSERT, row | moments)
    return False


def beat(tx: Transaction, runtime: Runtime) -> None:
    """Say that this host is alive; one that was forgotten meanwhile is there again."""
    if tx.execute(_BEAT, {"key": runtime[keys.HOST_NAME], "now": tx.now}).rowcount == 0:
        register(tx, runtime)


def forget(tx: Transaction, name: str) -> None:
    """Drop a host that will not come back, with the work that waits for it; one that is alive beats and is back."""
    tx.execute(_FORGET, {"key": name})
    tx.execute(sa.delete(work).where(work.c.kind.endswith(kind_on("", name), autoescape=True)))
