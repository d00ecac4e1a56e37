"""Unpacks packages into the one layer of an image: /usr merged, documentation left out, fixed times, a recipe's files.

No maintainer script runs: what one would have done is in the recipe.
"""

from __future__ import annotations

import fnmatch
import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from stackyard.bake.recipe import Recipe, User
from stackyard.host.containers.archive import EPOCH
from stackyard.host.errors import HostError

_MERGED = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
_DROPPED = re.compile(
    r"usr/share/(doc/.*(?<!/copyright)$|man/|info/|locale/|lintian/|bug/|bash-completion/|doc-base/|menu/|pixmaps/)"
    r"|usr/lib/systemd/|etc/(init\.d|cron\.[a-z]*|logrotate\.d|ufw|default|bash_completion\.d)/|usr/lib/tmpfiles\.d/"
    r"|var/(cache|log)/"
)
_DIRECTORIES = {
    "dev": 0o755, "etc": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755, "sys": 0o755, "tmp": 0o1777, "usr": 0o755,
    "usr/bin": 0o755, "usr/sbin": 0o755, "usr/lib": 0o755, "usr/lib64": 0o755, "var": 0o755, "var/log": 0o755,
    "var/tmp": 0o1777, "var/lib": 0o755,
}  # fmt: skip
_ROOT_USERS = (User("root", 0, "/root", "/bin/sh"), User("nobody", 65534, "/nonexistent", "/bin/false"))


def write_layer(target: Path, recipe: Recipe, debs: Iterable[Path]) -> None:
    """Write the layer's tar."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        layer = _Layer(archive, frozenset(recipe.files) | frozenset(recipe.links))
        layer.add_base(recipe)
        for deb in debs:
            layer.add_package(deb, recipe.drop)
        layer.add_recipe(recipe)


def image_path(name: str) -> str:
    """Where a package's path belongs in an image whose /usr is merged; without leading or trailing slashes."""
    path = name.removeprefix(".").strip("/")
    if path.split("/", 1)[0] in _MERGED:
        path = f"usr/{path}"
    for alias, real in (("var/run", "run"), ("var/lock", "run/lock")):
        if path == alias or path.startswith(f"{alias}/"):
            return real + path[len(alias) :]
    return path


def is_dropped(path: str, patterns: Iterable[str] = ()) -> bool:
    """Whether an image does without this path: documentation, translations, what other init systems need."""
    return bool(_DROPPED.match(path)) or any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


class _Layer:
    """The tar being written, which holds each path once."""

    def __init__(self, archive: tarfile.TarFile, reserved: frozenset[str]) -> None:
        self._archive = archive
        self._reserved = reserved
        self._seen: set[str] = set()
        self._busybox: bytes | None = None

    def add_base(self, recipe: Recipe) -> None:
        for name in _MERGED[:4]:
            self._link(name, f"usr/{name}")
        for name, mode in _DIRECTORIES.items():
            self._directory(name, mode)
        self._link("var/run", "/run")
        # Before the packages, which have some of them too: the recipe's owner counts.
        for path, user in recipe.directories.items():
            self._directory(path, 0o755, user)
        users = (*_ROOT_USERS, *recipe.users)
        self._file("etc/passwd", "".join(f"{u.name}:x:{u.id}:{u.id}::{u.home}:{u.shell}\n" for u in users).encode())
        self._file("etc/group", "".join(f"{u.name}:x:{u.id}:\n" for u in users).encode())
        self._file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")

    def add_package(self, deb: Path, patterns: Iterable[str]) -> None:
        with tempfile.TemporaryFile() as unpacked:
            done = subprocess.run(
                ["dpkg-deb", "--fsys-tarfile", str(deb)], check=False, stdout=unpacked, stderr=subprocess.PIPE
            )
            if done.returncode != 0:
                raise HostError(f"the package {deb.name} cannot be unpacked: {done.stderr.decode().strip()}")
            unpacked.seek(0)
            with tarfile.open(fileobj=unpacked, mode="r:") as content:
                for member in content:
                    self._member(content, member, patterns)

    def add_recipe(self, recipe: Recipe) -> None:
        for path, text in recipe.files.items():
            self._file(path, text.encode(), 0o755 if text.startswith("#!") else 0o644)
        for path, destination in recipe.links.items():
            self._link(path, self._only(destination) if "*" in destination else destination)
        for applet in self._applets():
            if not self._seen & {f"usr/bin/{applet}", f"usr/sbin/{applet}"}:
                self._link(f"usr/bin/{applet}", "busybox")

    def _member(self, content: tarfile.TarFile, member: tarfile.TarInfo, patterns: Iterable[str]) -> None:
        path = image_path(member.name)
        if not path or path in self._reserved or is_dropped(f"{path}/" if member.isdir() else path, patterns):
            return
        if member.isdir():
            self._directory(path, member.mode)
        elif member.islnk():
            self._hard_link(path, image_path(member.linkname))
        elif member.issym():
            self._link(path, member.linkname)
        elif member.isfile():
            data = content.extractfile(member) or io.BytesIO()
            if path == "usr/bin/busybox":
                self._busybox = data.read()
                data = io.BytesIO(self._busybox)
            self._add(path, member.mode, data, member.size, owner=(member.uid, member.gid))

    def _applets(self) -> list[str]:
        """The names that busybox answers to: itself tells."""
        if self._busybox is None:
            return []
        with tempfile.TemporaryDirectory() as directory:
            program = Path(directory, "busybox")
            program.write_bytes(self._busybox)
            program.chmod(0o755)
            listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True, timeout=30)
        return [name for name in listed.stdout.split() if name != "busybox"]

    def _only(self, pattern: str) -> str:
        found = fnmatch.filter(sorted(self._seen), pattern.strip("/"))
        if not found:
            raise HostError(f"none of the packages has {pattern}")
        return f"/{found[0]}"

    def _directory(self, path: str, mode: int, owner: User | None = None) -> None:
        if self._new(path):
            info = self._info(path, mode, (owner.id, owner.id) if owner else (0, 0))
            info.type = tarfile.DIRTYPE
            self._archive.addfile(info)

    def _link(self, path: str, destination: str) -> None:
        if self._new(path):
            info = self._info(path, 0o777)
            info.type, info.linkname = tarfile.SYMTYPE, destination
            self._archive.addfile(info)

    def _hard_link(self, path: str, original: str) -> None:
        if original in self._seen and self._new(path):
            info = self._info(path, 0o644)
            info.type, info.linkname = tarfile.LNKTYPE, original
            self._archive.addfile(info)

    def _file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._add(path, mode, io.BytesIO(data), len(data))

    def _add(self, path: str, mode: int, data: IO[bytes], size: int, owner: tuple[int, int] = (0, 0)) -> None:
        if self._new(path):
            info = self._info(path, mode, owner)
            info.size = size
            self._archive.addfile(info, data)

    def _new(self, path: str) -> bool:
        """Whether the path is not there yet; its parents are made."""
        if path in self._seen:
            return False
        parent = path.rpartition("/")[0]
        if parent:
            self._directory(parent, 0o755)
        self._seen.add(path)
        return True

    def _info(self, path: str, mode: int, owner: tuple[int, int] = (0, 0)) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.mode, info.mtime, info.uid, info.gid = mode & 0o7777, EPOCH, *owner
        return info
