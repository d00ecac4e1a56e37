"""What is remembered of servers that are containers: their specs, and what was plugged in since."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from stackyard.host.containers.docker_create import checked_id
from stackyard.host.errors import NotFoundError
from stackyard.host.specs import MachineSpec, MachineVolume
from stackyard.host.specs.base import Spec


class Record(Spec, frozen=True):
    """`spec` as defined last; `ports` and `volumes` those plugged in now. `stopped`: it ended because we wanted it to.

    `bare`: its container was removed by us, to be made anew from its image. `base`: what it is made of instead, when it
    came from another host.
    """

    spec: MachineSpec
    ports: tuple[str, ...] = ()
    volumes: tuple[MachineVolume, ...] = ()
    stopped: bool = False
    bare: bool = False
    base: str = ""


class Records:
    """A file a server."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, machine_id: str) -> Record:
        """Raises NotFoundError."""
        found = self.find(machine_id)
        if found is None:
            raise NotFoundError(f"there is no server {machine_id} on this host")
        return found

    def find(self, machine_id: str) -> Record | None:
        """None when there is none."""
        try:
            return msgspec.json.decode(self._path(machine_id).read_bytes(), type=Record)
        except FileNotFoundError:
            return None

    def keep(self, record: Record) -> None:
        """Write it; readable by root alone, as it holds user data."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(record.spec.id)
        beside = path.with_suffix(".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(record))
        beside.replace(path)

    def change(self, machine_id: str, **fields: object) -> None:
        """Write it with some fields changed."""
        self.keep(msgspec.structs.replace(self.get(machine_id), **fields))

    def forget(self, machine_id: str) -> None:
        """Delete it; gone is fine."""
        self._path(machine_id).unlink(missing_ok=True)

    def ids(self) -> list[str]:
        """Of all servers."""
        return sorted(path.stem for path in self._directory.glob("*.json")) if self._directory.is_dir() else []

    def of_moves(self) -> set[str]:
        """Of servers that have passing files."""
        files = self._directory.iterdir() if self._directory.is_dir() else ()
        return {path.stem for path in files if path.suffix not in (".json", ".new")}

    def beside(self, machine_id: str, what: str) -> Path:
        """The path of a passing file of a server."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._directory / f"{checked_id(machine_id)}.{what}"

    def _path(self, machine_id: str) -> Path:
        return self._directory / f"{checked_id(machine_id)}.json"
