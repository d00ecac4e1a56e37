"""OS-ENDPOINT-POLICY: for which endpoint, service, or service in a region a stored policy is meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.ids import new_hex
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.identity.catalog.endpoints import ENDPOINTS
from stackyard.services.identity.catalog.tables import endpoints, regions
from stackyard.services.identity.legacy_policies import tables
from stackyard.services.identity.legacy_policies.operations import LEGACY_POLICIES
from stackyard.services.identity.listing import collection
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD
from stackyard.services.identity.targets import load, the

_ALL_ENDPOINTS = sa.select(endpoints).order_by(endpoints.c.created_at, endpoints.c.id)
_PARENTS = sa.select(regions.c.id, regions.c.parent_region_id)
_NAMES = ("endpoint_id", "service_id", "region_id")


def _place(call: Call) -> dict[str, str | None]:
    """What the path names beside the policy; raises NotFound for what is not there."""
    the(call, "policy")
    return {name: the(call, name.removesuffix("_id")).id if name in call.path else None for name in _NAMES}


def check(tx: Transaction, call: Call) -> None:
    """Raise NotFound unless the policy is for that."""
    found = tx.first(tables.POLICY_AT, _place(call))
    if found is None or found.id != call.path["policy_id"]:
        raise NotFound("Could not find policy association.")


def create(tx: Transaction, call: Call) -> None:
    """Let the policy be the one for that; another that was is no more."""
    place = _place(call)
    tx.execute(tables.DELETE_AT, place)
    tx.execute(tables.INSERT, {"id": new_hex(), "policy_id": call.path["policy_id"], **place})


def delete(tx: Transaction, call: Call) -> None:
    """Let the policy be for that no more, if it was."""
    place = _place(call)
    found = tx.first(tables.POLICY_AT, place)
    if found is not None and found.id == call.path["policy_id"]:
        tx.execute(tables.DELETE_AT, place)


def list_endpoints(tx: Transaction, call: Call) -> dict[str, Any]:
    """The endpoints that a policy is for, in whichever way."""
    wanted = tx.all(tables.ASSOCIATIONS_OF, {"policy_id": the(call, "policy").id})
    parents = {row.id: row.parent_region_id for row in tx.all(_PARENTS)}
    places = {(row.endpoint_id, row.service_id, row.region_id) for row in wanted}
    rows = [row for row in tx.all(_ALL_ENDPOINTS) if places & set(_places_of(row, parents))]
    return collection(call, "endpoints", [ENDPOINTS.shown(call, row) for row in rows])


def show_of_endpoint(tx: Transaction, call: Call) -> dict[str, Any]:
    """The policy for an endpoint: its own, else that of its service in its region or one above, else its service's."""
    endpoint = the(call, "endpoint")
    parents = {row.id: row.parent_region_id for row in tx.all(_PARENTS)}
    for place in _places_of(endpoint, parents):
        found = tx.first(tables.POLICY_AT, dict(zip(_NAMES, place, strict=True)))
        if found is not None:
            return {"policy": LEGACY_POLICIES.shown(call, found)}
    raise NotFound(f"No policy is associated with endpoint {endpoint.id}.")


def _places_of(
    endpoint: Row[Any], parents: dict[str, str | None]
) -> Iterator[tuple[str | None, str | None, str | None]]:
    """Where a policy for an endpoint may be associated, the closest first."""
    yield endpoint.id, None, None
    region_id = endpoint.region_id
    while region_id is not None:
        yield None, endpoint.service_id, region_id
        region_id = parents.get(region_id)
    yield None, endpoint.service_id, None


_ONE = "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"
_OF_ENDPOINT = "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy"
_PLACES = {
    "endpoint": "/endpoints/{endpoint_id}",
    "service": "/services/{service_id}",
    "region_and_service": "/services/{service_id}/regions/{region_id}",
}
_CALLS = {"check": ("GET", check), "create": ("PUT", create), "delete": ("DELETE", delete)}

POLICIES = (
    Rule("identity:get_policy_for_endpoint", ADMIN_OR_READER, "See the stored policy for an endpoint.", CLOUD),
    Rule("identity:list_endpoints_for_policy", ADMIN_OR_READER, "See what a stored policy is for.", CLOUD),
    *(
        Rule(
            f"identity:{verb}_policy_association_for_{place}",
            ADMIN_OR_READER if verb == "check" else ADMIN,
            f"{verb.capitalize()} what a stored policy is for.",
            CLOUD,
        )
        for verb in _CALLS
        for place in _PLACES
    ),
)

ROUTES = (
    Route("GET", _OF_ENDPOINT, show_of_endpoint, "identity:get_policy_for_endpoint", target=load),
    Route("GET", f"{_ONE}/endpoints", list_endpoints, "identity:list_endpoints_for_policy", target=load),
    *(
        Route(method, f"{_ONE}{path}", operation, f"identity:{verb}_policy_association_for_{place}", target=load)
        for place, path in _PLACES.items()
        for verb, (method, operation) in _CALLS.items()
    ),
)
