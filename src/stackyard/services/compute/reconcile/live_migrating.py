"""The task `live_migrate`: a server goes to another host while it runs.

The host that it is on does it: it has the next one prepare, sends disks and memory, and once all is there hands over
the task and the server's ports in one transaction. Killed at any instant, either host finds in the row and in its
hypervisor how far it was.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, GiveUp, Outcome
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines.moving import LiveMoving, Order, Progress, live_mover
from stackyard.services import keys
from stackyard.services.compute import migrations, scheduler
from stackyard.services.compute.peers import PEERS, Call, Handler, relay
from stackyard.services.compute.peers.stream import Stream
from stackyard.services.compute.reconcile import carrying, migrating, outcome
from stackyard.services.compute.reconcile.job import POWER_STATES, Job
from stackyard.services.compute.servers import tasks
from stackyard.services.compute.servers.states import Power, PowerState, VmState
from stackyard.services.network import api as network_api


def live_migrate(job: Job) -> Outcome:
    """Send it, or, where it has come to, have it go on."""
    move = migrating.read(job)
    if migrating.is_at(job, move.dest_compute):
        return _land(job, move)
    driver = live_mover(job.driver)
    with job.event("live_migration"):
        try:
            _go(job, move, driver)
        except (HostError, OSError) as error:
            # Tried once: it runs on where it was, and who asked may ask again.
            raise GiveUp(str(error)) from error
    job.write("handed over", lambda tx: _hand_over(tx, job, move))
    return DONE


def _go(job: Job, move: Any, driver: LiveMoving) -> None:
    peers, there = job.runtime[PEERS], move.dest_compute
    if driver.sent(job.id):
        if not peers.ask(there, move.uuid, "landed")["whole"]:
            raise HostError(f"host {there} has lost what it was sent")
        return
    _tell(job, move, status="preparing")
    streams = peers.ask(there, move.uuid, "prepare", about=driver.describe(job.id))["streams"]
    _tell(job, move, status="running")

    def connect(stream: str) -> socket.socket:
        _, line = peers.call(there, move.uuid, "stream", name=stream)
        ours, its = socket.socketpair()
        relay.in_background(line.socket, its, f"to-{there}")
        return ours

    driver.send(job.id, [str(stream) for stream in streams], connect, lambda progress: _watch(job, move, progress))


def _tell(job: Job, move: Any, **columns: Any) -> None:
    def change(tx: Transaction) -> dict[str, Any]:
        migrations.update(tx, move.uuid, **columns)
        return {}

    job.write("live migration", change)


def _watch(job: Job, move: Any, progress: Progress) -> Order:
    """Write down how far it is; what its administrator wants, and to stay when the task is another one by now."""

    def look(tx: Transaction) -> Order:
        row, server = migrations.find(tx, move.uuid), outcome.read(tx, job.id)
        if row is None or server is None or (server.task or {}).get("move") != move.uuid:
            return "abort"
        told = {name: getattr(progress, name) for name in progress.__struct_fields__ if getattr(progress, name)}
        if told:
            migrations.update(tx, move.uuid, **told)
        order: Order = (row.details or {}).get("order", "")
        return order

    return job.runtime.database.write("server.live migration", look)


def _hand_over(tx: Transaction, job: Job, move: Any) -> dict[str, Any]:
    for index, interface in enumerate(job.server.interfaces):
        device = interface.get("device") or f"eth{index}"
        network_api.bind_port(tx, interface["port"], netns="", device=device, host=move.dest_compute, wire="tap")
    migrations.update(tx, move.uuid, status="post-migrating")
    return migrating.to_host(tx, job, move.dest_compute)


def _land(job: Job, move: Any) -> Outcome:
    with job.event("post_live_migration_at_destination"):
        live_mover(job.driver).land(job.id)
        job.wire()
    seen = job.inspect()
    state = PowerState.NOSTATE if seen is None else POWER_STATES[seen.state]
    job.finish(also=lambda tx: _completed(tx, job, move), power_state=int(state), boot_id=job.boot)
    return DONE


def _completed(tx: Transaction, job: Job, move: Any, status: str = "completed") -> None:
    scheduler.release(tx, move.uuid)
    migrations.update(tx, move.uuid, status=status)
    tasks.mark(tx, job.id, move.source_compute)


def failed(job: Job, reason: str) -> None:
    """It runs on where it was; one that had left already is in ERROR on its new host, and can be started there."""
    move = migrating.read(job)
    text = f"Live migration of instance {job.id} to host {move.dest_compute} failed: {reason}"
    if migrating.is_at(job, move.dest_compute):
        job.fail(f"{text} Reboot it (hard) to start it here.", also=lambda tx: _completed(tx, job, move, "error"))
        return
    paused = job.server.vm_state == VmState.PAUSED
    with suppress(HostError):
        live_mover(job.driver).stay(job.id, runs=not paused)
    seen = job.inspect()
    state = PowerState.NOSTATE if seen is None else POWER_STATES[seen.state]
    there = {
        PowerState.RUNNING: (VmState.ACTIVE, Power.RUNNING),
        PowerState.PAUSED: (VmState.PAUSED, Power.PAUSED),
        PowerState.NOSTATE: (VmState.ERROR, Power.NONE),
    }
    vm_state, power = there.get(state, (VmState.STOPPED, Power.STOPPED))
    job.fail(text, also=lambda tx: _stays(tx, job, move), vm_state=vm_state, power=power, power_state=int(state))


def _stays(tx: Transaction, job: Job, move: Any) -> None:
    row = migrations.find(tx, move.uuid)
    aborted = (row.details or {}).get("order") == "abort"
    migrations.update(tx, move.uuid, status="cancelled" if aborted else "failed")
    take_back(tx, job.server, move)


def take_back(tx: Transaction, server: Any, move: Any) -> None:
    """The server does not move: what the next host has prepared goes, and the server holds what it held before."""
    scheduler.revert(tx, move.uuid, server.id)
    for interface in server.interfaces:
        network_api.drop_binding(tx, interface["port"], move.dest_compute)
    tasks.mark(tx, server.id, move.dest_compute)


# ------------------------------------------------------------------------------------- what the next host is asked


def _prepare(runtime: Runtime, call: Call, stream: Stream) -> None:
    job = _expected(runtime, call)
    about = call.arguments.get("about")
    if not isinstance(about, str):
        raise SpecError("a server is announced with what it is made of")
    ports = [interface["port"] for interface in job.server.interfaces]
    runtime.database.write("server.prepare", _bind, ports, runtime[keys.HOST_NAME])
    if ports:
        network_api.wire_now(runtime, ports)
    wanted = job.spec()
    carrying.images(job, call.move, wanted)
    stream.answer({"streams": list(live_mover(job.driver).expect(wanted, about))})


def _bind(tx: Transaction, ports: list[str], host: str) -> None:
    for port in ports:
        network_api.prepare_binding(tx, port, host)


def _stream(runtime: Runtime, call: Call, stream: Stream) -> None:
    job, name = _expected(runtime, call), call.arguments.get("name")
    if not isinstance(name, str):
        raise SpecError("a stream is asked for by its name")
    inner = live_mover(job.driver).receive(job.id, name)
    stream.answer({})
    relay.relay(stream.socket, inner)


def _landed(runtime: Runtime, call: Call, stream: Stream) -> None:
    job = _expected(runtime, call)
    stream.answer({"whole": job.inspect() is not None and live_mover(job.driver).arrived(job.id)})


def _expected(runtime: Runtime, call: Call) -> Job:
    """The server that the move is about, which is the caller's still and comes here."""
    row = runtime.database.read("peer.server", outcome.read, call.move.server_id)
    if row is None or row.deleted_at is not None or row.host != call.caller:
        raise SpecError("the server is not on the host that sends it")
    if call.move.migration_type != "live-migration" or call.move.dest_compute != runtime[keys.HOST_NAME]:
        raise SpecError("the server does not come to this host")
    return Job(runtime, row)


HANDLERS: dict[str, Handler] = {"prepare": _prepare, "stream": _stream, "landed": _landed}
"""What hosts answer about servers that come to them."""

TASKS = {"live_migrate": live_migrate}
FAILURES = {"live_migrate": failed}
