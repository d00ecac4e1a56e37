"""What the kernel refuses is told with a remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stackyard.host.containers.namespaces import make_namespace
from stackyard.host.containers.os_errors import told
from stackyard.host.errors import HostError


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.ENOSPC, "cannot write it: No space left on device; free some space"),
        (errno.EPERM, "cannot write it: Operation not permitted; run as root"),
        (errno.EIO, "cannot write it: Input/output error"),
    ],
)
def test_a_refusal_says_what_and_why(code: int, text: str) -> None:
    with pytest.raises(HostError) as caught, told("write it"):
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == text


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), told("look"):
        raise KeyError("x")


def test_a_namespace_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot make the network namespace"):
        make_namespace(tmp_path / "file" / "one")
