"""What this machine offers for containers and what it lacks, for `stackyard doctor`. Starts and changes nothing."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stackyard.host.containers.docker_http import DockerHTTP
from stackyard.host.containers.docker_observe import host_features
from stackyard.host.containers.runtime import NAME
from stackyard.host.errors import HostError

_CAP_SYS_RESOURCE = 24
_FEW_FILES = 65536
_LIMITS = {
    "MemoryLimit": ("memory limit", "enable the memory controller of cgroups"),
    "SwapLimit": ("swap limit", "boot with swapaccount=1; without it a container may use swap beyond its memory"),
    "CpuCfsQuota": ("cpu limit", "use a kernel with CONFIG_CFS_BANDWIDTH; without it cpu limits are left out"),
    "PidsLimit": ("process limit", "enable the pids controller of cgroups"),
}


class Feature(NamedTuple):
    """One row: whether it is there, what was found, and what to do when it is not."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def engine_features(socket_path: str | None) -> list[Feature]:
    """All rows. `socket_path` is the engine's, None when there is none (see dockerd.running_engine)."""
    info: Mapping[str, Any] | None = None
    if socket_path is not None:
        client = DockerHTTP(socket_path)
        try:
            info = client.call("GET", "/info", timeout=10)
        except HostError:
            info = None
        finally:
            client.close()
    return [
        *_tools(),
        *(_no_engine(socket_path) if info is None else _engine(info, socket_path or "")),
        _cgroups(),
        _open_files(),
        _sys_resource(),
    ]


def _tools() -> list[Feature]:
    dockerd = _version("dockerd")
    oci_runtime = _version("runc") or _version("crun")
    busybox = shutil.which("busybox")
    return [
        Feature("dockerd", dockerd is not None, dockerd or "not installed", "install the package docker.io"),
        Feature("runc", oci_runtime is not None, oci_runtime or "not installed", "install the package runc"),
        Feature("busybox", busybox is not None, busybox or "not installed", "install the package busybox-static"),
    ]


def _no_engine(socket_path: str | None) -> list[Feature]:
    detail = f"{socket_path} does not answer" if socket_path else "none answers"
    remedy = "`stackyard up` starts one of its own if dockerd is installed"
    return [Feature("container engine", ok=False, detail=detail, remedy=remedy)]


def _engine(info: Mapping[str, Any], socket_path: str) -> list[Feature]:
    ours = NAME in (info.get("Runtimes") or {})
    driver = info.get("Driver", "unknown")
    disk = host_features(info).disk_limit
    return [
        Feature("container engine", ok=True, detail=f"Docker {info.get('ServerVersion', '')} at {socket_path}"),
        Feature(
            "sandbox mode",
            ours,
            "runtime" if ours else "pause: each container costs a second one and starts more slowly",
            "let Stackyard start an engine of its own: stop the other one, or leave docker_socket unset",
        ),
        Feature(
            "storage driver",
            driver in {"overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs"},
            driver,
            "keep the state directory on a file system that overlay2 works on (ext4, xfs): vfs copies whole images",
        ),
        Feature(
            "disk limit",
            disk,
            "applied" if disk else f"left out: {driver} cannot limit a container's disk here",
            "keep the state directory on xfs mounted with pquota, or on btrfs",
        ),
        *(
            Feature(name, bool(info.get(key)), "applied" if info.get(key) else "not supported", remedy)
            for key, (name, remedy) in _LIMITS.items()
        ),
    ]


def _cgroups() -> Feature:
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    hybrid = Path("/sys/fs/cgroup/unified").is_dir()
    detail = "v2" if unified else "v1 with v2 beside it" if hybrid else "v1"
    return Feature("cgroups", unified or Path("/sys/fs/cgroup/memory").is_dir(), detail, "mount /sys/fs/cgroup")


def _open_files() -> Feature:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    ok = hard == resource.RLIM_INFINITY or hard >= _FEW_FILES
    remedy = "raise the hard limit of open files (ulimit -Hn) before starting: containers cannot have more"
    return Feature("open files", ok, f"at most {hard} for each process", remedy)


def _sys_resource() -> Feature:
    status = Path("/proc/self/status").read_text()
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    held = bool(int(bounding, 16) >> _CAP_SYS_RESOURCE & 1)
    detail = "all capabilities" if held else "CAP_SYS_RESOURCE is withheld, so privileged containers start without it"
    return Feature("privileged containers", held, detail, "give this machine or container CAP_SYS_RESOURCE")


def _version(tool: str) -> str | None:
    path = shutil.which(tool)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else None
