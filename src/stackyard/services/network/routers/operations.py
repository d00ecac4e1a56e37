"""What the API does with routers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden
from stackyard.core.paging import Listing
from stackyard.services.network import marks, resources, seen
from stackyard.services.network.faults import not_found
from stackyard.services.network.resources import either, flag
from stackyard.services.network.routers import rows
from stackyard.services.network.routers.bodies import GatewayInfo, NewRouter, RouterFields, read_routes, refuse_unserved
from stackyard.services.network.tables import routers

NAMES = ("router", "routers")

LISTING = Listing(
    routers,
    resources.standard_filters(routers, "admin_state_up", "status", "enable_snat"),
    sort_keys=("name", "project_id", "admin_state_up", "status", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
)


def load(tx: Transaction, call: Call) -> Any:
    """The router in the path; raises RouterNotFound."""
    row = rows.read(tx, call.path["router_id"])
    if not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("Router", row.id)
    return row


def view(row: Any, *, kinds: bool) -> dict[str, Any]:
    """A router as the API shows it; with `kinds`, also which kind it is."""
    shown = resources.standard_view(row)
    gateway = None
    if row.gateway_port_id:
        gateway = {
            "network_id": row.gateway_network_id,
            "enable_snat": row.enable_snat,
            "external_fixed_ips": row.gateway_ips,
        }
    shown.update({
        "name": row.name,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "external_gateway_info": gateway,
        "routes": row.routes,
        "availability_zone_hints": [],
        "availability_zones": [],
    })  # fmt: skip
    if kinds:
        shown["distributed"] = False
        shown["ha"] = False
    return shown


def _sees_kinds(call: Call) -> bool:
    return call.allows("get_router:ha", {})


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /routers."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, routers))
    kinds = _sees_kinds(call)
    return resources.listed(call, "routers", page, lambda row: view(row, kinds=kinds))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /routers/{router_id}."""
    del tx
    return {"router": resources.shown(call, view(call.target, kinds=_sees_kinds(call)))}


def _require_attributes(call: Call, rule: str, target: Mapping[str, Any], body: RouterFields) -> None:
    info = body.external_gateway_info
    given = info if isinstance(info, GatewayInfo) else GatewayInfo()
    resources.require_attributes(call, rule, target, [
        ("distributed", body.distributed not in (UNSET, None)),
        ("ha", body.ha not in (UNSET, None)),
        ("external_gateway_info", info is not UNSET),
        ("external_gateway_info:network_id", given.network_id is not None),
        ("external_gateway_info:enable_snat", given.enable_snat is not UNSET),
        ("external_gateway_info:external_fixed_ips", bool(either(given.external_fixed_ips, None))),
    ])  # fmt: skip


def _gateway_network(tx: Transaction, call: Call, body: RouterFields) -> Any:
    info = body.external_gateway_info
    if not isinstance(info, GatewayInfo) or info.network_id is None:
        return None
    return seen.network(tx, call.caller, info.network_id)


