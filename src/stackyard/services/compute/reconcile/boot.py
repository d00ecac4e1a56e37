"""Which start of this host it is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache(1)
def boot_id() -> str:
    """A text that is another one after the host has been restarted."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
