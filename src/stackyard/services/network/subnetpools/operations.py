"""What the API does with subnet pools."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, resources, seen, sharing
from stackyard.services.network.address_scopes import POOL
from stackyard.services.network.checks import ADMIN, OWN, READER, SHARED, any_of, attributes, rules
from stackyard.services.network.faults import invalid
from stackyard.services.network.resources import either, flag
from stackyard.services.network.subnetpools import prefixes as sets
from stackyard.services.network.subnetpools import rows
from stackyard.services.network.subnetpools.bodies import (
    NewPool,
    OnboardBody,
    PoolFields,
    PrefixesBody,
    check_number,
    loaded,
    plain_changes,
    read_lengths,
    read_prefixes,
    stored,
)
from stackyard.services.network.tables import networks, subnetpools, subnets

NAMES = ("subnetpool", "subnetpools")
_LENGTHS = ("min_prefixlen", "max_prefixlen", "default_prefixlen")

_INSERT = sa.insert(subnetpools)
_DELETE = sa.delete(subnetpools).where(subnetpools.c.id == bindparam("id"))
_OF_NETWORK = sa.select(subnets).where(
    subnets.c.network_id == bindparam("network"), subnets.c.ip_version == bindparam("version")
)

LISTING = Listing(
    subnetpools,
    resources.standard_filters(
        subnetpools, "ip_version", "default_quota", "is_default", "address_scope_id", *_LENGTHS
    )
    | {"shared": sharing.shared_filter(POOL, subnetpools)},
    sort_keys=("name", "project_id", "ip_version", "default_quota", "is_default", "address_scope_id", *_LENGTHS,
               "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
    select=rows.SHOWN,
)  # fmt: skip


def load(tx: Transaction, call: Call) -> seen.Found:
    """The pool in the path."""
    return rows.find(tx, call.caller, call.path["subnetpool_id"])


def view(row: Any) -> dict[str, Any]:
    """A pool as the API shows it."""
    shown = resources.standard_view(row)
    shown.update({
        "name": row.name,
        "prefixes": row.prefixes,
        "ip_version": row.ip_version,
        "default_prefixlen": row.default_prefixlen,
        "min_prefixlen": row.min_prefixlen,
        "max_prefixlen": row.max_prefixlen,
        "default_quota": row.default_quota,
        "is_default": row.is_default,
        "shared": bool(row.shared_with_caller),
        "address_scope_id": row.address_scope_id,
    })  # fmt: skip
    return shown


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /subnetpools."""
    scope = seen.own_or_shared(call.caller, POOL, subnetpools)
    return resources.listed(call, "subnetpools", resources.page_of(tx, call.query, LISTING, scope), view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /subnetpools/{subnetpool_id}."""
    del tx
    return {"subnetpool": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /subnetpools, one or many."""
    bodies, bulk = resources.read_bodies(call, NewPool, *NAMES)
    return resources.created(call, NAMES, [_create(tx, call, body) for body in bodies], bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewPool) -> dict[str, Any]:
    project_id = resources.owner(call, body)
    target = {"project_id": project_id}
    call.require("create_subnetpool", target)
    plain = plain_changes(body)
    shared = flag("shared", body.shared, default=False)
    resources.require_attributes(
        call, "create_subnetpool", target,
        [("shared", shared), ("is_default", plain.get("is_default", False)), ("tags", bool(either(body.tags, [])))],
    )  # fmt: skip
    pool_id, whole = new_uuid(), read_prefixes(body.prefixes)
    if plain.get("is_default"):
        rows.check_default(tx, whole[0].version)
    rows.check_scope(tx, call.caller, pool_id, either(body.address_scope_id, None), whole, moved=False)
    insert(tx, call.runtime, project_id, body, pool_id)
    return view(rows.find(tx, call.caller, pool_id))


def insert(tx: Transaction, runtime: Runtime, project_id: str, body: NewPool, pool_id: str) -> None:
    """Write a new pool, which has been looked at; raises OverQuota and what bodies raise."""
    plain, whole = plain_changes(body), read_prefixes(body.prefixes)
    version = whole[0].version
    resources.reserve(tx, runtime, project_id, "subnetpool")
    row = resources.new_row(tx, pool_id, project_id, body) | read_lengths(body, version, {})
    row |= {"ip_version": version, "prefixes": stored(whole), "address_scope_id": either(body.address_scope_id, None)}
    row |= {"default_quota": plain.get("default_quota"), "is_default": plain.get("is_default", False)}
    row["tags"] = resources.read_tags(either(body.tags, []))
    tx.execute(_INSERT, row)
    resources.store_tags(tx, [row])
    sharing.share_with_all(tx, POOL, pool_id, project_id, flag("shared", body.shared, default=False))
    timeline.record(tx, POOL, pool_id, "created", ", ".join(row["prefixes"]))


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /subnetpools/{subnetpool_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    resources.require_attributes(call, "update_subnetpool", row, [("is_default", body.is_default is not UNSET)])
    changes = _changes(tx, call, row, body)
    if changes:
        rows.claim(tx, row.id)
        resources.touch(tx, subnetpools, row.id, **changes)
        timeline.record(tx, POOL, row.id, "updated", ", ".join(sorted(changes)))
        if "address_scope_id" in changes:
            _scope_changed(tx, row.id)
    return {"subnetpool": view(rows.find(tx, call.caller, row.id))}


def _changes(tx: Transaction, call: Call, row: Any, body: PoolFields) -> dict[str, Any]:
    changes = plain_changes(body)
    if changes.get("is_default") and not row.is_default:
        rows.check_default(tx, row.ip_version)
    rows.check_owned_scope(tx, call.caller, row)
    whole = loaded(row.prefixes)
    if body.prefixes is not UNSET:
        whole = _grown(whole, body)
        changes["prefixes"] = stored(whole)
    changes |= read_lengths(body, row.ip_version, {name: row[name] for name in _LENGTHS})
    scope_id = either(body.address_scope_id, row.address_scope_id)
    changes["address_scope_id"] = scope_id
    rows.check_scope(tx, call.caller, row.id, scope_id, whole, moved=scope_id != row.address_scope_id)
    return {name: value for name, value in changes.items() if value != row[name]}


def _grown(present: list[Any], body: PoolFields) -> list[Any]:
    """Prefixes are only added here; remove_prefixes takes those away that nothing uses."""
    new = read_prefixes(either(body.prefixes, []))
    if new[0].version != present[0].version:
        raise BadRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", kind="PrefixVersionMismatch")
    if not sets.covers(new, present):
        raise _illegal_prefixes("Existing prefixes must be a subset of the new prefixes")
    return new


def _illegal_prefixes(reason: str) -> BadRequest:
    return BadRequest(f"Illegal update to prefixes: {reason}.", kind="IllegalSubnetPoolPrefixUpdate")


def _scope_changed(tx: Transaction, pool_id: str) -> None:
    """Routers translate between networks of different scopes: those of the pool's networks look anew."""
    for network_id in sorted({subnet.network_id for subnet in rows.subnets_of(tx, pool_id)}):
        marks.routers_of(tx, network_id)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /subnetpools/{subnetpool_id}; raises SubnetPoolDeleteError while it has subnets."""
    row = call.target
    resources.check_revision(call, row)
    rows.claim(tx, row.id)
    if rows.subnets_of(tx, row.id):
        raise BadRequest(
            "Unable to delete subnet pool: Subnet pool has existing allocations.", kind="SubnetPoolDeleteError"
        )
    resources.forget_tags(tx, row.id)
    sharing.forget(tx, POOL, row.id)
    tx.execute(_DELETE, {"id": row.id})
    resources.release(tx, call.runtime, row.project_id, "subnetpool")
    timeline.record(tx, POOL, row.id, "deleted")


def add_prefixes(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /subnetpools/{subnetpool_id}/add_prefixes."""
    row = call.target
    new = _prefixes_of(row, call.body)
    found = rows.set_prefixes(tx, call.caller, row, new)
    timeline.record(tx, POOL, row.id, "prefixes added", ", ".join(stored(new)))
    return {"prefixes": found}


def _prefixes_of(row: Any, body: PrefixesBody) -> list[Any]:
    found = read_prefixes(body.prefixes)
    if found[0].version != row.ip_version:
        raise BadRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", kind="PrefixVersionMismatch")
    return found


def remove_prefixes(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /subnetpools/{subnetpool_id}/remove_prefixes; what the pool does not have may be named too."""
    row = call.target
    gone = _prefixes_of(row, call.body)
    present = loaded(row.prefixes)
    if not sets.intersect(present, gone):
        return {"prefixes": row.prefixes}
    rows.claim(tx, row.id)
    if sets.intersect((ipaddress.ip_network(subnet.cidr) for subnet in rows.subnets_of(tx, row.id)), gone):
        raise _illegal_prefixes("One or more the prefixes to be removed is in use by a subnet.")
    left = sets.subtract(present, gone, row.ip_version)
    if not left:
        raise _illegal_prefixes("a pool keeps at least one prefix; delete the pool instead")
    check_number(left)
    resources.touch(tx, subnetpools, row.id, prefixes=stored(left))
    timeline.record(tx, POOL, row.id, "prefixes removed", ", ".join(stored(gone)))
    return {"prefixes": stored(left)}


def onboard(tx: Transaction, call: Call) -> Reply:
    """PUT /subnetpools/{subnetpool_id}/onboard_network_subnets: take a network's subnets over, prefixes and all."""
    row = call.target
    network_id = either(call.body.network_id, None)
    if not network_id:
        raise invalid("network_id must be specified.")
    network = seen.network(tx, call.caller, network_id)
    if not call.caller.is_admin and network.project_id != call.caller.project_id:
        raise Forbidden("Not authorized.", kind="NotAuthorized")
    resources.touch(tx, networks, network.id)
    found = tx.all(_OF_NETWORK, {"network": network.id, "version": row.ip_version})
    rows.claim(tx, row.id)
    taken = [ipaddress.ip_network(subnet.cidr) for subnet in rows.subnets_of(tx, row.id)]
    for subnet in found:
        if sets.intersect(taken, [ipaddress.ip_network(subnet.cidr)]):
            raise rows.illegal_update(
                f"Onboarding subnet {subnet.id}: {subnet.cidr} conflicts with allocated prefixes in subnet pool "
                f"{row.id}"
            )
    if found:
        rows.set_prefixes(tx, call.caller, row, [ipaddress.ip_network(subnet.cidr) for subnet in found])
    for subnet in found:
        resources.touch(tx, subnets, subnet.id, subnetpool_id=row.id)
        timeline.record(tx, "subnet", subnet.id, "taken over by a subnet pool", row.id)
    marks.routers_of(tx, network.id)
    return Reply([{"id": subnet.id, "cidr": subnet.cidr} for subnet in found])


_PATH = "/v2.0/subnetpools/{subnetpool_id}"

ROUTES = (
    Route("GET", "/v2.0/subnetpools", list_, "get_network_api"),
    Route("POST", "/v2.0/subnetpools", create, "create_subnetpool", body=dict, status=201),
    Route("GET", _PATH, show, "get_subnetpool", target=load),
    Route("PUT", _PATH, update, "update_subnetpool", target=load, body=PoolFields, envelope="subnetpool"),
    Route("DELETE", _PATH, delete, "delete_subnetpool", target=load, status=204),
    Route("PUT", f"{_PATH}/add_prefixes", add_prefixes, "add_prefixes", target=load, body=PrefixesBody),
    Route("PUT", f"{_PATH}/remove_prefixes", remove_prefixes, "remove_prefixes", target=load, body=PrefixesBody),
    Route("PUT", f"{_PATH}/onboard_network_subnets", onboard, "onboard_network_subnets", target=load,
          body=OnboardBody),
)  # fmt: skip

POLICIES = (
    *rules(
        OWN,
        "create_subnetpool",
        "update_subnetpool",
        "delete_subnetpool",
        "onboard_network_subnets",
        "add_prefixes",
        "remove_prefixes",
        about="Make, change and delete a subnet pool, its prefixes and what subnets it has.",
    ),
    Rule("get_subnetpool", any_of(ADMIN, READER, SHARED), "See a subnet pool."),
    *attributes(ADMIN, "subnetpool", "create update", "is_default"),
    *attributes(ADMIN, "subnetpool", "create", "shared"),
    *attributes(OWN, "subnetpool", "create update delete", "tags"),
    *attributes(any_of(ADMIN, READER, SHARED), "subnetpool", "get", "tags"),
)
