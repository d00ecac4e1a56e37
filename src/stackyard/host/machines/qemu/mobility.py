"""What `QemuMachines` can do besides: have its machines move to other hosts (see host/machines/moving.py)."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import msgspec

from stackyard.host.errors import SpecError
from stackyard.host.machines.moving import Order, Parcel, Progress
from stackyard.host.machines.qemu import emigration, immigration, life, packing
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.home import Home, Record
from stackyard.host.machines.qemu.images import ImageStore
from stackyard.host.machines.qemu.life import Life
from stackyard.host.machines.qemu.watch import Watcher
from stackyard.host.specs import MachineImage, MachineSpec


class MobileMachines:
    """The part of the driver that packs, sends and receives."""

    _directory: Path
    _store: ImageStore
    _emulator: Emulator
    _life: Life
    _watcher: Watcher
    _locks: defaultdict[str, threading.RLock]
    _held: Callable[[str], AbstractContextManager[Home]]
    _running: Callable[[str], AbstractContextManager[Home]]
    _expecting: Callable[[str], AbstractContextManager[None]]
    _home: Callable[[str], Home]
    _record_of: Callable[[Home], Record]
    _settled: Callable[[Home], Record]
    remove: Callable[[str], None]

    # ----------------------------------------------------------------------------------------- moving, while it is off

    def pack(self, machine_id: str) -> Parcel:
        """Its disks."""
        with self._held(machine_id) as home:
            self._settled(home)
            return packing.pack(home)

    def open_part(self, machine_id: str, name: str) -> BinaryIO:
        """One of them."""
        return packing.open_part(self._store, self._home(machine_id), name)

    def arriving(self, machine_id: str, name: str) -> Path:
        """Where one is put while it comes."""
        return packing.arriving(Home(self._directory, machine_id), name)

    def unpack(self, spec: MachineSpec, parcel: Parcel) -> None:
        """Have them for its own."""
        home = Home(self._directory, spec.id)
        with self._locks[spec.id]:
            home.keep(packing.unpack(home, self._record_of(home), parcel))

    def pack_image(self, machine_id: str, image_id: str) -> Parcel:
        """From the store."""
        return packing.pack_image(self._store, self._home(machine_id), image_id)

    def unpack_image(self, machine_id: str, image: MachineImage, parcel: Parcel) -> None:
        """Into the store."""
        packing.unpack_image(self._store, Home(self._directory, machine_id), image.id, parcel)

    # -------------------------------------------------------------------------------------------- moving, while it runs

    def describe(self, machine_id: str) -> str:
        """Its shape."""
        with self._running(machine_id) as home:
            found = immigration.shape(self._emulator, self._store, home, home.record())
            return msgspec.json.encode(found).decode()

    def expect(self, spec: MachineSpec, about: str) -> Sequence[str]:
        """A process of that shape, which waits."""
        wanted = immigration.decoded(about)
        immigration.check(self._emulator, self._store, wanted)
        if wanted.spec.id != spec.id:
            raise SpecError("the other host tells of another server")
        self.remove(spec.id)
        home = Home(self._directory, spec.id)
        with self._locks[spec.id], self._expecting(spec.id):
            uid = self._record_of(home).uid
            immigration.make_disks(self._emulator, home, wanted, uid)
            immigration.keep_shape(home, wanted)
            home.keep_live(wanted.spec)
            self._life.wait_for(home, wanted.spec, immigration.record_of(wanted, uid))
            streams = immigration.open_doors(home, wanted)
            home.keep_spec(spec)
            return streams

    def receive(self, machine_id: str, stream: str) -> socket.socket:
        """The way into the process that waits."""
        with self._held(machine_id) as home:
            return immigration.receive(home, stream)

    def send(
        self,
        machine_id: str,
        streams: Sequence[str],
        connect: Callable[[str], socket.socket],
        watch: Callable[[Progress], Order],
    ) -> None:
        """Disks, then memory; at the end it stands still here."""
        with self._running(machine_id) as home, self._expecting(machine_id):
            emigration.send(home, streams, connect, watch)

    def sent(self, machine_id: str) -> bool:
        """Whether QEMU has sent it all."""
        with self._held(machine_id) as home:
            return life.running(home.record()) is not None and emigration.gone(home)

    def arrived(self, machine_id: str) -> bool:
        """Whether the process that waited has all of it."""
        with self._held(machine_id) as home:
            return life.running(home.record()) is not None and immigration.is_whole(home)

    def land(self, machine_id: str) -> None:
        """It runs here."""
        with self._held(machine_id) as home, self._expecting(machine_id):
            running = life.running(immigration.land(home, home.record()))
            if running is not None:
                self._watcher.add(home, running)

    def stay(self, machine_id: str, *, runs: bool = True) -> None:
        """It goes on here."""
        with self._running(machine_id) as home, self._expecting(machine_id):
            emigration.go_on(home, runs=runs)
