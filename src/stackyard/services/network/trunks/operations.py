"""What the API does with trunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.body import Body, convert
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, Listing, boolean
from stackyard.core.routes import Route
from stackyard.services.network import marks, resources, seen
from stackyard.services.network.checks import OWN, SEE_OWN, attributes, rules
from stackyard.services.network.faults import conflict, invalid, not_found
from stackyard.services.network.resources import Flag, Text, either, flag
from stackyard.services.network.segments.provider import LARGEST, VLAN
from stackyard.services.network.tables import networks, ports, trunk_subports, trunks
from stackyard.services.network.trunks import rows

NAMES = ("trunk", "trunks")
_INHERIT = "inherit"
_MOST_SUBPORTS = 4094

_INSERT = sa.insert(trunks)
_NETWORK_OF = (
    sa.select(ports, networks.c.mtu, networks.c.network_type, networks.c.segmentation_id)
    .join(networks, networks.c.id == ports.c.network_id)
    .where(ports.c.id == bindparam("id"))
)

LISTING = Listing(
    trunks,
    resources.standard_filters(trunks, "port_id")
    | {
        "admin_state_up": Filter(trunks.c.admin_state_up, boolean),
        "status": Filter(rows.STATUS),
        "sub_ports": Filter(
            where=lambda values: trunks.c.id.in_(
                sa.select(trunk_subports.c.trunk_id).where(trunk_subports.c.port_id.in_(values))
            )
        ),
    },
    sort_keys=("name", "project_id", "port_id", "admin_state_up", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
    select=rows.VIEWED,
)


class SubPort(Body, kw_only=True):
    """One subport of a body. Without a segmentation it is that of its network, as with `inherit`."""

    port_id: Text
    segmentation_type: Text | UnsetType | None = UNSET
    segmentation_id: int | str | UnsetType | None = UNSET


class TrunkFields(Body):
    """What a trunk may be changed to."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    admin_state_up: Flag | UnsetType = UNSET


class NewTrunk(TrunkFields, kw_only=True):
    """The body of a POST."""

    port_id: Text
    sub_ports: list[SubPort] | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET
    tags: list[Any] | UnsetType | None = UNSET


def load(tx: Transaction, call: Call) -> Any:
    """The trunk in the path; raises TrunkNotFound."""
    trunk_id = call.path["trunk_id"]
    return seen.owned(call.caller, tx.first(rows.ONE, {"id": trunk_id}), not_found("Trunk", trunk_id))


def _shown(sub: Any) -> dict[str, Any]:
    return {
        "port_id": sub.port_id,
        "segmentation_type": sub.segmentation_type,
        "segmentation_id": sub.segmentation_id,
    }


def view(row: Any, below: Sequence[Any]) -> dict[str, Any]:
    """A trunk with its subports; `status_reason` says why it is not whole."""
    reason = {"ERROR": row.parent_reason, "DEGRADED": row.subport_reason}.get(row.status)
    return resources.standard_view(row) | {
        "name": row.name,
        "port_id": row.port_id,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "status_reason": reason or "",
        "sub_ports": [_shown(sub) for sub in below],
    }


def _view(tx: Transaction, trunk_id: str) -> dict[str, Any]:
    return view(tx.first(rows.ONE, {"id": trunk_id}), rows.subports(tx, [trunk_id])[trunk_id])


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /trunks."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, trunks))
    below = rows.subports(tx, [row.id for row in page.rows])
    return resources.listed(call, "trunks", page, lambda row: view(row, below[row.id]))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /trunks/{trunk_id}."""
    row = call.target
    return {"trunk": resources.shown(call, view(row, rows.subports(tx, [row.id])[row.id]))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /trunks, one or many."""
    bodies, bulk = resources.read_bodies(call, NewTrunk, *NAMES)
    return resources.created(call, NAMES, [_create(tx, call, body) for body in bodies], bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewTrunk) -> dict[str, Any]:
    project_id = resources.owner(call, body)
    target = {"project_id": project_id, "tenant_id": project_id}
    if project_id != call.caller.project_id:
        call.require("create_trunk", target)
    resources.require_attributes(call, "create_trunk", target, [("tags", bool(either(body.tags, None)))])
    parent = _port(tx, call, body.port_id)
    _refuse_used(tx, parent)
    if parent.device_owner.startswith("network:"):
        raise _parent_in_use(parent.id)
    given = _read_subports(tx, call, parent, "", either(body.sub_ports, None) or [])
    resources.reserve(tx, call.runtime, project_id, "trunk")
    row = resources.new_row(tx, new_uuid(), project_id, body)
    row |= {
        "name": row["name"] or "",
        "tags": resources.read_tags(either(body.tags, None) or []),
        "port_id": parent.id,
        "admin_state_up": flag("admin_state_up", body.admin_state_up, default=True),
    }
    try:
        tx.execute(_INSERT, row)
        rows.add(tx, row["id"], parent.id, given)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    resources.store_tags(tx, [row])
    timeline.record(tx, rows.KIND, row["id"], "created", f"on port {parent.id}")
    return _view(tx, row["id"])


