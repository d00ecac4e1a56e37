"""migrate and os-migrateLive: a server to another host. Disks are on the storage of their host, and go with it.

A cold migration is a resize to the flavor that the server has: it is confirmed or reverted in the same way.
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
from stackyard.services.compute import hosts, migrations, scheduler
from stackyard.services.compute.fields import Flag, truth
from stackyard.services.compute.rules import ADMIN, MANAGER
from stackyard.services.compute.servers import abilities, moving, placing, resize, tasks
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
    """Begin to move a server, which is stopped meanwhile."""
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
    moving.require_up(tx, server.host)
    _require_others(tx, server, host, "No valid host found for cold migrate")
    abilities.require(call, server, "move")
    if (why := moving.reason_to_stay(tx, call, server)) is not None:
        raise moving.pre_check(why)
    move_id = resize.record(tx, call, server, "migration", server.flavor, {})
    scheduler.hold(tx, server.id, move_id)
    placed = placing.place(
        tx, call, server, zone=None if host else server.asked_zone, host=host, exclude=frozenset({server.host})
    )
    resize.goes_to(tx, move_id, placed)
    tasks.begin(
        tx, call, server, "migrate", name="resize", task_state="resize_prep", move=move_id, flavor=server.flavor
    )


def migrate_live(tx: Transaction, call: Call, body: MigrateLive | MigrateLive225) -> None:
    """Begin to move a running server."""
    server = call.target
    if body.host:
        call.require(f"{_LIVE}:host", server)
    forced = isinstance(body, MigrateLive230) and body.force is not UNSET and truth(body.force)
    if forced and not body.host:
        raise BadRequest("Can't force to a non-provided destination")
    tasks.require_unlocked(call, server, "os-migrateLive")
    require(server, "os-migrateLive", (VmState.ACTIVE, VmState.PAUSED))
    _require_host(tx, body.host)
    if body.host == server.host:
        raise BadRequest(
            f"Unable to migrate instance ({server.id}) to current host ({server.host}).", kind="UnableToMigrateToSelf"
        )
    _require_up(tx, server.host)
    _require_up(tx, body.host)
    _require_others(tx, server, body.host, "There is no other host to migrate to")
    _require_movable(tx, call, server, body)
    move_id = migrations.record(tx, call, server, "live-migration", status="accepted")
    scheduler.hold(tx, server.id, move_id)
    resize.goes_to(tx, move_id, _place_live(tx, call, server, body.host, forced=forced))
    tasks.begin(tx, call, server, "live-migration", name="live_migrate", task_state="migrating", move=move_id)


def _require_movable(tx: Transaction, call: Call, server: Any, body: MigrateLive | MigrateLive225) -> None:
    if not moving.can_live(call, server):
        raise moving.pre_check(f"live migration of instance {server.id} is not supported: it is a container")
    if body.block_migration != "auto" and not truth(body.block_migration) and server.image_id:
        raise BadRequest(
            f"{server.host} is not on shared storage: Live migration can not be used without shared storage except a "
            "booted from volume VM which does not have a local disk.",
            kind="InvalidSharedStorage",
        )
    if (why := moving.reason_to_stay(tx, call, server, live=True)) is not None:
        raise moving.pre_check(why)


def _place_live(tx: Transaction, call: Call, server: Any, host: str | None, *, forced: bool) -> str:
    unfit = moving.unfit_for_live(tx, server)
    if host in unfit:
        raise moving.pre_check(unfit[host])
    if forced and host:
        placing.claim_on(tx, call, server, flavor=server.flavor, host=host)
        return host
    exclude = frozenset({server.host, *unfit})
    return placing.place(tx, call, server, zone=None if host else server.asked_zone, host=host, exclude=exclude)


def _require_host(tx: Transaction, host: str | None) -> None:
    if host and hosts.find(tx, host) is None:
        raise BadRequest(f"Compute host {host} could not be found.", kind="ComputeHostNotFound")


def _require_up(tx: Transaction, host: str | None) -> None:
    row = hosts.find(tx, host) if host else None
    if row is not None and not hosts.is_up(row, tx.now):
        raise BadRequest(f"Compute service of {host} is unavailable at this time.", kind="ComputeServiceUnavailable")


def _require_others(tx: Transaction, server: Any, host: str | None, nowhere: str) -> None:
    for row in hosts.rows(tx):
        asked = row.host == (host or row.host) and row.host != server.host
        if asked and not row.disabled and hosts.is_up(row, tx.now):
            return
    raise BadRequest(f"No valid host was found. {nowhere}", kind="NoValidHost")


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
