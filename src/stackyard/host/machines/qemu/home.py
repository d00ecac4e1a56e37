"""A machine's directory: what it shall be, what it is, its disks, sockets and logs. Only root can enter it."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from stackyard.host.errors import NotFoundError, SpecError
from stackyard.host.specs import MachineSpec
from stackyard.host.specs.base import Spec

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_S = TypeVar("_S", bound=Spec)


class Record(Spec, frozen=True):
    """What we know of a machine besides its spec.

    `pid`, `started` (clock ticks since boot) and `boot` tell its process from every other. `slots` are the PCI slots
    of its devices, kept so that a suspended machine finds them where they were. `dirty`: the spec is newer than the
    disks.
    """

    uid: int
    state: Literal["defined", "running", "stopped", "suspended", "crashed", "arriving"] = "defined"
    error: str = ""
    pid: int = 0
    started: int = 0
    boot: str = ""
    began: float = 0.0
    slots: dict[str, int] = {}
    machine_type: str = ""
    accelerator: str = ""
    root_bytes: int = 0
    root_image: str = ""
    dirty: bool = False


class Home:
    """Paths and records of one machine."""

    def __init__(self, directory: Path, machine_id: str) -> None:
        if not _ID.fullmatch(machine_id):
            raise SpecError("a server's id has letters, digits, dots and dashes only")
        self.id = machine_id
        self.path = directory / machine_id

    def exists(self) -> bool:
        """Whether the machine was ever defined to its end."""
        return (self.path / "record.json").exists()

    def make(self) -> None:
        """Make the directory."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def remove(self) -> None:
        """Delete everything; first the record, so that what is left of an interrupted removal is no machine."""
        (self.path / "record.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def spec(self) -> MachineSpec:
        """As it was defined last. Raises NotFoundError."""
        return self._load("spec.json", MachineSpec)

    def live(self) -> MachineSpec:
        """As it was started, with what was plugged and unplugged since. Raises NotFoundError."""
        return self._load("live.json", MachineSpec)

    def record(self) -> Record:
        """What we know of it. Raises NotFoundError."""
        return self._load("record.json", Record)

    def keep_spec(self, spec: MachineSpec) -> None:
        """Write it."""
        self._save("spec.json", spec)

    def keep_live(self, spec: MachineSpec) -> None:
        """Write it."""
        self._save("live.json", spec)

    def keep(self, record: Record) -> Record:
        """Write it."""
        self._save("record.json", record)
        return record

    def change(self, **fields: object) -> Record:
        """Write the record with some fields changed."""
        return self.keep(msgspec.structs.replace(self.record(), **fields))

    def socket(self, name: str) -> Path:
        """control, look and watch are QMP; serial and vnc the consoles."""
        return self.path / f"{name}.sock"

    @property
    def root(self) -> Path:
        """The root disk: an overlay of the image, or a disk of its own."""
        return self.path / "root.qcow2"

    @property
    def firmware(self) -> Path:
        """What its UEFI firmware remembers."""
        return self.path / "firmware.fd"

    @property
    def console_log(self) -> Path:
        """What it printed on its serial console."""
        return self.path / "console.log"

    @property
    def process_log(self) -> Path:
        """What QEMU itself printed."""
        return self.path / "qemu.log"

    @property
    def memory(self) -> Path:
        """The memory of a suspended machine."""
        return self.path / "memory"

    def _load(self, name: str, kind: type[_S]) -> _S:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except FileNotFoundError:
            raise NotFoundError(f"there is no server {self.id} on this host") from None

    def _save(self, name: str, what: Spec) -> None:
        beside = self.path / f".{name}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(what))
        beside.replace(self.path / name)


def choose_uid(homes: Sequence[Home], path: str) -> int:
    """A user id that no other machine here has and no account either: from a range that is left to programs.

    It begins to look where the path leads, so that two clouds of one machine hardly ever choose the same.

    Where only few ids exist (inside of a container) it is one of those that systemd uses for passing services.
    """
    mapped = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    first, count = (0x60000000, 0x0FFFFFFF) if mapped > 0x70000000 else (61184, 4335)
    taken = {home.record().uid for home in homes if home.exists()}
    for step in range(count):
        uid = first + (zlib.crc32(path.encode()) + step) % count
        if uid not in taken:
            return uid
    raise SpecError("there is no user id left for a machine")
