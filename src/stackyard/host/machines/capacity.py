"""What this host has for servers, and what of it is free."""

from __future__ import annotations

import os
import platform
import shutil
import time
from pathlib import Path

from stackyard.host.machines.drivers import NOTES, missing_kinds
from stackyard.host.machines.qemu import emulator
from stackyard.host.specs import HostCapacity

KINDS = ("machine", "container", "system")


def host_capacity(state_dir: Path) -> HostCapacity:
    """Read it from the kernel now. `version` is QEMU's, 0 without one; free memory counts what caches would give."""
    memory = _memory()
    disk = shutil.disk_usage(state_dir)
    missing = missing_kinds(state_dir)
    found = emulator.find(state_dir / NOTES)
    model, features = emulator.processor()
    return HostCapacity(
        vcpus=os.cpu_count() or 1,
        memory=memory["MemTotal"] >> 10,
        disk=disk.total >> 30,
        memory_free=memory["MemAvailable"] >> 10,
        disk_free=disk.free >> 30,
        hypervisor="QEMU",
        version=0 if isinstance(found, str) else found.number,
        architecture=platform.machine(),
        cpu_model=model,
        cpu_features=features,
        kinds=tuple(kind for kind in KINDS if kind not in missing),
        missing=missing,
        uptime=_uptime(),
    )


def _memory() -> dict[str, int]:
    """/proc/meminfo, in KiB."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines}


def _uptime() -> str:
    """As uptime(1) prints it: Nova hands it on as it is."""
    now = Path("/proc/uptime").read_text().split()[0]
    days, seconds = divmod(int(float(now)), 86400)
    hours, minutes = divmod(seconds // 60, 60)
    length = f"{days} day{'s' if days != 1 else ''}, " if days else ""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f" {time.strftime('%H:%M:%S')} up {length}{hours:2d}:{minutes:02d},  0 users,  load average: {load}"