def create(tx: Transaction, call: Call) -> Reply:
    """POST /routers, one or many."""
    bodies, bulk = resources.read_bodies(call, NewRouter, *NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        target = {"project_id": project_id}
        call.require("create_router", target)
        _require_attributes(call, "create_router", target, body)
        refuse_unserved(body)
        router_id = rows.insert(tx, call.runtime, project_id, body, _gateway_network(tx, call, body))
        row = rows.read(tx, router_id)
        if body.routes not in (UNSET, None, []):
            resources.touch(tx, routers, router_id, routes=read_routes(body.routes or [], *rows.connected(tx, row)))
        views.append(view(rows.read(tx, router_id), kinds=_sees_kinds(call)))
    return resources.created(call, NAMES, views, bulk=bulk)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    _require_attributes(call, "update_router", row._mapping, body)
    refuse_unserved(body)
    info = body.external_gateway_info
    if isinstance(info, GatewayInfo) and info.network_id is not None:
        rows.set_gateway(tx, call.runtime, row, info, _gateway_network(tx, call, body))
    elif info is not UNSET:
        rows.clear_gateway(tx, call.runtime, row)
    changes: dict[str, Any] = {name: value or "" for name, value in body.given() if name in ("name", "description")}
    if body.admin_state_up is not UNSET:
        changes["admin_state_up"] = flag("admin_state_up", body.admin_state_up, default=True)
    if body.routes is not UNSET:
        changes["routes"] = read_routes(body.routes or [], *rows.connected(tx, rows.read(tx, row.id)))
    if changes:
        resources.touch(tx, routers, row.id, **changes)
        timeline.record(tx, marks.ROUTER, row.id, "update asked", ", ".join(sorted(changes)))
    marks.router(tx, row.id)
    return {"router": view(rows.read(tx, row.id), kinds=_sees_kinds(call))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /routers/{router_id}."""
    resources.check_revision(call, call.target)
    rows.remove(tx, call.runtime, call.target)


def add_routes(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/add_extraroutes."""
    row = call.target
    new = read_routes(call.body.routes, *rows.connected(tx, row))
    return _with_routes(tx, call, [*row.routes, *(route for route in new if route not in row.routes)])


def remove_routes(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/remove_extraroutes; routes that are not there are fine."""
    gone = [{"destination": item.destination, "nexthop": item.nexthop} for item in call.body.routes]
    return _with_routes(tx, call, [route for route in call.target.routes if route not in gone])


def _with_routes(tx: Transaction, call: Call, routes: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    row = call.target
    resources.touch(tx, routers, row.id, routes=list(routes))
    timeline.record(tx, marks.ROUTER, row.id, "routes changed")
    marks.router(tx, row.id)
    return {"router": view(rows.read(tx, row.id), kinds=_sees_kinds(call))}


def add_interface(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/add_router_interface."""
    row = call.target
    subnet_id, port_id = either(call.body.subnet_id, None), either(call.body.port_id, None)
    if subnet_id and port_id:
        raise BadRequest("Cannot specify both subnet-id and port-id", kind="BadRequest")
    if port_id:
        port = rows.plug_port(tx, row, seen.port(tx, call.caller, port_id))
        return _interface(row, port, [item["subnet_id"] for item in port.fixed_ips])
    if not subnet_id:
        raise BadRequest("Either subnet_id or port_id must be specified", kind="BadRequest")
    subnet = seen.subnet(tx, call.caller, subnet_id)
    if not (
        call.caller.is_admin or subnet.shared or call.caller.project_id in (subnet.project_id, subnet.network_owner)
    ):
        raise Forbidden(f"Subnet {subnet_id} belongs to an external network of another project.")
    port = rows.plug_subnet(tx, call.runtime, row, subnet)
    return _interface(row, port, [subnet_id])


def remove_interface(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/remove_router_interface."""
    row = call.target
    subnet_id, port_id = either(call.body.subnet_id, None), either(call.body.port_id, None)
    if not subnet_id and not port_id:
        raise BadRequest("Either subnet_id or port_id must be specified", kind="BadRequest")
    present = rows.legs(tx, row.id)
    if port_id:
        port = next((leg for leg in present if leg.id == port_id), None)
        if port is None:
            raise rows.interface_not_found(row.id, "port", port_id)
        if subnet_id and all(item["subnet_id"] != subnet_id for item in port.fixed_ips):
            raise BadRequest(
                f"Subnet on port {port_id} does not match the requested subnet {subnet_id}.",
                kind="SubnetMismatchForPort",
            )
    else:
        seen.subnet(tx, call.caller, subnet_id)
        port = next((leg for leg in present if any(ip["subnet_id"] == subnet_id for ip in leg.fixed_ips)), None)
        if port is None:
            raise rows.interface_not_found(row.id, "subnet", subnet_id)
    return _interface(row, port, rows.unplug(tx, call.runtime, row, port, None if port_id else subnet_id))


def _interface(row: Any, port: Any, subnet_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "network_id": port.network_id,
        "port_id": port.id,
        "subnet_id": subnet_ids[0] if subnet_ids else None,
        "subnet_ids": list(subnet_ids),
    }
