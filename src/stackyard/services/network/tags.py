"""Tags: short texts on any resource, to find it by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.routes import Operation, Route
from stackyard.services.network import resources, tables
from stackyard.services.network.floatingips import operations as floatingips
from stackyard.services.network.networks import operations as networks
from stackyard.services.network.ports import operations as ports
from stackyard.services.network.qos import operations as qos
from stackyard.services.network.routers import operations as routers
from stackyard.services.network.security_groups import operations as groups
from stackyard.services.network.segments import operations as segments
from stackyard.services.network.segments import ranges
from stackyard.services.network.subnetpools import operations as subnetpools
from stackyard.services.network.subnets import operations as subnets
from stackyard.services.network.trunks import operations as trunks


@dataclass(frozen=True, slots=True)
class Tagged:
    """A kind of resource that has tags: `path` its collection, `parameter` the name of its id in routes."""

    noun: str
    path: str
    parameter: str
    table: sa.Table
    load: Operation


KINDS = (
    Tagged("network", "networks", "network_id", tables.networks, networks.load),
    Tagged("subnet", "subnets", "subnet_id", tables.subnets, subnets.load),
    Tagged("subnetpool", "subnetpools", "subnetpool_id", tables.subnetpools, subnetpools.load),
    Tagged("port", "ports", "port_id", tables.ports, ports.load),
    Tagged("trunk", "trunks", "trunk_id", tables.trunks, trunks.load),
    Tagged("segment", "segments", "segment_id", tables.network_segments, segments.load),
    Tagged("network_segment_range", "network_segment_ranges", "range_id", tables.network_segment_ranges, ranges.load),
    Tagged("router", "routers", "router_id", tables.routers, routers.load),
    Tagged("floatingip", "floatingips", "floatingip_id", tables.floating_ips, floatingips.load),
    Tagged("security_group", "security-groups", "security_group_id", tables.security_groups, groups.load),
    Tagged("policy", "qos/policies", "qos_policy_id", tables.qos_policies, qos.load),
    Tagged("policy", "policies", "qos_policy_id", tables.qos_policies, qos.load),
)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../tags."""
    del tx
    return {"tags": call.target.tags}


def show(tx: Transaction, call: Call) -> None:
    """GET .../tags/{tag}: 204 when the resource has it; raises TagNotFound."""
    del tx
    if call.path["tag"] not in call.target.tags:
        raise NotFound(f"Tag {call.path['tag']} could not be found.", kind="TagNotFound")


def replace(table: sa.Table, tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT .../tags."""
    given = call.body.get("tags")
    if not isinstance(given, list):
        raise BadRequest("Invalid tags body: expected an object with the key 'tags' and a list.", kind="InvalidInput")
    return {"tags": _write(tx, table, call.target, resources.read_tags(given))}


def add(table: sa.Table, tx: Transaction, call: Call) -> Reply:
    """PUT .../tags/{tag}."""
    _write(tx, table, call.target, resources.read_tags([*call.target.tags, call.path["tag"]]))
    return Reply(status=201)


def remove(table: sa.Table, tx: Transaction, call: Call) -> None:
    """DELETE .../tags/{tag}; raises TagNotFound."""
    show(tx, call)
    _write(tx, table, call.target, [tag for tag in call.target.tags if tag != call.path["tag"]])


def clear(table: sa.Table, tx: Transaction, call: Call) -> None:
    """DELETE .../tags."""
    _write(tx, table, call.target, [])


def _write(tx: Transaction, table: sa.Table, row: Any, tags: list[str]) -> list[str]:
    if tags != row.tags:
        # The row is changed first, so that of two transactions that change its tags one is run again.
        resources.touch(tx, table, row.id, tags=tags)
        resources.forget_tags(tx, row.id)
        resources.store_tags(tx, [{"id": row.id, "tags": tags}])
    return tags


def routes() -> tuple[Route, ...]:
    """The same six calls for every kind of resource."""
    found: list[Route] = []
    for kind in KINDS:
        all_of = f"/v2.0/{kind.path}/{{{kind.parameter}}}/tags"
        one = f"{all_of}/{{tag}}"
        ending = "segments_tags" if kind.noun == "segment" else f"{kind.noun}:tags"  # as Neutron names its rules
        see, change, drop = (f"{verb}_{ending}" for verb in ("get", "update", "delete"))
        found += [
            Route("GET", all_of, list_, see, target=kind.load),
            Route("PUT", all_of, partial(replace, kind.table), change, target=kind.load, body=dict),
            Route("DELETE", all_of, partial(clear, kind.table), drop, target=kind.load, status=204),
            Route("GET", one, show, see, target=kind.load, status=204),
            Route("PUT", one, partial(add, kind.table), change, target=kind.load, status=201),
            Route("DELETE", one, partial(remove, kind.table), drop, target=kind.load, status=204),
        ]
    return tuple(found)
