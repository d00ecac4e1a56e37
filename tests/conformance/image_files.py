"""Images for the suites to import: one served over HTTP, and one of each common format with a manifest of them."""

from __future__ import annotations

import contextlib
import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

FORMATS = {"raw": "raw", "qcow2": "qcow2", "vdi": "vdi", "vhdx": "vhdx"}
"""Formats by OpenStack's names, with qemu-img's names for them."""

_BYTES = 1 << 20


@dataclass(frozen=True)
class Served:
    """A qcow2 image's URL, and the manifest of images in files."""

    url: str
    manifest: Path


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Served]:
    """Makes the images in a new folder and serves it on loopback for as long as the context lasts."""
    folder.mkdir(parents=True)
    entries = [_make(folder, name, kind) for name, kind in FORMATS.items()]
    manifest = folder / "manifest.yaml"
    manifest.write_text(yaml.safe_dump({"images": entries}))
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{server.server_address[1]}/disk.qcow2", manifest)
        finally:
            server.shutdown()
            thread.join()


def _make(folder: Path, name: str, kind: str) -> dict[str, object]:
    path = folder / f"disk.{name}"
    command = ["qemu-img", "create", "-q", "-f", kind, str(path), str(_BYTES)]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    return {"name": name, "format": name, "filename": path.name, "usable": True}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and tells nobody."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing is logged."""

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:
        """Sends a file to a client that may want to know its size alone."""
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)
