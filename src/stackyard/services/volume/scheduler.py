"""Choosing the back end that a volume is kept in: filters, then the one with the most room left to promise.

`choose` is pure; `place` reads what there is, and asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.matching import matches
from stackyard.core.runtime import Runtime
from stackyard.services.volume import hosts
from stackyard.services.volume.tables import volume_services, volumes

GIB = 1 << 30
VENDOR = "Stackyard"


class Place(NamedTuple):
    """Where a volume is kept."""

    host: str
    backend: str


class NoValidBackend(Exception):
    """No back end may keep it; the text says for each filter how many were left."""


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """What the scheduler knows of a back end; sizes in GiB. `volumes` are the ids of those that it keeps."""

    host: str
    name: str
    zone: str
    up: bool = True
    disabled: bool = False
    total: float
    free: float
    provisioned: int = 0
    thin: bool = True
    over_subscription: float = 1.0
    reserved_percentage: int = 0
    capabilities: Mapping[str, str] = {}
    service_id: int = 0

    @property
    def place(self) -> Place:
        """Its address."""
        return Place(self.host, self.name)

    @property
    def room(self) -> float:
        """GiB that may be promised yet."""
        reserved = self.total * self.reserved_percentage / 100
        available = self.free - reserved
        if not self.thin:
            return available
        return min(
            available * self.over_subscription, (self.total - reserved) * self.over_subscription - self.provisioned
        )


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be kept: `size` GiB, in a zone (empty: in any), by a back end that has what `extra_specs` require.

    `same` and `other` are places that it must share, or must not; `only` the one that it must be in.
    """

    size: int
    zone: str = ""
    extra_specs: Mapping[str, str] = {}
    same: frozenset[Place] = frozenset()
    other: frozenset[Place] = frozenset()
    only: Place | None = None


def capable(backend: Backend, extra_specs: Mapping[str, str]) -> bool:
    """Whether a back end has what a type's extra specs require."""
    for key, requirement in extra_specs.items():
        scope, _, name = key.rpartition(":")
        if scope not in ("", "capabilities"):
            continue
        value = backend.capabilities.get(name)
        if value is None or not matches(value, requirement):
            return False
    return True


def _zones(request: Request) -> list[str]:
    text = request.extra_specs.get("RESKEY:availability_zones", "")
    return [zone.strip() for zone in text.split(",") if zone.strip()]


Filter = tuple[str, Callable[[Backend, Request], bool]]

FILTERS: tuple[Filter, ...] = (
    ("service is up and enabled", lambda backend, _: backend.up and not backend.disabled),
    ("where it must be", lambda backend, request: request.only is None or backend.place == request.only),
    (
        "availability zone",
        lambda backend, request: (
            (not request.zone or backend.zone == request.zone)
            and (not _zones(request) or backend.zone in _zones(request))
        ),
    ),
    ("capabilities", lambda backend, request: capable(backend, request.extra_specs)),
    ("hint same_host", lambda backend, request: not request.same or backend.place in request.same),
    ("hint different_host", lambda backend, request: backend.place not in request.other),
    ("capacity", lambda backend, request: backend.room >= request.size),
)


def choose(backends: Sequence[Backend], request: Request) -> Backend:
    """The back end to keep it: with most room, the first by name among equals; raises NoValidBackend."""
    left, told = list(backends), []
    for name, passes in FILTERS:
        left = [backend for backend in left if passes(backend, request)]
        told.append(f"{name}: {len(left)}")
        if not left:
            raise NoValidBackend(
                f"No valid backend was found. Of {len(backends)} back ends there are left after each filter: "
                f"{', '.join(told)}. Asked for: {request.size} GiB"
                + (f" in the availability zone {request.zone}" if request.zone else "")
                + "."
            )
    return min(left, key=lambda backend: (-backend.room, backend.place))


_s = volume_services.c
_BACKENDS = sa.select(volume_services).where(_s.binary == hosts.VOLUME).order_by(_s.id)
_PROVISIONED = (
    sa.select(volumes.c.host, volumes.c.backend, sa.func.sum(volumes.c.size).label("size"))
    .where(volumes.c.host.is_not(None))
    .group_by(volumes.c.host, volumes.c.backend)
)
_PLACES = sa.select(volumes.c.host, volumes.c.backend).where(
    volumes.c.id.in_(bindparam("ids", expanding=True)), volumes.c.host.is_not(None)
)


def capabilities(row: Any, runtime: Runtime) -> dict[str, Any]:
    """What a back end promises, in the words that extra specs and clients use; `row` is its service's."""
    has, settings = row.capacity, runtime.settings.volume
    abilities = has.get("abilities", [])
    return {
        "volume_backend_name": row.backend,
        "vendor_name": VENDOR,
        "storage_protocol": has.get("protocol", "file"),
        "thin_provisioning_support": bool(has.get("thin", True)),
        "thick_provisioning_support": not has.get("thin", True),
        "multiattach": True,
        "QoS_support": False,
        "online_extend_support": True,
        "replication_enabled": False,
        "group_replication_enabled": False,
        "consistent_group_replication_enabled": False,
        "consistent_group_snapshot_enabled": True,
        "revert_support": "revert" in abilities,
        "live_snapshot_support": "live_snapshot" in abilities,
        "shared": settings.shared or "shared" in abilities,
        "max_over_subscription_ratio": settings.over_subscription,
        "reserved_percentage": settings.reserved_percentage,
    }


def backends(tx: Transaction, runtime: Runtime) -> list[Backend]:
    """Every back end of the cloud, as it is now."""
    settings = runtime.settings.volume
    provisioned = {(row.host, row.backend): int(row.size) for row in tx.all(_PROVISIONED)}
    return [
        Backend(
            host=row.host,
            name=row.backend,
            zone=row.zone,
            up=hosts.is_up(row, tx.now),
            disabled=row.disabled,
            total=row.capacity.get("total", 0) / GIB,
            free=row.capacity.get("free", 0) / GIB,
            provisioned=provisioned.get((row.host, row.backend), 0),
            thin=row.capacity.get("thin", True),
            over_subscription=settings.over_subscription,
            reserved_percentage=settings.reserved_percentage,
            capabilities={name: str(value) for name, value in capabilities(row, runtime).items()},
            service_id=row.id,
        )
        for row in tx.all(_BACKENDS)
    ]


def place(
    tx: Transaction,
    runtime: Runtime,
    size: int,
    zone: str | None,
    type_row: Any,
    hints: Mapping[str, Any] | None = None,
    *,
    only: Place | None = None,
    exclude: Place | None = None,
) -> Place:
    """The back end for a volume of `size` GiB, of the type of that row (or None); raises NoValidBackend.

    `hints` are Cinder's same_host and different_host: a volume's id, or several. `only` is where it must be (what it is
    made from is there), `exclude` where it must not. The volume's row, with this place in it, is to be written in the
    same transaction: so no two can be promised the same room.
    """
    found = hints or {}
    request = Request(
        size=size,
        zone=zone or "",
        extra_specs=dict(type_row.extra_specs) if type_row is not None else {},
        same=_places(tx, found.get("same_host")),
        other=_places(tx, found.get("different_host")) | ({exclude} if exclude else frozenset()),
        only=only,
    )
    chosen = choose(backends(tx, runtime), request)
    hosts.touch(tx, chosen.service_id)
    return chosen.place


def _places(tx: Transaction, given: Any) -> frozenset[Place]:
    ids = [given] if isinstance(given, str) else list(given or [])
    return frozenset(Place(row.host, row.backend) for row in tx.all(_PLACES, {"ids": ids})) if ids else frozenset()
