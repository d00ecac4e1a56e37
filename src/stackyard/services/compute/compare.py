"""Whether this host's servers are exactly what the database says: what `stackyard doctor` wants to know.

Servers, their cards and disks, their ports' bindings, and what they hold in Placement. What is being worked on is left
out. Nothing is changed: the comparison that the cloud makes every minute repairs what can be repaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.specs import MachineObservation
from stackyard.services import keys
from stackyard.services.compute import hosts
from stackyard.services.compute.reconcile.boot import boot_id
from stackyard.services.compute.reconcile.plan import Wish, plan
from stackyard.services.compute.servers.states import VmState
from stackyard.services.compute.tables import migrations, servers
from stackyard.services.compute.volumes import rows as volumes
from stackyard.services.network import api as network_api
from stackyard.services.placement import api as placement

_s, _m = servers.c, migrations.c
_HERE = sa.select(servers).where(_s.host == bindparam("host"), _s.deleted_at.is_(None)).order_by(_s.sequence)
_MOVES = sa.select(_m.uuid, _m.server_id).where(
    _m.status.not_in(("done", "completed", "confirmed", "reverted", "error", "failed", "cancelled")),
    sa.or_(_m.source_compute == bindparam("host"), _m.dest_compute == bindparam("host")),
)
_BUSY = sa.select(reconcile.work.c.resource_id)
_NOWHERE = (VmState.BUILDING, VmState.ERROR, VmState.SHELVED_OFFLOADED)
_RUNNING = ("running", "paused")


class _Held(msgspec.Struct):
    """What the database says of this host. `claims` are what servers hold in Placement, by consumer and provider."""

    rows: Sequence[Any]
    volumes: dict[str, set[str]]
    ports: dict[str, tuple[str, str]]
    moves: dict[str, str]
    claims: dict[str, dict[str, dict[str, int]]]
    provider: str | None
    consumers: set[str]
    busy: set[str]


def expected(tx: Transaction) -> dict[str, set[str]]:
    """The ids of the virtual machines that this host should have."""
    rows = tx.all(_HERE, {"host": network_api.local_host(tx)})
    return {"machine": {row.id for row in rows if row.kind == "machine" and row.vm_state not in _NOWHERE}}


def differences(runtime: Runtime) -> list[str]:
    """Where this host and the database differ, a line each. Raises HostError."""
    host = runtime[keys.HOST_NAME]
    seen: dict[str, MachineObservation] = {}
    strays: set[str] = set()
    for driver in {id(one): one for one in runtime[keys.MACHINES].values()}.values():
        seen |= {found.id: found for found in driver.list()}
        strays |= set(driver.strays())
    held = runtime.database.read("compute.compare", _read, host)
    moving = set(held.moves.values())
    wanted = {row.id for row in held.rows}
    lines = [line for row in held.rows if row.id not in held.busy for line in _of_server(row, held, seen.get(row.id))]
    unknown = sorted(seen.keys() - wanted - moving - held.busy)
    lines += [f"server {one}: there, but not wanted" for one in unknown]
    lines += [f"server {one}: files of it are left over" for one in sorted(strays - wanted - moving - held.busy)]
    return lines + list(_of_placement(held, wanted))


def _read(tx: Transaction, host: str) -> _Held:
    rows = tx.all(_HERE, {"host": host})
    node = hosts.find(tx, host)
    provider = None if node is None else str(node.id)
    ports = network_api.ports_of_devices(tx, [row.id for row in rows])
    return _Held(
        rows=rows,
        volumes={row.id: {one.volume_id for one in volumes.of_server(tx, row.id)} for row in rows},
        ports={port.id: (port.device_id, port.binding_host) for port in ports},
        moves={row.uuid: row.server_id for row in tx.all(_MOVES, {"host": host})},
        claims={row.id: placement.allocations_of(tx, row.id) for row in rows},
        provider=provider,
        consumers=placement.consumers_of(tx, provider) if provider else set(),
        busy={str(row.resource_id) for row in tx.all(_BUSY)} | {row.id for row in rows if row.task is not None},
    )


def _of_server(row: Any, held: _Held, seen: MachineObservation | None) -> Iterator[str]:
    name = f"server {row.id}"
    if seen is None:
        if row.vm_state not in _NOWHERE:
            yield f"{name}: wanted, but not there"
        return
    same_boot = row.boot_id in (None, boot_id())
    wish = Wish(vm_state=row.vm_state, power=row.power, power_state=row.power_state, same_boot=same_boot)
    decision = plan(wish, seen.state)
    if decision.steps or decision.columns:
        yield f"{name}: it is {seen.state}, and written down as {row.vm_state}"
    if seen.state in _RUNNING:
        plugged, asked = set(seen.ports), {interface["port"] for interface in row.interfaces}
        yield from (f"{name}: port {one} is plugged in, but not wanted" for one in sorted(plugged - asked))
        yield from (f"{name}: port {one} is wanted, but not plugged in" for one in sorted(asked - plugged))
        surplus = sorted(set(seen.volumes) - held.volumes[row.id])
        yield from (f"{name}: volume {one} is plugged in, but not wanted" for one in surplus)
    yield from _of_ports(row, held)


def _of_ports(row: Any, held: _Held) -> Iterator[str]:
    for interface in row.interfaces:
        device, host = held.ports.get(interface["port"], ("", ""))
        if device != row.id:
            yield f"server {row.id}: port {interface['port']} is not its own"
        elif host != row.host and row.vm_state not in _NOWHERE:
            yield f"server {row.id}: port {interface['port']} is bound to {host or 'no host'}"


def _of_placement(held: _Held, wanted: set[str]) -> Iterator[str]:
    for row in held.rows:
        if row.id in held.busy:
            continue
        claimed = held.claims[row.id]
        if held.provider is not None and held.provider not in claimed:
            yield f"server {row.id}: it holds nothing of this host in Placement"
        others = sorted(claimed.keys() - {held.provider})
        yield from (f"server {row.id}: it holds resources of provider {one} in Placement" for one in others)
    known = wanted | held.moves.keys() | held.busy
    for one in sorted(held.consumers - known):
        yield f"consumer {one}: it holds resources of this host in Placement, and is no server of it"
