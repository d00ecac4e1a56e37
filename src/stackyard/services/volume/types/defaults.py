"""Default types (3.62): the type that a project's volumes are of when none is asked for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.identity import api as identity_api
from stackyard.services.volume.fields import Name
from stackyard.services.volume.rules import ADMIN
from stackyard.services.volume.tables import default_volume_types
from stackyard.services.volume.types import finding, operations

_d = default_volume_types.c
_ALL = sa.select(default_volume_types).order_by(_d.project_id)
_OF_PROJECT = _ALL.where(_d.project_id == bindparam("project"))
_ADD = sa.insert(default_volume_types)
_REMOVE = sa.delete(default_volume_types).where(_d.project_id == bindparam("project"))


class NewDefault(Body, kw_only=True):
    """PUT /default-types/{project_id}: a type's name or id."""

    volume_type: Name


def _project(tx: Transaction, call: Call) -> str:
    project_id = call.path["project_id"]
    if identity_api.find_project(tx, project_id) is None:
        raise NotFound(f"Project with id {project_id[:255]} not found.")
    return project_id


def _view(row: Any) -> dict[str, Any]:
    return {"project_id": row.project_id, "volume_type_id": row.volume_type_id}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /default-types."""
    del call
    return {"default_types": [_view(row) for row in tx.all(_ALL)]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /default-types/{project_id}."""
    project_id = _project(tx, call)
    row = tx.first(_OF_PROJECT, {"project": project_id})
    if row is None:
        raise NotFound(f"Default type for project {project_id} not found.", kind="VolumeTypeProjectDefaultNotFound")
    return {"default_type": _view(row)}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /default-types/{project_id}."""
    project_id = _project(tx, call)
    try:
        chosen = finding.find(tx, call.caller, call.body.volume_type)
    except NotFound as error:
        raise BadRequest(error.message, kind=error.kind) from None
    tx.execute(_REMOVE, {"project": project_id})
    tx.execute(_ADD, {"project_id": project_id, "volume_type_id": chosen.id})
    timeline.record(tx, operations.KIND, chosen.id, "default of a project", project_id)
    return {"default_type": {"project_id": project_id, "volume_type_id": chosen.id}}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /default-types/{project_id}: none of its own any more; also of a project that is gone."""
    tx.execute(_REMOVE, {"project": call.path["project_id"]})


_SINCE = Microversion(3, 62)
_ONE = "/v3/default-types/{project_id}"
_X = "volume_extension:default_"

ROUTES = (
    Route("GET", "/v3/default-types", list_, f"{_X}get_all", since=_SINCE),
    Route("GET", _ONE, show, f"{_X}get", since=_SINCE),
    Route("PUT", _ONE, update, f"{_X}set_or_update", body=NewDefault, envelope="default_type", since=_SINCE),
    Route("DELETE", _ONE, delete, f"{_X}unset", status=204, since=_SINCE),
)

POLICIES = (
    Rule(f"{_X}get", ADMIN, "See a project's default volume type."),
    Rule(f"{_X}get_all", ADMIN, "List projects' default volume types."),
    Rule(f"{_X}set_or_update", ADMIN, "Set a project's default volume type."),
    Rule(f"{_X}unset", ADMIN, "Take a project's default volume type away."),
)
