"""UEFI firmware for machines: where the host has it, and the variables that each machine keeps of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from stackyard.host.errors import SpecError
from stackyard.host.machines.qemu.home import Home

_PLACES = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
)
CODE, VARIABLES = "firmware-code", "firmware"
"""The names of their block nodes."""

Open = Callable[[Path, int], str]


class Firmware(NamedTuple):
    """Files of the host: the firmware, and variables that nobody has changed yet."""

    code: Path
    variables: Path


def find() -> Firmware | None:
    """What this host has; None without."""
    for code, variables in _PLACES:
        if Path(code).is_file() and Path(variables).is_file():
            return Firmware(Path(code), Path(variables))
    return None


def needed() -> Firmware:
    """The same; raises SpecError without."""
    found = find()
    if found is None:
        raise SpecError("hw_firmware_type=uefi: this host has no UEFI firmware for machines: apt-get install ovmf")
    return found


def nodes(found: Firmware, home: Home, uid: int, hand_over: Open) -> list[dict[str, Any]]:
    """Block nodes of both, opened by us. The machine's variables are made when it has none."""
    if not home.firmware.exists():
        fresh = home.path / ".firmware.fd"
        shutil.copyfile(found.variables, fresh)
        os.chown(fresh, uid, uid)
        fresh.chmod(0o600)
        fresh.replace(home.firmware)
    return [
        _node(CODE, hand_over(found.code, os.O_RDONLY), read_only=True),
        _node(VARIABLES, hand_over(home.firmware, os.O_RDWR | os.O_NOFOLLOW), read_only=False),
    ]


def _node(name: str, filename: str, *, read_only: bool) -> dict[str, Any]:
    file = {"driver": "file", "filename": filename}
    return {"driver": "raw", "node-name": name, "read-only": read_only, "file": file}
