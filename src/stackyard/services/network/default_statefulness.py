"""Whether new security groups are stateful when nobody says: a project's own setting, else the cloud's, else they are.

A default group is made stateful or not by the same setting.
"""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core.body import Body, convert
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import resources, seen
from stackyard.services.network.checks import ADMIN, MANAGER, SEE_OWN, any_of, rules
from stackyard.services.network.faults import conflict
from stackyard.services.network.resources import Flag, Text, flag
from stackyard.services.network.tables import security_group_default_statefulness as settings

B = TypeVar("B", bound=Body)

NAME = "security_groups_default_statefulness"
"""Singular and plural are the same word in Neutron."""

SDK_NAME = "security_group_default_statefulness"
"""The singular as the SDK has it: taken as well, and answered beside the other."""

_INSERT = sa.insert(settings)
_ONE = sa.select(settings).where(settings.c.id == bindparam("id"))
_OF = sa.select(settings.c.stateful).where(settings.c.applies_to == bindparam("project"))
_UPDATE = sa.update(settings).where(settings.c.id == bindparam("key")).values(stateful=bindparam("wanted"))
_DELETE = sa.delete(settings).where(settings.c.id == bindparam("id"))

LISTING = Listing(
    settings,
    {name: resources.column_filter(settings.c[name]) for name in ("id", "project_id", "stateful")},
    sort_keys=("project_id", "stateful"),
    max_limit=resources.LARGEST_PAGE,
)


class Fields(Body):
    """What a setting may be changed to."""

    stateful: Flag | UnsetType = UNSET


class NewSetting(Fields):
    """The body of a POST; without a project it is the cloud's."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def of_project(tx: Transaction, project_id: str) -> bool:
    """Whether a project's new security groups are stateful."""
    for project in (project_id, ""):
        found = tx.scalar(_OF, {"project": project})
        if found is not None:
            return bool(found)
    return True


def view(row: Any) -> dict[str, Any]:
    """A setting as the API shows it."""
    return {"id": row.id, "project_id": row.project_id, "tenant_id": row.project_id, "stateful": row.stateful}


def _single(row: Any) -> dict[str, Any]:
    shown = view(row)
    return {NAME: shown, SDK_NAME: shown}


def _body(call: Call, kind: type[B]) -> B:
    for name in (NAME, SDK_NAME):
        if name in call.body:
            return convert(call.body[name] or {}, kind, name)
    raise BadRequest(f"Malformed request body: expected an object with the key '{NAME}'.")


def load(tx: Transaction, call: Call) -> Any:
    """The setting in the path; raises SecurityGroupDefaultStatefulnessNotFound."""
    setting_id = call.path["setting_id"]
    missing = NotFound(
        f"Security group default statefulness {setting_id} could not be found.",
        kind="SecurityGroupDefaultStatefulnessNotFound",
    )
    return seen.owned(call.caller, tx.first(_ONE, {"id": setting_id}), missing)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /security-groups-default-statefulness."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, settings))
    return resources.listed(call, NAME, page, view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /security-groups-default-statefulness/{setting_id}."""
    del tx
    return {name: resources.shown(call, shown) for name, shown in _single(call.target).items()}


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rule looks at: the project that the setting is for, None for the cloud's."""
    del tx
    body = _body(call, NewSetting)
    project = resources.either(body.project_id, None) or resources.either(body.tenant_id, None)
    return {"project_id": project, "tenant_id": project, "body": body}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /security-groups-default-statefulness; a project has one at most, and the cloud one."""
    project = call.target["project_id"]
    if tx.scalar(_OF, {"project": project or ""}) is not None:
        raise conflict(
            "SecurityGroupDefaultStatefulnessAlreadyExists",
            f"A security group default statefulness setting already exists for project '{project or 'system-wide'}'.",
        )
    row = {"id": new_uuid(), "project_id": project, "applies_to": project or ""}
    row["stateful"] = flag("stateful", call.target["body"].stateful, default=True)
    try:
        tx.execute(_INSERT, row)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    return Reply(_single(seen.Found(row)), status=201)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /security-groups-default-statefulness/{setting_id}."""
    wanted = flag("stateful", _body(call, Fields).stateful, default=call.target.stateful)
    tx.execute(_UPDATE, {"key": call.target.id, "wanted": wanted})
    return _single(tx.first(_ONE, {"id": call.target.id}))


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /security-groups-default-statefulness/{setting_id}."""
    tx.execute(_DELETE, {"id": call.target.id})


_ALL_OF = "/v2.0/security-groups-default-statefulness"
_SETTING = f"{_ALL_OF}/{{setting_id}}"

ROUTES = (
    Route("GET", _ALL_OF, list_, "get_network_api"),
    Route("POST", _ALL_OF, create, f"create_{NAME}", target=load_new, body=dict, status=201),
    Route("GET", _SETTING, show, f"get_{NAME}", target=load),
    Route("PUT", _SETTING, update, f"update_{NAME}", target=load, body=dict),
    Route("DELETE", _SETTING, delete, f"delete_{NAME}", target=load, status=204),
)

POLICIES = (
    *rules(
        any_of(ADMIN, MANAGER),
        f"create_{NAME}",
        f"update_{NAME}",
        f"delete_{NAME}",
        about="Say whether new security groups are stateful by default.",
    ),
    Rule(f"get_{NAME}", SEE_OWN, "See whether new security groups are stateful by default."),
)
