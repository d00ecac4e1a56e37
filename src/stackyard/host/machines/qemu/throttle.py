"""Limits of a machine's own disks: bytes and requests a second, as the flavor's `quota:disk_*` say, for each disk."""

from __future__ import annotations

from collections.abc import Mapping

from stackyard.host.errors import SpecError
from stackyard.host.machines.qemu.monitor import Monitor
from stackyard.host.specs import MachineSpec

_NAMES = {
    f"quota_disk_{way}_{what}_sec": f"{name}{suffix}"
    for what, name in (("bytes", "bps"), ("iops", "iops"))
    for way, suffix in (("total", ""), ("read", "_rd"), ("write", "_wr"))
}
_EVERY = tuple(_NAMES.values())
_MOST = 10**15
_OWN = ("disk-root", "disk-ephemeral", "disk-swap", "disk-rescue")


def limits(spec: MachineSpec) -> Mapping[str, int]:
    """What QEMU is told of every disk, by its own names; empty without limits. Raises SpecError."""
    found: dict[str, int] = {}
    for name, told in _NAMES.items():
        value = spec.properties.get(name)
        if value is None:
            continue
        if not (value.isascii() and value.isdigit() and len(value) < 16):
            raise SpecError(f"{name.replace('_', ':', 1)}={value[:40]!r} is not a whole number up to {_MOST}")
        if int(value):
            found[told] = int(value)
    for total in ("bps", "iops"):
        if total in found and {f"{total}_rd", f"{total}_wr"} & found.keys():
            raise SpecError("quota:disk_total_* cannot be given together with quota:disk_read_* or quota:disk_write_*")
    return found


def apply(control: Monitor, spec: MachineSpec) -> None:
    """Have the disks of a process that was started just now so; volumes have limits of their own."""
    found = limits(spec)
    if not found:
        return
    for entry in control.execute("qom-list", {"path": "/machine/peripheral"}):
        if entry["name"].startswith(_OWN):
            device = f"/machine/peripheral/{entry['name']}" + ("/virtio-backend" if "virtio" in entry["type"] else "")
            control.execute("block_set_io_throttle", {"id": device} | dict.fromkeys(_EVERY, 0) | dict(found))
