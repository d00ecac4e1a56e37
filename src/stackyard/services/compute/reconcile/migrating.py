"""A stopped server goes to another host, with a new flavor or the one that it has, and may come back."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Outcome
from stackyard.host.errors import HostError
from stackyard.host.machines.moving import mover
from stackyard.services import keys
from stackyard.services.compute import migrations, zones
from stackyard.services.compute.reconcile.carrying import fetch, images
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.servers import tasks


def read(job: Job) -> Any:
    """The row of the move that the task is about."""
    return job.runtime.database.read("server.move", migrations.find, job.arguments["move"])


def is_elsewhere(move: Any) -> bool:
    """Whether a move is one between hosts."""
    return move is not None and move.dest_compute is not None and move.dest_compute != move.source_compute


def is_at(job: Job, host: str) -> bool:
    """Whether this is that host."""
    return job.runtime[keys.HOST_NAME] == host


def hand_over(job: Job, host: str, **columns: Any) -> Outcome:
    """The rest of the task is another host's; columns of the server are written with that."""

    def change(tx: Transaction) -> dict[str, Any]:
        return {**columns, **to_host(tx, job, host)}

    job.write("hand over", change)
    return DONE


def to_host(tx: Transaction, job: Job, host: str) -> dict[str, Any]:
    """The columns of a server that is another host's from now on, which looks at it at once."""
    tasks.mark(tx, job.id, host)
    return {"host": host, "zone": zones.zone_of(tx, job.runtime, host)}


def arrive(job: Job, move: Any) -> None:
    """Have what the server is made of on this host; `define` makes it match its rows then."""
    if job.inspect() is not None and (move.details or {}).get("cleared"):
        return
    parcel = fetch(job, move)
    wanted = job.spec()
    images(job, move, wanted)
    mover(job.driver).unpack(wanted, parcel)
    job.driver.define(wanted)


def give_up(job: Job) -> None:
    """Delete what has arrived here of a server that goes back, or never came."""
    with suppress(HostError):
        job.driver.remove(job.id)
