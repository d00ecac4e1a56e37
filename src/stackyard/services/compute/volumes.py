"""The one door to block storage: what servers would ask of a volume service.

This cloud has none yet, so that every request that needs a volume is refused with a fault that says so; a server's rows
(`server_block_devices`) have all that an attached volume needs.
"""

from __future__ import annotations

from typing import NoReturn

from stackyard.core.errors import BadRequest

REASON = "this cloud has no block storage service; use the disks of an image and a flavor"


def require(volume: str) -> NoReturn:
    """Refuse a server that is to be made with a volume, snapshot or image of one (or a blank one)."""
    raise BadRequest(
        f"Block Device Mapping is Invalid: failed to get volume {volume[:80]}: {REASON}.", kind="InvalidBDMVolume"
    )


def refuse_attach(volume_id: str) -> NoReturn:
    """Refuse to attach a volume to a server that is there."""
    raise BadRequest(f"Volume {volume_id[:80]} cannot be attached: {REASON}.", kind="InvalidVolume")
