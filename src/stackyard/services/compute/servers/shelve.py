"""shelve, shelveOffload and unshelve: a server put by as an image, off its host, and brought back."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body, convert, or_default, or_none
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict
from stackyard.core.policy import Rule
from stackyard.services.compute import hosts, zones
from stackyard.services.compute.fields import Name
from stackyard.services.compute.rules import ADMIN, MEMBER
from stackyard.services.compute.servers import placing, snapshots, tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import VmState, require

_TO_HOST = "os_compute_api:os-shelve:unshelve_to_host"

Host = Annotated[str, Meta(max_length=255)]


class UnshelveToZone(Body):
    """What stands under unshelve from 2.77 to 2.90, unless it is null."""

    availability_zone: Name


class Unshelve(Body):
    """What stands under unshelve since 2.91, unless it is null; a null zone lets the server be in any from then on."""

    availability_zone: Name | UnsetType | None = UNSET
    host: Host | UnsetType = UNSET


def shelve(tx: Transaction, call: Call, body: Any) -> None:
    """Begin to put the server by: its disk becomes an image, and it leaves its host."""
    del body
    server = call.target
    tasks.require_unlocked(call, server, "shelve")
    require(server, "shelve", (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED))
    image_id = None
    if not snapshots.is_volume_backed(server):
        image_id = snapshots.reserve(tx, call, server, f"{server.name[:247]}-shelved", snapshots.SNAPSHOT)
    tasks.begin(tx, call, server, "shelve", name="shelve", task_state="shelving", image_id=image_id)


def shelve_offload(tx: Transaction, call: Call, body: Any) -> None:
    """Begin to take a shelved server off its host, where that has not been done yet."""
    del body
    server = call.target
    tasks.require_unlocked(call, server, "shelveOffload")
    require(server, "shelveOffload", (VmState.SHELVED,))
    tasks.begin(tx, call, server, "shelveOffload", name="shelve_offload", task_state="shelving_offloading")


def unshelve(tx: Transaction, call: Call, given: Any) -> None:
    """Begin to bring the server back: on the host where it is still, else on one that the scheduler finds."""
    server = call.target
    body = _destination(call, given)
    tasks.require_unlocked(call, server, "unshelve")
    require(server, "unshelve", (VmState.SHELVED, VmState.SHELVED_OFFLOADED))
    zone = or_default(body.availability_zone, server.asked_zone)
    host = or_none(body.host)
    if body.availability_zone is not UNSET or host is not None:
        _check_destination(tx, call, or_none(body.availability_zone), zone, host)
    if server.vm_state == VmState.SHELVED:
        tasks.begin(tx, call, server, "unshelve", name="unshelve", task_state="unshelving")
        return
    placed = placing.place(tx, call, server, zone=zone, host=host)
    tasks.update(tx, server.id, asked_zone=zone, host=placed, zone=zones.zone_of(tx, call.runtime, placed))
    tasks.begin(tx, call, placing.on(server, placed), "unshelve", name="unshelve", task_state="unshelving")


def _destination(call: Call, given: Any) -> Unshelve:
    """What the body asks for; null asks for nothing, and before 2.77 anything does."""
    if given is None or not call.since(2, 77):
        return Unshelve()
    if call.since(2, 91):
        return convert(given, Unshelve, "unshelve")
    return Unshelve(availability_zone=convert(given, UnshelveToZone, "unshelve").availability_zone)


def _check_destination(tx: Transaction, call: Call, given: str | None, zone: str | None, host: str | None) -> None:
    server = call.target
    if server.vm_state != VmState.SHELVED_OFFLOADED:
        raise Conflict(
            f'Specifying an availability zone or a host when unshelving server "{server.id}" with status '
            f'"{server.vm_state}" is not supported. The server status must be SHELVED_OFFLOADED.',
            kind="UnshelveInstanceInvalidState",
        )
    if given is not None and given not in _available_zones(tx, call):
        raise BadRequest("The requested availability zone is not available", kind="InvalidRequest")
    if host is None:
        return
    call.require(_TO_HOST, server)
    if hosts.find(tx, host) is None:
        raise BadRequest(f"Compute host {host} could not be found.", kind="ComputeHostNotFound")
    if zone is not None and zones.zone_of(tx, call.runtime, host) != zone:
        raise Conflict(f'Host "{host}" is not in the availability zone "{zone}".', kind="UnshelveHostNotInAZ")


def _available_zones(tx: Transaction, call: Call) -> set[str]:
    return {
        zones.zone_of(tx, call.runtime, row.host)
        for row in hosts.rows(tx)
        if not row.disabled and hosts.is_up(row, tx.now)
    }


ACTIONS = (
    Action(name="shelve", operation=shelve, rule="os_compute_api:os-shelve:shelve"),
    Action(name="shelveOffload", operation=shelve_offload, rule="os_compute_api:os-shelve:shelve_offload"),
    Action(name="unshelve", operation=unshelve, rule="os_compute_api:os-shelve:unshelve"),
)

POLICIES = (
    Rule("os_compute_api:os-shelve:shelve", MEMBER, "Put a server by as an image."),
    Rule("os_compute_api:os-shelve:unshelve", MEMBER, "Bring a shelved server back."),
    Rule(_TO_HOST, ADMIN, "Bring a shelved server back on a host of one's choice."),
    Rule("os_compute_api:os-shelve:shelve_offload", ADMIN, "Take a shelved server off its host."),
)
