"""What `EngineMachines` can do besides: have its containers move to other hosts, as images of their files."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from stackyard.host.containers import ContainerEngine
from stackyard.host.errors import ConflictError, HostError, NotFoundError
from stackyard.host.machines.engine import making
from stackyard.host.machines.engine.records import Record, Records
from stackyard.host.machines.moving import MachinePart, Parcel
from stackyard.host.specs import ContainerObservation, MachineImage, MachineSpec, Snapshot

FILES = "files"
"""The one part of a parcel: an archive as `snapshot` writes it."""

IMAGE = "image"
"""The part that is the image it was first made of."""


class MobileContainers:
    """The part of the driver that packs and unpacks."""

    _records: Records
    _engine: ContainerEngine
    _locks: defaultdict[str, threading.RLock]
    _found: Callable[[str], ContainerObservation]
    snapshot: Callable[[str, Path], Snapshot]

    def pack(self, machine_id: str) -> Parcel:
        """Its files, written into an archive once; nothing, for one that is to be made anew from its image anyway."""
        with self._locks[machine_id]:
            record = self._records.get(machine_id)
            if record.bare:
                return Parcel(about="")
            if (state := self._found(machine_id).state) in ("running", "paused", "restarting"):
                raise ConflictError(f"server {machine_id} is {state}: it must be stopped to be moved")
            path = self._records.beside(machine_id, "parcel")
            if not path.exists():
                fresh = self._records.beside(machine_id, "packing")
                self.snapshot(machine_id, fresh)
                fresh.replace(path)
            return Parcel(about=record.spec.kind, parts=(MachinePart(FILES, path.stat().st_size),))

    def open_part(self, machine_id: str, name: str) -> BinaryIO:
        """The archive."""
        if name not in (FILES, IMAGE):
            raise NotFoundError(f"server {machine_id} has no part {name[:80]!r}")
        try:
            return self._records.beside(machine_id, "parcel" if name == FILES else IMAGE).open("rb")
        except FileNotFoundError:
            raise NotFoundError(f"server {machine_id} is not packed") from None

    def arriving(self, machine_id: str, name: str) -> Path:
        """Beside the records."""
        if name not in (FILES, IMAGE):
            raise HostError(f"{name[:80]!r} is no part of a container")
        return self._records.beside(machine_id, f"arriving-{name}")

    def unpack(self, spec: MachineSpec, parcel: Parcel) -> None:
        """Make an image of what has arrived, which the container is made of by `define`."""
        with self._locks[spec.id]:
            path = self._records.beside(spec.id, f"arriving-{FILES}")
            if parcel.parts and path.exists():
                if path.stat().st_size != parcel.parts[0].size:
                    raise HostError(f"the files of server {spec.id} have not arrived whole")
                self._load(spec, path)
            base = making.moved_name(spec.id) if parcel.parts else ""
            if base and self._engine.find_image(base) is None:
                raise HostError(f"the files of server {spec.id} have not arrived")
            self._records.keep(Record(spec=spec, base=base))
            path.unlink(missing_ok=True)

    def pack_image(self, machine_id: str, image_id: str) -> Parcel:
        """As the engine has it."""
        image = self._records.get(machine_id).spec.image
        name = making.image_name(image) if image is not None and image.id == image_id else ""
        if not name or self._engine.find_image(name) is None:
            raise NotFoundError(f"image {image_id[:80]} of server {machine_id} is not here")
        path = self._records.beside(machine_id, IMAGE)
        if not path.exists():
            fresh = self._records.beside(machine_id, "packing")
            with fresh.open("wb") as file:
                file.writelines(self._engine.save_image(name))
            fresh.replace(path)
        return Parcel(about=image_id, parts=(MachinePart(IMAGE, path.stat().st_size),))

    def unpack_image(self, machine_id: str, image: MachineImage, parcel: Parcel) -> None:
        """Have the engine load it."""
        path = self._records.beside(machine_id, f"arriving-{IMAGE}")
        if parcel.about != image.id or not path.exists() or path.stat().st_size != parcel.parts[0].size:
            raise HostError(f"image {image.id} has not arrived whole")
        with path.open("rb") as data:
            self._engine.load_image(data, making.image_name(image))
        path.unlink()

    def strays(self) -> Sequence[str]:
        """Containers without a record, and files of moves of servers that have none."""
        known = set(self._records.ids())
        containers = {seen.id for seen in self._engine.list()}
        return sorted((containers | self._records.of_moves()) - known)

    def _load(self, spec: MachineSpec, path: Path) -> None:
        name = making.moved_name(spec.id)
        with path.open("rb") as data:
            if spec.kind == "system" and spec.image is not None and spec.image.container_format == making.ROOTFS:
                from stackyard.host.machines.engine import rootfs

                with rootfs.as_image(data, name) as archive:
                    self._engine.load_image(archive, name)
            else:
                self._engine.load_image(data, name)

    def _forget_moved(self, machine_id: str) -> None:
        """Delete what a move has made beside the container."""
        for what in ("parcel", "packing", IMAGE, f"arriving-{FILES}", f"arriving-{IMAGE}"):
            self._records.beside(machine_id, what).unlink(missing_ok=True)
        record = self._records.find(machine_id)
        if record is not None and record.base:
            if self._engine.find_image(record.base) is not None:
                self._engine.remove_image(record.base)
            self._records.keep(msgspec.structs.replace(record, base=""))
