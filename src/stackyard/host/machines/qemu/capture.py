"""Snapshots of root disks: whatever the machine does meanwhile, the disk as it was at one moment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from stackyard.host import image_tool
from stackyard.host.errors import HostError
from stackyard.host.machines.qemu import life
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.home import Home, Record
from stackyard.host.machines.qemu.images import ImageStore
from stackyard.host.machines.qemu.monitor import CommandError, Monitor
from stackyard.host.specs import Snapshot

_JOB = "snapshot"
_SECONDS = 3600.0


def snapshot(emulator: Emulator, store: ImageStore, home: Home, record: Record, target: Path) -> Snapshot:
    """Write the root disk into `target`, a compressed qcow2 with nothing behind it. Raises HostError."""
    work = home.path / ".snapshot.qcow2"
    try:
        if life.running(record) is None:
            _of_file(emulator, store, home, record, work)
        else:
            image_tool.create(emulator, work, record.root_bytes, record.uid)
            _of_running(home, work)
        os.chown(work, 0, 0)
        _move(work, target)
    finally:
        work.unlink(missing_ok=True)
    return Snapshot(path=str(target), disk_format="qcow2", container_format="bare")


def _of_file(emulator: Emulator, store: ImageStore, home: Home, record: Record, work: Path) -> None:
    path, base = store.find(record.root_image)
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(image_tool.opened(home.root, write=True))
        below = stack.enter_context(image_tool.opened(path))
        backing = None if base.cdrom else image_tool.node(below, base.driver)
        source = image_tool.node(top, "qcow2", backing)
        image_tool.convert(emulator, source, work, record.uid, kept=(top, below))


def _of_running(home: Home, work: Path) -> None:
    with Monitor(home.socket("control")) as control:
        _drop(control)
        with image_tool.opened(work, write=True) as descriptor:
            name = control.hand_over(descriptor)
        file = {"driver": "file", "filename": name, "discard": "unmap"}
        control.execute("blockdev-add", {"driver": "qcow2", "node-name": _JOB, "file": file, "backing": None})
        try:
            job = {"job-id": _JOB, "device": "root", "target": _JOB, "sync": "full", "compress": True}
            control.execute("blockdev-backup", job)
            ended = control.wait(
                lambda event: (
                    event["event"] in ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED") and event["data"]["device"] == _JOB
                ),
                _SECONDS,
            )
            if ended is None:
                raise HostError("the snapshot does not come to an end")
            if ended["event"] != "BLOCK_JOB_COMPLETED" or ended["data"].get("error"):
                raise HostError(f"the snapshot failed: {ended['data'].get('error', 'cancelled')}")
        finally:
            _drop(control)


def _drop(control: Monitor) -> None:
    """Take away what a snapshot, this one or one cut short, has put into the machine."""
    with contextlib.suppress(CommandError):
        control.execute("block-job-cancel", {"device": _JOB, "force": True})
        control.wait(lambda event: event["event"] in ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"), 30)
    with contextlib.suppress(CommandError):
        control.execute("blockdev-del", {"node-name": _JOB})


def _move(work: Path, target: Path) -> None:
    try:
        work.replace(target)
    except OSError:
        import shutil

        shutil.copyfile(work, target)
