"""What the API does with routers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Listing
from stackyard.services.network import marks, resources, seen
from stackyard.services.network.faults import not_found
from stackyard.services.network.flavors import rows as flavors
from stackyard.services.network.qos import api as qos
from stackyard.services.network.resources import either, flag
from stackyard.services.network.routers import gateways, interfaces, rows, scopes
from stackyard.services.network.routers.bodies import (
    KINDS,
    GatewayInfo,
    NewRouter,
    RouterFields,
    read_flags,
    read_routes,
    refuse_unserved,
    stored_routes,
)
from stackyard.services.network.routers.views import shown_to, view
from stackyard.services.network.tables import routers

NAMES = ("router", "routers")

LISTING = Listing(
    routers,
    resources.standard_filters(
        routers, "admin_state_up", "status", "enable_snat", "enable_ndp_proxy", "ha", "distributed", "flavor_id"
    ),
    sort_keys=("name", "project_id", "admin_state_up", "status", "enable_snat", "flavor_id", "created_at",
               "updated_at"),
    max_limit=resources.LARGEST_PAGE,
)  # fmt: skip


def load(tx: Transaction, call: Call) -> Any:
    """The router in the path; raises RouterNotFound."""
    row = rows.read(tx, call.path["router_id"])
    if not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("Router", row.id)
    return row


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /routers."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, routers))
    zone, kinds = call.runtime.settings.network.availability_zone, call.allows("get_router:ha", {})
    return resources.listed(call, "routers", page, lambda row: view(row, zone, kinds=kinds))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /routers/{router_id}."""
    del tx
    return {"router": resources.shown(call, shown_to(call, call.target))}


def _require_attributes(call: Call, rule: str, target: Mapping[str, Any], body: RouterFields) -> None:
    info = body.external_gateway_info
    given = info if isinstance(info, GatewayInfo) else GatewayInfo()
    resources.require_attributes(call, rule, target, [
        ("distributed", body.distributed not in (UNSET, None)),
        ("ha", body.ha not in (UNSET, None)),
        ("enable_default_route_ecmp", body.enable_default_route_ecmp not in (UNSET, None)),
        ("enable_default_route_bfd", body.enable_default_route_bfd not in (UNSET, None)),
        ("external_gateway_info", info is not UNSET),
        *gateway_attributes("external_gateway_info", given),
    ])  # fmt: skip


def gateway_attributes(name: str, info: GatewayInfo) -> list[tuple[str, bool]]:
    """The rules on single attributes of a gateway, and which of them a body sets."""
    return [
        (f"{name}:network_id", info.network_id is not None),
        (f"{name}:enable_snat", info.enable_snat is not UNSET),
        (f"{name}:external_fixed_ips", bool(either(info.external_fixed_ips, None))),
    ]


def gateway_network(tx: Transaction, call: Call, info: GatewayInfo) -> Any:
    """The network that a gateway is to be on; raises NetworkNotFound, QosPolicyNotFound."""
    policy = either(info.qos_policy_id, None)
    if policy:
        qos.usable(tx, call.caller, policy)
    return seen.network(tx, call.caller, info.network_id or "")


def _wanted_gateway(tx: Transaction, call: Call, body: RouterFields) -> Any:
    info = body.external_gateway_info
    if not isinstance(info, GatewayInfo) or info.network_id is None:
        return None
    return gateway_network(tx, call, info)


def create(tx: Transaction, call: Call) -> Reply:
    """POST /routers, one or many."""
    bodies, bulk = resources.read_bodies(call, NewRouter, *NAMES)
    return resources.created(call, NAMES, [_create(tx, call, body) for body in bodies], bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewRouter) -> dict[str, Any]:
    project_id = resources.owner(call, body)
    target = {"project_id": project_id}
    call.require("create_router", target)
    _require_attributes(call, "create_router", target, body)
    refuse_unserved(body)
    flavor_id = either(body.flavor_id, None)
    if flavor_id:
        flavors.usable(tx, flavor_id)
    router_id = rows.insert(tx, call.runtime, project_id, body, _wanted_gateway(tx, call, body))
    changes: dict[str, Any] = {}
    row = rows.read(tx, router_id)
    if body.routes not in (UNSET, None, []):
        changes["routes"] = read_routes(body.routes or [], *rows.connected(tx, row))
    if read_flags(body, "enable_ndp_proxy").get("enable_ndp_proxy"):
        # The openstack client gives a new router its gateway by a second call; the flag waits for that.
        if row.gateway_port_id is not None:
            scopes.refuse_proxying(tx, row)
        changes["enable_ndp_proxy"] = True
    if changes:
        resources.touch(tx, routers, router_id, **changes)
    return shown_to(call, rows.read(tx, router_id))


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    _require_attributes(call, "update_router", row._mapping, body)
    refuse_unserved(body)
    info = body.external_gateway_info
    if isinstance(info, GatewayInfo) and info.network_id is not None:
        gateways.set_first(tx, call.runtime, row, _wanted_gateway(tx, call, body), info)
    elif info is not UNSET:
        gateways.clear_first(tx, call.runtime, row)
    changes = _changes(tx, row, body)
    if changes:
        resources.touch(tx, routers, row.id, **changes)
        timeline.record(tx, marks.ROUTER, row.id, "update asked", ", ".join(sorted(changes)))
    marks.router(tx, row.id)
    return {"router": shown_to(call, rows.read(tx, row.id))}


