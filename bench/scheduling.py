"""Rows of the scheduler: decisions among 10,000 simulated hosts that have 100,000 servers.

A decision is all of what a request for a server does there: in a transaction on a SQLite file of its own the hosts are
brought up to date, one is chosen and looked at once more, and what the server takes is claimed in placement.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.context import Context
from bench.rows import Goal, Row

DECISION, RATE = "scheduling decision p99", "decisions a second, one core"
DECISION_GOAL, RATE_GOAL = Goal("ours", "<=", 20), Goal("ours", ">=", 500)
HOSTS, SERVERS, DECISIONS = 10_000, 100_000, 5_000
ZONES, TRAIT = 10, "HW_CPU_X86_VMX"
FLAVORS = ((1, 512, 1), (1, 2048, 20), (2, 4096, 40), (4, 8192, 80))


def decisions(context: Context) -> Iterator[Row]:
    """Requests of four sizes, of which some ask for a zone, a trait, or a place away from another server."""
    share = 20 if context.quick else 1
    with tempfile.TemporaryDirectory(prefix="stackyard-bench-") as folder, _one_core():
        context.report(f"filling {HOSTS // share} hosts with {SERVERS // share} servers")
        simulated = _Simulated(Path(folder), HOSTS // share, SERVERS // share)
        with contextlib.closing(simulated):
            simulated.place(0)  # reads everything once
            ours = [_seconds(simulated.place, number) for number in range(DECISIONS // share)]
            reference = [_seconds(simulated.one_by_one, number) for number in range(max(20, 200 // share))]
    note = "reference: every filter on every host, then weighing all that are left, without a database"
    yield Row(DECISION, "ms", DECISION_GOAL, _p99(ours) * 1000, _p99(reference) * 1000, note)
    yield Row(RATE, "1/s", RATE_GOAL, len(ours) / sum(ours), len(reference) / sum(reference), note)


class _Simulated:
    """Hosts and what servers have claimed of them, in a database."""

    def __init__(self, folder: Path, hosts: int, servers: int) -> None:
        from stackyard.core.config import Settings
        from stackyard.core.db import Database
        from stackyard.services.compute import scheduler

        self._place = scheduler.place
        self._random = random.Random(7)
        self._database = Database(f"sqlite:///{folder / 'scheduling.sqlite'}")
        self._database.create_all()
        self._runtime: Any = SimpleNamespace(settings=Settings(), database=self._database)
        self._database.write("hosts", self._add_hosts, hosts)
        self._database.write("servers", self._add_servers, servers)

    def close(self) -> None:
        """The database goes."""
        self._database.close()

    def _add_hosts(self, tx: Any, count: int) -> None:
        from stackyard.services.compute import tables as compute
        from stackyard.services.placement import tables as placement

        moments = {"created_at": tx.now, "updated_at": tx.now}
        capacity = {"architecture": "x86_64", "hypervisor": "QEMU", "version": 8002000, "kinds": ["machine"]}
        self._ids = [str(uuid.uuid4()) for _ in range(count)]
        hosts = [(number, one, f"host-{number:05}") for number, one in enumerate(self._ids)]
        node = {"address": "192.0.2.1", "capacity": capacity, **moments}
        tx.execute(
            compute.compute_nodes.insert(), [{"id": i, "number": n, "host": name, **node} for n, i, name in hosts]
        )
        service = {"binary": "nova-compute", "disabled": False, "forced_down": False, "report_count": 1, **moments}
        service |= {"last_seen_at": tx.now + timedelta(days=1)}
        rows: list[dict[str, Any]] = [{"uuid": one, "host": name, **service} for _, one, name in hosts]
        tx.execute(compute.compute_services.insert(), rows)
        rows = [{"uuid": one, "name": name, "generation": 0, "root": one, **moments} for _, one, name in hosts]
        tx.execute(placement.providers.insert(), rows)
        rows = [{"provider": one, "trait": TRAIT} for n, one in enumerate(self._ids) if n // ZONES % 2]
        tx.execute(placement.provider_traits.insert(), rows)
        for zone in range(ZONES):
            name = f"zone-{zone}"
            row = {"id": zone + 1, "uuid": str(uuid.uuid4()), "name": name, "zone": name, "created_at": tx.now}
            tx.execute(compute.aggregates.insert(), row | {"metadata": {"availability_zone": name}})
            rows = [{"aggregate_id": zone + 1, "host": name, "added_at": tx.now} for _, _, name in hosts[zone::ZONES]]
            tx.execute(compute.aggregate_hosts.insert(), rows)

    def _add_servers(self, tx: Any, count: int) -> None:
        from stackyard.services.placement import tables as placement

        names = ("VCPU", "MEMORY_MB", "DISK_GB")
        used = {one: [0, 0, 0] for one in self._ids}
        consumers, allocations = [], []
        for _ in range(count):
            provider, flavor, server = self._random.choice(self._ids), self._random.choice(FLAVORS), str(uuid.uuid4())
            consumer = {"uuid": server, "project_id": "p", "user_id": "u", "consumer_type": "INSTANCE", "generation": 1}
            consumers.append(consumer | {"created_at": tx.now, "updated_at": tx.now})
            for place, (name, amount) in enumerate(zip(names, flavor, strict=True)):
                used[provider][place] += amount
                row = {"consumer": server, "provider": provider, "resource_class": name, "used": amount}
                allocations.append(row | {"created_at": tx.now})
        tx.execute(placement.consumers.insert(), consumers)
        tx.execute(placement.allocations.insert(), allocations)
        moments = {"used_at": tx.now - timedelta(hours=1), "created_at": tx.now, "updated_at": tx.now}
        limits = {"reserved": 0, "min_unit": 1, "step_size": 1, **moments}
        has = (("VCPU", 64, 4.0), ("MEMORY_MB", 262144, 1.0), ("DISK_GB", 8192, 1.0))
        rows = [
            {"provider": one, "resource_class": name, "total": total, "max_unit": total, "allocation_ratio": ratio}
            | {"used": used[one][place], **limits}
            for one in self._ids
            for place, (name, total, ratio) in enumerate(has)
        ]
        tx.execute(placement.inventories.insert(), rows)

    def _request(self, number: int) -> Any:
        from stackyard.services.compute.scheduler import Request

        vcpus, memory, disk = FLAVORS[number % len(FLAVORS)]
        return Request(
            vcpus=vcpus, memory=memory, disk=disk, project_id="p", user_id="u",
            zone=f"zone-{number % ZONES}" if number % 5 == 0 else None,
            extra_specs={f"trait:{TRAIT}": "required"} if number % 7 == 0 else {},
            exclude_hosts=frozenset({f"host-{number % 100:05}"}) if number % 11 == 0 else frozenset(),
        )  # fmt: skip

    def place(self, number: int) -> None:
        """One decision."""
        self._database.write("place", self._place, self._runtime, self._request(number), [str(uuid.uuid4())])

    def one_by_one(self, number: int) -> None:
        """The same decision by looking at every host."""
        from stackyard.services.compute.scheduler import snapshot
        from stackyard.services.compute.scheduler.filters import CAPACITY, CHANGING, FIXED
        from stackyard.services.compute.scheduler.request import Circumstances

        hosts = self._database.read("remembered", lambda tx: snapshot.remembered(tx).current(tx, self._runtime))
        request, found = self._request(number), Circumstances()
        left = list(hosts.hosts)
        for one in (*FIXED, *CHANGING, *CAPACITY):
            aspect = one.aspect(request, found, hosts)
            if aspect is not None:
                left = [host for host in left if one.passes(host, aspect)]
        max(left, key=lambda host: host.score)


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """This process on one core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _seconds(function: Any, number: int) -> float:
    started = time.perf_counter()
    function(number)
    return time.perf_counter() - started


def _p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]
