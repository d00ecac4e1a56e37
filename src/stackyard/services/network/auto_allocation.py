"""Auto-allocated topology: a network with subnets of the default pools, and a router to the default external network.

It is built when a project first asks for it, in the one transaction that answers.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.core.runtime import Runtime
from stackyard.services.network import seen
from stackyard.services.network.checks import OWN, SEE_OWN
from stackyard.services.network.faults import conflict
from stackyard.services.network.networks import operations as network_operations
from stackyard.services.network.networks import rows as network_rows
from stackyard.services.network.networks.bodies import NewNetwork
from stackyard.services.network.routers import interfaces
from stackyard.services.network.routers import rows as router_rows
from stackyard.services.network.routers.bodies import GatewayInfo, NewRouter
from stackyard.services.network.subnetpools import rows as pools
from stackyard.services.network.subnets import rows as subnet_rows
from stackyard.services.network.subnets.bodies import NewSubnet
from stackyard.services.network.tables import auto_allocated_topologies, networks, routers, subnets

_DRY_RUN = "dry-run"
_TOPOLOGY = sa.select(auto_allocated_topologies).where(auto_allocated_topologies.c.project_id == bindparam("project"))
_INSERT = sa.insert(auto_allocated_topologies)
_DELETE = sa.delete(auto_allocated_topologies).where(auto_allocated_topologies.c.project_id == bindparam("project"))
_OUTSIDE = sa.select(networks).where(networks.c.external, networks.c.is_default).order_by(networks.c.created_at)
_NETWORK = sa.select(networks).where(networks.c.id == bindparam("id"))
_ROUTER = sa.select(routers).where(routers.c.id == bindparam("id"))
_SUBNET = sa.select(subnets).where(subnets.c.id == bindparam("id"))


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The project in the path, "None" for the caller's own; others' are for administrators."""
    del tx
    project_id = call.path["project_id"]
    if project_id == "None":
        project_id = call.caller.project_id or ""
    if not project_id:
        raise BadRequest("A token scoped to a project is needed, or a project's id in the path.")
    if not call.caller.is_admin and project_id != call.caller.project_id:
        raise Forbidden("Not authorized.", kind="NotAuthorized")
    return {"project_id": project_id, "tenant_id": project_id}


def _failure(reason: str) -> Conflict:
    return conflict("AutoAllocationFailure", f"Deployment error: {reason}.")


def _view(project_id: str, resource_id: str) -> dict[str, Any]:
    return {"auto_allocated_topology": {"id": resource_id, "project_id": project_id, "tenant_id": project_id}}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /auto-allocated-topology/{project_id}: the network, which is made when there is none.

    With `fields=dry-run`, only whether it could be made. Raises AutoAllocationFailure, OverQuota.
    """
    project_id = call.target["project_id"]
    fields = [name for name in call.query.all("fields") if name]
    if _DRY_RUN in fields:
        _outside(tx)
        if not _pools(tx):
            raise _failure("No default subnetpools defined")
        return _view(project_id, "dry-run=pass")
    if fields:
        raise BadRequest("Bad auto_allocate request: Unrecognized field.", kind="BadRequest")
    return _view(project_id, ensure(tx, call.runtime, project_id))


def ensure(tx: Transaction, runtime: Runtime, project_id: str) -> str:
    """The id of a project's auto-allocated network, which is made when there is none."""
    present = tx.first(_TOPOLOGY, {"project": project_id})
    return str(present.network_id) if present is not None else _build(tx, runtime, project_id)


def _outside(tx: Transaction) -> Any:
    found = tx.first(_OUTSIDE)
    if found is None:
        raise _failure("No default router:external network")
    return found


def _pools(tx: Transaction) -> list[Any]:
    return [pool for pool in (pools.default(tx, version) for version in (4, 6)) if pool is not None]


def _build(tx: Transaction, runtime: Runtime, project_id: str) -> str:
    outside = _outside(tx)
    network, made = _network(tx, runtime, project_id)
    router_id = _router(tx, runtime, project_id, outside, made)
    topology = {"project_id": project_id, "network_id": network.id, "router_id": router_id}
    tx.insert_once(_INSERT, topology)
    timeline.record(tx, "network", network.id, "allocated with a router", router_id)
    return str(network.id)


def _network(tx: Transaction, runtime: Runtime, project_id: str) -> tuple[Any, list[Any]]:
    available = _pools(tx)
    reason = "Unable to provide project private network"
    if not available:
        raise _failure(reason)
    body = NewNetwork(name="auto_allocated_network")
    network = seen.any_network(tx, network_rows.insert(tx, runtime, project_id, body)["id"])
    found = []
    for pool in available:
        subnet = NewSubnet(
            name=f"auto_allocated_subnet_v{pool.ip_version}", network_id=network.id, ip_version=pool.ip_version
        )
        try:
            row = subnet_rows.insert(tx, runtime, network, project_id, subnet, pool=pool)
        except (BadRequest, NotFound) as error:
            raise _failure(reason) from error
        except Conflict as error:
            if error.kind == "SubnetAllocationError":
                raise _failure(reason) from error
            raise
        found.append(tx.first(_SUBNET, {"id": row["id"]}))
    return network, found


def _router(tx: Transaction, runtime: Runtime, project_id: str, outside: Any, made: list[Any]) -> str:
    body = NewRouter(name="auto_allocated_router", external_gateway_info=GatewayInfo(network_id=outside.id))
    try:
        router_id = router_rows.insert(tx, runtime, project_id, body, outside)
        for subnet in made:
            interfaces.plug_subnet(tx, runtime, router_rows.read(tx, router_id), subnet)
    except BadRequest as error:
        raise _failure("Unable to provide external connectivity") from error
    return router_id


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /auto-allocated-topology/{project_id}; raises a conflict while other things use it."""
    topology = tx.first(_TOPOLOGY, {"project": call.target["project_id"]})
    if topology is None:
        return
    tx.execute(_DELETE, {"project": topology.project_id})
    router = tx.first(_ROUTER, {"id": topology.router_id})
    if router is not None:
        for leg in router_rows.legs(tx, router.id):
            if leg.network_id == topology.network_id:
                interfaces.unplug(tx, call.runtime, router, leg, None)
        router_rows.remove(tx, call.runtime, router_rows.read(tx, router.id))
    network = tx.first(_NETWORK, {"id": topology.network_id})
    if network is not None:
        network_operations.discard(tx, call.runtime, network)


_PATH = "/v2.0/auto-allocated-topology/{project_id}"

ROUTES = (
    Route("GET", _PATH, show, "get_auto_allocated_topology", target=load, writes=True),
    Route("DELETE", _PATH, delete, "delete_auto_allocated_topology", target=load, status=204),
)

POLICIES = (
    Rule("get_auto_allocated_topology", SEE_OWN, "See a project's auto-allocated topology, which makes it."),
    Rule("delete_auto_allocated_topology", OWN, "Delete a project's auto-allocated topology."),
)
