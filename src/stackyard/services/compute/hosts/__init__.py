"""The hosts that servers run on: each process writes the rows of its own host, and beats; the others read them.

A host has three services, as Nova's clients look for them (all of them are this program), and a node: what it has.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.host.specs import HostCapacity
from stackyard.services import keys
from stackyard.services.compute.hosts import providers
from stackyard.services.compute.tables import compute_nodes, compute_services

HEARTBEAT_SECONDS = 10.0
ALIVE_SECONDS = 35.0
"""A host that has not beaten for so long is taken to be down."""

COMPUTE = "nova-compute"
BINARIES = ("nova-scheduler", "nova-conductor", COMPUTE)
"""The services of a host; COMPUTE is the one that can be disabled."""

log = logging.getLogger("stackyard.compute")

_s, _n = compute_services.c, compute_nodes.c
_ALL = (
    sa.select(
        compute_nodes,
        _s.id.label("service_id"),
        _s.uuid.label("service_uuid"),
        _s.disabled,
        _s.disabled_reason,
        _s.forced_down,
        _s.last_seen_at,
    )
    .join_from(compute_nodes, compute_services, sa.and_(_s.host == _n.host, _s.binary == COMPUTE))
    .order_by(_n.number)
)
_ONE = _ALL.where(_n.host == bindparam("key"))
_SERVICES = sa.select(_s.binary).where(_s.host == bindparam("key"))
_NODE = sa.select(compute_nodes).where(_n.host == bindparam("key"))
_LAST = sa.select(sa.func.max(_n.number))
_ADD_SERVICE = sa.insert(compute_services)
_ADD_NODE = sa.insert(compute_nodes)
_BEAT = (
    sa.update(compute_services)
    .where(_s.host == bindparam("key"))
    .values(last_seen_at=bindparam("at"), report_count=_s.report_count + 1)
)
_REPORT = (
    sa.update(compute_nodes)
    .where(_n.host == bindparam("key"))
    .values(
        capacity=bindparam("has"),
        address=bindparam("reached_at"),
        updated_at=bindparam("at"),
        peer_port=bindparam("peers_at"),
        peer_certificate=bindparam("peers_by"),
    )
)


def rows(tx: Transaction) -> Sequence[Any]:
    """Every host's node (id, host, number, address, capacity) with the state of its compute service.

    That is `service_id`, `service_uuid`, `disabled`, `disabled_reason`, `forced_down`, `last_seen_at`.
    """
    return tx.all(_ALL)


def find(tx: Transaction, host: str) -> Any:
    """A host's row, as `rows` has it; None when there is no such host."""
    return tx.first(_ONE, {"key": host})


def is_up(row: Any, now: datetime) -> bool:
    """Whether a host (or a service's row) has beaten lately, and no administrator says that it is down."""
    seen: datetime = row.last_seen_at
    return not row.forced_down and now - seen < timedelta(seconds=ALIVE_SECONDS)


def capacity(row: Any) -> HostCapacity:
    """What a host said of itself last."""
    return msgspec.convert(row.capacity, HostCapacity)


class Reach(msgspec.Struct, frozen=True):
    """Where other hosts reach this one when servers move, and the digest of the certificate that it shows there."""

    port: int | None = None
    certificate: str | None = None


NOWHERE = Reach()


def report(runtime: Runtime, reach: Reach = NOWHERE) -> None:
    """Say that this host is there, and what it has: at the start, and again every HEARTBEAT_SECONDS."""
    try:
        found = runtime[keys.CAPACITY]()
    except (HostError, OSError) as error:
        log.warning("this host's capacity cannot be read", extra={"error": str(error)})
        return
    runtime.database.write("compute.report", register, runtime, found, reach)


def register(tx: Transaction, runtime: Runtime, found: HostCapacity, reach: Reach = NOWHERE) -> None:
    """Write this host's rows; one that was deleted meanwhile is there again."""
    host = runtime[keys.HOST_NAME]
    has = msgspec.to_builtins(found)
    there = tx.execute(_BEAT, {"key": host, "at": tx.now}).rowcount
    if there < len(BINARIES):
        _add_services(tx, host)
    values = {"key": host, "has": has, "reached_at": address(runtime), "at": tx.now}
    values |= {"peers_at": reach.port, "peers_by": reach.certificate}
    if tx.execute(_REPORT, values).rowcount == 0:
        _add_node(tx, host, values)
    providers.provide(tx, runtime, find(tx, host), found)


def _add_services(tx: Transaction, host: str) -> None:
    known = {row.binary for row in tx.all(_SERVICES, {"key": host})}
    for binary in BINARIES:
        if binary not in known:
            moments = {"last_seen_at": tx.now, "created_at": tx.now, "updated_at": tx.now}
            state = {"disabled": False, "disabled_reason": None, "forced_down": False, "report_count": 1}
            identity = {"uuid": ids.new_uuid(), "host": host, "binary": binary}
            tx.insert_once(_ADD_SERVICE, identity | state | moments)


def _add_node(tx: Transaction, host: str, values: dict[str, Any]) -> None:
    row = {"id": ids.new_uuid(), "number": (tx.scalar(_LAST) or 0) + 1, "host": host, "address": values["reached_at"]}
    row |= {"peer_port": values["peers_at"], "peer_certificate": values["peers_by"]}
    tx.insert_once(_ADD_NODE, row | {"capacity": values["has"], "created_at": tx.now, "updated_at": tx.now})


def address(runtime: Runtime) -> str:
    """Where this host is reached: by other hosts, or else by clients."""
    for text in (runtime.settings.network.tunnel_address, runtime.settings.server.host):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not address.is_unspecified:
            return text
    return "127.0.0.1"
