"""qemu-img, without privileges: it reads what tenants upload, and disks that their machines wrote.

Every file is handed over as a descriptor whose owner is the user it runs as; it can open nothing else of this host's.
A format is always told, never guessed: a raw disk whose machine wrote a header of another format into it stays raw.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from stackyard.host import namespaces
from stackyard.host.errors import HostError, SpecError

DRIVERS = {
    "raw": "raw", "ami": "raw", "aki": "raw", "ari": "raw", "iso": "raw",
    "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "qed": "qed",
}  # fmt: skip
"""What QEMU calls the formats of images."""

_INFO_SECONDS = 60.0
_LONG_SECONDS = 3600.0
_INFO_MEMORY = 1 << 30


class Tool(Protocol):
    """Where qemu-img is."""

    @property
    def tool(self) -> str:
        """Its path."""
        ...


class ImageTool(NamedTuple):
    """The tool by itself, where no machines run."""

    tool: str


def find() -> ImageTool | None:
    """The tool of this host, if it has one."""
    path = shutil.which("qemu-img")
    return None if path is None else ImageTool(path)


class ImageToolError(HostError):
    """qemu-img refused; the text is its own."""


@contextlib.contextmanager
def opened(path: Path, *, write: bool = False) -> Iterator[int]:
    """A descriptor of a file of ours, for the length of a call."""
    flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_file(path: Path, uid: int, size: int = 0) -> None:
    """An empty (sparse) file of `size` bytes that belongs to the user."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(descriptor, uid, uid)
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def node(descriptor: int, driver: str, backing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """How qemu-img is told of an image; for qcow2, what is behind it is always told (None: nothing)."""
    made: dict[str, Any] = {"driver": driver, "file": {"driver": "file", "filename": f"/proc/self/fd/{descriptor}"}}
    if driver == "qcow2":
        made["backing"] = backing
    return made


def as_name(described: Mapping[str, Any]) -> str:
    """A described image as qemu-img takes it for a name."""
    return "json:" + msgspec.json.encode(described).decode()


def info(emulator: Tool, path: Path, driver: str, uid: int) -> dict[str, Any]:
    """What the image says of itself. Raises SpecError when it is none of that format."""
    with opened(path) as descriptor:
        arguments = ["info", "--output=json", "-f", driver, f"/proc/self/fd/{descriptor}"]
        try:
            said = run(emulator, arguments, uid, (descriptor,), timeout=_INFO_SECONDS, memory=_INFO_MEMORY)
        except ImageToolError as error:
            raise SpecError(f"the image is not {driver}: {error}") from error
    found: dict[str, Any] = msgspec.json.decode(said)
    return found


def create(emulator: Tool, path: Path, size: int, uid: int) -> None:
    """Make an empty qcow2 disk of `size` bytes. Whatever is behind it is told when it is opened, not written in it."""
    make_file(path, uid)
    with opened(path, write=True) as descriptor:
        arguments = ["create", "-q", "-f", "qcow2", f"/proc/self/fd/{descriptor}", str(size)]
        run(emulator, arguments, uid, (descriptor,))


def grow(emulator: Tool, path: Path, size: int, uid: int) -> None:
    """Make a qcow2 disk bigger."""
    with opened(path, write=True) as descriptor:
        run(emulator, ["resize", "-q", as_name(node(descriptor, "qcow2")), str(size)], uid, (descriptor,))


def convert(
    emulator: Tool, source: Mapping[str, Any], target: Path, uid: int, *, kept: Sequence[int], driver: str = "qcow2"
) -> None:
    """Write a disk, without what is behind it, as a compressed qcow2, a sparse raw file or an image of `driver`."""
    make_file(target, uid)
    with opened(target, write=True) as descriptor:
        compress = ["-c"] if driver == "qcow2" else []
        name = f"/proc/self/fd/{descriptor}"
        arguments = ["convert", "-q", "-W", "-m", "4", *compress, "-O", driver, as_name(source), name]
        run(emulator, arguments, uid, (*kept, descriptor), timeout=_LONG_SECONDS)


def refuse_what_leads_elsewhere(found: Mapping[str, Any]) -> None:
    """Raise SpecError for an image (as `info` describes it) that names other files: one is one file, or else files of
    this host would be read into a tenant's disk.
    """
    specific = found.get("format-specific")
    data = specific.get("data", {}) if isinstance(specific, dict) else {}
    if found.get("backing-filename") or found.get("full-backing-filename"):
        raise SpecError("the image has a backing file: convert it to one that stands alone")
    if data.get("data-file"):
        raise SpecError("the image keeps its data in another file: convert it to one that stands alone")
    if found.get("encrypted") or data.get("encrypt"):
        raise SpecError("the image is encrypted, and there is no key for it")
    if data.get("create-type", "monolithicSparse") not in ("monolithicSparse", "streamOptimized"):
        raise SpecError("the image consists of several files, or names others: convert it to one")


def reader() -> int:
    """The user (and group) id that the tool runs as when it works for no machine; no account has it."""
    mapped = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    return 0x6FFFFFFF if mapped > 0x70000000 else 65520


def run(
    emulator: Tool,
    arguments: Sequence[str],
    uid: int,
    descriptors: Sequence[int],
    *,
    timeout: float = _INFO_SECONDS,
    memory: int = 0,
) -> bytes:
    """Run it; returns what it printed. Raises ImageToolError."""
    limited = ["prlimit", f"--as={memory}", "--cpu=30", "--"] if memory else []

    def body() -> subprocess.CompletedProcess[bytes]:
        namespaces.unshare(namespaces.NETWORK)
        return subprocess.run(
            [*limited, emulator.tool, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
            check=False, pass_fds=tuple(descriptors), cwd="/", env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            user=uid, group=uid, extra_groups=[], umask=0o077,
        )  # fmt: skip

    try:
        done = namespaces.in_thread(body)
    except (OSError, subprocess.SubprocessError) as error:
        raise ImageToolError(f"qemu-img {arguments[0]}: {type(error).__name__}") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()[-300:]
        raise ImageToolError(f"qemu-img {arguments[0]}: {reason or f'exit code {done.returncode}'}")
    return done.stdout