def _port(tx: Transaction, call: Call, port_id: str) -> Any:
    """A port of the caller's with its network's MTU and segment; raises PortNotFound."""
    row = tx.first(_NETWORK_OF, {"id": port_id})
    if row is None or not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("Port", port_id)
    return row


def _parent_in_use(port_id: str) -> Exception:
    return conflict(
        "ParentPortInUse", f"Port {port_id} is currently in use and is not eligible for use as a parent port."
    )


def _refuse_used(tx: Transaction, port: Any) -> None:
    """A port has one place on one trunk; raises TrunkPortInUse, ParentPortInUse."""
    if rows.trunk_of_subport(tx, port.id) is not None:
        raise conflict("TrunkPortInUse", f"Port {port.id} is in use by another trunk.")
    if rows.trunk_of_parent(tx, port.id) is not None:
        raise _parent_in_use(port.id)


def _read_subports(
    tx: Transaction, call: Call, parent: Any, trunk_id: str, given: Sequence[SubPort]
) -> list[dict[str, Any]]:
    """Subports out of a body as they are written; raises Neutron's faults."""
    if len(given) > _MOST_SUBPORTS:
        raise invalid(f"a trunk has at most {_MOST_SUBPORTS} subports.")
    known = rows.subports(tx, [trunk_id])[trunk_id] if trunk_id else []
    taken = {(row.segmentation_type, row.segmentation_id) for row in known}
    found: list[dict[str, Any]] = []
    for item in given:
        if any(item.port_id == other["port_id"] for other in found):
            raise invalid(f"Non unique UUID for subport: '{item.port_id}'")
        if item.port_id == parent.id:
            raise _parent_in_use(parent.id)
        port = _port(tx, call, item.port_id)
        kind, number = _segmentation(item, port)
        if any((kind, number) == (other["segmentation_type"], other["segmentation_id"]) for other in found):
            raise invalid(f"Segmentation ID '{number}' for '{item.port_id}' is not unique")
        _check_subport(tx, parent, trunk_id, port)
        if (kind, number) in taken:
            raise conflict(
                "DuplicateSubPort",
                f"segmentation_type {kind} and segmentation_id {number} already in use on trunk {trunk_id}.",
            )
        found.append({"port_id": port.id, "segmentation_type": kind, "segmentation_id": number})
    return found


def _check_subport(tx: Transaction, parent: Any, trunk_id: str, port: Any) -> None:
    if port.mtu > parent.mtu:
        raise conflict(
            "SubPortMtuGreaterThanTrunkPortMtu",
            f"MTU {port.mtu} of subport {port.id} cannot be greater than MTU {parent.mtu} of trunk "
            f"{trunk_id or parent.id}.",
        )
    _refuse_used(tx, port)
    if port.device_id or port.netns is not None:
        raise conflict(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
        )


