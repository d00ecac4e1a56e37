"""resize, confirmResize and revertResize: another flavor, or another host, tried out before it is kept.

Until it is confirmed or reverted, Placement has both allocated (what the server held before, under the move's own id)
and the quota the larger of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.core.policy import Rule
from stackyard.core.quota import UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.compute import flavors, hosts, migrations, scheduler
from stackyard.services.compute.quotas.limits import own_of_user
from stackyard.services.compute.rules import MEMBER
from stackyard.services.compute.servers import abilities, moving, snapshots, tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import Power, VmState, require
from stackyard.services.compute.tables import migrations as moves

OPEN = ("pre-migrating", "migrating", "post-migrating", "finished", "reverting", "confirming")
"""States of a resize that holds resources twice."""

_OPEN_MOVE = (
    sa.select(moves)
    .where(
        moves.c.server_id == bindparam("server"),
        moves.c.migration_type.in_(("resize", "migration")),
        moves.c.status.in_(OPEN),
    )
    .order_by(moves.c.id.desc())
)


_OPEN_LIVE_MOVE = sa.select(moves).where(
    moves.c.server_id == bindparam("server"),
    moves.c.migration_type == "live-migration",
    moves.c.status.in_(("accepted", "queued", "preparing", "running", "post-migrating")),
)


class Resize(Body):
    """What stands under resize."""

    flavorRef: Annotated[str, Meta(min_length=1)] | int  # noqa: N815 (the API's name)
    disk_config: Literal["AUTO", "MANUAL"] | UnsetType = msgspec.field(default=UNSET, name="OS-DCF:diskConfig")


def resize(tx: Transaction, call: Call, body: Resize) -> None:
    """Begin to give the server another flavor."""
    server = call.target
    tasks.require_unlocked(call, server, "resize")
    require(server, "resize", (VmState.ACTIVE, VmState.STOPPED))
    abilities.require(call, server, "resize")
    wanted = _flavor(tx, call, server, str(body.flavorRef))
    surplus = _difference(server.flavor, wanted)
    _reserve(tx, call, server, surplus)
    move_id = record(tx, call, server, "resize", wanted, surplus)
    # What the server holds goes over to the move, and it holds what the new flavor takes where it will be.
    scheduler.hold(tx, server.id, move_id)
    goes_to(tx, move_id, moving.choose(tx, call, server, wanted))
    if body.disk_config is not UNSET:
        tasks.update(tx, server.id, disk_config=body.disk_config)
    tasks.begin(tx, call, server, "resize", name="resize", task_state="resize_prep", move=move_id, flavor=wanted)


def record(
    tx: Transaction, call: Call, server: Any, kind: str, wanted: Mapping[str, Any], surplus: Mapping[str, int]
) -> str:
    """Write the move down; its uuid."""
    return migrations.record(
        tx, call, server, kind, old_instance_type_id=_number(server.flavor), new_instance_type_id=_number(wanted),
        details={"flavor": dict(wanted), "old_flavor": server.flavor, "surplus": dict(surplus)},
    )  # fmt: skip


def goes_to(tx: Transaction, move_id: str, host: str) -> None:
    """The host of a move is chosen."""
    row = hosts.find(tx, host)
    migrations.update(tx, move_id, dest_compute=host, dest_node=host, dest_host=None if row is None else row.address)


def _reserve(tx: Transaction, call: Call, server: Any, surplus: Mapping[str, int]) -> None:
    """Take what the new flavor counts more; raises Forbidden past the project's limit, or its user's own."""
    of_user = own_of_user(tx, call.runtime, server.project_id, server.user_id)
    for resource, amount in surplus.items():
        name = resource.partition(".")[2]
        most, used = of_user.get(name, (UNLIMITED, 0))
        if most != UNLIMITED and used + amount > most:
            raise Forbidden(
                f"Quota exceeded for {name}: Requested {amount}, but already used {used} of {most} {name}",
                kind="TooManyInstances",
            )
    call.runtime.quotas.reserve(tx, server.project_id, surplus)


def _flavor(tx: Transaction, call: Call, server: Any, flavor_id: str) -> dict[str, Any]:
    try:
        row = flavors.find(tx, call, flavor_id)
    except NotFound as error:
        raise BadRequest(error.message, kind="FlavorNotFound") from None
    if row.flavorid == server.flavor_id:
        raise BadRequest("When resizing, instances must change flavor!", kind="CannotResizeToSameFlavor")
    if row.disabled:
        raise BadRequest(f"Flavor {flavor_id} could not be found.", kind="FlavorNotFound")
    wanted = flavors.snapshot(row)
    if snapshots.is_volume_backed(server):
        return wanted
    for field, what in (("disk", "root"), ("ephemeral", "ephemeral")):
        if int(wanted[field] or 0) < int(server.flavor[field] or 0):
            raise BadRequest(
                f"Server disk was unable to be resized because: the {what} disk has {server.flavor[field]} GB, flavor "
                f"{row.name} only {wanted[field]}, and disks cannot be made smaller.",
                kind="CannotResizeDisk",
            )
    if wanted["ram"] < int(server.image.get("min_ram") or 0):
        raise BadRequest("Flavor's memory is too small for requested image.", kind="FlavorMemoryTooSmall")
    return wanted


def _number(flavor: Mapping[str, Any]) -> int | None:
    text = str(flavor["flavorid"])
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, int]:
    """By how much `new` counts more than `old`, of the quota's resources."""
    grown = {"compute.cores": new["vcpus"] - old["vcpus"], "compute.ram": new["ram"] - old["ram"]}
    return {name: amount for name, amount in grown.items() if amount > 0}


