"""Network segment ranges: from which numbers networks get theirs. The default ones are the settings'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.config_network import Network
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.core.routes import Route
from stackyard.services.network import hosts, resources
from stackyard.services.network.checks import ADMIN, attributes, rules
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.resources import Flag, Text, either, flag
from stackyard.services.network.segments import provider
from stackyard.services.network.tables import network_segment_ranges as ranges
from stackyard.services.network.tables import network_segments, networks

NAMES = ("network_segment_range", "network_segment_ranges")
_KIND = "network_segment_range"
_MOST_SHOWN = 2000
"""The API lists each free number; of a range with more of them, the first so many."""

_ONE = sa.select(ranges).where(ranges.c.id == bindparam("id"))
_DEFAULTS = sa.select(ranges).where(ranges.c.is_default)
_ALIKE = sa.select(ranges).where(
    sa.not_(ranges.c.is_default),
    ranges.c.network_type == bindparam("type"),
    sa.func.coalesce(ranges.c.physical_network, "") == bindparam("physical"),
)
_INSERT = sa.insert(ranges)
_DELETE = sa.delete(ranges).where(ranges.c.id == bindparam("id"))
_USED = (
    sa.select(network_segments.c.segmentation_id, networks.c.project_id)
    .join(networks, networks.c.id == network_segments.c.network_id)
    .where(
        network_segments.c.network_type == bindparam("type"),
        sa.func.coalesce(network_segments.c.physical_network, "") == bindparam("physical"),
        network_segments.c.segmentation_id.between(bindparam("first"), bindparam("last")),
    )
    .order_by(network_segments.c.segmentation_id)
)

LISTING = Listing(
    ranges,
    resources.standard_filters(ranges, "network_type", "physical_network", "minimum", "maximum", "shared")
    | {"default": resources.column_filter(ranges.c.is_default)},
    sort_keys=("name", "project_id", "network_type", "physical_network", "minimum", "maximum", "shared"),
    max_limit=resources.LARGEST_PAGE,
)


class RangeFields(Body):
    """What a range may be changed to."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    minimum: int | str | UnsetType = UNSET
    maximum: int | str | UnsetType = UNSET


class NewRange(RangeFields, kw_only=True):
    """The body of a POST."""

    network_type: Text
    physical_network: Text | UnsetType | None = UNSET
    shared: Flag | UnsetType = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def load(tx: Transaction, call: Call) -> Any:
    """The range in the path."""
    row = tx.first(_ONE, {"id": call.path["range_id"]})
    if row is None or not call.allows("get_network_segment_range"):
        raise not_found("NetworkSegmentRange", call.path["range_id"])
    return row


def _used(tx: Transaction, row: Any) -> Sequence[Any]:
    values = {"type": row.network_type, "physical": row.physical_network or ""}
    return tx.all(_USED, values | {"first": row.minimum, "last": row.maximum})


