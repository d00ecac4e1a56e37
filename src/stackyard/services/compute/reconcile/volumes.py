"""Volumes of servers on their host: made before a server is built, plugged into running ones, and taken out again.

What is wanted is in the rows (volumes/rows.py); what is plugged in, the driver shows. A row changes its state, and the
volume service is told, only after the host has done it, so that a crash at any instant is carried on from there.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.host.errors import HostError, NotFoundError
from stackyard.host.specs import MachineObservation, MachineVolume
from stackyard.services.compute.reconcile import outcome
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.servers.tasks import KIND
from stackyard.services.compute.volumes import rows
from stackyard.services.compute.volumes.rows import State
from stackyard.services.volume import api as volume_api

log = logging.getLogger("stackyard.compute")

TRIES = 4
"""How often a guest is asked to let a volume go, 20 seconds each time, before the volume stays."""
LOOK_SECONDS = 0.3
"""After so long it is looked again whether a volume is ready."""
_AGAIN_SECONDS = 1.0
_ALIVE = frozenset({"running", "paused"})

_tries: Counter[str] = Counter()


# ------------------------------------------------------------------------------------------------ before a server runs


def prepare(job: Job) -> Outcome:
    """Reserve the volumes that are made for the server, once they are there; Again while one is not.

    Raises GiveUp when one could not be made.
    """
    found = job.volume_rows()
    waiting = [row for row in found if row.state == State.MAKING]
    if not waiting:
        return DONE
    volumes = job.runtime.database.read("server.new volumes", volume_api.rows, [row.volume_id for row in waiting])
    for row in waiting:
        volume = volumes.get(row.volume_id)
        if volume is None:
            raise GiveUp(f"Volume {row.volume_id}, which was made for it, was deleted.")
        if volume_api.has_failed(volume):
            raise GiveUp(f"Volume {volume.id} could not be made: {volume.fault or 'it is in error'}")
        if not volume_api.is_ready(volume):
            if job.server.task_state != "block_device_mapping":
                job.set(task_state="block_device_mapping")
            return Again(LOOK_SECONDS)
    _reserve(job, waiting)
    return DONE


def _reserve(job: Job, waiting: Sequence[Any]) -> None:
    server = job.server
    owner = Caller(user_id=server.user_id, project_id=server.project_id)

    def attach(tx: Transaction) -> dict[str, Any]:
        for row in waiting:
            made = volume_api.attach(
                tx, job.runtime, owner, row.volume_id, server.id, host=server.host, mountpoint=row.device_name
            )
            rows.update(tx, row.id, attachment_id=made.id, state=State.ATTACHING)
        return {}

    try:
        job.write("reserve volumes", attach)
    except ApiError as error:
        raise GiveUp(error.message) from error


def reimaged(job: Job) -> bool:
    """Have the volume that a stopped server boots from begin as the task's image is; whether that is done.

    Raises GiveUp when it cannot be.
    """
    row = rows.root_of(job.volume_rows())
    volume = None if row is None else job.runtime.database.read("server.volume", read, row)[0]
    if volume is None or volume_api.has_failed(volume):
        raise GiveUp(f"the volume that it boots from could not be made anew: {getattr(volume, 'fault', 'it is gone')}")
    if job.arguments.get("reimaging"):
        return volume_api.is_ready(volume)
    owner = Caller(user_id=job.server.user_id, project_id=job.server.project_id, roles=frozenset({"admin"}))

    def begin(tx: Transaction) -> dict[str, Any]:
        volume_api.reimage(tx, job.runtime, owner, volume.id, job.arguments["reimage"])
        return {"task": job.server.task | {"reimaging": True}}

    try:
        job.write("reimage", begin)
    except ApiError as error:
        raise GiveUp(error.message) from error
    return False


def complete(tx: Transaction, job: Job) -> None:
    """The server has come up, on this host, with all volumes of its spec."""
    for row in rows.of_server(tx, job.id):
        if row.state == State.ATTACHING:
            _is_there(tx, job, row)
        elif row.state in rows.PLUGGED:
            volume_api.attached(tx, row.attachment_id, row.device_name, host=job.server.host)


def _is_there(tx: Transaction, job: Job, row: Any) -> None:
    volume_api.attached(tx, row.attachment_id, row.device_name, host=job.server.host)
    rows.update(tx, row.id, state=State.ATTACHED, action_id=None)
    _finish_action(tx, job, row, "attach_volume")


def _finish_action(tx: Transaction, job: Job, row: Any, step: str, error: str | None = None) -> None:
    if row.action_id is not None:
        outcome.finish_one(tx, job.server, row.action_id, f"compute_{step}", error)


# --------------------------------------------------------------------------------------------- while a server is there


def settle(job: Job, seen: MachineObservation | None) -> Outcome:
    """Have the server's volumes be what its rows say. One that does not run gets them when it is started next."""
    found = job.volume_rows()
    known = {row.volume_id for row in found}
    surplus = [] if seen is None else [volume_id for volume_id in seen.volumes if volume_id not in known]
    if not (surplus or any(row.state != State.ATTACHED for row in found) or _missing(found, seen)):
        return DONE
    if seen is not None and seen.state == "suspended":
        return DONE  # its memory knows of what it had
    if seen is None or seen.state not in _ALIVE:
        return _settle_stopped(job, seen, found)
    for volume_id in surplus:
        _quietly(job, volume_id, lambda one=volume_id: job.driver.detach_volume(job.id, one))  # type: ignore[misc]
    ends: list[Outcome] = [DONE]
    for row in found:
        if row.state == State.DETACHING:
            ends.append(_unplug(job, row))
        elif row.state in rows.PLUGGED and row.volume_id not in seen.volumes:
            _plug(job, row)
        elif row.state == State.ATTACHING:
            job.write("volume attached", lambda tx, row=row: _done(_is_there, tx, job, row))  # type: ignore[misc]
        elif row.state == State.EXTENDED:
            _extend(job, row)
    return next((end for end in ends if end != DONE), DONE)


