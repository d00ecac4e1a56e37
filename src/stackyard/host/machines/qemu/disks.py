"""The disks of a machine: which there are, the files behind them, and how QEMU is told of them."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stackyard.host import image_tool
from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines.qemu.config_drive import write_config_drive
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.hardware import DISK_BUSES, Hardware
from stackyard.host.machines.qemu.home import Home, Record
from stackyard.host.machines.qemu.images import Base, ImageStore
from stackyard.host.specs import MachineImage, MachineRescue, MachineSpec, MachineVolume

_GIB = 1 << 30
_MIB = 1 << 20
_PAGE = 4096

Open = Callable[[Path, int], str]
"""Hands a file over and returns the name that QEMU opens it by."""


class Disk(NamedTuple):
    """One disk: `key` names it among the machine's, `behind` is the image that an overlay lies on."""

    key: str
    path: Path
    driver: str
    bus: str
    behind: tuple[Path, Base] | None = None
    read_only: bool = False
    cdrom: bool = False
    boot: bool = False
    serial: str = ""
    shared: bool = False

    @property
    def node(self) -> str:
        """The name of its block node; QEMU allows 31 characters."""
        return self.key[:31]


# ------------------------------------------------------------------------------------------------------- the files


def make(emulator: Emulator, store: ImageStore, home: Home, spec: MachineSpec, record: Record) -> Record:
    """Make the files that are missing, and grow the root disk when the spec says more. Returns the new record."""
    record = _make_root(emulator, store, home, spec, record)
    for number, size in enumerate(spec.ephemeral):
        path = _ephemeral(home, number)
        if not path.exists():
            _whole(path, record.uid, size * _GIB, _format_ext4, f"ephemeral{number}")
        elif path.stat().st_size < size * _GIB:
            os.truncate(path, size * _GIB)
    swap = home.path / "swap.raw"
    if spec.swap and not (swap.exists() and swap.stat().st_size == spec.swap * _MIB):
        _whole(swap, record.uid, spec.swap * _MIB, _format_swap, "")
    drive = home.path / "config.iso"
    if spec.config_drive is not None:
        write_config_drive(drive, spec.config_drive, record.uid)
    else:
        drive.unlink(missing_ok=True)
    _make_rescue(emulator, store, home, spec, record)
    return record


def _make_root(emulator: Emulator, store: ImageStore, home: Home, spec: MachineSpec, record: Record) -> Record:
    if spec.image is None:
        return record
    if not home.root.exists():
        base = store.find(spec.image.id)[1]
        size = spec.root_disk * _GIB or base.size
        if base.size > size and not base.cdrom:
            raise SpecError(
                f"the image is a disk of {base.size / _GIB:.1f} GiB, more than the flavor's {spec.root_disk} GiB"
            )
        fresh = home.path / ".root.qcow2"
        image_tool.create(emulator, fresh, size, record.uid)
        fresh.replace(home.root)
        return msgspec.structs.replace(record, root_bytes=size, root_image=spec.image.id)
    size = spec.root_disk * _GIB
    if size > record.root_bytes:
        image_tool.grow(emulator, home.root, size, record.uid)
        return msgspec.structs.replace(record, root_bytes=size)
    return record


def _make_rescue(emulator: Emulator, store: ImageStore, home: Home, spec: MachineSpec, record: Record) -> None:
    path = home.path / "rescue.qcow2"
    if spec.rescue is None:
        path.unlink(missing_ok=True)
    elif not path.exists():
        base = store.find(spec.rescue.image.id)[1]
        fresh = home.path / ".rescue.qcow2"
        image_tool.create(emulator, fresh, max(base.size, spec.root_disk * _GIB), record.uid)
        fresh.replace(path)


def _ephemeral(home: Home, number: int) -> Path:
    return home.path / f"ephemeral{number}.raw"


def _whole(path: Path, uid: int, size: int, fill: Callable[[Path, str], None], label: str) -> None:
    """Make a file and fill it, under another name until it is whole."""
    fresh = path.with_name(f".{path.name}")
    image_tool.make_file(fresh, uid, size)
    fill(fresh, label)
    fresh.replace(path)


