"""What this host has for servers, and what of it is free."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from stackyard.host.specs import HostCapacity


def host_capacity(state_dir: Path) -> HostCapacity:
    """Read it from the kernel now."""
    pages, free = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_AVPHYS_PAGES")
    size = os.sysconf("SC_PAGE_SIZE")
    disk = shutil.disk_usage(state_dir)
    return HostCapacity(
        vcpus=os.cpu_count() or 1,
        memory=pages * size >> 20,
        disk=disk.total >> 30,
        memory_free=free * size >> 20,
        disk_free=disk.free >> 30,
        hypervisor="QEMU",
        version=0,
        architecture=platform.machine(),
        cpu_model="unknown",
    )
