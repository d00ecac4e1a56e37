"""The formats that there are, and what the operator allows of them."""

from __future__ import annotations

from dataclasses import dataclass

from stackyard.core.config_image import Image
from stackyard.core.errors import InvalidField

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt", "luks")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed", "rootfs")


@dataclass(frozen=True, slots=True)
class Rules:
    """How strict an inspection is.

    `unpacked_bytes` is the most that packed data may unpack to, and `unpacked_ratio` the most in relation to its size
    (which counts only past `unpacked_free` bytes: small files of nothing but zeros do no harm).
    """

    require_match: bool = True
    unpacked_bytes: int = 64 << 30
    unpacked_ratio: int = 250
    unpacked_free: int = 256 << 20

    @classmethod
    def of(cls, settings: Image) -> Rules:
        """What the operator has set."""
        return cls(settings.require_format_match, settings.unpacked_limit, settings.unpacked_ratio)

    def most_unpacked(self, packed: int) -> int:
        """How many bytes `packed` ones may unpack to."""
        return min(self.unpacked_bytes, max(self.unpacked_free, packed * self.unpacked_ratio))


def check_allowed(settings: Image, disk_format: object = None, container_format: object = None) -> None:
    """Raise InvalidField for a format that the operator does not allow; None is none at all, and always is."""
    for name, value, allowed in (
        ("disk_format", disk_format, settings.disk_formats),
        ("container_format", container_format, settings.container_formats),
    ):
        if value is not None and value not in allowed:
            raise InvalidField(name, f"'{str(value)[:80]}' is not one of {', '.join(allowed)}.")