def _format_ext4(path: Path, label: str) -> None:
    """An empty file system, as guests expect of an ephemeral disk; without mkfs it stays blank."""
    tool = shutil.which("mkfs.ext4")
    if tool is None:
        return
    done = subprocess.run(
        [tool, "-q", "-F", "-L", label, str(path)], stdin=subprocess.DEVNULL, capture_output=True, timeout=300,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise HostError(f"mkfs.ext4: {done.stderr.decode(errors='replace').strip()[-200:]}")


def _format_swap(path: Path, label: str) -> None:
    """The header that mkswap writes: version 1, the last page, the magic word at the end of the first page."""
    del label
    size = path.stat().st_size
    header = bytearray(_PAGE)
    struct.pack_into("<III16s", header, 1024, 1, size // _PAGE - 1, 0, os.urandom(16))
    header[-10:] = b"SWAPSPACE2"
    with path.open("r+b") as file:
        file.write(header)


# ------------------------------------------------------------------------------------------------------- the disks


def of(store: ImageStore, home: Home, spec: MachineSpec, record: Record, hardware: Hardware) -> list[Disk]:
    """All disks, in the order in which the guest shall see them."""
    found = [_volume(volume) for volume in sorted(spec.volumes, key=lambda volume: not volume.boot)]
    root = list(_root(store, home, spec, record, hardware))
    bus = hardware.disk_bus
    extra = [Disk(f"ephemeral{number}", _ephemeral(home, number), "raw", bus) for number in range(len(spec.ephemeral))]
    if spec.swap:
        extra.append(Disk("swap", home.path / "swap.raw", "raw", bus))
    boots = sum(disk.boot for disk in found)
    ordered = found[:boots] + root + extra + found[boots:]
    if spec.rescue is not None:
        rescue = _rescue(store, home, spec.rescue, hardware)
        ordered = [disk._replace(boot=False) for disk in ordered]
        ordered = [*ordered, rescue] if spec.rescue.stable else [rescue, *ordered]
    if spec.config_drive is not None:
        cdrom = hardware.cdrom_bus != "virtio"
        drive = Disk("config", home.path / "config.iso", "raw", hardware.cdrom_bus, read_only=True, cdrom=cdrom)
        ordered.append(drive)
    return ordered


def _rescue(store: ImageStore, home: Home, wanted: MachineRescue, hardware: Hardware) -> Disk:
    path, base = behind = store.find(wanted.image.id)
    cdrom = wanted.device == "cdrom" or base.cdrom
    bus = wanted.bus or (hardware.cdrom_bus if cdrom else hardware.disk_bus)
    if bus not in DISK_BUSES or (bus == "ide" and hardware.express):
        raise SpecError(f"there is no bus {bus!r} for a rescue disk in a machine of type {hardware.machine_type}")
    if cdrom and bus != "virtio":
        return Disk("rescue", path, base.driver, bus, read_only=True, cdrom=True, boot=True)
    return Disk("rescue", home.path / "rescue.qcow2", "qcow2", bus, behind=behind, boot=True)


def _root(store: ImageStore, home: Home, spec: MachineSpec, record: Record, hardware: Hardware) -> Iterator[Disk]:
    if spec.image is None:
        return
    path, base = store.find(record.root_image or spec.image.id)
    if base.cdrom:
        bus = "sata" if hardware.express else "ide"
        yield Disk("disc", path, base.driver, bus, read_only=True, cdrom=True, boot=True)
        yield Disk("root", home.root, "qcow2", hardware.disk_bus)
        return
    yield Disk("root", home.root, "qcow2", hardware.disk_bus, behind=(path, base), boot=True)


def _volume(volume: MachineVolume) -> Disk:
    if volume.bus not in DISK_BUSES:
        raise SpecError(f"there is no bus {volume.bus!r} for a volume")
    if volume.format not in ("raw", "qcow2"):
        raise SpecError(f"a volume of format {volume.format!r} cannot be attached")
    return Disk(
        volume_key(volume.id), Path(volume.path), volume.format, volume.bus,
        read_only=volume.read_only, boot=volume.boot, serial=volume.id[:36], shared=volume.shared,
    )  # fmt: skip


def volume_key(volume_id: str) -> str:
    """The name of a volume's disk among the machine's: short enough for a block node."""
    return "v" + volume_id.replace("-", "")[:28]


volume_disk = _volume


def boot_images(spec: MachineSpec) -> MachineImage | None:
    """The image whose kernel the machine starts with, if it brings one."""
    image = spec.rescue.image if spec.rescue is not None else spec.image
    return image if image is not None and image.kernel else None


# -------------------------------------------------------------------------------------------------------- its nodes


def node(disk: Disk, hand_over: Open) -> dict[str, Any]:
    """The block node of a disk, as `-blockdev` and `blockdev-add` take it, its files handed over."""
    made = _layer(disk.path, disk.driver, hand_over, write=not disk.read_only)
    made["node-name"] = disk.node
    if disk.driver == "qcow2":
        # Told always: what the disk itself says is behind it may have been written by its machine.
        made["backing"] = None
        if disk.behind is not None:
            made["backing"] = _layer(disk.behind[0], disk.behind[1].driver, hand_over, write=False)
    return made


def _layer(path: Path, driver: str, hand_over: Open, *, write: bool) -> dict[str, Any]:
    block = path.is_block_device()
    file: dict[str, Any] = {
        "driver": "host_device" if block else "file",
        "filename": hand_over(path, os.O_RDWR if write else os.O_RDONLY),
        "read-only": not write,
    }
    made: dict[str, Any] = {"driver": driver, "read-only": not write, "file": file}
    if write:
        file["discard"] = made["discard"] = "unmap"
    if driver == "qcow2" and not write:
        made["backing"] = None
    return made
