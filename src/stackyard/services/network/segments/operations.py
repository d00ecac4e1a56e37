"""What the API does with the segments of networks."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.paging import Listing
from stackyard.core.routes import Route
from stackyard.services.network import marks, resources, seen
from stackyard.services.network.checks import ADMIN, rules
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.resources import Text, either
from stackyard.services.network.segments import provider
from stackyard.services.network.tables import network_segments as segments
from stackyard.services.network.tables import networks, subnets

NAMES = ("segment", "segments")
_KIND = "segment"

_ONE = sa.select(segments).where(segments.c.id == bindparam("id"))
_DELETE = sa.delete(segments).where(segments.c.id == bindparam("id"))
_OF_NETWORK = (
    sa.select(segments).where(segments.c.network_id == bindparam("network")).order_by(segments.c.segment_index)
)
_SUBNETS = sa.select(subnets.c.id).where(subnets.c.segment_id == bindparam("id"))

LISTING = Listing(
    segments,
    {
        name: resources.column_filter(segments.c[name])
        for name in ("id", "network_id", "network_type", "physical_network", "segmentation_id", "name", "description",
                     "revision_number")
    },
    sort_keys=("name", "network_id", "network_type", "physical_network", "segmentation_id"),
    max_limit=resources.LARGEST_PAGE,
)  # fmt: skip


class SegmentFields(Body):
    """What a segment may be changed to."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class NewSegment(SegmentFields, kw_only=True):
    """The body of a POST."""

    network_id: Text
    network_type: Text
    physical_network: Text | UnsetType | None = UNSET
    segmentation_id: int | str | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET


def load(tx: Transaction, call: Call) -> Any:
    """The segment in the path."""
    row = tx.first(_ONE, {"id": call.path["segment_id"]})
    if row is None or not call.allows("get_segment"):
        raise not_found("Segment", call.path["segment_id"])
    return row


def view(row: Any) -> dict[str, Any]:
    """A segment."""
    return {
        "id": row.id,
        "network_id": row.network_id,
        "network_type": row.network_type,
        "physical_network": row.physical_network,
        "segmentation_id": row.segmentation_id,
        "name": row.name or None,
        "description": row.description or None,
        "tags": row.tags,
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
        "revision_number": row.revision_number,
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /segments."""
    if not call.allows("get_segment"):
        return {"segments": []}
    return resources.listed(call, "segments", resources.page_of(tx, call.query, LISTING), view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /segments/{segment_id}."""
    del tx
    return {"segment": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /segments, one or many."""
    bodies, bulk = resources.read_bodies(call, NewSegment, *NAMES)
    return resources.created(call, NAMES, [view(_create(tx, call, body)) for body in bodies], bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewSegment) -> Any:
    network = seen.any_network(tx, body.network_id)
    number = either(body.segmentation_id, None)
    wish = provider.Segment(
        body.network_type,
        either(body.physical_network, None) or None,
        None if number is None else resources.integer("segmentation_id", number),
    )
    segment = provider.reserve(tx, call.runtime, network.project_id, wish)
    known = tx.all(_OF_NETWORK, {"network": network.id})
    index = known[-1].segment_index + 1 if known else 0
    texts = {name: value or "" for name, value in body.given() if name in ("name", "description")}
    (row,) = provider.store(tx, network.id, [segment], first_index=index, **texts)
    timeline.record(tx, _KIND, row["id"], "created", f"on network {network.id}")
    if index == 0:
        _show_first(tx, network.id)
    return tx.first(_ONE, {"id": row["id"]})


def _show_first(tx: Transaction, network_id: str) -> None:
    """The network's row has its first segment: that is what hosts make."""
    known = tx.all(_OF_NETWORK, {"network": network_id})
    first = known[0] if known else provider.Segment(provider.LOCAL)
    resources.touch(
        tx, networks, network_id, network_type=first.network_type, physical_network=first.physical_network,
        segmentation_id=first.segmentation_id,
    )  # fmt: skip
    marks.network(tx, network_id)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /segments/{segment_id}."""
    row = call.target
    resources.check_revision(call, row)
    changes = {name: value or "" for name, value in call.body.given()}
    if changes:
        resources.touch(tx, segments, row.id, **changes)
        timeline.record(tx, _KIND, row.id, "changed", ", ".join(sorted(changes)))
    return {"segment": view(tx.first(_ONE, {"id": row.id}))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /segments/{segment_id}; raises SegmentInUse while a subnet is on it."""
    row = call.target
    resources.check_revision(call, row)
    using = [subnet.id for subnet in tx.all(_SUBNETS, {"id": row.id})]
    if using:
        raise conflict(
            "SegmentInUse",
            f"Segment '{row.id}' cannot be deleted: The segment is still associated with subnet(s) {', '.join(using)}.",
        )
    tx.execute(_DELETE, {"id": row.id})
    timeline.record(tx, _KIND, row.id, "deleted")
    if tx.first(_OF_NETWORK, {"network": row.network_id}) is None or row.segment_index == 0:
        _show_first(tx, row.network_id)


_PATH = "/v2.0/segments/{segment_id}"

ROUTES = (
    Route("GET", "/v2.0/segments", list_, "get_network_api"),
    Route("POST", "/v2.0/segments", create, "create_segment", body=dict, status=201),
    Route("GET", _PATH, show, "get_segment", target=load),
    Route("PUT", _PATH, update, "update_segment", target=load, body=SegmentFields, envelope="segment"),
    Route("DELETE", _PATH, delete, "delete_segment", target=load, status=204),
)

POLICIES = (
    *rules(
        ADMIN, *(f"{verb}_segment" for verb in ("create", "get", "update", "delete")),
        about="Make, see, change and delete the segments of networks.",
    ),
    *rules(
        ADMIN, *(f"{verb}_segments_tags" for verb in ("create", "get", "update", "delete")),
        about="The tags of segments.",
    ),
)  # fmt: skip