def _segmentation(item: SubPort, port: Any) -> tuple[str, int]:
    kind, given = either(item.segmentation_type, None), either(item.segmentation_id, None)
    if kind is None and given is None:
        kind = _INHERIT
    if kind == _INHERIT:
        kind, given = port.network_type, port.segmentation_id
        if kind != VLAN:
            raise invalid(
                f"Unknown segmentation_type '{kind}': subport {port.id} cannot inherit that of its network, which is "
                f"no VLAN. Give segmentation_type {VLAN} and a segmentation_id."
            )
    if kind is None or given is None:
        raise invalid(
            f"Invalid subport details '{item.port_id}': missing segmentation information. Must specify both "
            "segmentation_id and segmentation_type"
        )
    if kind != VLAN:
        raise invalid(f"Unknown segmentation_type '{kind}'")
    number = resources.integer("segmentation_id", given)
    if not 1 <= number <= LARGEST[VLAN]:
        raise invalid(f"Segmentation ID '{number}' is not in range")
    return kind, number


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /trunks/{trunk_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    changes: dict[str, Any] = {name: value or "" for name, value in body.given() if name in ("name", "description")}
    if body.admin_state_up is not UNSET:
        changes["admin_state_up"] = flag("admin_state_up", body.admin_state_up, default=True)
    if changes:
        resources.touch(tx, trunks, row.id, **changes)
        timeline.record(tx, rows.KIND, row.id, "changed", ", ".join(sorted(changes)))
        if "admin_state_up" in changes:
            for sub in rows.subports(tx, [row.id])[row.id]:
                marks.port(tx, sub.port_id)
    return {"trunk": _view(tx, row.id)}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /trunks/{trunk_id}; its ports stay."""
    row = call.target
    resources.check_revision(call, row)
    _refuse_locked(row)
    rows.remove(tx, call.runtime, row)


def _refuse_locked(row: Any) -> None:
    if not row.admin_state_up:
        raise conflict("TrunkDisabled", f"Trunk {row.id} is currently disabled.")


def _listed(call: Call) -> list[SubPort]:
    """The subports that a body of add_subports or remove_subports lists."""
    given = call.body.get("sub_ports")
    if not isinstance(given, list):
        raise invalid(f"Invalid data format for subports: '{given}' is not a list")
    return [convert(item, SubPort, f"sub_ports[{index}]") for index, item in enumerate(given)]


def add_subports(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /trunks/{trunk_id}/add_subports."""
    row = call.target
    given = _listed(call)
    _refuse_locked(row)
    found = _read_subports(tx, call, tx.first(_NETWORK_OF, {"id": row.port_id}), row.id, given)
    try:
        rows.add(tx, row.id, row.port_id, found)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    return _changed(tx, row, "subports added", found)


def remove_subports(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /trunks/{trunk_id}/remove_subports."""
    row = call.target
    given = _listed(call)
    _refuse_locked(row)
    known = {sub.port_id for sub in rows.subports(tx, [row.id])[row.id]}
    for item in given:
        if item.port_id not in known:
            raise NotFound(f"SubPort {item.port_id} on trunk {row.id} could not be found.", kind="SubPortNotFound")
        known.discard(item.port_id)
    rows.drop(tx, [item.port_id for item in given])
    return _changed(tx, row, "subports removed", [{"port_id": item.port_id} for item in given])


def _changed(tx: Transaction, row: Any, event: str, given: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    resources.touch(tx, trunks, row.id)
    timeline.record(tx, rows.KIND, row.id, event, ", ".join(item["port_id"] for item in given))
    return _view(tx, row.id)


def get_subports(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /trunks/{trunk_id}/get_subports."""
    row = call.target
    return {"sub_ports": [_shown(sub) for sub in rows.subports(tx, [row.id])[row.id]]}


_TRUNK = "/v2.0/trunks/{trunk_id}"

ROUTES = (
    Route("GET", "/v2.0/trunks", list_, "get_network_api"),
    Route("POST", "/v2.0/trunks", create, "create_trunk", body=dict, status=201),
    Route("GET", _TRUNK, show, "get_trunk", target=load),
    Route("PUT", _TRUNK, update, "update_trunk", target=load, body=TrunkFields, envelope="trunk"),
    Route("DELETE", _TRUNK, delete, "delete_trunk", target=load, status=204),
    Route("PUT", f"{_TRUNK}/add_subports", add_subports, "add_subports", target=load, body=dict),
    Route("PUT", f"{_TRUNK}/remove_subports", remove_subports, "remove_subports", target=load, body=dict),
    Route("GET", f"{_TRUNK}/get_subports", get_subports, "get_subports", target=load),
)

POLICIES = (
    *rules(
        OWN, "create_trunk", "update_trunk", "delete_trunk", "add_subports", "remove_subports",
        about="Make, change and delete a trunk and its subports.",
    ),
    *rules(SEE_OWN, "get_trunk", "get_subports", about="See a trunk and its subports."),
    *attributes(OWN, "trunk", "create update delete", "tags"),
    *attributes(SEE_OWN, "trunk", "get", "tags"),
)  # fmt: skip