def view(tx: Transaction, row: Any) -> dict[str, Any]:
    """A range, with the numbers that are taken (number -> project) and those that are free."""
    used = {item.segmentation_id: item.project_id for item in _used(tx, row)}
    free: list[int] = []
    for number in range(row.minimum, row.maximum + 1):
        if len(free) == _MOST_SHOWN:
            break
        if number not in used:
            free.append(number)
    shown = resources.standard_view(row)
    if row.shared:
        shown["project_id"] = shown["tenant_id"] = None
    return shown | {
        "name": row.name,
        "default": row.is_default,
        "shared": row.shared,
        "network_type": row.network_type,
        "physical_network": row.physical_network,
        "minimum": row.minimum,
        "maximum": row.maximum,
        "used": {str(number): project for number, project in used.items()},
        "available": free,
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /network_segment_ranges."""
    if not call.allows("get_network_segment_range"):
        return {"network_segment_ranges": []}
    page = resources.page_of(tx, call.query, LISTING)
    return resources.listed(call, "network_segment_ranges", page, lambda row: view(tx, row))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /network_segment_ranges/{range_id}."""
    return {"network_segment_range": resources.shown(call, view(tx, call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /network_segment_ranges, one or many."""
    bodies, bulk = resources.read_bodies(call, NewRange, *NAMES)
    views = []
    for body in bodies:
        row = _new(tx, call, body)
        tx.execute(_INSERT, row)
        timeline.record(tx, _KIND, row["id"], "created")
        views.append(view(tx, tx.first(_ONE, {"id": row["id"]})))
    return resources.created(call, NAMES, views, bulk=bulk)


def _new(tx: Transaction, call: Call, body: NewRange) -> dict[str, Any]:
    kind, physical = body.network_type, either(body.physical_network, None) or None
    if kind not in provider.LARGEST:
        raise BadRequest(
            f"Network type {kind} does not support network segment ranges.",
            kind="NetworkSegmentRangeNetTypeNotSupported",
        )
    if kind == provider.VLAN:
        if physical is None:
            raise BadRequest(
                f"Network type {kind} requires 'physical_network' to be specified while creating new range"
            )
        provider.check(tx, call.runtime.settings.network, provider.Segment(kind, physical))
    elif physical is not None:
        raise BadRequest(f"physical_network prohibited for network segment ranges of type {kind}.")
    if body.minimum is UNSET or body.maximum is UNSET:
        raise BadRequest("A network segment range needs a minimum and a maximum.")
    limits = _limits(tx, kind, physical, body.minimum, body.maximum)
    shared = flag("shared", body.shared, default=True)
    row = resources.new_row(tx, new_uuid(), resources.owner(call, body), body)
    row["name"] = row["name"] or ""
    return (
        row
        | limits
        | {
            "is_default": False,
            "shared": shared,
            "network_type": kind,
            "physical_network": physical,
        }
    )


def _limits(
    tx: Transaction, kind: str, physical: str | None, minimum: int | str, maximum: int | str, own_id: str = ""
) -> dict[str, int]:
    first, last = resources.integer("minimum", minimum), resources.integer("maximum", maximum)
    if not 1 <= first <= last <= provider.LARGEST[kind]:
        raise BadRequest(
            f"Invalid network {kind} range: '{first}:{last}' - it must be within 1:{provider.LARGEST[kind]}.",
            kind="NetworkVlanRangeError" if kind == provider.VLAN else "NetworkTunnelRangeError",
        )
    overlapping = [
        row.id
        for row in tx.all(_ALIKE, {"type": kind, "physical": physical or ""})
        if row.id != own_id and first <= row.maximum and last >= row.minimum
    ]
    if overlapping:
        raise conflict(
            "NetworkSegmentRangeOverlaps",
            f"Network segment range overlaps with range(s) with id {', '.join(overlapping)}",
        )
    return {"minimum": first, "maximum": last}


def _refuse_default(row: Any) -> None:
    if row.is_default:
        raise BadRequest(
            f"Network Segment Range {row.id} is a default segment range which could not be updated or deleted.",
            kind="NetworkSegmentRangeDefaultReadOnly",
        )


def _refuse_used(row: Any) -> None:
    raise conflict(
        "NetworkSegmentRangeReferencedByProject",
        f"Network Segment Range {row.id} is referenced by one or more project networks.",
    )


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /network_segment_ranges/{range_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    _refuse_default(row)
    changes: dict[str, Any] = {name: value or "" for name, value in body.given() if name in ("name", "description")}
    if body.minimum is not UNSET or body.maximum is not UNSET:
        limits = _limits(
            tx, row.network_type, row.physical_network, either(body.minimum, row.minimum),
            either(body.maximum, row.maximum), row.id,
        )  # fmt: skip
        if any(not limits["minimum"] <= item.segmentation_id <= limits["maximum"] for item in _used(tx, row)):
            _refuse_used(row)
        changes |= limits
    if changes:
        resources.touch(tx, ranges, row.id, **changes)
        timeline.record(tx, _KIND, row.id, "changed", ", ".join(sorted(changes)))
    return {"network_segment_range": view(tx, tx.first(_ONE, {"id": row.id}))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /network_segment_ranges/{range_id}."""
    row = call.target
    resources.check_revision(call, row)
    _refuse_default(row)
    if _used(tx, row):
        _refuse_used(row)
    resources.forget_tags(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    timeline.record(tx, _KIND, row.id, "deleted")


def refresh_defaults(tx: Transaction, settings: Network) -> None:
    """Have the default ranges say what the settings say: of VXLAN, and of VLANs on each physical network."""
    first, last = (int(end) for end in settings.vni_range.split(":"))
    wanted: set[tuple[str, str | None, int, int]] = {(provider.VXLAN, None, first, last)}
    for item in settings.vlan_ranges:
        physical, low, high = item.split(":")
        if physical in hosts.physical_networks(settings):
            wanted.add((provider.VLAN, physical, int(low), int(high)))
    for row in tx.all(_DEFAULTS):
        known = (row.network_type, row.physical_network, row.minimum, row.maximum)
        if known in wanted:
            wanted.discard(known)
        else:
            tx.execute(_DELETE, {"id": row.id})
    for kind, name, low_end, high_end in sorted(wanted, key=str):
        tx.execute(_INSERT, _default(tx, kind, name, low_end, high_end))


def _default(tx: Transaction, kind: str, physical: str | None, first: int, last: int) -> dict[str, Any]:
    return {
        "id": new_uuid(),
        "project_id": "",
        "name": "",
        "description": "",
        "tags": [],
        "revision_number": 1,
        "created_at": tx.now,
        "updated_at": tx.now,
        "is_default": True,
        "shared": True,
        "network_type": kind,
        "physical_network": physical,
        "minimum": first,
        "maximum": last,
    }


_PATH = "/v2.0/network_segment_ranges/{range_id}"

ROUTES = (
    Route("GET", "/v2.0/network_segment_ranges", list_, "get_network_api"),
    Route("POST", "/v2.0/network_segment_ranges", create, "create_network_segment_range", body=dict, status=201),
    Route("GET", _PATH, show, "get_network_segment_range", target=load),
    Route("PUT", _PATH, update, "update_network_segment_range", target=load, body=RangeFields,
          envelope="network_segment_range"),
    Route("DELETE", _PATH, delete, "delete_network_segment_range", target=load, status=204),
)  # fmt: skip

POLICIES = (
    *rules(
        ADMIN, *(f"{verb}_network_segment_range" for verb in ("create", "get", "update", "delete")),
        about="Make, see, change and delete the ranges that networks get their numbers from.",
    ),
    *attributes(ADMIN, "network_segment_range", "create get update delete", "tags"),
)  # fmt: skip
