"""Between images of any format and volumes, by the confined image tool: it opens nothing but what it is handed."""

from __future__ import annotations

import os
from pathlib import Path

from stackyard.host import image_tool
from stackyard.host.disks import copying
from stackyard.host.disks.shelf import Fresh, Shelf, full
from stackyard.host.errors import SpecError
from stackyard.host.image_tool import ImageToolError

GIB = 1 << 30
FULL = "No space left on device"


def _tool() -> image_tool.ImageTool:
    found = image_tool.find()
    if found is None:
        raise SpecError("qemu-img is not installed on this host: only raw images can be used (install qemu-utils).")
    return found


def _driver(disk_format: str) -> str:
    found = image_tool.DRIVERS.get(disk_format)
    if found is None:
        raise SpecError(f"An image of format {disk_format!r} is no disk that a volume can be.")
    return found


def from_image(shelf: Shelf, fresh: Fresh, image: Path, disk_format: str, size: int) -> None:
    """Fill a new volume of `size` GiB with an image's content. Raises SpecError when it is none or does not fit."""
    driver = _driver(disk_format)
    if driver == "raw":
        with image.open("rb") as data:
            _require_room(os.fstat(data.fileno()).st_size, size)
            if not copying.clone(data.fileno(), fresh.descriptor):
                copying.pour(data, fresh.descriptor, size * GIB)
        return
    tool, reader = _tool(), image_tool.reader()
    with shelf.fresh() as arrived:
        with image.open("rb") as data:
            copying.copy(data.fileno(), arrived.descriptor)
        os.fchown(arrived.descriptor, reader, reader)
        found = image_tool.info(tool, arrived.path, driver, reader)
        image_tool.refuse_what_leads_elsewhere(found)
        _require_room(int(found["virtual-size"]), size)
        try:
            with image_tool.opened(arrived.path) as descriptor:
                source = image_tool.node(descriptor, driver)
                image_tool.convert(tool, source, fresh.path, reader, kept=(descriptor,), driver="raw")
        except ImageToolError as error:
            if FULL in str(error):
                raise full() from error
            raise


def _require_room(found: int, size: int) -> None:
    if found > size * GIB:
        raise SpecError(f"The image is a disk of {found / GIB:.1f} GiB, more than the {size} GiB of the volume.")


def to_image(descriptor: int, target: Path, disk_format: str) -> None:
    """Write a volume's content into `target` as an image of that format."""
    driver, reader = _driver(disk_format), image_tool.reader()
    if driver == "raw":
        image_tool.make_file(target, 0)
        with image_tool.opened(target, write=True) as out:
            copying.copy(descriptor, out)
        return
    # A machine may have the volume open, and hold locks on it.
    source = image_tool.node(descriptor, "raw") | {"read-only": True, "force-share": True}
    try:
        image_tool.convert(_tool(), source, target, reader, kept=(descriptor,), driver=driver)
    except ImageToolError as error:
        if FULL in str(error):
            raise full() from error
        raise
    os.chown(target, 0, 0)
