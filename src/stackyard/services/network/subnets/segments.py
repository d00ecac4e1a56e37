"""Which segment of its network a subnet is on: all subnets of a network are on one each, or none is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.network.faults import not_found
from stackyard.services.network.tables import network_segments, subnets

ROUTED = "network:routed"
"""Subnets of this service type, which routers between hosts announce, are on no segment."""

_SEGMENT = sa.select(network_segments.c.network_id).where(network_segments.c.id == bindparam("id"))
_SEGMENTS = (
    sa.select(sa.func.count())
    .select_from(network_segments)
    .where(network_segments.c.network_id == bindparam("network"))
)
_OTHERS = sa.select(subnets.c.segment_id, subnets.c.service_types).where(
    subnets.c.network_id == bindparam("network"), subnets.c.id != bindparam("subnet")
)


def _others(tx: Transaction, network_id: str, subnet_id: str) -> list[str | None]:
    rows = tx.all(_OTHERS, {"network": network_id, "subnet": subnet_id})
    return [row.segment_id for row in rows if ROUTED not in row.service_types]


def _not_all(network_id: str) -> BadRequest:
    return BadRequest(
        f"All of the subnets on network '{network_id}' must either all be associated with segments or all not "
        "associated with any segment.",
        kind="SubnetsNotAllAssociatedWithSegments",
    )


def _check_segment(tx: Transaction, network_id: str, segment_id: str) -> None:
    found = tx.scalar(_SEGMENT, {"id": segment_id})
    if found is None:
        raise not_found("Segment", segment_id)
    if found != network_id:
        raise BadRequest(
            f"The subnet's network id, '{network_id}', doesn't match the network_id of segment '{segment_id}'",
            kind="NetworkIdsDontMatch",
        )


def check_new(tx: Transaction, network_id: str, segment_id: str | None, service_types: list[str]) -> None:
    """Whether a new subnet of a network may be on this segment, or on none; raises Neutron's faults."""
    others = _others(tx, network_id, "")
    if ROUTED not in service_types and any((other is None) != (segment_id is None) for other in others):
        raise _not_all(network_id)
    if segment_id is not None:
        _check_segment(tx, network_id, segment_id)


def check_moved(tx: Transaction, row: Any, segment_id: str | None) -> None:
    """Whether a subnet may come to this segment: only the only one of a network with one segment, from none."""
    if segment_id == row.segment_id:
        return
    if _others(tx, row.network_id, row.id):
        raise _not_all(row.network_id)
    if row.segment_id is not None:
        raise BadRequest(
            "A subnet that is already associated with a segment cannot have its segment association changed.",
            kind="SubnetSegmentAssociationChangeNotAllowed",
        )
    if tx.scalar(_SEGMENTS, {"network": row.network_id}) > 1:
        raise BadRequest(
            f"The network '{row.network_id}' has multiple segments, it is only possible to associate an existing "
            "subnet with a segment on networks with a single segment.",
            kind="NoUpdateSubnetWhenMultipleSegmentsOnNetwork",
        )
    if segment_id is not None:
        _check_segment(tx, row.network_id, segment_id)
