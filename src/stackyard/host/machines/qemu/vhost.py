"""vhost-net: the kernel moves a virtio card's packets itself, where it offers that. QEMU is handed it opened."""

from __future__ import annotations

import os
from pathlib import Path

from stackyard.host.machines.qemu.hardware import Hardware

DEVICE = Path("/dev/vhost-net")


def open_for(hardware: Hardware, accelerator: str) -> int | None:
    """A descriptor for one card, its receiver's to close; None where it serves not: QEMU moves the packets then."""
    if hardware.card != "virtio" or accelerator != "kvm":
        return None
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
