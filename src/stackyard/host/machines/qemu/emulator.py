"""The QEMU of this host: where it is, what version, and whether the processor helps it (KVM) or it translates (TCG)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

_KVM = Path("/dev/kvm")
_KVM_GET_API_VERSION, _KVM_CREATE_VM = 0xAE00, 0xAE01
_API_VERSION = 12
_OLDEST = (7, 1)
"""Before it, a console's socket cannot be handed over."""


class Emulator(NamedTuple):
    """What runs machines here. `groups` are those that its processes need (to open /dev/kvm)."""

    path: str
    tool: str
    version: tuple[int, int, int]
    accelerator: str
    groups: tuple[int, ...]

    @property
    def number(self) -> int:
        """The version as Nova tells versions: 7002022 is 7.2.22."""
        major, minor, micro = self.version
        return major * 1_000_000 + minor * 1000 + micro


def find(notes: Path | None = None) -> Emulator | str:
    """The emulator, or why there is none. Its version is kept in the file `notes`: asking costs a start of QEMU."""
    if platform.machine() != "x86_64":
        return f"machines run on x86_64 only, and this is {platform.machine()}"
    path, tool = shutil.which("qemu-system-x86_64"), shutil.which("qemu-img")
    if path is None:
        return "QEMU is not installed: apt-get install qemu-system-x86"
    if tool is None:
        return "qemu-img is not installed: apt-get install qemu-utils"
    version = _version(path, Path(path).stat().st_mtime_ns, notes)
    if version is None:
        return f"{path} does not tell its version"
    if version[:2] < _OLDEST:
        return f"QEMU {'.'.join(map(str, version))} is too old: 7.1 is the oldest that serves"
    helped = kvm_problem() is None
    groups = (_KVM.stat().st_gid,) if helped else ()
    return Emulator(path, tool, version, "kvm" if helped else "tcg", groups)


@cache
def _version(path: str, changed: int, notes: Path | None) -> tuple[int, int, int] | None:
    this = f"{path} {changed} "
    noted = notes.read_text() if notes is not None and notes.exists() else ""
    said = noted.removeprefix(this) if noted.startswith(this) else _asked(path)
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        return None
    if notes is not None and not noted.startswith(this):
        with contextlib.suppress(OSError):  # then it is asked again next time
            notes.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            notes.write_text(f"{this}{found[0]}")
    return int(found[1]), int(found[2]), int(found[3])


def _asked(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def kvm_problem() -> str | None:
    """Why the processor cannot help; None when it can. Found by trying: a machine is made and dropped."""
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
        return "the processor (or the hypervisor below) offers no virtualization"
    try:
        descriptor = os.open(_KVM, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"{_KVM}: {error.strerror}"
    try:
        if fcntl.ioctl(descriptor, _KVM_GET_API_VERSION, 0) != _API_VERSION:
            return f"{_KVM} speaks another version"
        os.close(fcntl.ioctl(descriptor, _KVM_CREATE_VM, 0))
    except OSError as error:
        return f"{_KVM} makes no machine: {error.strerror}"
    finally:
        os.close(descriptor)
    if _KVM.stat().st_mode & 0o066 not in (0o060, 0o066):
        return f"{_KVM} is closed to its group (chmod 660 it): QEMU does not run as root here"
    return None


def processor() -> tuple[str, tuple[str, ...]]:
    """The processor's model and its features, as the kernel names them."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    return (model[1].strip() if model else "unknown", tuple(flags[1].split()) if flags else ())
