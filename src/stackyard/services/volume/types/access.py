"""Which projects may use a volume type that is not for everybody."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam

from stackyard.core.actions import Action, endpoint
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume.rules import ADMIN
from stackyard.services.volume.tables import volume_type_projects
from stackyard.services.volume.types import finding

_p = volume_type_projects.c
_PROJECTS = sa.select(_p.project_id).where(_p.volume_type_id == bindparam("key")).order_by(_p.project_id)
_ONE_PROJECT = sa.and_(_p.volume_type_id == bindparam("key"), _p.project_id == bindparam("project"))
_HAS = sa.select(volume_type_projects).where(_ONE_PROJECT)
_ADD = sa.insert(volume_type_projects)
_REMOVE = sa.delete(volume_type_projects).where(_ONE_PROJECT)


class Project(Body, kw_only=True):
    """The project that is let in or out."""

    project: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")]


def load(tx: Transaction, call: Call) -> Any:
    """The type that the address names."""
    return finding.find_by_id(tx, call.caller, call.path["type_id"])


def target(tx: Transaction, call: Call) -> dict[str, Any]:
    """What rules look at: types are nobody's, so the caller's own project stands for their owner."""
    return {"row": load(tx, call), "project_id": call.caller.project_id}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /types/{type_id}/os-volume-type-access."""
    row = load(tx, call)
    if row.is_public:
        raise NotFound("Access list not available for public volume types.", kind="VolumeTypeAccessNotFound")
    found = tx.all(_PROJECTS, {"key": row.id})
    return {"volume_type_access": [{"volume_type_id": row.id, "project_id": one.project_id} for one in found]}


def add(tx: Transaction, call: Call, body: Project) -> None:
    """POST /types/{type_id}/action, addProjectAccess."""
    row = _private(call)
    if tx.first(_HAS, {"key": row.id, "project": body.project}) is not None:
        raise Conflict(
            f"Volume type access for {row.id} / {body.project} combination already exists.",
            kind="VolumeTypeAccessExists",
        )
    tx.execute(_ADD, {"volume_type_id": row.id, "project_id": body.project})


def remove(tx: Transaction, call: Call, body: Project) -> None:
    """POST /types/{type_id}/action, removeProjectAccess."""
    row = _private(call)
    if tx.execute(_REMOVE, {"key": row.id, "project": body.project}).rowcount == 0:
        raise NotFound(
            f"Volume type access not found for {row.id} / {body.project} combination.", kind="VolumeTypeAccessNotFound"
        )


def _private(call: Call) -> Any:
    row = call.target["row"]
    if row.is_public:
        raise BadRequest(
            "Invalid volume type: Type access modification is not applicable to public volume type.",
            kind="InvalidVolumeType",
        )
    return row


_RULE = "volume_extension:volume_type_access"

ACTIONS = (
    Action(name="addProjectAccess", operation=add, rule=f"{_RULE}:addProjectAccess", body=Project),
    Action(name="removeProjectAccess", operation=remove, rule=f"{_RULE}:removeProjectAccess", body=Project),
)

ROUTES = (
    Route("GET", "/v3/types/{type_id}/os-volume-type-access", list_, f"{_RULE}:get_all_for_type"),
    Route(
        "POST", "/v3/types/{type_id}/action", endpoint(ACTIONS, target, "volume_types"), "volume:any", edge=True,
        body=dict, status=202,
    ),
)  # fmt: skip

POLICIES = (
    Rule(f"{_RULE}:get_all_for_type", ADMIN, "List the projects that may use a private volume type."),
    Rule(f"{_RULE}:addProjectAccess", ADMIN, "Let a project use a private volume type."),
    Rule(f"{_RULE}:removeProjectAccess", ADMIN, "Let a project not use a private volume type any more."),
)
