"""The tree of the EC2 format, by version, and how a guest sees a place in it."""

from __future__ import annotations

from typing import Any

from stackyard.services.compute.guests.facts import Guest

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)
_NAME = "_name"
"""The key under which a folder says how it is listed, when that is not its own name."""


def resolve(version: str) -> str | None:
    """The version that is meant: `latest` is the newest; None for one that there is not."""
    return VERSIONS[-1] if version == "latest" else version if version in VERSIONS else None


def tree(guest: Guest, version: str) -> dict[str, Any]:
    """All that a version has for this guest."""
    found: dict[str, Any] = {"meta-data": meta_data(guest, version)}
    if guest.server.user_data is not None:
        found["user-data"] = guest.user_data
    return found


def meta_data(guest: Guest, version: str) -> dict[str, Any]:
    """The folder meta-data."""
    server = guest.server
    image = server.image or {}
    properties = image.get("properties") or {}
    fixed, floating = guest.addresses(4), guest.floating_ips()
    shown: dict[str, Any] = {
        "ami-id": _short_id("ami", server.image_id),
        "ami-launch-index": server.launch_index,
        "ami-manifest-path": "(unknown)",
        "instance-id": f"i-{server.sequence:08x}",
        "hostname": guest.hostname,
        "local-ipv4": fixed[0] if fixed else "",
        "reservation-id": server.reservation_id,
        "security-groups": guest.security_groups(),
    }
    if server.key_name and server.key_data:
        shown["public-keys"] = {"0": {_NAME: f"0={server.key_name}", "openssh-key": server.key_data}}
    if version >= "2007-01-19":
        shown["local-hostname"] = shown["public-hostname"] = guest.hostname
        shown["public-ipv4"] = floating[0] if floating else ""
    if version >= "2007-08-29":
        shown["instance-type"] = server.flavor["name"]
    if version >= "2007-12-15":
        shown["block-device-mapping"] = block_device_mapping(guest)
        for name, prefix in (("kernel", "aki"), ("ramdisk", "ari")):
            other = image.get(f"{name}_id") or properties.get(f"{name}_id")
            if other:
                shown[f"{name}-id"] = _short_id(prefix, other)
    if version >= "2008-02-01":
        shown["placement"] = {"availability-zone": guest.zone}
    if version >= "2008-09-01":
        shown["instance-action"] = "none"
    return shown


def block_device_mapping(guest: Guest) -> dict[str, str]:
    """What each disk is for, and what it is called."""
    root = guest.server.root_device_name
    found = {"ami": root.removeprefix("/dev/"), "root": root}
    volumes = [row for row in guest.block_devices if row.destination_type == "volume"]
    blanks = [row for row in guest.block_devices if row.destination_type != "volume" and row.source_type == "blank"]
    found |= {f"ebs{number}": row.device_name or "" for number, row in enumerate(volumes)}
    swap = next((row for row in blanks if row.guest_format == "swap"), None)
    if swap is not None:
        found["swap"] = swap.device_name or ""
    plain = [row for row in blanks if row.guest_format != "swap"]
    found |= {f"ephemeral{number}": row.device_name or "" for number, row in enumerate(plain)}
    return found


def _short_id(prefix: str, image_id: str | None) -> str:
    """An id of EC2's form for an image: the beginning of its own; zeros when there is none."""
    return f"{prefix}-{(image_id or '').replace('-', '')[:8]:0<8}"


def find(data: Any, path: list[str]) -> Any:
    """What is at a path in a tree; raises KeyError."""
    for part in path:
        if not isinstance(data, dict) or part == _NAME:
            raise KeyError(part)
        data = data[part]
    return data


def shown(data: Any) -> bytes:
    """As a guest reads it: a folder as the list of its names, a list and a value as text."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, dict):
        return "\n".join(_entry(name, data[name]) for name in sorted(data) if name != _NAME).encode()
    if isinstance(data, list):
        return "\n".join(data).encode()
    return str(data).encode()


def _entry(name: str, value: Any) -> str:
    if not isinstance(value, dict):
        return name
    return str(value[_NAME]) if _NAME in value else f"{name}/"


def without_names(data: Any) -> Any:
    """A tree as JSON shows it."""
    if isinstance(data, dict):
        return {name: without_names(value) for name, value in data.items() if name != _NAME}
    return data
