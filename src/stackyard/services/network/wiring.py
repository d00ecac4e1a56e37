"""Bringing one resource, or a port with all that it needs, to the kernel as the rows have it at that moment.

What is read is applied under one lock, so that of two threads at the same network or group the one that read last also
applies last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.specs import AddressGroupSpec, NetworkSpec, PortSpec, RouterSpec, SecurityGroupSpec
from stackyard.services import keys
from stackyard.services.network import marks, wanted
from stackyard.services.network.tables import ports

S = TypeVar("S")

_LOCKS = tuple(threading.Lock() for _ in range(64))

_NEEDED = sa.select(ports.c.network_id, ports.c.security_group_ids).where(
    ports.c.id.in_(bindparam("ids", expanding=True)), ports.c.netns.is_not(None)
)
_STATUS = (
    sa.update(ports)
    .where(ports.c.id.in_(bindparam("ids", expanding=True)), ports.c.netns.is_not(None))
    .where(sa.or_(ports.c.status != bindparam("wanted_status"), ports.c.status_reason != ""))
    .values(status=bindparam("wanted_status"), status_reason="")
)


@dataclass(frozen=True)
class Way(Generic[S]):
    """How one kind of resource is read, and told to the driver."""

    read: Callable[[Transaction, str], S | None]
    apply: Callable[[S], None]
    remove: Callable[[str], None]


def _lock(kind: str, resource_id: str) -> threading.Lock:
    return _LOCKS[hash((kind, resource_id)) % len(_LOCKS)]


def settle_network(runtime: Runtime, network_id: str) -> NetworkSpec | None:
    """Apply or remove a network; returns what was applied. Raises HostError, SpecError, as all of these do."""
    driver = runtime[keys.NETWORK_DRIVER]

    def read(tx: Transaction, resource_id: str) -> NetworkSpec | None:
        return wanted.network(tx, runtime, resource_id)

    return _settle(runtime, marks.NETWORK, network_id, Way(read, driver.apply_network, driver.remove_network))


def settle_security_group(runtime: Runtime, group_id: str) -> SecurityGroupSpec | None:
    """Apply or remove a security group."""
    driver = runtime[keys.NETWORK_DRIVER]
    way = Way(wanted.security_group, driver.apply_security_group, driver.remove_security_group)
    return _settle(runtime, marks.SECURITY_GROUP, group_id, way)


def settle_address_group(runtime: Runtime, group_id: str) -> AddressGroupSpec | None:
    """Apply or remove an address group."""
    driver = runtime[keys.NETWORK_DRIVER]
    way = Way(wanted.address_group, driver.apply_address_group, driver.remove_address_group)
    return _settle(runtime, marks.ADDRESS_GROUP, group_id, way)


def settle_port(runtime: Runtime, port_id: str) -> PortSpec | None:
    """Wire a port where it is bound, or unwire it."""
    driver = runtime[keys.NETWORK_DRIVER]
    return _settle(runtime, marks.PORT, port_id, Way(wanted.port, driver.apply_port, driver.remove_port))


def settle_router(runtime: Runtime, router_id: str) -> RouterSpec | None:
    """Apply or remove a router."""
    driver = runtime[keys.NETWORK_DRIVER]
    return _settle(runtime, marks.ROUTER, router_id, Way(wanted.router, driver.apply_router, driver.remove_router))


def _settle(runtime: Runtime, kind: str, resource_id: str, way: Way[S]) -> S | None:
    with _lock(kind, resource_id):
        spec = runtime.database.read(f"{kind}.wanted", way.read, resource_id)
        if spec is None:
            way.remove(resource_id)
        else:
            way.apply(spec)
    return spec


def wire(runtime: Runtime, port_ids: Sequence[str]) -> None:
    """Apply the networks and groups of bound ports, then the ports, and say that they are up."""
    networks, groups = runtime.database.read("network.needed", _read_needed, port_ids)
    for network_id in networks:
        settle_network(runtime, network_id)
    for group_id in groups:
        settle_security_group(runtime, group_id)
    wired = [spec for port_id in port_ids if (spec := settle_port(runtime, port_id)) is not None]
    up = [spec.id for spec in wired if spec.admin_up]
    down = [spec.id for spec in wired if not spec.admin_up]
    if wired:
        runtime.database.write("network.wired", set_status, up, down)


def _read_needed(tx: Transaction, port_ids: Sequence[str]) -> tuple[list[str], list[str]]:
    rows: Sequence[Any] = tx.all(_NEEDED, {"ids": list(port_ids)}) if port_ids else []
    networks = dict.fromkeys(row.network_id for row in rows)
    groups = dict.fromkeys(group_id for row in rows for group_id in row.security_group_ids)
    return list(networks), list(groups | dict.fromkeys(sorted(marks.named(tx, groups))))


def set_status(tx: Transaction, up: Sequence[str], down: Sequence[str] = ()) -> None:
    """Say of bound ports that they are up, or administratively down."""
    for ids, status in ((up, "ACTIVE"), (down, "DOWN")):
        if ids:
            tx.execute(_STATUS, {"ids": list(ids), "wanted_status": status})
