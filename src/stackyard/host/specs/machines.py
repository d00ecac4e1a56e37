"""Servers, as one host runs them: machines under a hypervisor, application containers, system containers."""

from __future__ import annotations

from typing import Literal

from stackyard.host.specs.base import Spec

MachineKind = Literal["machine", "container", "system"]
"""machine: a virtual machine; container: an application's container; system: a container with an init of its own."""


class MachineImage(Spec, frozen=True):
    """An image as a host needs it. `kernel` and `ramdisk` are images too (ids), for images without a boot loader."""

    id: str
    disk_format: str
    container_format: str
    size: int = 0
    kernel: str | None = None
    ramdisk: str | None = None


class MachineNic(Spec, frozen=True):
    """A network card: the port that it is plugged into. `device` is its name inside of containers."""

    port_id: str
    mac: str
    mtu: int = 1500
    device: str = "eth0"


class MachineVolume(Spec, frozen=True):
    """A block device or a file of the host that is given to a server as a disk; in containers, a directory of the
    host that is mounted.

    `device` is what the guest is told (vda, vdb); `target` the mount point in containers. A `shared` one may be other
    servers' disk at the same time, who write to it too.
    """

    id: str
    path: str
    device: str
    format: str = "raw"
    bus: str = "virtio"
    read_only: bool = False
    boot: bool = False
    target: str = ""
    shared: bool = False


class MachineRescue(Spec, frozen=True):
    """Boot from this image; the server's own disks come after it (`stable`: they stay as they are, before it).

    `device` and `bus` are how it is plugged in; an empty bus means that of the server's own disk, or of its drives.
    """

    image: MachineImage
    stable: bool = False
    device: Literal["disk", "cdrom"] = "disk"
    bus: str = ""


class MachineSpec(Spec, frozen=True):
    """A server as it shall be. `id` is the server's; `memory` and `swap` are MiB; disks GiB.

    `root_disk` 0 means the size of the image. `image` is None for a server that boots from a volume. `config_drive`
    holds files by their path on it, None: there is none. `properties` are the image's and the flavor's, checked
    already, that concern hardware (hw_disk_bus, hw_vif_model, hw_rng_model, ...). `command`, `environment`, `dns_*`,
    `hosts`, `files` and `user_data` are for containers (a machine takes them from metadata and config drive).
    """

    id: str
    name: str
    kind: MachineKind
    image: MachineImage | None
    memory: int
    vcpus: int
    hostname: str = ""
    root_disk: int = 0
    ephemeral: tuple[int, ...] = ()
    swap: int = 0
    nics: tuple[MachineNic, ...] = ()
    volumes: tuple[MachineVolume, ...] = ()
    config_drive: dict[str, bytes] | None = None
    rescue: MachineRescue | None = None
    properties: dict[str, str] = {}
    kernel_command_line: str = ""
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    files: dict[str, bytes] = {}
    user_data: bytes = b""
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    hosts: dict[str, str] = {}


class MachinePlace(Spec, frozen=True):
    """Where the ports of a server are to be wired: a kind of wire of PortSpec, and the namespace's path for veths."""

    wire: Literal["tap", "veth"]
    netns: str = ""


class MachineObservation(Spec, frozen=True):
    """What a host sees of a server. `error` is the hypervisor's own text when it ended badly or could not start.

    `ports` and `volumes` are the ids that are plugged in now.
    """

    id: str
    state: Literal["defined", "running", "paused", "stopped", "suspended", "crashed"]
    rescued: bool = False
    pid: int = 0
    error: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


class MachineEvent(Spec, frozen=True):
    """A server changed by itself: it ended, crashed, was reset from inside."""

    machine_id: str
    action: str


class DiskUse(Spec, frozen=True):
    """What a disk has done since the server started, in bytes and requests."""

    device: str
    read_bytes: int = 0
    write_bytes: int = 0
    read_requests: int = 0
    write_requests: int = 0
    errors: int = 0


class MachineDiagnostics(Spec, frozen=True):
    """Use of a running server. `cpu_nanoseconds` a virtual CPU each; `memory` and `memory_used` in MiB."""

    driver: str
    hypervisor: str
    state: str
    uptime: int
    cpu_nanoseconds: tuple[int, ...]
    memory: int
    memory_used: int
    disks: tuple[DiskUse, ...] = ()


class ConsoleEndpoint(Spec, frozen=True):
    """Where a server's console is on this host: a Unix socket that speaks RFB (vnc) or plain bytes (serial)."""

    kind: Literal["vnc", "serial"]
    path: str


class Snapshot(Spec, frozen=True):
    """A file with a server's root disk, as an image: its formats."""

    path: str
    disk_format: str
    container_format: str


class HostCapacity(Spec, frozen=True):
    """What a host has: whole numbers of CPUs, MiB and GiB; `hypervisor` is QEMU, ...; `version` as Nova's integer.

    `kinds` are those that can run here, and `missing` says of the others why not.
    """

    vcpus: int
    memory: int
    disk: int
    memory_free: int
    disk_free: int
    hypervisor: str
    version: int
    architecture: str
    cpu_model: str
    cpu_features: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    missing: dict[str, str] = {}
    uptime: str = ""
