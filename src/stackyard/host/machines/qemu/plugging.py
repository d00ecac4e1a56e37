"""Cards and disks of a running machine: plugged in, and taken out when its system has let go of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stackyard.host.errors import HostError, NotFoundError
from stackyard.host.machines.qemu import devices, disks, vhost
from stackyard.host.machines.qemu.hardware import Hardware, Slots
from stackyard.host.machines.qemu.home import Home
from stackyard.host.machines.qemu.monitor import CommandError, Monitor
from stackyard.host.specs import MachineNic, MachineVolume

_LET_GO_SECONDS = 20.0


def attach_card(home: Home, nic: MachineNic, open_card: Callable[[MachineNic], int]) -> None:
    """Plug a card in; already there is done."""
    live, record = home.live(), home.record()
    if any(one.port_id == nic.port_id for one in live.nics):
        return
    slots = Slots(record.slots)
    hardware = Hardware.of(live.properties)
    device = devices.card(nic, hardware, slots)
    descriptor, kernel = open_card(nic), vhost.open_for(hardware, record.accelerator)
    netdev: dict[str, Any] = {"type": "tap", "id": device["netdev"], "fd": device["netdev"]}
    try:
        with Monitor(home.socket("control")) as control:
            _drop_netdev(control, device["netdev"])
            control.execute("getfd", {"fdname": device["netdev"]}, (descriptor,))
            if kernel is not None:
                netdev |= {"vhost": True, "vhostfd": f"{device['netdev']}-vhost"}
                control.execute("getfd", {"fdname": netdev["vhostfd"]}, (kernel,))
            control.execute("netdev_add", netdev)
            try:
                control.execute("device_add", device)
            except CommandError:
                _drop_netdev(control, device["netdev"])
                raise
    finally:
        os.close(descriptor)
        if kernel is not None:
            os.close(kernel)
    home.change(slots=slots.taken)
    home.keep_live(msgspec.structs.replace(live, nics=(*live.nics, nic)))


def detach_card(home: Home, port_id: str) -> None:
    """Take it out; gone is done."""
    live = home.live()
    key = devices.key_of_card(port_id)
    with Monitor(home.socket("control")) as control:
        _take_out(control, f"card-{key}")
        _drop_netdev(control, key)
    _give_back(home, key)
    home.keep_live(msgspec.structs.replace(live, nics=tuple(nic for nic in live.nics if nic.port_id != port_id)))


def attach_volume(home: Home, volume: MachineVolume) -> None:
    """Plug a disk in; already there is done."""
    live, record = home.live(), home.record()
    if any(one.id == volume.id for one in live.volumes):
        return
    slots = Slots(record.slots)
    disk = disks.volume_disk(volume)
    device = devices.disk(disk, Hardware.of(live.properties), slots)
    with Monitor(home.socket("control")) as control:

        def hand_over(path: Path, flags: int) -> str:
            descriptor = os.open(path, flags | os.O_CLOEXEC)
            try:
                return control.hand_over(descriptor)
            finally:
                os.close(descriptor)

        _drop_node(control, disk.node)
        try:
            control.execute("blockdev-add", disks.node(disk, hand_over))
        except OSError as error:
            raise HostError(f"volume {volume.id} cannot be opened: {error.strerror}") from error
        try:
            control.execute("device_add", device)
        except CommandError:
            _drop_node(control, disk.node)
            raise
    home.change(slots=slots.taken)
    home.keep_live(msgspec.structs.replace(live, volumes=(*live.volumes, volume)))


def detach_volume(home: Home, volume_id: str) -> None:
    """Take it out; gone is done."""
    live = home.live()
    key = disks.volume_key(volume_id)
    with Monitor(home.socket("control")) as control:
        _take_out(control, f"disk-{key}")
        _drop_node(control, key[:31])
    _give_back(home, key)
    left = tuple(volume for volume in live.volumes if volume.id != volume_id)
    home.keep_live(msgspec.structs.replace(live, volumes=left))


def extend_volume(home: Home, volume_id: str) -> None:
    """Tell the disk how large its file or device is now. Raises NotFoundError."""
    found = next((volume for volume in home.live().volumes if volume.id == volume_id), None)
    if found is None:
        raise NotFoundError(f"server {home.id} has no volume {volume_id}")
    with open(found.path, "rb") as file:  # noqa: PTH123  a device's size is where its end is
        size = file.seek(0, os.SEEK_END)
    with Monitor(home.socket("control")) as control:
        control.execute("block_resize", {"node-name": disks.volume_key(volume_id)[:31], "size": size})


def _take_out(control: Monitor, device: str) -> None:
    """Ask the system inside to let go. Raises HostError when it does not: it may do so later."""
    try:
        control.execute("device_del", {"id": device})
    except CommandError as error:
        if "not found" in str(error):
            return
        if "already in the process of unplug" not in str(error):
            raise
    gone = control.wait(
        lambda event: event["event"] == "DEVICE_DELETED" and event["data"].get("device") == device, _LET_GO_SECONDS
    )
    plugged = control.execute("qom-list", {"path": "/machine/peripheral"}) if gone is None else []
    if any(one["name"] == device for one in plugged):
        raise HostError("the system inside does not let go of the device")


def _drop_netdev(control: Monitor, name: str) -> None:
    try:
        control.execute("netdev_del", {"id": name})
    except CommandError as error:
        if "not found" not in str(error):
            raise


def _drop_node(control: Monitor, name: str) -> None:
    try:
        control.execute("blockdev-del", {"node-name": name})
    except CommandError as error:
        if "Failed to find node" not in str(error):
            raise


def _give_back(home: Home, key: str) -> None:
    slots = Slots(home.record().slots)
    slots.give_back(key)
    home.change(slots=slots.taken)
