"""servers/{id}/migrations: the live migrations that a server is in, and orders to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import migrations as moves
from stackyard.services.compute.rules import ADMIN, MANAGER
from stackyard.services.compute.servers import finding, tasks
from stackyard.services.compute.servers.states import VmState, require
from stackyard.services.compute.tables import migrations

UNDER_WAY = ("queued", "preparing", "running", "post-migrating")

_RULE = "os_compute_api:servers:migrations"
_OF_SERVER = sa.select(migrations).where(migrations.c.server_id == bindparam("server")).order_by(migrations.c.id)
_COUNTERS = tuple(f"{what}_{part}" for what in ("disk", "memory") for part in ("processed", "remaining", "total"))
_HOSTS = ("dest_compute", "dest_host", "dest_node", "source_compute", "source_node")


class ForceComplete(Body):
    """Ask a live migration to be completed by pausing the server."""

    force_complete: None


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Those that are under way."""
    _require_no_query(call)
    shown = call.allows(f"{_RULE}:index:host", call.target)
    rows = tx.all(_OF_SERVER, {"server": call.target.id})
    return {"migrations": [_view(call, row, hosts=shown) for row in rows if _is_live(row) and row.status in UNDER_WAY]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One that is under way."""
    _require_no_query(call)
    server, number = call.target, call.path["migration_id"]
    row = _find(tx, server.id, number)
    if row is None:
        raise NotFound(f"In-progress live migration {number[:80]} is not found for server {server.id}.")
    if not _is_live(row):
        raise NotFound(f"Migration {number} for server {server.id} is not live-migration.")
    if row.status not in UNDER_WAY:
        raise NotFound(f"Live migration {number} for server {server.id} is not in progress.")
    return {"migration": _view(call, row, hosts=True)}


def force_complete(tx: Transaction, call: Call) -> None:
    """Have the server stand still, so that what is left of it goes over."""
    server, number = call.target, call.path["migration_id"]
    tasks.require_unlocked(call, server, "force_complete")
    require(server, "force_complete", (VmState.ACTIVE,), tasks=("migrating",))
    row = _find(tx, server.id, number)
    if row is None:
        raise BadRequest(f"Migration {number[:80]} not found for instance {server.id}")
    _order(tx, call, row, "force", "force complete", ("running",))
    tasks.record(tx, call, server, "live_migration_force_complete", finished=True)


def abort(tx: Transaction, call: Call) -> None:
    """Have the server stay where it is; since 2.65 also before anything of it has gone over."""
    server, number = call.target, call.path["migration_id"]
    tasks.require_unlocked(call, server, "abort live migration")
    require(server, "abort live migration", tuple(VmState), tasks=("migrating",))
    row = _find(tx, server.id, number)
    if row is None:
        raise NotFound(f"Migration {number[:80]} not found for instance {server.id}")
    early = ("queued", "preparing") if call.since(2, 65) else ()
    _order(tx, call, row, "abort", "abort live migration", ("running", *early))
    tasks.record(tx, call, server, "live_migration_cancel", finished=True)


def _order(tx: Transaction, call: Call, row: Any, order: str, what: str, states: tuple[str, ...]) -> None:
    """Write down what is wanted of a live migration; the host that sends the server looks at it now and then."""
    server = call.target
    if row.status not in states or not _is_live(row):
        raise BadRequest(
            f"Migration {row.id} state of instance {server.id} is {row.status}. Cannot {what} while the migration is "
            "in this state.",
            kind="InvalidMigrationState",
        )
    moves.update(tx, row.uuid, details={**(row.details or {}), "order": order})


def _require_no_query(call: Call) -> None:
    if call.since(2, 102) and call.query.keys():
        raise BadRequest(f"Additional query parameters are not allowed: {', '.join(call.query.keys())[:255]}")


def _find(tx: Transaction, server_id: str, number: str) -> Any:
    rows = tx.all(_OF_SERVER, {"server": server_id})
    return next((row for row in rows if str(row.id) == number), None)


def _is_live(row: Any) -> bool:
    return bool(row.migration_type == "live-migration")


def _view(call: Call, row: Any, *, hosts: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
        "id": row.id,
        "server_uuid": row.server_id,
        "status": row.status,
    }
    found |= {f"{name}_bytes": row._mapping[name] for name in _COUNTERS}
    found |= {name: row._mapping[name] if hosts else None for name in _HOSTS}
    if call.since(2, 59):
        found["uuid"] = row.uuid
    if call.since(2, 80):
        found |= {"user_id": row.user_id, "project_id": row.project_id}
    return found


_ONE = "/v2.1/servers/{server_id}/migrations/{migration_id}"
_V222, _V223, _V224 = Microversion(2, 22), Microversion(2, 23), Microversion(2, 24)
_ACTION: dict[str, Any] = {"status": 202, "body": ForceComplete}

ROUTES = (
    Route("GET", "/v2.1/servers/{server_id}/migrations", list_, f"{_RULE}:index", target=finding.load, since=_V223),
    Route("GET", _ONE, show, f"{_RULE}:show", target=finding.load, since=_V223),
    Route(
        "POST", f"{_ONE}/action", force_complete, f"{_RULE}:force_complete", target=finding.load, since=_V222, **_ACTION
    ),
    Route("DELETE", _ONE, abort, f"{_RULE}:delete", target=finding.load, since=_V224, status=202),
)

POLICIES = (
    Rule(f"{_RULE}:index", MANAGER, "List a server's live migrations that are under way."),
    Rule(f"{_RULE}:index:host", ADMIN, "See the hosts of live migrations in the list."),
    Rule(f"{_RULE}:show", ADMIN, "Show a live migration that is under way."),
    Rule(f"{_RULE}:force_complete", MANAGER, "Have a live migration be completed."),
    Rule(f"{_RULE}:delete", MANAGER, "Abort a live migration."),
)