def _missing(found: Sequence[Any], seen: MachineObservation | None) -> bool:
    alive = seen is not None and seen.state in _ALIVE
    return alive and any(row.state == State.ATTACHED and row.volume_id not in seen.volumes for row in found)  # type: ignore[union-attr]


def _done(step: Callable[..., None], *arguments: Any) -> dict[str, Any]:
    """Do that, and change nothing of the server's own row."""
    step(*arguments)
    return {}


def _settle_stopped(job: Job, seen: MachineObservation | None, found: Sequence[Any]) -> Outcome:
    gone = [row for row in found if row.state == State.DETACHING]
    if gone and job.server.kind != "machine" and seen is not None:
        job.driver.define(job.spec())  # lets go of the directories of those that are not among its volumes
    for row in gone:
        _let_go(job, row)
    came = [row for row in found if row.state in (State.ATTACHING, State.EXTENDED)]

    def write(tx: Transaction) -> dict[str, Any]:
        for row in came:
            if row.state == State.ATTACHING:
                _is_there(tx, job, row)
            else:
                rows.update(tx, row.id, state=State.ATTACHED)
        return {}

    if came:
        job.write("volumes attached", write)
    return DONE


def _plug(job: Job, row: Any) -> None:
    try:
        if "attach_volume" in job.driver.abilities:
            job.driver.attach_volume(job.id, job.volume(row))
    except HostError as error:
        if row.state == State.ATTACHING:
            text = str(error)
            job.write("volume refused", lambda tx: _done(_give_back, tx, job, row, text))
            _unmount(job, row)
        else:
            _tell(job, row.volume_id, "plugging a volume in failed", error)
        return
    if row.state == State.ATTACHING:
        job.write("volume attached", lambda tx: _done(_is_there, tx, job, row))


def _give_back(tx: Transaction, job: Job, row: Any, reason: str) -> None:
    """It could not be plugged in: the volume is free again, and the action has failed."""
    volume_api.detached(tx, row.attachment_id)
    rows.delete(tx, row.id)
    _finish_action(tx, job, row, "attach_volume", reason)
    timeline.record(tx, KIND, job.id, "plugging a volume in failed", f"volume {row.volume_id}: {reason}")


def _unplug(job: Job, row: Any) -> Outcome:
    try:
        job.driver.detach_volume(job.id, row.volume_id)
    except HostError as error:
        _tries[row.id] += 1
        if _tries[row.id] < TRIES:
            return Again(_AGAIN_SECONDS)
        del _tries[row.id]
        text = str(error)
        job.write("volume stays", lambda tx: _done(_keep, tx, job, row, text))
        return DONE
    _tries.pop(row.id, None)
    _let_go(job, row)
    return DONE