def _changes(tx: Transaction, row: Any, body: RouterFields) -> dict[str, Any]:
    changes: dict[str, Any] = {name: value or "" for name, value in body.given() if name in ("name", "description")}
    if body.admin_state_up is not UNSET:
        changes["admin_state_up"] = flag("admin_state_up", body.admin_state_up, default=True)
    kinds = {name: value for name, value in read_flags(body, *KINDS).items() if value != getattr(row, name)}
    if kinds and (row.admin_state_up or changes.get("admin_state_up")):
        raise BadRequest(
            f"Cannot change the '{next(iter(kinds))}' attribute of active routers. Please set router admin_state_up to "
            "False prior to upgrade",
            kind="BadRequest",
        )
    changes |= kinds | read_flags(body, "enable_default_route_ecmp")
    now = rows.read(tx, row.id)
    if body.routes is not UNSET:
        changes["routes"] = read_routes(body.routes or [], *rows.connected(tx, now))
    elif body.external_gateway_info is not UNSET:
        refuse_lost_routes(tx, now)
    changes |= read_flags(body, "enable_ndp_proxy")
    answers = now.enable_ndp_proxy and now.gateway_port_id is not None
    if changes.get("enable_ndp_proxy", body.external_gateway_info is not UNSET and answers):
        scopes.refuse_proxying(tx, now)
    return changes


def refuse_lost_routes(tx: Transaction, row: Any) -> None:
    """Raise InvalidRoutes when a change of gateways leaves a route without its next hop."""
    if row.routes:
        read_routes(stored_routes(row.routes), *rows.connected(tx, row))


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /routers/{router_id}."""
    resources.check_revision(call, call.target)
    rows.remove(tx, call.runtime, call.target)


def add_routes(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/add_extraroutes."""
    row = call.target
    connected, own = rows.connected(tx, row)
    new = read_routes(call.body.routes, connected, own)
    more = [*row.routes, *(route for route in new if route not in row.routes)]
    return _with_routes(tx, call, read_routes(stored_routes(more), connected, own))


def remove_routes(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/remove_extraroutes; routes that are not there are fine."""
    gone = [{"destination": item.destination, "nexthop": item.nexthop} for item in call.body.routes]
    return _with_routes(tx, call, [route for route in call.target.routes if route not in gone])


def _with_routes(tx: Transaction, call: Call, routes: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    row = call.target
    resources.touch(tx, routers, row.id, routes=list(routes))
    timeline.record(tx, marks.ROUTER, row.id, "routes changed")
    marks.router(tx, row.id)
    return {"router": shown_to(call, rows.read(tx, row.id))}


# ------------------------------------------------------------------------------------------------ several gateways


def _described(tx: Transaction, call: Call, rule: str) -> list[gateways.Wanted]:
    """The gateways in the body, each with its network; raises Forbidden for what the caller may not say of them."""
    infos: list[GatewayInfo] = call.body.external_gateways
    resources.check_revision(call, call.target)
    found = []
    for index, info in enumerate(infos):
        if info.network_id is None:
            raise BadRequest(f"external_gateways[{index}] has no network_id.", kind="BadRequest")
        resources.require_attributes(call, rule, call.target._mapping, gateway_attributes("external_gateways", info))
        found.append(gateways.Wanted(gateway_network(tx, call, info), info))
    return found


def _with_gateways(tx: Transaction, call: Call, slots: Sequence[gateways.Slot]) -> dict[str, Any]:
    gateways.replace(tx, call.runtime, call.target, slots)
    row = rows.read(tx, call.target.id)
    refuse_lost_routes(tx, row)
    if row.enable_ndp_proxy and row.gateway_port_id is not None:
        scopes.refuse_proxying(tx, row)
    return {"router": shown_to(call, row)}


def add_gateways(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/add_external_gateways."""
    wanted = _described(tx, call, "add_external_gateways")
    return _with_gateways(tx, call, gateways.added(call.target, wanted))


def update_gateways(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/update_external_gateways: these and no others."""
    wanted = _described(tx, call, "update_external_gateways")
    return _with_gateways(tx, call, gateways.updated(call.target, wanted))


def remove_gateways(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/remove_external_gateways."""
    resources.check_revision(call, call.target)
    return _with_gateways(tx, call, gateways.removed(call.target, call.body.external_gateways))


# ------------------------------------------------------------------------------------------------ interfaces


def add_interface(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /routers/{router_id}/add_router_interface."""
    row = call.target
    subnet_id, port_id = either(call.body.subnet_id, None), either(call.body.port_id, None)
    if subnet_id and port_id:
        raise BadRequest("Cannot specify both subnet-id and port-id", kind="BadRequest")
    if port_id:
        port = interfaces.plug_port(tx, call.caller, row, seen.port(tx, call.caller, port_id))
        return _interface(row, port, [item["subnet_id"] for item in port.fixed_ips])
    if not subnet_id:
        raise BadRequest("Either subnet_id or port_id must be specified", kind="BadRequest")
    subnet = seen.subnet(tx, call.caller, subnet_id)
    interfaces.refuse_foreign(tx, call.caller, subnet)
    port = interfaces.plug_subnet(tx, call.runtime, row, subnet)
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
            raise interfaces.not_found(row.id, "port", port_id)
        if subnet_id and all(item["subnet_id"] != subnet_id for item in port.fixed_ips):
            raise BadRequest(
                f"Subnet on port {port_id} does not match the requested subnet {subnet_id}.",
                kind="SubnetMismatchForPort",
            )
    else:
        seen.subnet(tx, call.caller, subnet_id)
        port = next((leg for leg in present if any(ip["subnet_id"] == subnet_id for ip in leg.fixed_ips)), None)
        if port is None:
            raise interfaces.not_found(row.id, "subnet", subnet_id)
    return _interface(row, port, interfaces.unplug(tx, call.runtime, row, port, None if port_id else subnet_id))


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
