"""Asks apt which packages a recipe needs, and fetches them into a directory of our own.

apt is told that nothing is installed, so that the answer is complete and the machine's own packages are left alone.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from stackyard.host.errors import HostError

_URI_LINE = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+\.deb) (?P<size>\d+)")
_SYSTEM_LISTS = Path("/var/lib/apt/lists")
_RESOLVE_TIMEOUT = 120
_FETCH_TIMEOUT = 1800


class Package(NamedTuple):
    """A package file as apt names it."""

    name: str
    file: str
    size: int


class Packages:
    """The packages under one directory."""

    def __init__(self, directory: Path, progress: Callable[[str], None]) -> None:
        self._directory = directory
        self._archives = directory / "archives"
        self._lists = directory / "lists"
        self._empty = directory / "none"
        self._progress = progress

    def fetch(self, wanted: Iterable[str], bare: Iterable[str], without: Iterable[str]) -> list[Path]:
        """The files of the `wanted` packages with all they depend on, and of the `bare` ones alone.

        An entry may name alternatives (`a|b`): the first that the release has is taken. What matches one of the
        patterns in `without` is left out.
        """
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise HostError(f"baking images needs {tool}, which Debian and Ubuntu have")
        self._prepare()
        try:
            return self._fetch([*wanted], [*bare], [*without])
        except HostError:
            # The machine's lists are missing, or name versions that the mirror has replaced.
            self._update()
            return self._fetch([*wanted], [*bare], [*without])

    def _fetch(self, wanted: list[str], bare: list[str], without: list[str]) -> list[Path]:
        resolved = self._resolve("install", self._available(wanted))
        alone = self._resolve("download", self._available(bare)) if bare else []
        left_out = re.compile("|".join(map(fnmatch.translate, without)) or r"\b\B")
        packages = {package.name: package for package in [*resolved, *alone] if not left_out.match(package.name)}
        missing = {name: package for name, package in packages.items() if not self._has(package)}
        if missing:
            self._progress(f"fetching {len(missing)} packages, {sum(p.size for p in missing.values()) >> 20} MiB")
            self._run("download", *sorted(missing), timeout=_FETCH_TIMEOUT, directory=self._archives)
        absent = [package.file for package in packages.values() if not self._has(package)]
        if absent:
            raise HostError(f"apt did not fetch {', '.join(sorted(absent))}")
        return [self._archives / packages[name].file for name in sorted(packages)]

    def _available(self, entries: list[str]) -> list[str]:
        """One name for each entry that has alternatives."""
        chosen = []
        for item in entries:
            names = item.split("|")
            chosen.append(names[0] if len(names) == 1 else next(filter(self._exists, names), names[0]))
        return chosen

    def _exists(self, name: str) -> bool:
        return self._call("apt-cache", "show", "--no-all-versions", name, timeout=_RESOLVE_TIMEOUT).returncode == 0

    def _resolve(self, action: str, names: list[str]) -> list[Package]:
        return parse_uris(self._run(action, "--print-uris", *names, timeout=_RESOLVE_TIMEOUT))

    def _has(self, package: Package) -> bool:
        path = self._archives / package.file
        return path.exists() and path.stat().st_size == package.size

    def _prepare(self) -> None:
        self._archives.mkdir(parents=True, exist_ok=True)
        (self._empty / "partial").mkdir(parents=True, exist_ok=True)
        (self._directory / "status").touch()

    def _update(self) -> None:
        self._progress("fetching the package lists")
        (self._lists / "partial").mkdir(parents=True, exist_ok=True)
        self._run("update", timeout=_FETCH_TIMEOUT)

    def _run(self, action: str, *arguments: str, timeout: int, directory: Path | None = None) -> str:
        words = ("-q", "-y", "--no-install-recommends", action, *arguments)
        done = self._call("apt-get", *words, timeout=timeout, directory=directory)
        if done.returncode != 0:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("E:")] or [done.stderr.strip()]
            raise HostError(f"apt-get {action} failed: {' '.join(reasons)}")
        return done.stdout

    def _call(
        self, tool: str, *arguments: str, timeout: int, directory: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [tool, *self._options(), *arguments],
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout,
                cwd=directory or self._empty,  # `download` puts files here, and does not name those that are here
                env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            )
        except subprocess.TimeoutExpired as error:
            raise HostError(f"{tool} {arguments[0]} did not end within {timeout} s") from error

    def _options(self) -> list[str]:
        lists = self._lists if any(self._lists.glob("*_Packages*")) or not _system_has_lists() else _SYSTEM_LISTS
        settings = {
            "Dir::State::status": self._directory / "status",
            "Dir::State::lists": lists,
            # Always empty: apt names only the packages that it does not find here.
            "Dir::Cache::archives": self._empty,
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "true",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def parse_uris(text: str) -> list[Package]:
    """The packages in what `apt-get --print-uris` prints."""
    return [
        Package(match["file"].partition("_")[0], match["file"], int(match["size"]))
        for match in _URI_LINE.finditer(text)
    ]


def _system_has_lists() -> bool:
    return any(_SYSTEM_LISTS.glob("*_Packages*"))
