"""The services of volumes: each process writes the rows of its own host, with what its back ends have, and beats.

A host has a scheduler and a backup service, and a volume service for each back end, as Cinder's clients look for them
(all of them are this program).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys
from stackyard.services.volume.tables import volume_services

HEARTBEAT_SECONDS = 10.0
ALIVE_SECONDS = 35.0
"""A service that has not beaten for so long is taken to be down."""

VOLUME, SCHEDULER, BACKUP = "cinder-volume", "cinder-scheduler", "cinder-backup"

log = logging.getLogger("stackyard.volume")

_s = volume_services.c
_ALL = sa.select(volume_services).order_by(_s.id)
_OF_HOST = _ALL.where(_s.host == bindparam("on"))
_ONE = _OF_HOST.where(_s.backend == bindparam("kept_by"), _s.binary == bindparam("named"))
_BY_ID = _ALL.where(_s.id == bindparam("key"))
_ADD = sa.insert(volume_services)
_BEAT = (
    sa.update(volume_services)
    .where(_s.id == bindparam("key"))
    .values(updated_at=bindparam("at"), zone=bindparam("in_zone"), capacity=bindparam("has"))
)
_TOUCH = sa.update(volume_services).where(_s.id == bindparam("key")).values(binary=_s.binary)


def rows(tx: Transaction) -> Sequence[Any]:
    """Every service: id, uuid, host, backend, binary, zone, disabled, frozen, capacity, updated_at."""
    return tx.all(_ALL)


def find(tx: Transaction, host: str, backend: str, binary: str) -> Any:
    """One service's row; None when there is no such."""
    return tx.first(_ONE, {"on": host, "kept_by": backend, "named": binary})


def find_by_id(tx: Transaction, service_id: int) -> Any:
    """One service's row; None when there is no such."""
    return tx.first(_BY_ID, {"key": service_id})


def is_up(row: Any, now: datetime) -> bool:
    """Whether a service has beaten lately."""
    seen: datetime = row.updated_at
    return now - seen < timedelta(seconds=ALIVE_SECONDS)


def address(host: str | None, backend: str | None) -> str | None:
    """Where a volume is kept, as the API shows it: `host@backend#pool`; None while it is nowhere."""
    return f"{host}@{backend}#{backend}" if host and backend else host


def split(text: str) -> tuple[str, str]:
    """Host and back end of `host`, `host@backend` or `host@backend#pool`; the back end may be empty."""
    host, _, rest = text.partition("@")
    return host, rest.partition("#")[0]


def shown(row: Any) -> str:
    """A service's host as the API shows it: a volume service has its back end's name in it."""
    return f"{row.host}@{row.backend}" if row.backend else str(row.host)


def touch(tx: Transaction, service_id: int) -> None:
    """Write a service's row as it is: of two transactions that both do, the later one sees what the first did."""
    tx.execute(_TOUCH, {"key": service_id})


def report(runtime: Runtime) -> None:
    """Say that this host is there, and what its back ends have: at the start, and every HEARTBEAT_SECONDS.

    A back end that cannot say what it has does not beat, and so is down after ALIVE_SECONDS.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {(SCHEDULER, ""): {}, (BACKUP, ""): {}}
    for name, driver in runtime[keys.VOLUMES].items():
        try:
            capacity = driver.capacity()
        except (HostError, OSError) as error:
            log.warning("a back end's capacity cannot be read", extra={"backend": name, "reason": str(error)})
            continue
        found[(VOLUME, name)] = msgspec.to_builtins(capacity) | {"abilities": sorted(driver.abilities)}
    runtime.database.write("volume.report", register, runtime, found)


def register(tx: Transaction, runtime: Runtime, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    """Write this host's rows; `found`: (binary, back end) -> what it has. One that was deleted is there again."""
    host, zone = runtime[keys.HOST_NAME], runtime.settings.volume.availability_zone
    there = {(row.binary, row.backend): row for row in tx.all(_OF_HOST, {"on": host})}
    for (binary, backend), capacity in found.items():
        row = there.get((binary, backend))
        if row is not None:
            tx.execute(_BEAT, {"key": row.id, "at": tx.now, "in_zone": zone, "has": dict(capacity)})
            continue
        state = {"disabled": False, "disabled_reason": None, "frozen": False, "replication_status": None}
        identity = {"uuid": ids.new_uuid(), "host": host, "backend": backend, "binary": binary, "zone": zone}
        moments = {"created_at": tx.now, "updated_at": tx.now}
        tx.insert_once(_ADD, identity | state | moments | {"capacity": dict(capacity)})
