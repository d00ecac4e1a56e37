"""Which segment a network gets: what was asked for, checked, or one of the tenants' kind with a number nobody has."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core.config_network import Network
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import ServiceUnavailable
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import hosts
from stackyard.services.network.allocation import first_gap
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.tables import network_segment_ranges as ranges
from stackyard.services.network.tables import network_segments as segments

LOCAL, FLAT, VLAN, VXLAN = "local", "flat", "vlan", "vxlan"
TYPES = (LOCAL, FLAT, VLAN, VXLAN)
NOT_SERVED = ("gre", "geneve")
LARGEST = {VLAN: 4094, VXLAN: 2**24 - 1}
"""The highest number of each kind that has numbers."""

_DRAWS = 8

_PLACE = sa.select(segments.c.network_id).where(segments.c.place == bindparam("place"))
_TAKEN = sa.select(segments.c.place).where(segments.c.place.in_(bindparam("places", expanding=True)))
_USED = (
    sa.select(segments.c.segmentation_id)
    .where(
        segments.c.network_type == bindparam("type"),
        sa.func.coalesce(segments.c.physical_network, "") == bindparam("physical"),
        segments.c.segmentation_id.between(bindparam("first"), bindparam("last")),
    )
    .order_by(segments.c.segmentation_id)
)
_RANGES = (
    sa.select(ranges)
    .where(
        ranges.c.network_type == bindparam("type"), sa.or_(ranges.c.shared, ranges.c.project_id == bindparam("project"))
    )
    .order_by(ranges.c.shared, ranges.c.is_default, ranges.c.minimum, ranges.c.id)
)
_INSERT = sa.insert(segments)
_DROP = sa.delete(segments).where(segments.c.network_id == bindparam("id"))


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that is asked for (numbers may be None) or that a network is given."""

    network_type: str | None = None
    physical_network: str | None = None
    segmentation_id: int | None = None

    @property
    def place(self) -> str | None:
        """What no two segments may have."""
        if self.network_type == FLAT:
            return f"{FLAT}:{self.physical_network}"
        if self.network_type == VLAN:
            return f"{VLAN}:{self.physical_network}:{self.segmentation_id}"
        return f"{VXLAN}:{self.segmentation_id}" if self.network_type == VXLAN else None


def physical_networks(tx: Transaction, settings: Network) -> frozenset[str]:
    """The names of the physical networks that any host is on."""
    known = {name for host in hosts.rows(tx) for name in host.physical_networks}
    return frozenset(known | set(hosts.physical_networks(settings)))


def check(tx: Transaction, settings: Network, wish: Segment) -> None:
    """Raise InvalidInput for a segment that cannot be, in Neutron's words."""
    kind = wish.network_type
    if kind is None:
        raise invalid("network_type required.")
    if kind in NOT_SERVED:
        raise invalid(f"network_type value '{kind}' is not served by this cloud; use {VXLAN}.")
    if kind not in TYPES:
        raise invalid(f"network_type value '{kind}' not supported; there are {', '.join(TYPES)}.")
    if kind in (LOCAL, VXLAN) and wish.physical_network is not None:
        raise invalid(f"physical_network prohibited for {kind} provider network.")
    if kind in (LOCAL, FLAT) and wish.segmentation_id is not None:
        raise invalid(f"segmentation_id prohibited for {kind} provider network.")
    if kind == FLAT and not wish.physical_network:
        raise invalid("physical_network required for flat provider network.")
    if kind == VLAN and wish.segmentation_id is not None and not wish.physical_network:
        raise invalid("segmentation_id requires physical_network for VLAN provider network.")
    if wish.physical_network and wish.physical_network not in physical_networks(tx, settings):
        raise invalid(f"physical_network '{wish.physical_network}' unknown for {kind} provider network.")
    if wish.segmentation_id is not None and not 1 <= wish.segmentation_id <= LARGEST[kind]:
        raise invalid(f"segmentation_id out of range (1 through {LARGEST[kind]}).")


