"""The documents of the OpenStack format, by version: each version knows what came with it and before."""

from __future__ import annotations

import base64
import os
from typing import Any

from stackyard.services.compute.guests.facts import Guest
from stackyard.services.compute.guests.network_data import network_data

VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
)
_GRIZZLY, _HAVANA, _LIBERTY, _NEWTON_ONE, _NEWTON_TWO, _ROCKY, _VICTORIA = (
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2018-08-27",
    "2020-10-14",
)
META_DATA, USER_DATA, PASSWORD = "meta_data.json", "user_data", "password"
VENDOR_DATA, VENDOR_DATA2, NETWORK_DATA = "vendor_data.json", "vendor_data2.json", "network_data.json"

_SINCE = {
    META_DATA: VERSIONS[0],
    USER_DATA: VERSIONS[0],
    PASSWORD: _GRIZZLY,
    VENDOR_DATA: _HAVANA,
    NETWORK_DATA: _LIBERTY,
    VENDOR_DATA2: _NEWTON_TWO,
}


def resolve(version: str) -> str | None:
    """The version that is meant: `latest` is the newest; None for one that there is not."""
    return VERSIONS[-1] if version == "latest" else version if version in VERSIONS else None


def names(guest: Guest, version: str) -> list[str]:
    """The documents that a version has for this guest."""
    return [
        name
        for name, since in _SINCE.items()
        if version >= since and not (name == USER_DATA and guest.server.user_data is None)
    ]


def document(guest: Guest, version: str, name: str) -> Any:
    """One of `names`, but for the password: bytes, or what is shown as JSON."""
    if name == USER_DATA:
        return guest.user_data or b""
    if name == VENDOR_DATA:
        return dict(guest.vendor_data)
    if name == VENDOR_DATA2:
        return {"static": dict(guest.vendor_data)}
    if name == NETWORK_DATA:
        return network_data(guest.ports)
    return meta_data(guest, version)


def files(guest: Guest) -> list[dict[str, str]]:
    """Where on the drive the content of each of the user's files is."""
    return [{"path": path, "content_path": f"/content/{index:04d}"} for index, (path, _) in enumerate(guest.content)]


def meta_data(guest: Guest, version: str) -> dict[str, Any]:
    """meta_data.json."""
    server = guest.server
    shown: dict[str, Any] = {"uuid": server.id}
    if server.metadata:
        shown["meta"] = server.metadata
    if guest.content:
        shown["files"] = files(guest)
    if guest.password:
        shown["admin_pass"] = guest.password
    if server.key_name and server.key_data:
        shown["public_keys"] = {server.key_name: server.key_data}
        shown["keys"] = [{"name": server.key_name, "type": server.key_type or "ssh", "data": server.key_data}]
    shown["hostname"] = guest.hostname
    shown["name"] = server.name
    shown["launch_index"] = server.launch_index
    shown["availability_zone"] = guest.zone
    if version >= _GRIZZLY:
        shown["random_seed"] = base64.b64encode(os.urandom(512)).decode()
    if version >= _LIBERTY:
        shown["project_id"] = server.project_id
    if version >= _NEWTON_ONE:
        shown["devices"] = devices(guest, version)
    if version >= _VICTORIA:
        shown["dedicated_cpus"] = []  # no server has host CPUs of its own
    return shown


def devices(guest: Guest, version: str) -> list[dict[str, Any]]:
    """The cards and disks that the user has tagged."""
    tags = {item["port"]: item["tag"] for item in guest.server.interfaces if item.get("tag")}
    found: list[dict[str, Any]] = []
    for port in guest.ports:
        if port.id in tags:
            trust = {"vf_trusted": False} if version >= _ROCKY else {}
            card = {"type": "nic", "mac": port.mac, "bus": "pci", "address": "none", "tags": [tags[port.id]]}
            found.append(trust | card)
    for disk in guest.block_devices:
        if disk.tag:
            bus = "pci" if (disk.disk_bus or "virtio") == "virtio" else str(disk.disk_bus)
            shown = {"type": "disk", "bus": bus, "address": "none", "tags": [disk.tag]}
            if disk.volume_id:
                shown["serial"] = disk.volume_id
            if disk.device_name:
                shown["path"] = disk.device_name
            found.append(shown)
    return found
