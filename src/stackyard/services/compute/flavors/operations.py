"""Flavors: list, see, make, describe, delete."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, InvalidField, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.paging import EVERYTHING, Filter, Listing, Page, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.fields import truth, whole
from stackyard.services.compute.flavors import bodies, rows
from stackyard.services.compute.flavors.views import Shown
from stackyard.services.compute.rules import ADMIN
from stackyard.services.compute.tables import flavors
from stackyard.services.compute.tables.flavors import FLAVORS

KIND = "flavor"

_REMEMBERED_QUERY = 512
_encode = msgspec.json.Encoder().encode

_NAMED = sa.select(flavors.c.id).where(flavors.c.name == bindparam("name"))
_DESCRIBE = (
    sa.update(flavors)
    .where(flavors.c.id == bindparam("key"))
    .values(description=bindparam("text"), updated_at=bindparam("at"))
)
_DELETE = sa.delete(flavors).where(flavors.c.id == bindparam("key"))

_PUBLIC = sa.or_(flavors.c.is_public, rows.VISIBLE)
_SCOPES = {
    None: EVERYTHING,
    True: Scope("public", _PUBLIC),
    False: Scope("private", sa.not_(flavors.c.is_public)),
}
_USABLE = sa.and_(_PUBLIC, sa.not_(flavors.c.disabled))
_FIRST_LIMITS = ("limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir")
_SORT_KEYS = (
    "created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name",
    "root_gb", "rxtx_factor", "swap", "updated_at", "vcpu_weight", "vcpus",
)  # fmt: skip
_MAX_FACTOR = 3.40282e38


def _number(name: str, value: str) -> object:
    try:
        return int(value)
    except ValueError:
        raise BadRequest(f"Invalid {name} filter [{value[:255]}]") from None


_LISTING = Listing(
    flavors,
    {
        "minRam": Filter(where=lambda least: flavors.c.memory_mb >= least, read=_number, many=False),
        "minDisk": Filter(where=lambda least: flavors.c.root_gb >= least, read=_number, many=False),
        "name": Filter(flavors.c.name),
    },
    sort_keys=_SORT_KEYS,
    default_sort=(("flavorid", "asc"),),
    others=("is_public",),
    unknown="refuse",
    page_size=lists.MAX_LIMIT,
    key="flavorid",
)


def _page(tx: Transaction, call: Call) -> Page:
    names = (*_FIRST_LIMITS, "name") if call.since(2, 102) else _FIRST_LIMITS
    query = lists.query_of(call, names, strict=call.since(2, 75))
    if call.since(2, 102) and "rxtx_factor" in query.all("sort_key"):
        raise BadRequest("Invalid input for query parameters sort_key: flavors have no rxtx_factor any more.")
    marker = query.get("marker")
    if marker is not None:
        try:
            rows.find(tx, call, marker)
        except NotFound:
            raise BadRequest(f"marker [{marker}] not found", kind="MarkerNotFound") from None
    return _LISTING.page(tx, query, _scope(call, query.get("is_public")))


def _scope(call: Call, is_public: str | None) -> Scope:
    project = {"project": call.caller.project_id}
    if not call.caller.is_admin:
        return Scope("usable", _USABLE, project)
    if is_public is None:
        wanted: bool | None = True
    elif is_public.lower() == "none":
        wanted = None
    elif is_public.lower() in ("1", "t", "true", "on", "y", "yes"):
        wanted = True
    elif is_public.lower() in ("0", "f", "false", "off", "n", "no"):
        wanted = False
    else:
        raise BadRequest(f"Invalid is_public filter [{is_public[:255]}]")
    chosen = _SCOPES[wanted]
    return Scope(chosen.name, chosen.where, project if wanted else {})


def _remembered(document: Callable[[Transaction, Call], dict[str, Any]]) -> Callable[[Transaction, Call], Reply]:
    """The operation that answers with a document of flavors, which is worked out once until one of them changes."""

    @functools.wraps(document)
    def answer(tx: Transaction, call: Call) -> Reply:
        at, memory = FLAVORS.current(tx), FLAVORS.memory(tx)
        query = call.request.scope["query_string"]
        # The policy may be read anew while the cloud runs, and links are to the address that the client knows.
        key = (call.runtime.policies, call.caller, call.url(), call.route.label, *call.path.values(), query,
               call.microversion)  # fmt: skip
        body: bytes | None = memory.get(at, key)
        if body is None:
            body = _encode(document(tx, call))
            if len(query) <= _REMEMBERED_QUERY:
                memory.put(at, key, body)
        return Reply(body)

    return answer


@_remembered
def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors."""
    page, shown = _page(tx, call), Shown(call)
    return lists.page_of(call, "flavors", [shown.brief(row) for row in page.rows], "/flavors", page.marker)


