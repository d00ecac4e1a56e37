"""Address scopes: within one, no two subnet pools have an address in common, so that routers need not translate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import resources, seen, sharing
from stackyard.services.network.checks import ADMIN, OWN, READER, SHARED, any_of, attributes, rules
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.resources import Flag, Text, either, flag, integer
from stackyard.services.network.tables import address_scopes, subnetpools, subnets

NAMES = ("address_scope", "address_scopes")
SCOPE = "address_scope"
POOL = "subnetpool"
"""What policies that share call these."""

_SHOWN = sa.select(address_scopes, sharing.shared_label(SCOPE, address_scopes))
_ONE = _SHOWN.where(address_scopes.c.id == bindparam("id"))
_INSERT = sa.insert(address_scopes)
_RENAME = sa.update(address_scopes).where(address_scopes.c.id == bindparam("key")).values(name=bindparam("new_name"))
_CLAIM = (
    sa.update(address_scopes)
    .where(address_scopes.c.id == bindparam("key"))
    .values(pools_changed=address_scopes.c.pools_changed + 1)
)
_DELETE = sa.delete(address_scopes).where(address_scopes.c.id == bindparam("id"))
_POOLS = sa.select(subnetpools.c.id).where(subnetpools.c.address_scope_id == bindparam("id")).limit(1)
_OF_ALL = (
    sa.select(subnets.c.network_id, subnets.c.ip_version, subnetpools.c.address_scope_id)
    .distinct()
    .join(subnetpools, subnetpools.c.id == subnets.c.subnetpool_id)
    .where(subnetpools.c.address_scope_id.is_not(None))
)
_OF_NETWORKS = _OF_ALL.where(subnets.c.network_id.in_(bindparam("networks", expanding=True)))


LISTING = Listing(
    address_scopes,
    {
        "id": Filter(address_scopes.c.id),
        "project_id": Filter(address_scopes.c.project_id),
        "tenant_id": Filter(address_scopes.c.project_id),
        "name": Filter(address_scopes.c.name),
        "ip_version": resources.column_filter(address_scopes.c.ip_version),
        "shared": sharing.shared_filter(SCOPE, address_scopes),
    },
    sort_keys=("name", "project_id", "ip_version"),
    max_limit=resources.LARGEST_PAGE,
    select=_SHOWN,
)


class ScopeFields(Body):
    """What an address scope may be given and changed to."""

    name: Text | UnsetType = UNSET
    shared: Flag | UnsetType = UNSET


class NewScope(ScopeFields, kw_only=True):
    """The body of a POST."""

    ip_version: int | str
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def find(tx: Transaction, caller: Caller, scope_id: str) -> seen.Found:
    """An address scope that the caller may see; raises AddressScopeNotFound."""
    row = tx.first(_ONE, {"id": scope_id, "caller": caller.project_id})
    if row is None or not (caller.is_admin or row.project_id == caller.project_id or row.shared_with_caller):
        raise not_found("AddressScope", scope_id)
    return seen.Found(row._mapping, shared=bool(row.shared_with_caller))


def claim(tx: Transaction, scope_id: str) -> None:
    """Before the pools of a scope are looked at: of two transactions that do so, one is run again."""
    tx.execute(_CLAIM, {"key": scope_id})


def of_networks(tx: Transaction, network_ids: Sequence[str] | None) -> Mapping[tuple[str, int], str]:
    """The address scopes that networks (None: all) are in: by network and IP version, where they are in one."""
    rows: Sequence[Any] = ()
    if network_ids is None:
        rows = tx.all(_OF_ALL)
    elif network_ids:
        rows = tx.all(_OF_NETWORKS, {"networks": list(network_ids)})
    return {(row.network_id, row.ip_version): row.address_scope_id for row in rows}


def load(tx: Transaction, call: Call) -> seen.Found:
    """The address scope in the path."""
    return find(tx, call.caller, call.path["address_scope_id"])


def view(row: Any) -> dict[str, Any]:
    """An address scope as the API shows it."""
    return {
        "id": row.id,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "name": row.name,
        "ip_version": row.ip_version,
        "shared": bool(row.shared_with_caller),
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /address-scopes."""
    page = resources.page_of(tx, call.query, LISTING, seen.own_or_shared(call.caller, SCOPE, address_scopes))
    return resources.listed(call, "address_scopes", page, view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /address-scopes/{address_scope_id}."""
    del tx
    return {"address_scope": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /address-scopes, one or many."""
    bodies, bulk = resources.read_bodies(call, NewScope, *NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        target = {"project_id": project_id}
        call.require("create_address_scope", target)
        shared = flag("shared", body.shared, default=False)
        resources.require_attributes(call, "create_address_scope", target, [("shared", shared)])
        version = integer("ip_version", body.ip_version)
        if version not in (4, 6):
            raise InvalidField("ip_version", f"'{body.ip_version}' is not in [4, 6].")
        row = {"id": new_uuid(), "project_id": project_id, "name": either(body.name, ""), "ip_version": version}
        tx.execute(_INSERT, row)
        sharing.share_with_all(tx, SCOPE, row["id"], project_id, shared)
        timeline.record(tx, SCOPE, row["id"], "created")
        views.append(view(find(tx, call.caller, row["id"])))
    return resources.created(call, NAMES, views, bulk=bulk)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /address-scopes/{address_scope_id}; one that is shared stays so."""
    row, body = call.target, call.body
    resources.require_attributes(call, "update_address_scope", row, [("shared", body.shared is not UNSET)])
    if body.shared is not UNSET:
        wanted = flag("shared", body.shared, default=False)
        if row.shared and not wanted:
            raise BadRequest(
                f"Unable to update address scope {row.id} : Shared address scope can't be unshared.",
                kind="AddressScopeUpdateError",
            )
        sharing.share_with_all(tx, SCOPE, row.id, row.project_id, wanted)
    if body.name is not UNSET:
        tx.execute(_RENAME, {"key": row.id, "new_name": body.name})
    timeline.record(tx, SCOPE, row.id, "updated")
    return {"address_scope": view(find(tx, call.caller, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /address-scopes/{address_scope_id}; raises AddressScopeInUse."""
    row = call.target
    claim(tx, row.id)
    if tx.first(_POOLS, {"id": row.id}) is not None:
        raise conflict(
            "AddressScopeInUse",
            f"Unable to complete operation on address scope {row.id}. There are one or more subnet pools in use on the "
            "address scope.",
        )
    sharing.forget(tx, SCOPE, row.id)
    tx.execute(_DELETE, {"id": row.id})
    timeline.record(tx, SCOPE, row.id, "deleted")


_PATH = "/v2.0/address-scopes/{address_scope_id}"

ROUTES = (
    Route("GET", "/v2.0/address-scopes", list_, "get_network_api"),
    Route("POST", "/v2.0/address-scopes", create, "create_address_scope", body=dict, status=201),
    Route("GET", _PATH, show, "get_address_scope", target=load),
    Route("PUT", _PATH, update, "update_address_scope", target=load, body=ScopeFields, envelope="address_scope"),
    Route("DELETE", _PATH, delete, "delete_address_scope", target=load, status=204),
)  # fmt: skip

POLICIES = (
    *rules(
        OWN,
        "create_address_scope",
        "update_address_scope",
        "delete_address_scope",
        about="Make, change and delete an address scope.",
    ),
    Rule("get_address_scope", any_of(ADMIN, READER, SHARED), "See an address scope."),
    *attributes(ADMIN, "address_scope", "create update", "shared"),
)
