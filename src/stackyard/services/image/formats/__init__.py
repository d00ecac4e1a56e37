"""What an image's bytes are, looked at and never believed.

Start at `inspection.py`, which judges data against what is declared of it. `disks.py` tells disk formats by their
signatures; `qcow2.py`, `vmdk.py` and `hyperv.py` look into those that can reach outside their own file, `containers.py`
into archives, `packing.py` into packed data. Everything reads from a `Source`, a bounded piece at a time.

A format that can make whoever opens it open another file is refused, as is data that is several formats at once.
"""

from __future__ import annotations

from stackyard.services.image.formats.inspection import inspect
from stackyard.services.image.formats.rules import CONTAINER_FORMATS, DISK_FORMATS, Rules, check_allowed
from stackyard.services.image.formats.source import FileSource, FormatRefused, Inspected, Source

__all__ = [
    "CONTAINER_FORMATS",
    "DISK_FORMATS",
    "FileSource",
    "FormatRefused",
    "Inspected",
    "Rules",
    "Source",
    "check_allowed",
    "inspect",
]
