"""A running machine that comes from another host: a process of the same shape waits for its disks and its memory."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

import msgspec

from stackyard.host import image_tool
from stackyard.host.errors import ConflictError, HostError, NotFoundError, SpecError
from stackyard.host.machines.qemu import disks, life, monitor
from stackyard.host.machines.qemu.config_drive import write_config_drive
from stackyard.host.machines.qemu.emigration import MEMORY, capabilities
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.hardware import Hardware
from stackyard.host.machines.qemu.home import Home, Record
from stackyard.host.machines.qemu.images import ImageStore
from stackyard.host.machines.qemu.monitor import CommandError, Monitor
from stackyard.host.specs import MachineSpec
from stackyard.host.specs.base import Spec

_EXPORTS = "exports"


class Size(Spec, frozen=True):
    """A disk that goes over: the name of its node, and what the guest sees of it, in bytes."""

    node: str
    file: str
    driver: str
    size: int


class Shape(Spec, frozen=True):
    """A running machine as the next host must make it, down to the places of its devices."""

    spec: MachineSpec
    runs: bool
    machine_type: str
    accelerator: str
    version: tuple[int, int, int]
    slots: dict[str, int]
    root_bytes: int
    root_image: str
    sizes: tuple[Size, ...]


def shape(emulator: Emulator, store: ImageStore, home: Home, record: Record) -> Shape:
    """What a machine is made of now. Raises SpecError for one that cannot go."""
    spec = home.live()
    if spec.volumes:
        raise SpecError("a machine with volumes of its host cannot move while it runs: detach them first")
    if spec.rescue is not None:
        raise SpecError("a machine that is being rescued cannot move")
    found = disks.of(store, home, spec, record, Hardware.of(spec.properties))
    own = [disk for disk in found if disk.path.parent == home.path and not disk.read_only]
    with Monitor(home.socket("control")) as control:
        exact = life.exact_machine(control, record.machine_type)
        runs = bool(control.execute("query-status")["running"])
        seen = {one["node-name"]: one for one in control.execute("query-named-block-nodes", {"flat": True})}
    sizes = tuple(
        Size(disk.node, disk.path.name, disk.driver, int(seen[disk.node]["image"]["virtual-size"])) for disk in own
    )
    return Shape(
        spec=spec, runs=runs, machine_type=exact, accelerator=record.accelerator, version=emulator.version,
        slots=record.slots, root_bytes=record.root_bytes, root_image=record.root_image, sizes=sizes,
    )  # fmt: skip


def check(emulator: Emulator, store: ImageStore, wanted: Shape) -> None:
    """Raise SpecError for a machine that this host's QEMU cannot go on with."""
    if wanted.accelerator != emulator.accelerator:
        raise SpecError(f"the machine runs by {wanted.accelerator}, and this host's run by {emulator.accelerator}")
    if emulator.version[:2] < wanted.version[:2]:
        theirs, ours = (".".join(map(str, one)) for one in (wanted.version, emulator.version))
        raise SpecError(f"the machine runs under QEMU {theirs}, and this host has the older {ours}")
    if wanted.root_image:
        store.find(wanted.root_image)
    known = {"root.qcow2", "swap.raw"} | {f"ephemeral{number}.raw" for number in range(len(wanted.spec.ephemeral))}
    if any(one.file not in known or one.driver not in ("qcow2", "raw") for one in wanted.sizes):
        raise SpecError("the machine has a disk that does not go over")


def make_disks(emulator: Emulator, home: Home, wanted: Shape, uid: int) -> None:
    """Empty ones of the same sizes; the config drive as it was when the machine was started."""
    for one in wanted.sizes:
        if one.driver == "qcow2":
            image_tool.create(emulator, home.path / one.file, one.size, uid)
        else:
            image_tool.make_file(home.path / one.file, uid, one.size)
    if wanted.spec.config_drive is not None:
        write_config_drive(home.path / "config.iso", wanted.spec.config_drive, uid)


def record_of(wanted: Shape, uid: int) -> Record:
    """What is known of it before it comes."""
    return Record(
        uid=uid, state="arriving", slots=wanted.slots, machine_type=wanted.machine_type,
        accelerator=wanted.accelerator, root_bytes=wanted.root_bytes, root_image=wanted.root_image,
    )  # fmt: skip


def open_doors(home: Home, wanted: Shape) -> Sequence[str]:
    """Have the waiting process take disks; returns the streams it waits for."""
    exports = monitor.listen(home.socket(_EXPORTS))
    with exports, Monitor(home.socket("control")) as control:
        capabilities(control, ("return-path", "events"))
        control.execute("getfd", {"fdname": _EXPORTS}, (exports.fileno(),))
        control.execute("nbd-server-start", {"addr": {"type": "fd", "data": {"str": _EXPORTS}}})
        for one in wanted.sizes:
            export = {"type": "nbd", "id": one.node, "node-name": one.node, "name": one.node, "writable": True}
            control.execute("block-export-add", export)
    return (*(one.node for one in wanted.sizes), MEMORY)


def receive(home: Home, stream: str) -> socket.socket:
    """Our end of a stream."""
    if stream != MEMORY:
        return monitor.connect(home.socket(_EXPORTS), 10.0)
    ours, its = socket.socketpair()
    try:
        with its, Monitor(home.socket("control")) as control:
            control.execute("getfd", {"fdname": MEMORY}, (its.fileno(),))
            control.execute("migrate-incoming", {"uri": f"fd:{MEMORY}"})
    except BaseException:
        ours.close()
        raise
    return ours


def is_whole(home: Home) -> bool:
    """Whether its memory is here."""
    with Monitor(home.socket("control")) as control:
        return bool(control.execute("query-status")["status"] != "inmigrate")


def land(home: Home, record: Record) -> Record:
    """It goes on here, if it ran; its disks are its own from now on."""
    if record.state != "arriving":
        return record
    if life.running(record) is None:
        raise NotFoundError(f"what waited for server {home.id} has ended: {life.last_words(home)}")
    runs = msgspec.json.decode((home.path / "shape.json").read_bytes(), type=Shape).runs
    with Monitor(home.socket("control")) as control:
        if control.execute("query-status")["status"] == "inmigrate":
            raise ConflictError(f"server {home.id} has not arrived whole")
        with contextlib.suppress(CommandError):
            control.execute("nbd-server-stop")
        if runs:
            control.execute("cont")
    record = home.change(state="running")
    home.socket(_EXPORTS).unlink(missing_ok=True)
    (home.path / "shape.json").unlink(missing_ok=True)
    return record


def keep_shape(home: Home, wanted: Shape) -> None:
    """Write down what it was there."""
    path = home.path / "shape.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(wanted))


def decoded(about: str) -> Shape:
    """What the other host says of it. Raises HostError."""
    try:
        return msgspec.json.decode(about, type=Shape)
    except msgspec.DecodeError as error:
        raise HostError(f"the other host's description cannot be read: {error}") from error
