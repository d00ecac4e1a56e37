"""What a machine is doing, asked of its process and of the kernel."""

from __future__ import annotations

import contextlib
import os
import string
import time
from pathlib import Path
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.machines.qemu import disks, life
from stackyard.host.machines.qemu.hardware import Hardware
from stackyard.host.machines.qemu.home import Home
from stackyard.host.machines.qemu.images import ImageStore
from stackyard.host.machines.qemu.monitor import Monitor
from stackyard.host.machines.qemu.process import Process
from stackyard.host.specs import DiskUse, MachineDiagnostics, MachineObservation

_FROZEN = ("paused", "io-error", "watchdog", "postmigrate", "debug")
_ENDED = {"shutdown": "stopped", "guest-panicked": "crashed", "internal-error": "crashed"}


def look(home: Home) -> MachineObservation:
    """What it does now; changes nothing."""
    record = home.record()
    alive = life.running(record)
    state: str = record.state
    error = record.error
    if record.state == "running" and alive is None:
        state, error = "crashed", life.last_words(home) or "QEMU ended by itself"
    elif record.state == "arriving":
        state = "crashed" if alive is None else "paused"
    elif record.state == "running":
        with contextlib.suppress(HostError), Monitor(home.socket("look")) as monitor:
            status = monitor.execute("query-status")["status"]
            state = "paused" if status in _FROZEN else _ENDED.get(status, "running")
            error = "a disk cannot be written" if status == "io-error" else error
    # What is plugged in is told of a machine that runs or could go on; of others, what they will have.
    spec = home.live() if alive is not None or state == "suspended" else home.spec()
    return MachineObservation(
        id=home.id,
        state=state,  # type: ignore[arg-type]
        rescued=spec.rescue is not None,
        pid=alive.pid if alive is not None and state in ("running", "paused") else 0,
        error=error,
        ports=tuple(nic.port_id for nic in spec.nics),
        volumes=tuple(volume.id for volume in spec.volumes),
    )


def diagnostics(store: ImageStore, home: Home, running: Process) -> MachineDiagnostics:
    """Its use of the host since it was started."""
    with Monitor(home.socket("look")) as monitor:
        status = monitor.execute("query-status")["status"]
        threads = [cpu["thread-id"] for cpu in monitor.execute("query-cpus-fast")]
        stats = {one["node-name"]: one["stats"] for one in monitor.execute("query-blockstats") if "node-name" in one}
    spec, record = home.live(), home.record()
    order = disks.of(store, home, spec, record, Hardware.of(spec.properties))
    return MachineDiagnostics(
        driver="libvirt",
        hypervisor="kvm" if record.accelerator == "kvm" else "qemu",
        state="paused" if status in _FROZEN else "running",
        uptime=int(time.time() - record.began),
        cpu_nanoseconds=tuple(_cpu_time(running.pid, thread) for thread in threads),
        memory=spec.memory,
        memory_used=_resident(running.pid),
        disks=tuple(
            _disk_use(f"{'vd' if disk.bus == 'virtio' else 'sd'}{letter}", stats.get(disk.node, {}))
            for letter, disk in zip(string.ascii_lowercase, order, strict=False)
        ),
    )


def _disk_use(device: str, stats: dict[str, Any]) -> DiskUse:
    failed = stats.get("failed_rd_operations", 0) + stats.get("failed_wr_operations", 0)
    return DiskUse(
        device=device,
        read_bytes=stats.get("rd_bytes", 0),
        write_bytes=stats.get("wr_bytes", 0),
        read_requests=stats.get("rd_operations", 0),
        write_requests=stats.get("wr_operations", 0),
        errors=failed,
    )


def _cpu_time(pid: int, thread: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    """In MiB."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
