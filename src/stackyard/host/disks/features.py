"""What this machine offers for volumes and what it lacks, for `stackyard doctor`. Changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from stackyard.host import image_tool
from stackyard.host.disks import mounts

_SHARING = ("xfs", "btrfs", "bcachefs", "zfs")
_SYS_RESOURCE = 24


class Feature(NamedTuple):
    """One row: whether it is there, what was found, and what to do when it is not."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def volume_features(directory: Path) -> list[Feature]:
    """All rows; `directory` is where volumes are kept, or will be."""
    tool, loop = image_tool.find(), Path("/dev/loop-control").exists()
    return [
        _sharing(directory),
        Feature(
            "loop devices",
            ok=loop,
            detail="/dev/loop-control" if loop else "no /dev/loop-control",
            remedy="modprobe loop: containers cannot mount volumes without them, machines can use them",
        ),
        _program("mkfs.ext4", "file systems on volumes", "apt-get install e2fsprogs: for containers"),
        _growing(),
        Feature(
            "images of every format",
            ok=tool is not None,
            detail="no qemu-img" if tool is None else tool.tool,
            remedy="apt-get install qemu-utils: without it only raw images become volumes",
        ),
    ]


def _sharing(directory: Path) -> Feature:
    kind = mounts.file_system_of(directory)
    return Feature(
        "snapshots of one moment",
        ok=kind in _SHARING,
        detail=f"{directory} is on {kind}" + ("" if kind in _SHARING else ", which copies what a snapshot has"),
        remedy="keep volumes on XFS or Btrfs (setting volume.pool): snapshots and copies take no time and no room then",
    )


def _program(name: str, what: str, remedy: str) -> Feature:
    path = shutil.which(name)
    return Feature(what, path is not None, path or f"no {name}", remedy)


def _growing() -> Feature:
    status = Path("/proc/self/status").read_text()
    allowed = bool(int(status.partition("CapEff:")[2].split()[0], 16) >> _SYS_RESOURCE & 1)
    return Feature(
        "growing mounted volumes",
        ok=allowed,
        detail="CAP_SYS_RESOURCE" if allowed else "no CAP_SYS_RESOURCE",
        remedy="run the cloud with all capabilities; else a volume's file system grows when it is mounted again",
    )
