"""The images that machines here begin from: each is looked at once, written in a form that opens fast, and shared."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

from stackyard.host import image_tool
from stackyard.host.errors import NotFoundError, SpecError
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.home import Home
from stackyard.host.specs import MachineImage
from stackyard.host.specs.base import Spec

_CHUNK = 1 << 20


class Base(Spec, frozen=True):
    """An image in the store: how its file is read, and the size in bytes of the disk in it."""

    driver: str
    size: int
    cdrom: bool = False


class ImageStore:
    """A directory of images, readable by whoever is handed one and written by nobody."""

    def __init__(self, directory: Path, emulator: Emulator) -> None:
        self._directory = directory
        self._emulator = emulator
        self._uid = image_tool.reader()

    def has(self, image: MachineImage) -> bool:
        """Whether it is there with its kernel and ramdisk, if it has any."""
        wanted = (image.id, image.kernel, image.ramdisk)
        return all(self._paths(one)[1].exists() for one in wanted if one)

    def find(self, image_id: str) -> tuple[Path, Base]:
        """Its file, and how to read it. Raises NotFoundError."""
        import msgspec

        path, about = self._paths(image_id)
        try:
            return path, msgspec.json.decode(about.read_bytes(), type=Base)
        except FileNotFoundError:
            raise NotFoundError(f"image {image_id} is not in this host's store") from None

    def load(self, image: MachineImage, data: BinaryIO) -> None:
        """Take an image in. SpecError when the data is no such image, or leads to other files."""
        path, about = self._paths(image.id)
        if about.exists():
            return
        driver = image_tool.DRIVERS.get(image.disk_format)
        if driver is None:
            raise SpecError(f"an image of format {image.disk_format!r} is not for a machine")
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        arriving = path.with_name(f".{os.getpid()}-{os.urandom(6).hex()}")
        try:
            image_tool.make_file(arriving, self._uid)
            with arriving.open("wb") as file:
                shutil.copyfileobj(data, file, _CHUNK)
            base = self._examine(arriving, driver, cdrom=image.disk_format == "iso")
            os.chown(arriving, 0, 0)
            arriving.chmod(0o444)
            arriving.replace(path)
            self._describe(about, base)
        finally:
            arriving.unlink(missing_ok=True)

    def adopt(self, image_id: str, base: Base, arrived: Path) -> None:
        """Take over a file that another host's store had, which has looked at it already."""
        path, about = self._paths(image_id)
        if about.exists():
            arrived.unlink()
            return
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chown(arrived, 0, 0)
        arrived.chmod(0o444)
        arrived.replace(path)
        self._describe(about, base)

    def _describe(self, about: Path, base: Base) -> None:
        import msgspec

        fresh = about.with_name(f".{os.getpid()}-{os.urandom(6).hex()}.json")
        fresh.write_bytes(msgspec.json.encode(base))
        fresh.replace(about)

    def remove(self) -> None:
        """Delete all images."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _examine(self, path: Path, driver: str, *, cdrom: bool) -> Base:
        if driver == "raw":
            size = path.stat().st_size
            return Base(driver="raw", size=size + -size % 512, cdrom=cdrom)
        found = image_tool.info(self._emulator, path, driver, self._uid)
        image_tool.refuse_what_leads_elsewhere(found)
        size = int(found["virtual-size"])
        if driver == "qcow2":
            return Base(driver="qcow2", size=size)
        plain = path.with_suffix(".qcow2")
        try:
            with image_tool.opened(path) as descriptor:
                source = image_tool.node(descriptor, driver)
                image_tool.convert(self._emulator, source, plain, self._uid, kept=(descriptor,))
            plain.replace(path)
        finally:
            plain.unlink(missing_ok=True)
        return Base(driver="qcow2", size=size)

    def _paths(self, image_id: str) -> tuple[Path, Path]:
        name = Home(self._directory, image_id).path
        return name, name.with_name(f"{name.name}.json")
