"""Ports of kind tap: a device on a network's bridge that a machine opens, and configures from its inside.

The device lives in the fabric's namespace and stays when the machine ends, so that its filter and limits do too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct

from stackyard.host.errors import HostError
from stackyard.host.network import names, netns
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.names import Alias
from stackyard.host.specs import PortSpec, Tap

_DEVICE = "/dev/net/tun"
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def of(fabric: Fabric, port_id: str) -> Tap:
    """Where the device of such a port is."""
    return Tap(namespace=netns.path_of(fabric.namespace), device=names.port(port_id))


def open_tap(tap: Tap, *, offload: bool = False) -> int:
    """Open the device for a machine; returns a descriptor, the machine's network card as long as it is open.

    With `offload` every frame is preceded by a virtio header, as QEMU wants it (`-netdev tap,fd=N`). Raises HostError.
    """

    def body() -> int:
        descriptor = netns.open_namespace(tap.namespace)
        try:
            netns.join(descriptor)
        finally:
            os.close(descriptor)
        socket.if_nametoindex(tap.device)  # attaching would make it, outside of any network
        return _attach(tap.device, _IFF_VNET_HDR if offload else 0)

    try:
        return netns.in_thread(body)
    except OSError as error:
        raise HostError(f"the tap device {tap.device} cannot be opened: {error.strerror}") from error


def _attach(device: str, flags: int = 0) -> int:
    descriptor = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        request = struct.pack("16sH22x", device.encode(), _IFF_TAP | _IFF_NO_PI | flags)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def fingerprint(fabric: Fabric, spec: PortSpec) -> tuple[int, int, int] | None:
    """The device's index; None when it is gone."""
    index = fabric.index(names.port(spec.id))
    return None if index is None else (index, 0, 0)


def is_there(fabric: Fabric, spec: PortSpec, link: Link) -> bool:
    """Whether the device found is a tap."""
    del fabric, spec
    return link.kind == "tun"


def make(fabric: Fabric, spec: PortSpec, alias: Alias, undo: contextlib.ExitStack) -> Link:
    """Make the device, down, and have it stay."""
    name = names.port(spec.id)
    try:
        descriptor = _attach(name)
    except FileNotFoundError as error:
        raise HostError(f"{_DEVICE} is not there: load the kernel module tun") from error
    try:
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
        undo.callback(fabric.delete_link, name)
    finally:
        os.close(descriptor)
    return fabric.labelled(name, alias)


def configure(fabric: Fabric, spec: PortSpec, before: PortSpec | None, link: Link, *, fresh: bool) -> None:
    """A machine configures itself."""
    del fabric, spec, before, link, fresh


def problem(fabric: Fabric, spec: PortSpec, link: Link) -> str | None:
    """What is wrong with the device."""
    return None if is_there(fabric, spec, link) else "its device is not a tap"