def open_move(tx: Transaction, server_id: str) -> Any:
    """The row of the resize or cold migration that a server is in, or that waits to be confirmed; or None."""
    return tx.first(_OPEN_MOVE, {"server": server_id})


def open_live_move(tx: Transaction, server_id: str) -> Any:
    """The row of the live migration that a server is in; or None."""
    return tx.first(_OPEN_LIVE_MOVE, {"server": server_id})


def confirm(tx: Transaction, call: Call, body: Any) -> None:
    """It is kept: at once; what is left on another host is removed there, as soon as that host can."""
    del body
    server = call.target
    tasks.require_unlocked(call, server, "confirmResize")
    require(server, "confirmResize", (VmState.RESIZED,))
    move = _finished(tx, server)
    keep(tx, call.runtime, server, move)
    tasks.record(tx, call, server, "confirmResize", finished=True)
    stopped = server.power == Power.STOPPED
    vm_state = VmState.STOPPED if stopped else VmState.ACTIVE
    tasks.update(tx, server.id, vm_state=vm_state, old_flavor=None, task_state=None)


def _finished(tx: Transaction, server: Any) -> Any:
    move = open_move(tx, server.id)
    if move is None:
        raise BadRequest("Instance has not been resized.", kind="MigrationNotFound")
    return move


def keep(tx: Transaction, runtime: Runtime, server: Any, move: Any, status: str = "confirmed") -> None:
    """Give back what only the former flavor took."""
    scheduler.release(tx, move.uuid)
    runtime.quotas.release(tx, server.project_id, _difference(move.details["flavor"], move.details["old_flavor"]))
    migrations.update(tx, move.uuid, status=status)
    _look_at_both(tx, server, move)


def undo(tx: Transaction, runtime: Runtime, server: Any, move: Any, status: str = "reverted") -> None:
    """Give back what only the new flavor took: the server holds again what it did before."""
    scheduler.revert(tx, move.uuid, server.id)
    runtime.quotas.release(tx, server.project_id, move.details["surplus"])
    migrations.update(tx, move.uuid, status=status)
    _look_at_both(tx, server, move)


def _look_at_both(tx: Transaction, server: Any, move: Any) -> None:
    """Of a move between hosts, either one has something that it needs no more."""
    if move.dest_compute not in (None, move.source_compute):
        tasks.mark(tx, server.id, move.source_compute)
        tasks.mark(tx, server.id, move.dest_compute)


def revert(tx: Transaction, call: Call, body: Any) -> None:
    """Begin to go back to the former flavor."""
    del body
    server = call.target
    tasks.require_unlocked(call, server, "revertResize")
    require(server, "revertResize", (VmState.RESIZED,))
    move = _finished(tx, server)
    moving.require_up(tx, move.source_compute)
    migrations.update(tx, move.uuid, status="reverting")
    tasks.begin(
        tx, call, server, "revertResize", name="revert_resize", task_state="resize_reverting", move=move.uuid,
        flavor=move.details["old_flavor"],
    )  # fmt: skip


ACTIONS = (
    Action(name="resize", operation=resize, rule="os_compute_api:servers:resize", body=Resize),
    Action(name="confirmResize", operation=confirm, rule="os_compute_api:servers:confirm_resize", status=204),
    Action(name="revertResize", operation=revert, rule="os_compute_api:servers:revert_resize"),
)

POLICIES = (
    Rule("os_compute_api:servers:resize", MEMBER, "Give a server another flavor."),
    Rule("os_compute_api:servers:confirm_resize", MEMBER, "Keep the flavor that a server was given."),
    Rule("os_compute_api:servers:revert_resize", MEMBER, "Go back to the flavor that a server had before."),
)
