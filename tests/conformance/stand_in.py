"""An image in CirrOS's place: BusyBox with all its commands, and a `curl` that is its wget. Needs no registry.

Zun's suite sleeps, prints, pings and fetches pages in it; it does not look at what system it is.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

NAME = "cirros:latest"
_BUSYBOX = Path("/bin/busybox")
_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin", "var")
_CURL = b'#!/bin/sh\nexec wget -q -O - "$@"\n'


def load(engine: Path) -> None:
    """Puts the image into the engine that listens on this socket. Raises CalledProcessError."""
    command = ["docker", "-H", f"unix://{engine}", "import", "-", NAME]
    subprocess.run(command, input=archive(), stdout=subprocess.DEVNULL, check=True)


def archive() -> bytes:
    """The root file system, as tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in _DIRECTORIES:
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(directory)
        tar.add(_BUSYBOX, "bin/busybox")
        listed = subprocess.run([str(_BUSYBOX), "--list"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        _add(tar, "bin/curl", _CURL, 0o755)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
    return content.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