def _keep(tx: Transaction, job: Job, row: Any, reason: str) -> None:
    """The guest does not let go of it: the volume is in use as before, and the action has failed."""
    volume_api.roll_detaching(tx, row.attachment_id)
    rows.update(tx, row.id, state=State.ATTACHED, action_id=None)
    _finish_action(tx, job, row, "detach_volume", reason)
    timeline.record(tx, KIND, job.id, "taking a volume out failed", f"volume {row.volume_id}: {reason}")


def _let_go(job: Job, row: Any) -> None:
    _unmount(job, row)

    def write(tx: Transaction) -> dict[str, Any]:
        volume_api.detached(tx, row.attachment_id)
        rows.delete(tx, row.id)
        _finish_action(tx, job, row, "detach_volume")
        return {}

    job.write("volume detached", write)


def _extend(job: Job, row: Any) -> None:
    failed: str | None = None
    try:
        job.driver.extend_volume(job.id, row.volume_id)
    except NotFoundError as error:
        failed = str(error)
        _tell(job, row.volume_id, "telling a volume's size failed", error)

    def write(tx: Transaction) -> dict[str, Any]:
        rows.update(tx, row.id, state=State.ATTACHED)
        action_id = outcome.record_own(tx, job.server, "extend_volume", for_owner=True)
        outcome.finish_one(tx, job.server, action_id, "compute_extend_volume", failed)
        return {}

    job.write("volume extended", write)


def _quietly(job: Job, volume_id: str, step: Callable[[], object]) -> None:
    try:
        step()
    except HostError as error:
        _tell(job, volume_id, "taking a volume out failed", error)


def _tell(job: Job, volume_id: str, what: str, error: Exception) -> None:
    log.warning("a volume of a server: %s", what, extra={"id": job.id, "volume": volume_id, "error": str(error)})
    text = f"volume {volume_id}: {error}"
    job.runtime.database.write("server.volume", timeline.record, KIND, job.id, what, text)


# ----------------------------------------------------------------------------------------------- what containers mount


def release_mounts(job: Job) -> None:
    """A container is gone from this host: what was mounted for it alone is so no more."""
    if job.server.kind != "machine":
        for row in job.volume_rows():
            _unmount(job, row)


def _unmount(job: Job, row: Any) -> None:
    """A volume that other containers of this host have stays mounted."""
    if job.server.kind == "machine":
        return
    database = job.runtime.database
    volume = database.read("server.volume", volume_api.rows, [row.volume_id]).get(row.volume_id)
    here = (row.volume_id, job.server.host, job.id)
    if volume is None or database.read("server.volume users", volume_api.is_mounted_for_others, *here):
        return
    try:
        volume_api.unmount(job.runtime, volume)
    except NotFoundError:
        return


def read(tx: Transaction, row: Any) -> tuple[Any, str]:
    """The volume of a row, and how it is attached. Raises NotFoundError."""
    volume = volume_api.rows(tx, [row.volume_id]).get(row.volume_id)
    if volume is None:
        raise NotFoundError(f"Volume {row.volume_id} is not there any more.")
    attachment = None if row.attachment_id is None else volume_api.attachment(tx, row.attachment_id)
    return volume, "rw" if attachment is None else attachment.attach_mode


def of_row(job: Job, row: Any, volume: Any, mode: str) -> MachineVolume:
    """A volume as the host's driver is told of it. Raises HostError when it cannot be reached here."""
    container = job.server.kind != "machine"
    read_only = mode == "ro"
    path = (
        volume_api.mount(job.runtime, volume, read_only=read_only)
        if container
        else volume_api.location(job.runtime, volume)
    )
    name = str(row.device_name or "")
    return MachineVolume(
        id=volume.id,
        path=str(path),
        device=name.removeprefix("/dev/"),
        bus=row.disk_bus or job.disk_bus,
        read_only=read_only,
        # Where a server has a root disk of its own, that comes before all volumes.
        boot=job.server.image_id is None and row.boot_index is not None and row.boot_index >= 0,
        target=name if container else "",
        shared=volume.multiattach,
    )
