"""A machine that does not run, moved to another host: its disks as they are, each on the same image as before."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

import msgspec

from stackyard.host.errors import ConflictError, HostError, NotFoundError
from stackyard.host.machines.moving import MachinePart, Parcel
from stackyard.host.machines.qemu import life, process
from stackyard.host.machines.qemu.home import Home, Record
from stackyard.host.machines.qemu.images import Base, ImageStore
from stackyard.host.specs.base import Spec

_PART = re.compile(r"root\.qcow2|ephemeral[0-9]{1,3}\.raw|firmware\.fd")
_IMAGE = re.compile(r"image-([A-Za-z0-9-]{1,64})")


class _About(Spec, frozen=True):
    """What of its record the disks need."""

    root_bytes: int
    root_image: str


def pack(home: Home) -> Parcel:
    """Its disks; swap space and config drive are made anew."""
    record = home.record()
    if life.running(record) is not None or record.state == "suspended":
        raise ConflictError(f"server {home.id} is {record.state}: it must be stopped to be moved")
    names = sorted(entry.name for entry in home.path.iterdir() if _PART.fullmatch(entry.name))
    parts = tuple(MachinePart(name, (home.path / name).stat().st_size) for name in names)
    about = _About(root_bytes=record.root_bytes, root_image=record.root_image)
    return Parcel(about=msgspec.json.encode(about).decode(), parts=parts)


def pack_image(store: ImageStore, home: Home, image_id: str) -> Parcel:
    """An image that its disks lie on, or its kernel or ramdisk."""
    if image_id not in _images(home):
        raise NotFoundError(f"server {home.id} does not use image {image_id[:80]}")
    path, base = store.find(image_id)
    parts = (MachinePart(f"image-{image_id}", path.stat().st_size),)
    return Parcel(about=msgspec.json.encode(base).decode(), parts=parts)


def unpack_image(store: ImageStore, home: Home, image_id: str, parcel: Parcel) -> None:
    """It is this host's too."""
    fresh = _arriving(home, f"image-{image_id}")
    if not fresh.exists() or [part.size for part in parcel.parts] != [fresh.stat().st_size]:
        raise HostError(f"image {image_id} has not arrived whole")
    store.adopt(image_id, msgspec.json.decode(parcel.about, type=Base), fresh)


def _images(home: Home) -> set[str]:
    image = home.spec().image
    own = () if image is None else (image.id, image.kernel, image.ramdisk)
    return {one for one in (*own, home.record().root_image) if one}


def open_part(store: ImageStore, home: Home, name: str) -> BinaryIO:
    """One of them."""
    image = _IMAGE.fullmatch(name)
    if image is not None and image[1] in _images(home):
        return store.find(image[1])[0].open("rb")
    if not _PART.fullmatch(name):
        raise NotFoundError(f"server {home.id} has no part {name[:80]!r}")
    try:
        return os.fdopen(os.open(home.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        raise NotFoundError(f"server {home.id} has no part {name}") from None


def arriving(home: Home, name: str) -> Path:
    """Beside where it will be. What was written before a crash of the whole host may not have reached the disk."""
    if not _PART.fullmatch(name) and not _IMAGE.fullmatch(name):
        raise HostError(f"{name[:80]!r} is no part of a machine")
    home.make()
    chosen = _arriving(home, name)
    for old in home.path.glob(f".arriving-*-{name}"):
        if old != chosen:
            old.unlink()
    return chosen


def _arriving(home: Home, name: str) -> Path:
    return home.path / f".arriving-{process.boot_id()[:8]}-{name}"


def unpack(home: Home, record: Record, parcel: Parcel) -> Record:
    """Put what has arrived in its place; returns the record that it has then."""
    about = msgspec.json.decode(parcel.about, type=_About)
    for part in parcel.parts:
        fresh, path = _arriving(home, part.name), home.path / part.name
        if fresh.exists():
            if fresh.stat().st_size != part.size:
                raise HostError(f"{part.name} of server {home.id} has not arrived whole")
            os.chown(fresh, record.uid, record.uid)
            fresh.replace(path)
        elif not path.exists():
            raise HostError(f"{part.name} of server {home.id} has not arrived")
    return msgspec.structs.replace(
        record, state="stopped", error="", pid=0, root_bytes=about.root_bytes, root_image=about.root_image
    )
