"""What this machine offers for virtual machines and what it lacks, for `stackyard doctor`. Changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from stackyard.host.machines.qemu import emulator


class Feature(NamedTuple):
    """One row: whether it is there, what was found, and what to do when it is not."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def machine_features() -> list[Feature]:
    """All rows."""
    found = emulator.find()
    if isinstance(found, str):
        first = Feature("QEMU", ok=False, detail=found, remedy="without it servers are containers only")
    else:
        first = Feature("QEMU", ok=True, detail=f"{'.'.join(map(str, found.version))} at {found.path}")
    problem = emulator.kvm_problem()
    return [
        first,
        Feature(
            "KVM",
            ok=problem is None,
            detail="the processor runs machines itself" if problem is None else f"{problem}: machines are translated",
            remedy="machines run, but several times slower; use a host with VT-x or AMD-V, or nested virtualization",
        ),
        _tun(),
        _mkfs(),
    ]


def _tun() -> Feature:
    there = Path("/dev/net/tun").exists()
    return Feature("tap devices", there, "/dev/net/tun" if there else "no /dev/net/tun", "modprobe tun")


def _mkfs() -> Feature:
    path = shutil.which("mkfs.ext4")
    remedy = "apt-get install e2fsprogs: ephemeral disks are blank without it"
    return Feature("file systems on ephemeral disks", path is not None, path or "no mkfs.ext4", remedy)
