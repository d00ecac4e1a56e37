"""How an attached volume is reached: what a hypervisor is told."""

from __future__ import annotations

from typing import Any

from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys


def connection_info(runtime: Runtime, volume: Any, mode: str) -> dict[str, Any]:
    """What os-initialize_connection and the attachments API say: a path on the volume's host."""
    driver = runtime[keys.VOLUMES].get(volume.backend) if volume.host == runtime[keys.HOST_NAME] else None
    path = ""
    if driver is not None:
        try:
            path = str(driver.path(volume.id))
        except HostError:
            path = ""  # it is not made yet; who asks again is told
    return {
        "driver_volume_type": "local",
        "data": {
            "device_path": path,
            "host": volume.host,
            "access_mode": "ro" if mode == "ro" else "rw",
            "encrypted": volume.encrypted,
            "qos_specs": None,
            "discard": True,
            "cacheable": False,
        },
    }
