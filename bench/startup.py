"""Rows of the control plane as a whole: time to serve, time of the very first start, memory at rest."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.context import Context
from bench.peers import daemons, database
from bench.rows import Goal, Row

FIRST_START = "first start, with seeding"
START = "start on existing state"
MEMORY = "memory of the idle control plane"


def first_start(context: Context) -> Iterator[Row]:
    """From an empty directory to every API answering; the peers with their schemas and first accounts."""
    goal = Goal("ours", "<=", 2.5)
    ours = context.first_start()
    context.require_peers()
    context.own_peers()
    context.report("making the peers' state from nothing")
    reference = database.initialise(context.peers, context.report)
    yield Row(FIRST_START, "s", goal, ours, reference, "reference: Keystone, Glance, Neutron and Zun APIs")


def start(context: Context) -> Iterator[Row]:
    """From nothing running to every API answering, on existing state."""
    context.require_peers()
    _ = context.peer_client  # their state exists from here on
    cloud = context.cloud
    ours = []
    for _round in range(1 if context.quick else 5):
        cloud.stop()
        ours.append(cloud.start())
    reference = []
    for _round in range(1 if context.quick else 3):
        context.report("restarting the peers")
        daemons.stop(context.peers)
        reference.append(daemons.start(context.peers))
    yield Row(START, "s", Goal("ours", "<=", 1.0), statistics.median(ours), statistics.median(reference))


def memory(context: Context) -> Iterator[Row]:
    """Resident memory of both control planes after a fresh start and a short rest."""
    _ = context.peer_client
    cloud = context.cloud
    cloud.stop()
    cloud.start()
    context.rest(5.0)
    ours, count = cloud.memory()
    pids = [pid for name in daemons.ALL for pid in daemons.processes(context.peers, name)]
    reference = daemons.resident_mebibytes(pids)
    note = f"ours: {count} process{'es' if count != 1 else ''}; reference: {len(pids)} processes"
    # The target is for one process: more than one misses it, whatever they take together.
    yield Row(MEMORY, "MiB", Goal("ours", "<", 150), ours, reference, note, disqualified=count != 1)
