"""The tasks `shelve`, `shelve_offload` and `unshelve`: a server becomes an image, leaves its host, and comes back."""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, GiveUp, Outcome
from stackyard.services.compute import scheduler
from stackyard.services.compute.reconcile import volumes
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.reconcile.power import stop_timeout
from stackyard.services.compute.reconcile.snapshots import discard, take
from stackyard.services.compute.servers.states import Power, PowerState, VmState
from stackyard.services.compute.servers.system_metadata import MADE_FROM, SHELVED_IMAGE, without
from stackyard.services.image import api as image_api
from stackyard.services.network import api as network_api


def shelve(job: Job) -> Outcome:
    """Stop the server, make the image of its disk, and then take it off its host, as Nova does at once by default."""
    image_id = job.arguments["image_id"]
    if job.server.vm_state != VmState.SHELVED:
        with job.event("shelve_instance"):
            _stop(job)
            if image_id is not None and not take(job, image_id, prefix="shelving_image"):
                raise GiveUp(f"image {image_id} was deleted before it was filled.")
        kept = (job.server.system_metadata or {}) | {SHELVED_IMAGE: image_id}
        job.set(
            vm_state=VmState.SHELVED, task_state="shelving_offloading", system_metadata=kept, power=Power.STOPPED,
            power_state=int(PowerState.SHUTDOWN),
        )  # fmt: skip
    return offload(job)


def _stop(job: Job) -> None:
    seen = job.inspect()
    if seen is not None and seen.state == "paused":
        job.driver.unpause(job.id)
    if seen is not None and seen.state in ("running", "paused", "suspended"):
        job.end(stop_timeout(job))


def offload(job: Job) -> Outcome:
    """Take it off the host: only its rows, its ports and its image are left."""
    with job.event("shelve_offload_instance"):
        job.driver.remove(job.id)
        volumes.release_mounts(job)
    _leave_host(job)
    return DONE


def _leave_host(job: Job) -> None:
    job.finish(
        also=lambda tx: _give_up_host(tx, job), vm_state=VmState.SHELVED_OFFLOADED, power=Power.NONE,
        power_state=int(PowerState.NOSTATE), host=None, zone=None,
    )  # fmt: skip


def _give_up_host(tx: Transaction, job: Job) -> None:
    scheduler.release(tx, job.id)
    for interface in job.server.interfaces:
        network_api.unbind_port(tx, interface["port"])


def unshelve(job: Job) -> Outcome:
    """Start it: where it is still, or on this host from the image that it was put by as."""
    image_id = (job.server.system_metadata or {}).get(SHELVED_IMAGE)
    with job.event("unshelve_instance"):
        seen = job.inspect()
        if seen is None and image_id is not None:
            made_from = {"image_id": image_id, "image": _described(job, image_id)}
            job.bring_up(task_state="spawning", system_metadata=job.server.system_metadata | {MADE_FROM: made_from})
        elif seen is None or seen.state != "running":
            job.bring_up()
    job.finish(
        also=lambda tx: _is_back(tx, job, image_id), vm_state=VmState.ACTIVE, power=Power.RUNNING,
        power_state=int(PowerState.RUNNING), boot_id=job.boot, launched_at=job.runtime.database.clock.now(),
        system_metadata=without(job.server, SHELVED_IMAGE),
    )  # fmt: skip
    return DONE


def _described(job: Job, image_id: str) -> dict[str, Any]:
    """The shelved image as `servers.image` has images: the server's own with the formats of the snapshot."""
    row = job.runtime.database.read("server.shelved image", image_api.find_any, image_id)
    if row is None:
        raise GiveUp(f"image {image_id}, which the server was shelved as, was deleted.")
    formats = {"disk_format": row.disk_format, "container_format": row.container_format, "size": row.size}
    return {**job.server.image, **formats}


def _is_back(tx: Transaction, job: Job, image_id: str | None) -> None:
    volumes.complete(tx, job)
    if image_id is not None:
        image_api.discard_image(tx, job.runtime, image_id)


def shelve_failed(job: Job, reason: str) -> None:
    """Before there is an image the server goes on as it was; after that it is shelved, and on its host still."""
    text = f"Shelving instance {job.id} failed: {reason}"
    if job.server.vm_state == VmState.SHELVED:
        job.fail(text, vm_state=VmState.SHELVED)
        return
    if job.server.power in (Power.STOPPED, Power.SUSPENDED):
        stopped = {"vm_state": VmState.STOPPED, "power": Power.STOPPED, "power_state": int(PowerState.SHUTDOWN)}
        job.fail(text, also=lambda tx: discard(tx, job), **stopped)
        return
    job.bring_up()
    job.fail(
        text, also=lambda tx: discard(tx, job), vm_state=VmState.ACTIVE, power=Power.RUNNING,
        power_state=int(PowerState.RUNNING), boot_id=job.boot,
    )  # fmt: skip


def offload_failed(job: Job, reason: str) -> None:
    """It is shelved, and on its host still."""
    job.fail(f"Taking instance {job.id} off its host failed: {reason}", vm_state=VmState.SHELVED)


def unshelve_failed(job: Job, reason: str) -> None:
    """It is where it was: shelved on its host, or nowhere."""
    text = f"Unshelving instance {job.id} failed: {reason}"
    if job.server.vm_state == VmState.SHELVED:
        job.fail(text, vm_state=VmState.SHELVED)
        return
    job.driver.remove(job.id)
    volumes.release_mounts(job)
    job.fail(
        text, also=lambda tx: _give_up_host(tx, job), vm_state=VmState.SHELVED_OFFLOADED, power=Power.NONE,
        power_state=int(PowerState.NOSTATE), host=None, zone=None, system_metadata=without(job.server, MADE_FROM),
    )  # fmt: skip


TASKS = {"shelve": shelve, "shelve_offload": offload, "unshelve": unshelve}
FAILURES = {"shelve": shelve_failed, "shelve_offload": offload_failed, "unshelve": unshelve_failed}
