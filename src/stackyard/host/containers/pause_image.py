"""The image of the container that only holds a network namespace: a static busybox that sleeps."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from pathlib import Path

from stackyard.host.containers.archive import add_bytes, write_archive
from stackyard.host.errors import HostError

PAUSE_IMAGE = "stackyard/pause:latest"


def pause_archive() -> bytes:
    """The image as a `docker save` archive, from the distribution's busybox-static."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise HostError("busybox is missing, of which sandboxes are made: install the package busybox-static")
    target = io.BytesIO()
    with tempfile.NamedTemporaryFile(suffix=".tar") as layer:
        with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as content:
            add_bytes(content, "busybox", Path(busybox).read_bytes(), mode=0o755)
        layer.flush()
        config = {"Entrypoint": ["/busybox", "sleep", "2147483647"]}
        write_archive(target, (PAUSE_IMAGE,), Path(layer.name), config)
    return target.getvalue()
