"""What the API does with flavors and service profiles."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import resources
from stackyard.services.network.checks import ADMIN, SEE_OWN, rules
from stackyard.services.network.faults import conflict
from stackyard.services.network.flavors import rows
from stackyard.services.network.resources import Flag, Text, either, flag
from stackyard.services.network.tables import network_flavors, service_profiles

FLAVOR = ("flavor", "flavors")
PROFILE = ("service_profile", "service_profiles")
_LONGEST_METAINFO = 4096
Long = Annotated[str, msgspec.Meta(max_length=1024)]

_COLUMNS = ("id", "name", "description", "service_type", "enabled")
_PROFILE_COLUMNS = ("id", "description", "driver", "enabled", "metainfo")
FLAVORS = Listing(
    network_flavors,
    {name: resources.column_filter(network_flavors.c[name]) for name in _COLUMNS},
    sort_keys=_COLUMNS,
    max_limit=resources.LARGEST_PAGE,
)
PROFILES = Listing(
    service_profiles,
    {name: resources.column_filter(service_profiles.c[name]) for name in _PROFILE_COLUMNS},
    sort_keys=_PROFILE_COLUMNS,
    max_limit=resources.LARGEST_PAGE,
)
_INSERT = sa.insert(network_flavors)
_INSERT_PROFILE = sa.insert(service_profiles)
_DELETE = sa.delete(network_flavors).where(network_flavors.c.id == bindparam("id"))
_DELETE_PROFILE = sa.delete(service_profiles).where(service_profiles.c.id == bindparam("id"))


class FlavorFields(Body):
    """What a flavor may be changed to."""

    name: Text | UnsetType = UNSET
    description: Long | UnsetType | None = UNSET
    enabled: Flag | UnsetType | None = UNSET
    service_profiles: list[str] | UnsetType = UNSET


class NewFlavor(FlavorFields, kw_only=True):
    """The body of a POST."""

    service_type: str
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


class ProfileFields(Body):
    """What a profile may be given and changed to."""

    description: Long | UnsetType | None = UNSET
    driver: Long | UnsetType = UNSET
    metainfo: str | dict[str, Any] | UnsetType | None = UNSET
    enabled: Flag | UnsetType | None = UNSET


class NewProfile(ProfileFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


class ProfileId(Body, kw_only=True):
    """Which profile a flavor is to have."""

    id: str
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def load(tx: Transaction, call: Call) -> Any:
    """The flavor in the path."""
    return rows.flavor(tx, call.path["flavor_id"])


def load_profile(tx: Transaction, call: Call) -> Any:
    """The profile in the path."""
    return rows.profile(tx, call.path["profile_id"])


def view(row: Any) -> dict[str, Any]:
    """A flavor as the API shows it."""
    return {name: getattr(row, name) for name in (*_COLUMNS, "service_profiles")}


def profile_view(row: Any) -> dict[str, Any]:
    """A profile as the API shows it."""
    return {name: getattr(row, name) for name in (*_PROFILE_COLUMNS, "flavors")}


# ------------------------------------------------------------------------------------------------ flavors


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors."""
    return resources.listed(call, "flavors", resources.page_of(tx, call.query, FLAVORS), view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/{flavor_id}."""
    del tx
    return {"flavor": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /flavors, one or many."""
    bodies, bulk = resources.read_bodies(call, NewFlavor, *FLAVOR)
    return resources.created(call, FLAVOR, [view(_create(tx, body)) for body in bodies], bulk=bulk)


def _create(tx: Transaction, body: NewFlavor) -> Any:
    if body.service_type != rows.SERVICE_TYPE:
        raise BadRequest(
            f"Invalid service type: {body.service_type}; there is {rows.SERVICE_TYPE}.", kind="InvalidServiceType"
        )
    row = {
        "id": new_uuid(),
        "name": either(body.name, ""),
        "description": either(body.description, "") or "",
        "service_type": body.service_type,
        "enabled": flag("enabled", True if body.enabled is None else body.enabled, default=True),
        "service_profiles": [],
    }
    tx.execute(_INSERT, row)
    timeline.record(tx, "flavor", str(row["id"]), "created")
    _bind_all(tx, str(row["id"]), either(body.service_profiles, []))
    return rows.flavor(tx, str(row["id"]))


def _bind_all(tx: Transaction, flavor_id: str, wanted: list[str]) -> None:
    """Have a flavor have these profiles, in this order."""
    for known in rows.flavor(tx, flavor_id).service_profiles:
        rows.unbind(tx, rows.flavor(tx, flavor_id), rows.profile(tx, known))
    for profile_id in dict.fromkeys(wanted):
        rows.bind(tx, rows.flavor(tx, flavor_id), rows.profile(tx, profile_id))


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /flavors/{flavor_id}."""
    row, body = call.target, call.body
    changes: dict[str, Any] = {name: value or "" for name, value in body.given() if name in ("name", "description")}
    if body.enabled not in (UNSET, None):
        changes["enabled"] = flag("enabled", body.enabled, default=True)
    rows.change(tx, network_flavors, row.id, changes)
    if body.service_profiles is not UNSET:
        _bind_all(tx, row.id, body.service_profiles)
    timeline.record(tx, "flavor", row.id, "updated", ", ".join(sorted(changes)))
    return {"flavor": view(rows.flavor(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /flavors/{flavor_id}."""
    rows.refuse_used(tx, call.target.id)
    _bind_all(tx, call.target.id, [])
    tx.execute(_DELETE, {"id": call.target.id})
    timeline.record(tx, "flavor", call.target.id, "deleted")


def list_next_providers(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/{flavor_id}/next_providers: who would serve the next router of this flavor."""
    return {"next_providers": [resources.shown(call, rows.next_provider(tx, call.target))]}


# ------------------------------------------------------------------------------------------------ their profiles


def add_profile(tx: Transaction, call: Call) -> Reply:
    """POST /flavors/{flavor_id}/service_profiles."""
    rows.bind(tx, call.target, rows.profile(tx, call.body.id))
    return Reply({"service_profile": {"id": call.body.id}}, status=201)


def show_bound_profile(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /flavors/{flavor_id}/service_profiles/{profile_id}."""
    del tx
    if call.path["profile_id"] not in call.target.service_profiles:
        raise rows.unbound(call.path["profile_id"], call.target.id)
    return {"service_profile": {"id": call.path["profile_id"]}}


def remove_profile(tx: Transaction, call: Call) -> None:
    """DELETE /flavors/{flavor_id}/service_profiles/{profile_id}."""
    if call.path["profile_id"] not in call.target.service_profiles:
        raise rows.unbound(call.path["profile_id"], call.target.id)
    rows.unbind(tx, call.target, rows.profile(tx, call.path["profile_id"]))


# ------------------------------------------------------------------------------------------------ profiles


def list_profiles(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /service_profiles, to those who may see them."""
    if not call.allows("get_service_profile"):
        return {"service_profiles": []}
    return resources.listed(call, "service_profiles", resources.page_of(tx, call.query, PROFILES), profile_view)


def show_profile(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /service_profiles/{profile_id}."""
    del tx
    return {"service_profile": resources.shown(call, profile_view(call.target))}


def create_profile(tx: Transaction, call: Call) -> Reply:
    """POST /service_profiles, one or many."""
    bodies, bulk = resources.read_bodies(call, NewProfile, *PROFILE)
    return resources.created(call, PROFILE, [profile_view(_create_profile(tx, body)) for body in bodies], bulk=bulk)


def _create_profile(tx: Transaction, body: NewProfile) -> Any:
    row = {"id": new_uuid(), "description": "", "driver": "", "metainfo": "", "enabled": True, "flavors": []}
    row |= _profile_changes(body)
    if not row["driver"] and not row["metainfo"]:
        raise BadRequest("Service Profile needs either a driver or metainfo.", kind="ServiceProfileEmpty")
    tx.execute(_INSERT_PROFILE, row)
    timeline.record(tx, "service_profile", str(row["id"]), "created")
    return rows.profile(tx, str(row["id"]))


def _profile_changes(body: ProfileFields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if body.description is not UNSET:
        changes["description"] = body.description or ""
    if body.driver is not UNSET:
        if body.driver and body.driver != rows.PROVIDER:
            raise rows.unknown_driver(str(body.driver))
        changes["driver"] = body.driver
    if body.metainfo is not UNSET:
        text = body.metainfo if isinstance(body.metainfo, str) else msgspec.json.encode(body.metainfo or "").decode()
        if len(text) > _LONGEST_METAINFO:
            raise InvalidField("metainfo", "it is longer than 4096 characters.")
        changes["metainfo"] = "" if body.metainfo is None else text
    if body.enabled not in (UNSET, None):
        changes["enabled"] = flag("enabled", body.enabled or False, default=True)
    return changes


def _refuse_bound(row: Any) -> None:
    if row.flavors:
        raise conflict("ServiceProfileInUse", f"Service Profile {row.id} is used by some service instance.")


def update_profile(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /service_profiles/{profile_id}."""
    _refuse_bound(call.target)
    rows.change(tx, service_profiles, call.target.id, _profile_changes(call.body))
    timeline.record(tx, "service_profile", call.target.id, "updated")
    return {"service_profile": profile_view(rows.profile(tx, call.target.id))}


def delete_profile(tx: Transaction, call: Call) -> None:
    """DELETE /service_profiles/{profile_id}."""
    _refuse_bound(call.target)
    tx.execute(_DELETE_PROFILE, {"id": call.target.id})
    timeline.record(tx, "service_profile", call.target.id, "deleted")


_ONE = "/v2.0/flavors/{flavor_id}"
_PROFILE = "/v2.0/service_profiles/{profile_id}"

ROUTES = (
    Route("GET", "/v2.0/flavors", list_, "get_flavor"),
    Route("POST", "/v2.0/flavors", create, "create_flavor", body=dict, status=201),
    Route("GET", _ONE, show, "get_flavor", target=load),
    Route("PUT", _ONE, update, "update_flavor", target=load, body=FlavorFields, envelope="flavor"),
    Route("DELETE", _ONE, delete, "delete_flavor", target=load, status=204),
    Route("GET", f"{_ONE}/next_providers", list_next_providers, "get_flavor", target=load),
    Route("POST", f"{_ONE}/service_profiles", add_profile, "create_flavor_service_profile", target=load,
          body=ProfileId, envelope="service_profile", status=201),
    Route("GET", f"{_ONE}/service_profiles/{{profile_id}}", show_bound_profile, "get_flavor_service_profile",
          target=load),
    Route("DELETE", f"{_ONE}/service_profiles/{{profile_id}}", remove_profile, "delete_flavor_service_profile",
          target=load, status=204),
    Route("GET", "/v2.0/service_profiles", list_profiles, "get_network_api"),
    Route("POST", "/v2.0/service_profiles", create_profile, "create_service_profile", body=dict, status=201),
    Route("GET", _PROFILE, show_profile, "get_service_profile", target=load_profile),
    Route("PUT", _PROFILE, update_profile, "update_service_profile", target=load_profile, body=ProfileFields,
          envelope="service_profile"),
    Route("DELETE", _PROFILE, delete_profile, "delete_service_profile", target=load_profile, status=204),
)  # fmt: skip

POLICIES = (
    *rules(ADMIN, "create_flavor", "update_flavor", "delete_flavor", about="Make, change and delete a flavor."),
    Rule("get_flavor", "role:reader", "See the flavors of network services."),
    *rules(
        ADMIN,
        "create_service_profile",
        "get_service_profile",
        "update_service_profile",
        "delete_service_profile",
        about="Make, see, change and delete the profiles that flavors are made of.",
    ),
    *rules(
        ADMIN,
        "create_flavor_service_profile",
        "delete_flavor_service_profile",
        about="Give a flavor a profile, or take it away.",
    ),
    Rule("get_flavor_service_profile", SEE_OWN, "See whether a flavor has a profile."),
)
