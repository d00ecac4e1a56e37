"""migrate and os-migrateLive: a server to another host. Disks are on the storage of their host and stay there.

So both are refused once all is checked that Nova checks: a client learns what is wrong with its request first.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body, convert, or_none
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.services.compute import hosts
from stackyard.services.compute.fields import Flag, truth
from stackyard.services.compute.rules import ADMIN, MANAGER
from stackyard.services.compute.servers import tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import VmState, require

Host = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-._]*\Z")]
"""The name of a host."""

_COLD = "os_compute_api:os-migrate-server:migrate"
_LIVE = "os_compute_api:os-migrate-server:migrate_live"


class Migrate(Body):
    """What stands under migrate since 2.56."""

    host: Host | UnsetType | None = UNSET


class MigrateLive(Body):
    """What stands under os-migrateLive until 2.24."""

    host: Host | None
    block_migration: Flag
    disk_over_commit: Flag


class MigrateLive225(Body):
    """From 2.25 on, and from 2.68 on again."""

    host: Host | None
    block_migration: Flag | Literal["auto"]


class MigrateLive230(MigrateLive225):
    """From 2.30 to 2.67."""

    force: Flag | UnsetType = UNSET


def _live_body(version: Microversion | None) -> type[Body]:
    if version is None or version >= (2, 68) or (2, 25) <= version < (2, 30):
        return MigrateLive225
    return MigrateLive if version < (2, 25) else MigrateLive230


def migrate(tx: Transaction, call: Call, given: Any) -> None:
    """Refuse to move a stopped server's disk, saying why."""
    server = call.target
    body = convert(given or {}, Migrate, "migrate") if call.since(2, 56) else Migrate()
    host = or_none(body.host)
    if host:
        call.require(f"{_COLD}:host", server)
    tasks.require_unlocked(call, server, "migrate")
    require(server, "migrate", (VmState.ACTIVE, VmState.STOPPED))
    if host == server.host:
        raise BadRequest("Cannot migrate to the host where the server exists.", kind="CannotMigrateToSameHost")
    _require_host(tx, host)
    raise _refusal(tx, server, host, "No valid host found for cold migrate")


def migrate_live(tx: Transaction, call: Call, body: MigrateLive | MigrateLive225) -> None:
    """Refuse to move a running server, saying why."""
    server = call.target
    if body.host:
        call.require(f"{_LIVE}:host", server)
    if isinstance(body, MigrateLive230) and body.force is not UNSET and truth(body.force) and not body.host:
        raise BadRequest("Can't force to a non-provided destination")
    tasks.require_unlocked(call, server, "os-migrateLive")
    require(server, "os-migrateLive", (VmState.ACTIVE, VmState.PAUSED))
    _require_host(tx, body.host)
    if body.host == server.host:
        raise BadRequest(
            f"Unable to migrate instance ({server.id}) to current host ({server.host}).", kind="UnableToMigrateToSelf"
        )
    raise _refusal(tx, server, body.host, "There is no other host to migrate to")


def _require_host(tx: Transaction, host: str | None) -> None:
    if host and hosts.find(tx, host) is None:
        raise BadRequest(f"Compute host {host} could not be found.", kind="ComputeHostNotFound")


def _refusal(tx: Transaction, server: Any, host: str | None, nowhere: str) -> BadRequest:
    others = [
        row.host
        for row in hosts.rows(tx)
        if row.host != server.host and row.host == (host or row.host) and not row.disabled and hosts.is_up(row, tx.now)
    ]
    if not others:
        return BadRequest(f"No valid host was found. {nowhere}", kind="NoValidHost")
    return BadRequest(
        f"Migration pre-check error: the disks of instance {server.id} are on the local storage of host {server.host}, "
        "and hosts do not copy disks to each other. Make an image of the server and start a new one from it.",
        kind="MigrationPreCheckError",
    )


ACTIONS = (
    Action(name="migrate", operation=migrate, rule=_COLD),
    Action(name="os-migrateLive", operation=migrate_live, rule=_LIVE, body=_live_body),
)

POLICIES = (
    Rule(_COLD, MANAGER, "Move a server to another host."),
    Rule(f"{_COLD}:host", ADMIN, "Move a server to a host of one's choice."),
    Rule(_LIVE, MANAGER, "Move a running server to another host."),
    Rule(f"{_LIVE}:host", ADMIN, "Move a running server to a host of one's choice."),
)
