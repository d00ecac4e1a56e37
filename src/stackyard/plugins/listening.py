"""Sockets by which programs of this machine find a plug-in."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from pathlib import Path

log = logging.getLogger("stackyard.plugins")

_LONGEST = 107


def listen(path: Path) -> socket.socket | None:
    """A socket at `path` that only root may use; None, and a line in the log that says why, when it cannot be had.

    One that another cloud serves is left to it; one that nobody serves any more is replaced.
    """
    try:
        if len(os.fsencode(path)) > _LONGEST:
            raise OSError(f"the path is longer than {_LONGEST} bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        clear(path)
        return _bind(path)
    except OSError as error:
        log.warning("a socket is not served", extra={"path": str(path), "reason": error.strerror or str(error)})
        return None


def clear(path: Path) -> None:
    """Remove a socket that nobody serves any more; gone is fine. Raises OSError for one that is, or no socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError("something that is no socket is in the way")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError("another cloud serves it")


def _bind(path: Path) -> socket.socket:
    """Closed to others from the first moment: made under another name, opened to its owner, and then put in place."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    temporary = path.with_name(f".{path.name}.{os.getpid()}"[:40])
    try:
        temporary.unlink(missing_ok=True)
        made.bind(str(temporary))
        temporary.chmod(0o600)
        made.listen(128)
        temporary.rename(path)
    except OSError:
        made.close()
        temporary.unlink(missing_ok=True)
        raise
    return made


def leave(path: Path, listener: socket.socket) -> None:
    """Stop listening, and take the name away unless another has it by now."""
    listener.close()
    with contextlib.suppress(OSError):
        clear(path)
