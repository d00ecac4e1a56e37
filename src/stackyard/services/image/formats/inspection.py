"""The judge: whether data is what an image's disk and container formats say, and safe to be opened later."""

from __future__ import annotations

from stackyard.services.image.formats import containers, disks, packing
from stackyard.services.image.formats.rules import DISK_FORMATS, Rules
from stackyard.services.image.formats.source import FormatRefused, Inspected, Source

_OPAQUE = frozenset({"ami", "ari", "aki"})
"""Declared formats that have no header to look for: file systems, kernels, what a kernel starts with."""


def inspect(source: Source, disk_format: str, container_format: str, rules: Rules) -> Inspected:
    """Check data against what is declared of it. Raises FormatRefused, naming what was found and what to do."""
    if container_format == "docker":
        return containers.check_image(source, rules)
    if container_format == "rootfs":
        return containers.check_rootfs(source, rules)
    if container_format == "ova" and rules.require_match:
        return containers.check_ova(source, rules)
    if container_format in ("ova", "ovf"):
        return _inspect_ovf(source, disk_format, rules)
    if container_format == "compressed":
        inner = packing.ends(packing.Unpacked(source, rules))
        if packed := packing.kind_of(inner.read(0, 8)):
            raise FormatRefused(f"The data is packed twice: inside it is {packed}. Unpack it once and upload that.")
        return inspect_disk(inner, disk_format, rules)
    return inspect_disk(source, disk_format, rules)


def _inspect_ovf(source: Source, disk_format: str, rules: Rules) -> Inspected:
    """An OVF package as one file, its descriptor alone, or (an old custom) just the disk."""
    head = source.read(0, 512)
    if head[257:262] == b"ustar":
        return containers.check_ova(source, rules)
    is_xml = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"Envelope" in source.read(0, 1 << 16)
    if is_xml and disks.detect(source) == disks.RAW:
        return Inspected("ovf", None)
    return inspect_disk(source, disk_format, rules)


def inspect_disk(source: Source, declared: str, rules: Rules) -> Inspected:
    """Check a disk against its declared format. Raises FormatRefused."""
    found = disks.detect(source)
    size = disks.virtual_size(found, source)  # also what is declared wrongly must be safe
    if declared in _OPAQUE or declared == disks.RAW:
        if found in disks.PLAIN:
            return Inspected(disks.RAW, source.size if declared == disks.RAW else None)
    elif found == declared:
        return Inspected(found, size)
    if not rules.require_match:
        return Inspected(found, size)
    if found == disks.RAW:
        raise FormatRefused(
            f"The image's disk_format is {declared}, but the data is not {declared}: it has no signature that is "
            f"known here. Upload {declared} data, or create the image with the format that the data has."
        )
    other = f"Create the image with disk_format {found}, or convert" if found in DISK_FORMATS else "Convert"
    raise FormatRefused(
        f"The image's disk_format is {declared}, but the data is {found}. {other} the data to {declared}."
    )
