"""What `EngineMachines` can do besides: give its containers volumes, each the directory where the host has mounted it.

A volume that a container is made with is bound to its target by the engine, by way of a link of ours: an engine cannot
change what a container was made with, and by the link, which leads to an empty directory when the volume has gone, the
container starts without it. One that comes later is mounted in the running container, and again after each start.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import defaultdict
from pathlib import Path
from typing import Protocol

from stackyard.host.containers import ContainerEngine
from stackyard.host.machines.engine import making
from stackyard.host.machines.engine.inside import Inside
from stackyard.host.machines.engine.records import Record, Records
from stackyard.host.specs import ContainerObservation, MachineSpec, MachineVolume

_EMPTY = ".empty"


class Need(Protocol):
    """Finds a container that is in one of these states; raises ConflictError."""

    def __call__(self, machine_id: str, *states: str) -> ContainerObservation:
        """What the engine shows of it."""


class ContainersWithVolumes:
    """The part of the driver that knows volumes."""

    _records: Records
    _engine: ContainerEngine
    _inside: Inside
    _links: Path
    _locks: defaultdict[str, threading.RLock]
    _need: Need

    def attach_volume(self, machine_id: str, volume: MachineVolume) -> None:
        """Mount it in the container."""
        with self._locks[machine_id]:
            seen = self._need(machine_id, "running", "paused")
            record = self._records.get(machine_id)
            making.require_target(volume)
            if any(one.id == volume.id for one in record.volumes):
                return
            self._inside.mount(seen.pid, Path(volume.path), volume.target)
            self._records.change(machine_id, volumes=(*record.volumes, volume))

    def detach_volume(self, machine_id: str, volume_id: str) -> None:
        """Unmount it in the container."""
        with self._locks[machine_id]:
            seen = self._need(machine_id, "running", "paused")
            record = self._records.get(machine_id)
            for volume in record.volumes:
                if volume.id == volume_id:
                    self._inside.unmount(seen.pid, volume.target)
            self._records.change(machine_id, volumes=tuple(one for one in record.volumes if one.id != volume_id))
            self._unlink(machine_id, volume_id)

    def extend_volume(self, machine_id: str, volume_id: str) -> None:
        """Nothing is to be told: the file system on it is the host's."""
        del volume_id
        self._need(machine_id, "running", "paused")

    # ------------------------------------------------------------------------------------------------------ the links

    def _link_of(self, machine_id: str) -> Path:
        """The directory of a container's links."""
        return self._links / machine_id

    def _linked(self, machine_id: str) -> list[str]:
        """The volumes that a container was made with."""
        directory = self._link_of(machine_id)
        names = os.listdir(directory) if directory.is_dir() else []  # noqa: PTH208
        return sorted(name for name in names if not name.startswith("."))

    def _link_new(self, spec: MachineSpec) -> None:
        """Before a container is made: a link for each of its volumes, and none else."""
        self._drop_links(spec.id)
        for volume in spec.volumes:
            making.require_target(volume)
            self._link(spec.id, volume.id, Path(volume.path))

    def _link_again(self, spec: MachineSpec) -> None:
        """Before a start: have the links of the volumes that it was made with lead where they shall."""
        paths = {volume.id: volume.path for volume in spec.volumes}
        for volume_id in self._linked(spec.id):
            if volume_id in paths:
                self._link(spec.id, volume_id, Path(paths[volume_id]))
            else:
                self._unlink(spec.id, volume_id)

    def _link(self, machine_id: str, volume_id: str, target: Path) -> None:
        directory = self._link_of(machine_id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = directory / f".{volume_id}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(directory / volume_id)

    def _unlink(self, machine_id: str, volume_id: str) -> None:
        """The volume has gone: an empty directory takes its place, if the container was made with it."""
        directory = self._link_of(machine_id)
        if (directory / volume_id).is_symlink():
            (directory / _EMPTY).mkdir(exist_ok=True, mode=0o755)
            self._link(machine_id, volume_id, directory / _EMPTY)

    def _drop_links(self, machine_id: str) -> None:
        """Delete a container's links, and nothing that they lead to."""
        directory = self._link_of(machine_id)
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(directory):  # noqa: PTH208
                if (directory / name).is_symlink():
                    (directory / name).unlink()
                else:
                    (directory / name).rmdir()
            directory.rmdir()

    def _mount_later_ones(self, record: Record, pid: int) -> None:
        """After a start: mount those that have come since the container was made (`pid` 0: it has ended already)."""
        if not pid:
            return
        made_with = self._linked(record.spec.id)
        for volume in record.spec.volumes:
            if volume.id not in made_with:
                self._inside.mount(pid, Path(volume.path), volume.target)
