"""The files of a system (a tar, compressed or not, or a squashfs) as an image that a container engine takes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from stackyard.host.containers.archive import write_archive
from stackyard.host.errors import SpecError
from stackyard.host.machines.engine.making import INIT

_CHUNK = 1 << 20
_NOBODY = 65534
_UNPACK_SECONDS = 600
_SQUASHFS = b"hsqs"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_USTAR = (257, b"ustar")


@contextmanager
def as_image(data: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """An archive of an image of that name with one layer, whose command is the init. Raises SpecError."""
    with tempfile.TemporaryDirectory(prefix="stackyard-") as directory:
        arrived, layer = Path(directory, "arrived"), Path(directory, "layer.tar")
        with arrived.open("wb") as file:
            shutil.copyfileobj(data, file, _CHUNK)
        _unpack(arrived, layer)
        arrived.unlink(missing_ok=True)
        _check(layer)
        with tempfile.TemporaryFile(dir=directory) as archive:
            write_archive(archive, (name,), layer, {"Cmd": [INIT], "Env": ["container=docker"]})
            archive.seek(0)
            yield archive


def _unpack(arrived: Path, layer: Path) -> None:
    with arrived.open("rb") as file:
        head = file.read(512)
    if head.startswith(_SQUASHFS):
        _from_squashfs(arrived, layer)
        return
    if head.startswith(_ZSTANDARD):
        raise SpecError("a root file system packed with zstd is not taken: use gzip, xz, bzip2 or squashfs")
    try:
        with _opened(arrived, head) as source, layer.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise SpecError(f"the root file system cannot be unpacked: {error}") from error


def _opened(path: Path, head: bytes) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return gzip.open(path)  # type: ignore[return-value]
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.open(path)
    if head.startswith(b"BZh"):
        return bz2.open(path)
    return path.open("rb")


def _from_squashfs(arrived: Path, layer: Path) -> None:
    """By a program without privileges: the kernel is not asked to mount what somebody uploaded."""
    tool = shutil.which("sqfs2tar")
    if tool is None:
        raise SpecError("a squashfs needs sqfs2tar on this host: apt-get install squashfs-tools-ng")
    with arrived.open("rb") as source, layer.open("wb") as target:
        try:
            done = subprocess.run(
                [tool, f"/proc/self/fd/{source.fileno()}"], stdin=subprocess.DEVNULL, stdout=target,
                stderr=subprocess.PIPE, pass_fds=(source.fileno(),), timeout=_UNPACK_SECONDS, check=False, cwd="/",
                user=_NOBODY, group=_NOBODY, extra_groups=[],
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise SpecError(f"the squashfs cannot be unpacked: {error}") from error
    if done.returncode != 0:
        raise SpecError(f"the squashfs cannot be unpacked: {done.stderr.decode(errors='replace').strip()[-200:]}")


def _check(layer: Path) -> None:
    try:
        with tarfile.open(layer, mode="r:") as content:
            names = {member.name.removeprefix("./").rstrip("/") for member in content}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SpecError(f"the root file system is no tar: {error}") from error
    if not names & {"sbin", "bin", "usr", "sbin/init", "bin/sh"}:
        raise SpecError("the root file system holds neither /sbin nor /usr: it is no system")
