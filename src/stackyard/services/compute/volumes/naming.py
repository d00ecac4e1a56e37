"""What a volume is called in a server: a disk's name in a machine, a directory in a container. Pure functions."""

from __future__ import annotations

import posixpath
import re
import string
from collections.abc import Collection, Mapping
from typing import Any

from stackyard.core.errors import BadRequest

MOST = 24
"""Volumes of one server: as many as its buses have places for, less what it has besides."""

_PREFIXES = {"scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
_DEVICE = re.compile(r"(/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*")
_MOUNTS = "/mnt"
_SYSTEM = ("/dev", "/proc", "/sys")


def check(kind: str, device: str | None) -> None:
    """Raise BadRequest (InvalidDevicePath) for what cannot be where a server of this kind has a volume.

    In a machine that is a disk's name, which is not kept to: its system names disks as it finds them. In a container it
    is the directory that the volume is mounted on.
    """
    if device is None or device == "":
        return
    fine = _DEVICE.fullmatch(device) if is_disk(kind, device) else _is_directory(device)
    if not fine:
        raise BadRequest(f"The supplied device path ({device[:255]}) is invalid.", kind="InvalidDevicePath")


def is_disk(kind: str, device: str) -> bool:
    """Whether it is the name of a disk, and no directory."""
    return kind == "machine" or device.startswith("/dev/")


def _is_directory(path: str) -> bool:
    whole = path.startswith("/") and posixpath.normpath(path) == path and path != "/" and len(path) <= 200
    inside = any(path == root or path.startswith(f"{root}/") for root in _SYSTEM)
    return whole and not inside and path.isprintable() and not path.startswith("//")


def next_device(
    kind: str, asked: str | None, taken: Collection[str], *, root: str, bus: str | None = None, local: int = 0
) -> str:
    """The device of one more volume. `root` is the root disk's, `local` how many disks of its own a server has besides.

    Raises BadRequest (InvalidDevicePath) for a directory that another volume is mounted on.
    """
    if kind != "machine" and asked and not is_disk(kind, asked):
        if asked in taken:
            raise BadRequest(f"Another volume is mounted on {asked} already.", kind="InvalidDevicePath")
        return asked
    prefix = _PREFIXES.get(bus or "", "vd") if bus else root.removeprefix("/dev/")[:2]
    first = {root} | {f"/dev/{prefix}{letter}" for letter in string.ascii_lowercase[1 : 1 + local]}
    for letter in string.ascii_lowercase:
        name = f"/dev/{prefix}{letter}"
        if kind != "machine":
            if f"{_MOUNTS}/{prefix}{letter}" not in taken and letter != "a":
                return f"{_MOUNTS}/{prefix}{letter}"
        elif name not in taken and name not in first:
            return name
    raise BadRequest("The server has no name left for one more disk.", kind="TooManyDiskDevices")


def bus_of(given: str | None, properties: Mapping[str, Any]) -> str:
    """The bus that a volume is plugged into: what its mapping says, else the image."""
    return given or str(properties.get("hw_disk_bus") or "virtio")
