"""What this machine offers for virtual machines and what it lacks, for `stackyard doctor`. Changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from stackyard.host.machines.qemu import cgroups, emulator, firmware, vhost


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
        _control_groups(),
        _firmware(),
        _vhost(),
    ]


def _tun() -> Feature:
    there = Path("/dev/net/tun").exists()
    return Feature("tap devices", there, "/dev/net/tun" if there else "no /dev/net/tun", "modprobe tun")


def _mkfs() -> Feature:
    path = shutil.which("mkfs.ext4")
    remedy = "apt-get install e2fsprogs: ephemeral disks are blank without it"
    return Feature("file systems on ephemeral disks", path is not None, path or "no mkfs.ext4", remedy)


def _control_groups() -> Feature:
    found = cgroups.find()
    detail = "nobody lets us make any: machines run without limits" if found is None else f"version {found.version}"
    return Feature("control groups for machines", found is not None, detail, "mount /sys/fs/cgroup writable")


def _firmware() -> Feature:
    found = firmware.find()
    detail = "none: machines boot by BIOS" if found is None else str(found.code)
    return Feature("UEFI firmware for machines", found is not None, detail, "apt-get install ovmf")


def _vhost() -> Feature:
    there = vhost.DEVICE.exists()
    detail = str(vhost.DEVICE) if there else f"no {vhost.DEVICE}: QEMU moves machines' packets itself"
    return Feature("vhost-net", there, detail, "modprobe vhost_net")
