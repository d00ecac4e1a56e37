"""NDP proxies: IPv6 addresses of ports that a router answers for outside, so that they are reached without NAT."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import floating, marks, resources, seen
from stackyard.services.network.checks import OWN, SEE_OWN, rules
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.resources import Text, either
from stackyard.services.network.routers import rows as router_rows
from stackyard.services.network.routers import scopes
from stackyard.services.network.tables import ndp_proxies

NAMES = ("ndp_proxy", "ndp_proxies")

_COLUMNS = ("name", "router_id", "port_id", "ip_address")
_INSERT = sa.insert(ndp_proxies)
_ONE = sa.select(ndp_proxies).where(ndp_proxies.c.id == bindparam("id"))
_TAKEN = sa.select(ndp_proxies.c.id).where(
    ndp_proxies.c.router_id == bindparam("router"), ndp_proxies.c.ip_address == bindparam("address")
)

LISTING = Listing(
    ndp_proxies,
    resources.standard_filters(ndp_proxies, "router_id", "port_id", "ip_address"),
    sort_keys=(*_COLUMNS, "project_id", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
)


class ProxyFields(Body):
    """What a proxy may be changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class NewProxy(ProxyFields, kw_only=True):
    """The body of a POST."""

    router_id: str
    port_id: str
    ip_address: str | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def _read(tx: Transaction, proxy_id: str) -> Any:
    row = tx.first(_ONE, {"id": proxy_id})
    if row is None:
        raise _missing(proxy_id)
    return row


def _missing(proxy_id: str) -> NotFound:
    return NotFound(f"Ndp proxy {proxy_id} could not be found.", kind="NDPProxyNotFound")


def load(tx: Transaction, call: Call) -> Any:
    """The proxy in the path; raises NDPProxyNotFound."""
    row = _read(tx, call.path["ndp_proxy_id"])
    return seen.owned(call.caller, row, _missing(row.id))


def view(row: Any) -> dict[str, Any]:
    """A proxy as the API shows it."""
    shown = seen.Found(row._mapping, tags=[])
    standard = resources.standard_view(shown)
    del standard["tags"]
    return standard | {name: getattr(row, name) for name in _COLUMNS}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /ndp_proxies."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, ndp_proxies))
    return resources.listed(call, "ndp_proxies", page, view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /ndp_proxies/{ndp_proxy_id}."""
    del tx
    return {"ndp_proxy": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /ndp_proxies, one or many."""
    bodies, bulk = resources.read_bodies(call, NewProxy, *NAMES)
    return resources.created(call, NAMES, [view(_create(tx, call, body)) for body in bodies], bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewProxy) -> Any:
    project_id = resources.owner(call, body)
    call.require("create_ndp_proxy", {"project_id": project_id})
    router = router_rows.read(tx, body.router_id)
    if not (call.caller.is_admin or router.project_id == call.caller.project_id):
        raise not_found("Router", router.id)
    port = seen.port(tx, call.caller, body.port_id)
    if not router.enable_ndp_proxy or router.gateway_port_id is None:
        raise conflict(
            "RouterNDPProxyNotEnable",
            f"The enable_ndp_proxy parameter of router {router.id} must be set as True while create ndp proxy entry on "
            "it.",
        )
    address = _address(tx, router, port, either(body.ip_address, None))
    _refuse_other_scope(tx, router, port)
    if tx.first(_TAKEN, {"router": router.id, "address": address}) is not None:
        raise BadRequest(f"Router {router.id} has a proxy for {address} already.", kind="BadRequest")
    row = resources.new_row(tx, new_uuid(), project_id, body)
    row |= {"router_id": router.id, "port_id": port.id, "ip_address": address}
    del row["tags"]
    try:
        tx.execute(_INSERT, row)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    timeline.record(tx, "ndp_proxy", row["id"], "created", address)
    marks.router(tx, router.id)
    return _read(tx, row["id"])


def _address(tx: Transaction, router: Any, port: Any, given: str | None) -> str:
    """The port's IPv6 address that is meant, on a subnet that the router is on too."""
    reached = {item["subnet_id"] for leg in router_rows.legs(tx, router.id) for item in leg.fixed_ips}
    own = [item for item in port.fixed_ips if ":" in item["ip_address"]]
    on_network = any(leg.network_id == port.network_id for leg in router_rows.legs(tx, router.id))
    if not on_network:
        raise _unreachable(router, port)
    if not own:
        raise BadRequest(f"Requested port {port.id} must allocate one IPv6 address at least", kind="BadRequest")
    if not given:
        found = next((item["ip_address"] for item in own if item["subnet_id"] in reached), None)
        if found is None:
            raise _unreachable(router, port)
        return str(found)
    try:
        wanted = str(ipaddress.IPv6Address(given))
    except ValueError:
        raise _invalid(given, "it is not an IPv6 address") from None
    item = next((item for item in own if item["ip_address"] == wanted), None)
    if item is None:
        raise _invalid(wanted, f"This address not belong to the port {port.id}")
    if item["subnet_id"] not in reached:
        raise _invalid(wanted, f"This address cannot reach the router {router.id}")
    return wanted


def _unreachable(router: Any, port: Any) -> Exception:
    return conflict("PortUnreachableRouter", f"The port {port.id} cannot reach the router {router.id} by IPv6 subnet.")


def _invalid(address: str, reason: str) -> BadRequest:
    return BadRequest(f"The address {address} is invalid, reason: {reason}.", kind="InvalidAddress")


def _refuse_other_scope(tx: Transaction, router: Any, port: Any) -> None:
    """Only within one address scope is a tenant's address worth something outside."""
    outside = scopes.scope_of(tx, router.gateway_network_id, 6)
    inside = scopes.scope_of(tx, port.network_id, 6)
    if outside != inside:
        raise conflict(
            "AddressScopeConflict",
            f"The IPv6 address scope {outside} of external network conflict with internal network's IPv6 address scope "
            f"{inside}.",
        )


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /ndp_proxies/{ndp_proxy_id}."""
    row = call.target
    resources.check_revision(call, row)
    changes = {name: value or "" for name, value in call.body.given()}
    if changes:
        resources.touch(tx, ndp_proxies, row.id, **changes)
        timeline.record(tx, "ndp_proxy", row.id, "updated", ", ".join(sorted(changes)))
    return {"ndp_proxy": view(_read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /ndp_proxies/{ndp_proxy_id}."""
    resources.check_revision(call, call.target)
    floating.drop_proxy(tx, call.target)


_PATH = "/v2.0/ndp_proxies/{ndp_proxy_id}"

ROUTES = (
    Route("GET", "/v2.0/ndp_proxies", list_, "get_network_api"),
    Route("POST", "/v2.0/ndp_proxies", create, "create_ndp_proxy", body=dict, status=201),
    Route("GET", _PATH, show, "get_ndp_proxy", target=load),
    Route("PUT", _PATH, update, "update_ndp_proxy", target=load, body=ProxyFields, envelope="ndp_proxy"),
    Route("DELETE", _PATH, delete, "delete_ndp_proxy", target=load, status=204),
)

POLICIES = (
    *rules(
        OWN,
        "create_ndp_proxy",
        "update_ndp_proxy",
        "delete_ndp_proxy",
        about="Make, change and delete an NDP proxy of a router.",
    ),
    Rule("get_ndp_proxy", SEE_OWN, "See an NDP proxy of a router."),
)