def reserve(tx: Transaction, runtime: Runtime, project_id: str, wish: Segment | None) -> Segment:
    """The segment for a new network: the one that is wished for, or of the tenants' kind when there is no wish.

    Raises InvalidInput, VlanIdInUse, FlatNetworkInUse, TunnelIdInUse, NoNetworkAvailable.
    """
    settings = runtime.settings.network
    if wish is None:
        wish = Segment(settings.tenant_network_type)
    else:
        check(tx, settings, wish)
    if wish.network_type in LARGEST and wish.segmentation_id is None:
        return _draw(tx, wish, project_id)
    refuse_taken(tx, wish)
    return wish


def refuse_taken(tx: Transaction, segment: Segment) -> None:
    """Raise the conflict that Neutron raises when a network is on this segment."""
    if segment.place is None or tx.scalar(_PLACE, {"place": segment.place}) is None:
        return
    start = "Unable to create the network."
    if segment.network_type == FLAT:
        raise conflict("FlatNetworkInUse", f"{start} Physical network {segment.physical_network} is in use.")
    if segment.network_type == VLAN:
        raise conflict(
            "VlanIdInUse",
            f"{start} The VLAN {segment.segmentation_id} on physical network {segment.physical_network} is in use.",
        )
    raise conflict("TunnelIdInUse", f"{start} The tunnel ID {segment.segmentation_id} is in use.")


def _draw(tx: Transaction, wish: Segment, project_id: str) -> Segment:
    """A number that nobody has, from the project's own ranges, then from those of all."""
    kind = str(wish.network_type)
    for item in tx.all(_RANGES, {"type": kind, "project": project_id}):
        physical = item.physical_network
        if wish.physical_network not in (None, physical):
            continue
        first, last = int(item.minimum), int(item.maximum)
        width = last - first + 1
        drawn = [Segment(kind, physical, first + secrets.randbelow(width)) for _ in range(_DRAWS)]
        taken = set(tx.connection.execute(_TAKEN, {"places": [segment.place for segment in drawn]}).scalars())
        for segment in drawn:
            if segment.place not in taken:
                return segment
        values = {"type": kind, "physical": physical or "", "first": first, "last": last}
        gap = first_gap(list(tx.connection.execute(_USED, values).scalars()), first, last)
        if gap is not None:
            return Segment(kind, physical, gap)
    raise ServiceUnavailable(
        f"Unable to create the network. No {kind} network is available for allocation: every number of the ranges that "
        f"the project may use is taken, or there is no range.",
        kind="NoNetworkAvailable",
    )


def store(
    tx: Transaction, network_id: str, given: Sequence[Segment], *, first_index: int = 0, **texts: str
) -> list[dict[str, Any]]:
    """Write segments of a network; `texts` are their name and description."""
    rows: list[dict[str, Any]] = [
        {
            "id": new_uuid(),
            "name": texts.get("name", ""),
            "description": texts.get("description", ""),
            "tags": [],
            "revision_number": 1,
            "created_at": tx.now,
            "updated_at": tx.now,
            "network_id": network_id,
            "network_type": segment.network_type,
            "physical_network": segment.physical_network,
            "segmentation_id": segment.segmentation_id,
            "segment_index": first_index + index,
            "place": segment.place,
        }
        for index, segment in enumerate(given)
    ]
    try:
        tx.execute(_INSERT, rows)
    except IntegrityError as error:
        # Someone took the number in the meantime: choose anew.
        raise TryAgain(str(error.orig)) from error
    return rows


def forget(tx: Transaction, network_id: str) -> None:
    """Drop the segments of a network that is being deleted."""
    tx.execute(_DROP, {"id": network_id})


def refuse_duplicates(given: Iterable[Segment]) -> None:
    """Raise SegmentsContainDuplicateEntry when two of the segments that a body lists are the same."""
    found: set[Segment] = set()
    for segment in given:
        if segment.segmentation_id is not None and segment in found:
            raise invalid("Duplicate segment entry in request.", kind="SegmentsContainDuplicateEntry")
        found.add(segment)
