"""evacuate: a server whose host is down is made anew on another one, from its image: its disk is lost with the host."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body, or_none
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.services.compute import hosts, migrations, scheduler, zones
from stackyard.services.compute.fields import Flag, truth
from stackyard.services.compute.rules import ADMIN
from stackyard.services.compute.servers import fields, placing, tasks
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.compute.servers.states import Power, VmState, require
from stackyard.services.compute.servers.system_metadata import MADE_FROM, without

Host = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-._]*\Z")]


class Evacuate214(Body):
    """What stands under evacuate from 2.14 on, and from 2.68 on again."""

    host: Host | UnsetType = UNSET
    adminPass: str | UnsetType = UNSET  # noqa: N815 (the API's name)


class Evacuate(Evacuate214, kw_only=True):
    """Until 2.13."""

    onSharedStorage: Flag  # noqa: N815


class Evacuate229(Evacuate214):
    """From 2.29 to 2.67."""

    force: Flag | UnsetType = UNSET


def _body(version: Microversion | None) -> type[Body]:
    if version is None or version >= (2, 68) or (2, 14) <= version < (2, 29):
        return Evacuate214
    return Evacuate if version < (2, 14) else Evacuate229


def evacuate(tx: Transaction, call: Call, body: Evacuate214) -> dict[str, Any] | None:
    """Find another host for the server, and have that begin to make it anew."""
    server, host = call.target, or_none(body.host)
    password = _password(body)
    if isinstance(body, Evacuate229) and body.force is not UNSET and truth(body.force) and host is None:
        raise BadRequest("Can't force to a non-provided destination")
    if host is not None and hosts.find(tx, host) is None:
        raise NotFound(f"Compute host {host} not found.", kind="ComputeHostNotFound")
    if server.host is not None and host == server.host:
        raise BadRequest("The target host can't be the same one.")
    require(server, "evacuate", (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR), tasks=None)
    _require_down(tx, server)
    _move(tx, call, host, password)
    return {"adminPass": password} if not call.since(2, 14) else None


def _password(body: Evacuate214) -> str | None:
    shared = isinstance(body, Evacuate) and truth(body.onSharedStorage)
    if body.adminPass is UNSET:
        return None if shared else fields.new_password()
    if shared:
        raise BadRequest("admin password can't be changed on existing disk")
    return body.adminPass


def _require_down(tx: Transaction, server: Any) -> None:
    row = None if server.host is None else hosts.find(tx, server.host)
    if server.host is None:
        raise BadRequest(f"Instance {server.id} is on no host: rebuild it, or delete it.")
    if row is not None and hosts.is_up(row, tx.now):
        raise BadRequest(f"Compute service of {server.host} is still in use.", kind="ComputeServiceInUse")


def _move(tx: Transaction, call: Call, host: str | None, password: str | None) -> None:
    server = call.target
    source = server.host
    scheduler.release(tx, server.id)
    placed = placing.place(tx, call, server, zone=server.asked_zone, host=host, exclude=frozenset({source}))
    move = migrations.record(
        tx, call, server, "evacuation", status="accepted", source_compute=source, source_node=source,
        dest_compute=placed, dest_node=placed,
    )  # fmt: skip
    kept = without(server, MADE_FROM)
    tasks.update(
        tx, server.id, host=placed, zone=zones.zone_of(tx, call.runtime, placed), system_metadata=kept, rescue=None
    )
    # Since 2.95 it is for its owner to start it, once what it needs is there.
    stop = call.since(2, 95) or server.vm_state == VmState.STOPPED or server.power == Power.STOPPED
    tasks.begin(
        tx, call, placing.on(server, placed), "evacuate", name="evacuate", task_state="rebuilding", move=move,
        admin_password=password, stop=stop,
    )  # fmt: skip


ACTIONS = (Action(name="evacuate", operation=evacuate, rule="os_compute_api:os-evacuate", body=_body, status=200),)

POLICIES = (Rule("os_compute_api:os-evacuate", ADMIN, "Make a server anew whose host is down."),)
