"""Finding the container that an address names: by id or name, of the caller's project or, for administrators, any."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict
from stackyard.core.ids import is_uuid
from stackyard.services.containers.containers import tables
from stackyard.services.containers.faults import container_not_found


def load(tx: Transaction, call: Call) -> Row[Any]:
    """A route's target. Raises NotFound also for what another project has, Conflict for a name that several have."""
    ident = call.path["container"]
    everywhere = call.allows("container:get_one_all_projects")
    if is_uuid(ident):
        row = tables.by_uuid(tx, ident)
        if row is None or not (everywhere or row.project_id == call.caller.project_id):
            raise container_not_found(ident)
        return row
    statement = tables.BY_NAME if everywhere else tables.BY_NAME_OF_PROJECT
    rows = tx.all(statement, {"name": ident, "project_id": call.caller.project_id})
    if not rows:
        raise container_not_found(ident)
    if len(rows) > 1:
        raise Conflict(
            f"Multiple containers exist with the name {ident}. Please use the container uuid instead.",
            kind="Conflict",
        )
    return rows[0]


def project_of(call: Call) -> str:
    """The caller's project, which is to own what is made; raises BadRequest for a token without one."""
    if not call.caller.project_id:
        raise BadRequest("This needs a token scoped to a project, which is to own what is made.", kind="Invalid")
    return call.caller.project_id
