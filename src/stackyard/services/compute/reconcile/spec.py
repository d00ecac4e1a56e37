"""A server's rows as the spec that its host's driver makes true."""

from __future__ import annotations

import base64
import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.errors import SpecError
from stackyard.host.specs import MachineImage, MachineNic, MachineRescue, MachineSpec
from stackyard.services.compute.servers.system_metadata import MADE_FROM
from stackyard.services.compute.tables import block_devices
from stackyard.services.network import api as network_api

_b = block_devices.c
_DISKS = (
    sa.select(block_devices)
    .where(_b.server_id == bindparam("server"), _b.destination_type == "local", _b.source_type == "blank")
    .order_by(_b.device_name)
)
_BOOT_VOLUME = sa.select(_b.id).where(
    _b.server_id == bindparam("server"), _b.boot_index == 0, _b.destination_type == "volume"
)


class Surroundings(msgspec.Struct, kw_only=True):
    """What a spec needs to know beyond the server's own row. `mtus` are by network, `addresses` the server's own."""

    mtus: dict[str, int] = {}
    addresses: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    disks: Sequence[Any] = ()
    boots_from_volume: bool = False
    config_drive: dict[str, bytes] | None = None


def read(tx: Transaction, runtime: Runtime, server: Any) -> MachineSpec:
    """The spec of a server, as everything stands in this transaction."""
    found = Surroundings(
        disks=tx.all(_DISKS, {"server": server.id}),
        boots_from_volume=tx.first(_BOOT_VOLUME, {"server": server.id}) is not None,
    )
    networks = list(dict.fromkeys(interface["network"] for interface in server.interfaces))
    found.mtus = {network: network_api.network_mtu(tx, network) for network in networks}
    if server.kind != "machine":
        ports = network_api.ports_of_device(tx, server.id)
        found.addresses = tuple(ip["ip_address"] for port in ports for ip in port.fixed_ips)
        found.dns_servers = tuple(network_api.dns_servers(tx, networks))
        domains = (network_api.dns_domain(tx, runtime, network) for network in networks)
        found.dns_search = tuple(dict.fromkeys(domains))
    # A machine that is rescued, or has files from its user, has one in any case: no other way leads these to it.
    if server.config_drive or (server.kind == "machine" and (server.rescue or server.personality)):
        from stackyard.services.compute.guests import config_drive

        found.config_drive = config_drive.files(tx, runtime, server)
    return machine_spec(server, found)


def machine_spec(server: Any, around: Surroundings) -> MachineSpec:
    """The spec of a server's row. `rescue` of the row: {"image_id", "image", "stable", "device", "bus"}."""
    flavor, image = server.flavor, server.image
    inside = _inside(server, around) if server.kind != "machine" else {}
    command_line = str((image.get("properties") or {}).get("os_command_line") or "")
    ephemeral = tuple(int(disk.volume_size or 0) for disk in around.disks if disk.guest_format != "swap")
    swap = sum(int(disk.volume_size or 0) * 1024 for disk in around.disks if disk.guest_format == "swap")
    return MachineSpec(
        id=server.id,
        name=f"instance-{server.sequence:08x}",
        kind=server.kind,
        image=None if around.boots_from_volume or not server.image_id else _root(server),
        memory=int(flavor["ram"]),
        vcpus=int(flavor["vcpus"]),
        hostname=server.hostname,
        root_disk=int(flavor["disk"]),
        ephemeral=tuple(size for size in ephemeral or (int(flavor.get("ephemeral") or 0),) if size),
        swap=int(flavor.get("swap") or 0) or swap,
        nics=tuple(_nic(index, interface, around.mtus) for index, interface in enumerate(server.interfaces)),
        config_drive=around.config_drive,
        rescue=_rescue(server.rescue),
        properties=hardware(image.get("properties") or {}, flavor.get("extra_specs") or {}),
        kernel_command_line=command_line if server.kind == "machine" else "",
        **inside,
    )


def _inside(server: Any, around: Surroundings) -> dict[str, Any]:
    command = str((server.image.get("properties") or {}).get("os_command_line") or "")
    first = sorted(around.addresses, key=lambda text: ipaddress.ip_address(text).version)[:1]
    return {
        "command": _words(command) if command else None,
        "environment": {str(name): str(value) for name, value in server.metadata.items()},
        "files": {file["path"]: base64.b64decode(file["contents"]) for file in server.personality},
        "user_data": base64.b64decode(server.user_data or ""),
        "dns_servers": around.dns_servers,
        "dns_search": around.dns_search,
        "hosts": {server.hostname: first[0]} if first else {},
    }


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise SpecError(f"The image's property os_command_line is not a command: {error}.") from error


def _root(server: Any) -> MachineImage:
    made_from = (server.system_metadata or {}).get(MADE_FROM)
    if made_from is None:
        return machine_image(server.image_id, server.image)
    return machine_image(made_from["image_id"], made_from["image"])


def machine_image(image_id: str, image: Mapping[str, Any]) -> MachineImage:
    """What `servers.image` holds, as a host needs it."""
    return MachineImage(
        id=image_id,
        disk_format=str(image.get("disk_format") or "raw"),
        container_format=str(image.get("container_format") or "bare"),
        size=int(image.get("size") or 0),
        kernel=image.get("kernel_id") or None,
        ramdisk=image.get("ramdisk_id") or None,
    )


def _nic(index: int, interface: Mapping[str, Any], mtus: Mapping[str, int]) -> MachineNic:
    return MachineNic(
        port_id=interface["port"],
        mac=interface["mac"],
        mtu=mtus.get(interface["network"], 1500),
        device=interface.get("device") or f"eth{index}",
    )


def _rescue(wanted: Mapping[str, Any] | None) -> MachineRescue | None:
    if not wanted:
        return None
    image = machine_image(wanted["image_id"], wanted["image"])
    return MachineRescue(
        image=image,
        stable=bool(wanted.get("stable")),
        device=wanted.get("device") or "disk",
        bus=wanted.get("bus") or "",
    )


_SPREAD = ("hw_cpu_sockets", "hw_cpu_cores", "hw_cpu_threads")


def hardware(properties: Mapping[str, Any], extra_specs: Mapping[str, Any]) -> dict[str, str]:
    """The image's properties and the flavor's extra specs that concern hardware, by the image's names of them.

    What the flavor says goes before what the image says; what it says of one of sockets, cores and threads, before all
    three. Its quotas are `quota_...`, which no image has.
    """
    found = {name: str(value) for name, value in properties.items() if name.startswith(("hw_", "os_", "img_hide_"))}
    if any(f"hw:{part[3:]}" in extra_specs for part in _SPREAD):
        found = {name: value for name, value in found.items() if name not in _SPREAD}
    return found | {
        name.replace(":", "_", 1): str(value)
        for name, value in extra_specs.items()
        if name.startswith(("hw:", "quota:", "hw_rng:", "hw_video:"))
    }
