"""Giving a volume another type; and moving it to another back end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from stackyard.core.actions import Action
from stackyard.core.body import Body, OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.core.runtime import Runtime
from stackyard.services.volume import scheduler, statuses, tasks
from stackyard.services.volume.fields import Flag, Host, Text, Uuid, truth
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.scheduler import NoValidBackend, Place
from stackyard.services.volume.snapshots import finding as snapshot_finding
from stackyard.services.volume.types import finding as types
from stackyard.services.volume.volumes import creation, finding, views


class Retype(Body):
    """os-retype: the name or id of the new type, and whether the volume may move for it."""

    new_type: Annotated[str, Meta(max_length=255)]
    migration_policy: Literal["on-demand", "never"] | None = None


class Migrate(Body):
    """os-migrate_volume: the back end to move it to."""

    host: Host
    force_host_copy: Flag = False
    lock_volume: Flag = False


class MigrateToCluster(Body):
    """3.16: or a cluster of back ends."""

    host: Host | None = None
    cluster: Text | None = None
    force_host_copy: Flag = False
    lock_volume: Flag = False


class Completion(OpenBody):
    """os-migrate_volume_completion."""

    new_volume: Uuid
    error: bool | str | None = None


def retype(tx: Transaction, call: Call, body: Retype) -> None:
    """os-retype: its host gives it the other type, and moves it when it has to."""
    volume = call.target
    kind = types.find(tx, call.caller, body.new_type)
    creation.require_usable(tx, kind)
    creation.require_size_of_type(kind, volume.size)
    if creation.is_multiattach(kind) != volume.multiattach:
        if volume.status != statuses.AVAILABLE:
            raise BadRequest(
                "Invalid input received: Invalid volume_type passed, retypes affecting multiattach are only allowed on "
                f"available volumes, the specified volume however currently has a status of: {volume.status}.",
                kind="InvalidInput",
            )
        if creation.is_multiattach(kind):
            call.require("volume:multiattach", volume)
    _require_retypable(tx, volume, kind)
    place = _place(tx, call, volume, kind, body.migration_policy or "never")
    if volume.use_quota:
        usage.reserve_of_type(tx, call.runtime, volume.project_id, kind.id, volumes=1, gigabytes=volume.size)
    tasks.begin_for(
        tx, call, volume, "retype", statuses.RETYPING, volume_type_id=kind.id, host=place.host, backend=place.backend,
        multiattach=creation.is_multiattach(kind), status=volume.status,
    )  # fmt: skip


def _require_retypable(tx: Transaction, volume: Any, kind: Any) -> None:
    sound = (
        volume.status in statuses.READY
        and not statuses.is_migrating(volume)
        and not volume.group_id
        and volume.volume_type_id != kind.id
    )
    old = types.row(tx, volume.volume_type_id)
    same_qos = old is None or old.qos_specs_id == kind.qos_specs_id
    if not sound or (volume.status == statuses.IN_USE and not same_qos):
        raise BadRequest(
            "Invalid volume: Retype needs volume to be in available or in-use state, not be part of an active "
            "migration or a consistency group, requested type has to be different that the one from the volume, and "
            f"for in-use volumes front-end qos specs cannot change; its status is {volume.status}.",
            kind="InvalidVolume",
        )


def _place(tx: Transaction, call: Call, volume: Any, kind: Any, policy: str) -> Place:
    """Where a volume of the new type is to be: where it is, if that will do."""
    here = Place(volume.host, volume.backend)
    try:
        return scheduler.place(tx, call.runtime, 0, None, kind, only=here)
    except NoValidBackend as error:
        reason = str(error)
    if policy == "never" or volume.status == statuses.IN_USE or snapshot_finding.of_volume(tx, volume.id):
        raise BadRequest(
            f"Invalid volume: Volume {volume.id} would have to move to another back end for type {kind.name}, which "
            f"migration_policy on-demand allows for an available volume without snapshots. {reason}",
            kind="InvalidVolume",
        )
    return _elsewhere(tx, call, volume, kind, None)


def _elsewhere(tx: Transaction, call: Call, volume: Any, kind: Any, only: Place | None) -> Place:
    """A back end that can take the volume: on its host, or one that all hosts share."""
    try:
        place = scheduler.place(
            tx, call.runtime, volume.size, volume.availability_zone, kind, only=only,
            exclude=Place(volume.host, volume.backend),
        )  # fmt: skip
    except NoValidBackend as error:
        raise BadRequest(f"Invalid host: {error}", kind="InvalidHost") from None
    if place.host != volume.host and not call.runtime.settings.volume.shared:
        raise BadRequest(
            f"Invalid host: {place.host} does not see the volumes of {volume.host}: their back ends are not shared. "
            "Move it with a backup, or as an image.",
            kind="InvalidHost",
        )
    return place


def settle(tx: Transaction, runtime: Runtime, volume: Any, *, done: bool) -> None:
    """A retype has ended: what is counted is that of the type that the volume has now.

    `volume` is its row as it was while its task was under way. Done: the columns volume_type_id and multiattach are
    written here too.
    """
    arguments = volume.task
    new, old = arguments["volume_type_id"], volume.volume_type_id
    if volume.use_quota:
        given_back = old if done else new
        usage.reserve_of_type(tx, runtime, volume.project_id, given_back, volumes=-1, gigabytes=-volume.size)
    if done:
        tasks.update(tx, volume.id, volume_type_id=new, multiattach=arguments["multiattach"])


def migrate(tx: Transaction, call: Call, body: Migrate | MigrateToCluster) -> None:
    """os-migrate_volume: its host moves it to another back end."""
    volume = call.target
    if isinstance(body, MigrateToCluster) and body.cluster:
        raise BadRequest(
            f"Invalid host: No available service named '{body.cluster}': this cloud has no clusters of back ends.",
            kind="InvalidHost",
        )
    if not body.host:
        raise BadRequest("Invalid input for os-migrate_volume.host: it names the back end to move the volume to.")
    place = _named(tx, call, body.host)
    taken = snapshot_finding.of_volume(tx, volume.id)
    ready = volume.status in statuses.READY and not statuses.is_migrating(volume)
    if not ready or taken or volume.group_id or place == Place(volume.host, volume.backend):
        raise BadRequest(
            f"Invalid volume: Volume {volume.id} status must be available or in-use, must not be migrating, have "
            "snapshots, be replicated, be part of a group and destination host/cluster must be different than the "
            f"current one ({views.host_of(volume)}); its status is {volume.status}.",
            kind="InvalidVolume",
        )
    if volume.status == statuses.IN_USE:
        raise BadRequest(
            f"Invalid volume: Volume {volume.id} is in use: this cloud moves volumes that are attached to nothing. "
            "Detach it first.",
            kind="InvalidVolume",
        )
    _elsewhere(tx, call, volume, types.row(tx, volume.volume_type_id), place)
    status = statuses.MAINTENANCE if truth(body.lock_volume) else volume.status
    columns = {"status": status, "previous_status": volume.status, "migration_status": "migrating"}
    given = {"host": place.host, "backend": place.backend, "status": volume.status}
    tasks.begin(tx, call.runtime, volume, "migrate", columns=columns, **given)


def _named(tx: Transaction, call: Call, text: str) -> Place:
    """The back end that `host@backend#pool` names; of a host alone, its only one."""
    host, _, backend = text.partition("@")
    backend = backend.partition("#")[0]
    found = [
        one.place
        for one in scheduler.backends(tx, call.runtime)
        if one.up and not one.disabled and one.host == host and backend in ("", one.name)
    ]
    if len(found) != 1:
        raise BadRequest(f"Invalid host: No available service named '{text}'", kind="InvalidHost")
    return found[0]


def complete(tx: Transaction, call: Call, body: Completion) -> dict[str, Any]:
    """os-migrate_volume_completion: of a migration that is a swap by a server."""
    other = finding.find(tx, call.caller, body.new_volume)
    if not call.target.migration_status and not other.migration_status:
        return {"save_volume_id": other.id}
    raise BadRequest(
        "Invalid volume: this cloud's volumes migrate by themselves: nothing is to be completed.", kind="InvalidVolume"
    )


_ADMIN = "volume_extension:volume_admin_actions:"
ACTIONS = (
    Action(name="os-retype", operation=retype, rule="volume:retype", body=Retype),
    Action(
        name="os-migrate_volume", operation=migrate, rule=f"{_ADMIN}migrate_volume", body=Migrate,
        until=Microversion(3, 15),
    ),
    Action(
        name="os-migrate_volume", operation=migrate, rule=f"{_ADMIN}migrate_volume", body=MigrateToCluster,
        since=Microversion(3, 16),
    ),
    Action(
        name="os-migrate_volume_completion", operation=complete, rule=f"{_ADMIN}migrate_volume_completion",
        body=Completion, status=200,
    ),
)  # fmt: skip
