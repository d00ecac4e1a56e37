"""Control groups of machines: what of the host a QEMU process may take, also one that its guest has got hold of.

Version 2 where its controllers are there, else version 1. A host on which we may make none (inside of a container) has
machines without these limits, which `stackyard doctor` tells.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines.qemu.home import Home
from stackyard.host.specs import MachineSpec

_PARENT = "stackyard.machines"
_MIB = 1 << 20
_SHARES = 1024
_PERIOD = 100_000
_PERIODS = range(1000, 1_000_001)
_LEAST_QUOTA = 1000
_MOST_SHARES = 262_144
_CONTROLLERS = ("cpu", "memory", "pids")


class Limits(NamedTuple):
    """What a machine may take: CPU time in `period` microseconds, bytes of memory, threads; `shares` beside others."""

    shares: int
    quota: int
    period: int
    memory: int
    threads: int


def limits(spec: MachineSpec) -> Limits:
    """By the flavor's `quota:cpu_*`, which are for each virtual CPU, or as much as an honest machine can need.

    QEMU itself takes a CPU at most, and memory for its translated code, its caches and what goes through its disks and
    cards. Raises SpecError.
    """
    shares = _number(spec.properties, "quota_cpu_shares")
    quota, period = _number(spec.properties, "quota_cpu_quota"), _number(spec.properties, "quota_cpu_period")
    if period is not None and period not in _PERIODS:
        raise SpecError(f"quota:cpu_period={period} is not from {_PERIODS[0]} to {_PERIODS[-1]} microseconds")
    if quota is not None and 0 <= quota < _LEAST_QUOTA:
        raise SpecError(f"quota:cpu_quota={quota} is less than {_LEAST_QUOTA} microseconds")
    period = period or _PERIOD
    own = spec.vcpus + 1 if quota is None or quota < 0 else None
    return Limits(
        shares=max(2, min(_SHARES * spec.vcpus if shares is None else shares, _MOST_SHARES)),
        quota=own * period if own is not None else (quota or 0) * spec.vcpus,
        period=period,
        memory=(spec.memory + spec.memory // 8 + 768 + 8 * spec.vcpus) * _MIB,
        threads=256 + spec.vcpus,
    )


def asks(spec: MachineSpec) -> bool:
    """Whether a flavor wants limits that only control groups can hold."""
    return any(name.startswith("quota_cpu_") for name in spec.properties)


def _number(properties: Mapping[str, str], name: str) -> int | None:
    value = properties.get(name)
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        raise SpecError(f"{name.replace('_', ':', 1)}={value[:40]!r} is not a whole number") from None


class Cgroups(NamedTuple):
    """Where groups are made: a directory a controller, or for version 2 one for all."""

    version: int
    roots: tuple[Path, ...]

    def confine(self, home: Home, spec: MachineSpec, pid: int) -> None:
        """Put the machine's process into a group of its own, with its limits. Raises HostError."""
        found = limits(spec)
        written = _version_2(found) if self.version == 2 else _version_1(found)
        try:
            for root in self.roots:
                group = root / _PARENT / name_of(home)
                group.mkdir(parents=True, exist_ok=True)
                if self.version == 2:
                    _hand_down(root)
                    _hand_down(root / _PARENT)
                for name, value in written:
                    if (group / name).exists():
                        (group / name).write_text(value)
                (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise HostError(f"the limits of machine {home.id} cannot be set: {error}") from error

    def release(self, home: Home) -> None:
        """Remove the group of a machine whose process has ended; gone is fine, and so is one that is in use."""
        self._remove(f"{_PARENT}/{name_of(home)}")

    def release_all(self) -> None:
        """Remove what the groups were in, unless another cloud has machines there."""
        self._remove(_PARENT)

    def _remove(self, group: str) -> None:
        for root in self.roots:
            with contextlib.suppress(OSError):
                (root / group).rmdir()


def find(mounts: Path = Path("/proc/self/mounts")) -> Cgroups | None:
    """How machines are limited on this host; None where nobody lets us."""
    unified: Path | None = None
    single: dict[str, Path] = {}
    for line in mounts.read_text().splitlines():
        _, point, kind, options, *_ = line.split()
        if kind == "cgroup2" and set(_CONTROLLERS) <= _controllers(Path(point)):
            unified = unified or Path(point)
        elif kind == "cgroup":
            single |= {name: Path(point) for name in _CONTROLLERS if name in options.split(",")}
    found = None
    if unified is not None:
        found = Cgroups(2, (unified,))
    elif "memory" in single:
        found = Cgroups(1, tuple(dict.fromkeys(single[name] for name in _CONTROLLERS if name in single)))
    return found if found is not None and all(os.access(root, os.W_OK) for root in found.roots) else None


def _controllers(root: Path) -> set[str]:
    try:
        return set((root / "cgroup.controllers").read_text().split())
    except OSError:
        return set()


def _hand_down(group: Path) -> None:
    """Let the groups in this one have the controllers."""
    asked = " ".join(f"+{name}" for name in _CONTROLLERS)
    if not set(_CONTROLLERS) <= set((group / "cgroup.subtree_control").read_text().split()):
        (group / "cgroup.subtree_control").write_text(asked)


def name_of(home: Home) -> str:
    """The name of a machine's group: two clouds of one host may have machines of the same id."""
    return f"{hashlib.sha256(str(home.path.parent.absolute()).encode()).hexdigest()[:8]}-{home.id}"


def _version_1(found: Limits) -> tuple[tuple[str, str], ...]:
    return (
        ("cpu.shares", str(found.shares)),
        ("cpu.cfs_period_us", str(found.period)),
        ("cpu.cfs_quota_us", str(found.quota)),
        ("memory.limit_in_bytes", str(found.memory)),
        ("pids.max", str(found.threads)),
    )


def _version_2(found: Limits) -> tuple[tuple[str, str], ...]:
    weight = 1 + (found.shares - 2) * 9999 // (_MOST_SHARES - 2)  # as runc and systemd translate shares
    return (
        ("cpu.weight", str(weight)),
        ("cpu.max", f"{found.quota} {found.period}"),
        ("memory.max", str(found.memory)),
        ("pids.max", str(found.threads)),
    )
