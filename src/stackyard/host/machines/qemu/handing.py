"""What QEMU is handed: descriptors opened by us, which is all of this host that it can reach."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Handing:
    """Opens what a new process gets; everything is closed on our side at the end of the `with` block."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.descriptors: list[int] = []
        self._files: list[int] = []

    def __enter__(self) -> Handing:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def descriptor(self, descriptor: int) -> int:
        """Hand over a descriptor; ours is closed afterwards."""
        self._stack.callback(os.close, descriptor)
        self.descriptors.append(descriptor)
        return descriptor

    def file(self, path: Path, flags: int) -> str:
        """Open a file and hand it over; returns the name that QEMU opens it by."""
        opened = self.descriptor(os.open(path, flags | os.O_CLOEXEC, 0o600))
        self._files.append(opened)
        return f"/dev/fdset/{opened}"

    def plain(self, path: Path) -> str:
        """The same for what QEMU opens with the C library: a kernel, a ramdisk. It must be allowed to read it."""
        return f"/proc/self/fd/{self.descriptor(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))}"

    def arguments(self) -> list[str]:
        """The arguments by which QEMU takes the files over."""
        return [word for one in self._files for word in ("-add-fd", f"fd={one},set={one}")]