@_remembered
def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/detail."""
    page, shown = _page(tx, call), Shown(call)
    return lists.page_of(call, "flavors", [shown.full(row) for row in page.rows], "/flavors/detail", page.marker)


@_remembered
def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/{flavor_id}."""
    lists.query_of(call, (), strict=call.since(2, 102))
    return _shown(call, rows.find(tx, call, call.path["flavor_id"]))


def _shown(call: Call, row: Any) -> dict[str, Any]:
    return {"flavor": Shown(call).full(row)}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /flavors; raises FlavorExists, FlavorIdExists."""
    body = call.body
    name = body.name.strip()
    values: dict[str, Any] = {"description": getattr(body, "description", None)}
    if body.id is not None:
        values["flavorid"] = str(body.id)
        if tx.first(rows.BY_ID, {"key": values["flavorid"]}) is not None:
            raise Conflict(f"Flavor with ID {values['flavorid']} already exists.", kind="FlavorIdExists")
    if tx.first(_NAMED, {"name": name}) is not None:
        raise Conflict(f"Flavor with name {name} already exists.", kind="FlavorExists")
    row = rows.insert(
        tx,
        name=name,
        memory_mb=whole("ram", body.ram, least=1),
        vcpus=whole("vcpus", body.vcpus, least=1),
        root_gb=whole("disk", body.disk),
        ephemeral_gb=whole("OS-FLV-EXT-DATA:ephemeral", body.ephemeral),
        swap=whole("swap", body.swap),
        rxtx_factor=_factor(getattr(body, "rxtx_factor", 1.0)),
        is_public=truth(body.is_public),
        **values,
    )
    timeline.record(tx, KIND, row.flavorid, "created")
    return _shown(call, row)


def _factor(value: float | str) -> float:
    factor = float(value)
    if not 0 < factor <= _MAX_FACTOR:
        raise InvalidField("rxtx_factor", f"it must be a number between 0 and {_MAX_FACTOR:g}")
    return factor


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /flavors/{flavor_id}."""
    row = rows.find(tx, call, call.path["flavor_id"])
    tx.execute(_DESCRIBE, {"key": row.id, "text": call.body.description, "at": tx.now})
    return _shown(call, rows.find(tx, call, row.flavorid))


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /flavors/{flavor_id}; servers keep what they have of it."""
    row = rows.find(tx, call, call.path["flavor_id"])
    tx.execute(_DELETE, {"key": row.id})
    timeline.record(tx, KIND, row.flavorid, "deleted")


_ONE = "/v2.1/flavors/{flavor_id}"
_MANAGE = "os_compute_api:os-flavor-manage"

ROUTES = (
    Route("GET", "/v2.1/flavors", list_, "os_compute_api:any", query=_LISTING.parameters),
    Route("GET", "/v2.1/flavors/detail", detail, "os_compute_api:any", query=_LISTING.parameters),
    Route("GET", _ONE, show, "os_compute_api:any"),
    Route("POST", "/v2.1/flavors", create, f"{_MANAGE}:create", body=bodies.new_flavor, envelope="flavor"),
    Route(
        "PUT", _ONE, update, f"{_MANAGE}:update", body=bodies.ChangedFlavor, envelope="flavor",
        since=Microversion(2, 55),
    ),
    Route("DELETE", _ONE, delete, f"{_MANAGE}:delete", status=202),
)  # fmt: skip

POLICIES = (
    Rule(f"{_MANAGE}:create", ADMIN, "Create a flavor."),
    Rule(f"{_MANAGE}:update", ADMIN, "Update a flavor's description."),
    Rule(f"{_MANAGE}:delete", ADMIN, "Delete a flavor."),
)
