"""The kernel's refusals as errors of the host, with what was tried."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from stackyard.host.errors import HostError

_REMEDIES = {
    errno.EPERM: "run as root",
    errno.EACCES: "run as root",
    errno.ENOSPC: "free some space",
    errno.EROFS: "choose a state directory that can be written",
    errno.EMFILE: "raise the limit of open files",
    errno.ENFILE: "raise the limit of open files",
}


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """An OSError inside becomes a HostError: "cannot `what`", the reason, and the remedy where one is known."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0)
        reason = error.strerror or str(error)
        raise HostError(f"cannot {what}: {reason}{f'; {remedy}' if remedy else ''}") from error
