"""The state directory: what lies where, which cloud it is, and whether its process runs.

```
cloud.json        the cloud's id, and how it was last started      clouds.yaml, openrc   how clients sign in
stackyard.sqlite  the database (unless another is configured)      stackyard.pid         the running process
log/              the cloud's log                                  images/ docker/ network/ ...   one folder a service
```
Whatever holds a secret or a user's data is readable by its owner alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec


class StateError(Exception):
    """The state directory cannot be used as asked; the text says why and what to do."""


class CloudFile(msgspec.Struct, kw_only=True):
    """What cloud.json holds: who this cloud is, and how it was last started."""

    id: str
    created: str = ""
    host: str = "127.0.0.1"
    port: int = 5000
    classic_ports: bool = False
    docker_socket: str = ""
    config_file: str = ""
    settings: dict[str, dict[str, Any]] = {}
    """What the command line set beyond the configuration file."""


class StateDirectory:
    """One cloud's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def log_file(self) -> Path:
        """The cloud's log."""
        return self.path / "log" / "stackyard.log"

    @property
    def clouds_yaml(self) -> Path:
        """What OpenStack clients read."""
        return self.path / "clouds.yaml"

    @property
    def openrc(self) -> Path:
        """The same, for a shell."""
        return self.path / "openrc"

    @property
    def _cloud_file(self) -> Path:
        return self.path / "cloud.json"

    @property
    def _pid_file(self) -> Path:
        return self.path / "stackyard.pid"

    def exists(self) -> bool:
        """Whether a cloud was ever made here."""
        return self._cloud_file.exists()

    def create(self, created: str) -> CloudFile:
        """Make the directory, and the cloud's identity, unless they are there."""
        # Others may pass through, to no more than what is opened to them: name servers do not run as root.
        self.path.mkdir(parents=True, exist_ok=True, mode=0o711)
        (self.path / "log").mkdir(exist_ok=True, mode=0o700)
        if self.exists():
            return self.read()
        strangers = {entry.name for entry in self.path.iterdir()} - {"log"}
        if strangers:
            names = ", ".join(sorted(strangers)[:5])
            raise StateError(f"{self.path} is not empty ({names}) and holds no cloud; choose another --state-dir.")
        cloud = CloudFile(id=secrets.token_hex(4), created=created)
        self.write(cloud)
        return cloud

    def read(self) -> CloudFile:
        """The cloud's identity; raises StateError when there is none."""
        try:
            return msgspec.json.decode(self._cloud_file.read_bytes(), type=CloudFile)
        except FileNotFoundError:
            raise StateError(f"There is no cloud in {self.path}; `stackyard up` makes one.") from None
        except msgspec.DecodeError as error:
            raise StateError(f"{self._cloud_file} cannot be read: {error}") from None

    def write(self, cloud: CloudFile) -> None:
        """Write the cloud's identity, whole or not at all."""
        self.write_private("cloud.json", msgspec.json.format(msgspec.json.encode(cloud)).decode() + "\n")

    def write_private(self, name: str, content: str) -> Path:
        """Write a file that only its owner reads, whole or not at all."""
        path = self.path / name
        temporary = path.with_name(f".{name}.new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(content)
        temporary.replace(path)
        return path

    def client_passwords(self) -> dict[str, str]:
        """User name -> password, as clouds.yaml has them; empty when there is none."""
        import yaml

        if not self.clouds_yaml.exists():
            return {}
        clouds = yaml.safe_load(self.clouds_yaml.read_text())["clouds"]
        return {cloud["auth"]["username"]: cloud["auth"]["password"] for cloud in clouds.values()}

    def refresh_urls(self, url: str) -> None:
        """Make the client files name the address that the cloud has now."""
        for path, pattern in (
            (self.clouds_yaml, r"(auth_url: )\S+"),
            (self.openrc, r"(export OS_AUTH_URL=)\S+"),
        ):
            if path.exists():
                old = path.read_text()
                new = re.sub(pattern, lambda found: f"{found[1]}{url}/identity/v3", old)
                if new != old:
                    self.write_private(path.name, new)

    def sqlite_url(self) -> str:
        """Where the database is when no other is configured; its file is made readable by its owner alone."""
        path = self.path / "stackyard.sqlite"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return f"sqlite:///{path}"

    def acquire(self) -> bool:
        """Be the one process of this cloud, until it ends; False when another one is."""
        file = self._pid_file.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._lock = file
        return True

    def running_pid(self) -> int | None:
        """The process that holds this cloud, or None. Asked of the lock, so that a stale file misleads nobody."""
        try:
            file = self._pid_file.open("r+")
        except FileNotFoundError:
            return None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else None
            return None


def client_files(url: str, users: Mapping[str, tuple[str, str, str]], region: str) -> tuple[str, str]:
    """The text of clouds.yaml and openrc; `users`: cloud's name -> (user, project, password), the first is openrc's."""
    import json

    def entry(user: str, project: str, password: str) -> str:
        lines = [
            "    auth:",
            f"      auth_url: {url}/identity/v3",
            f"      username: {user}",
            f"      password: {json.dumps(password)}",
            f"      project_name: {project}",
            "      user_domain_name: Default",
            "      project_domain_name: Default",
            f"    region_name: {region}",
            "    identity_api_version: 3",
        ]
        return "\n".join(lines)

    clouds = "\n".join(f"  {name}:\n{entry(*user)}" for name, user in users.items())
    user, project, password = next(iter(users.values()))
    quoted = "'" + password.replace("'", "'\\''") + "'"
    variables = {
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_USERNAME": user,
        "OS_PASSWORD": quoted,
        "OS_PROJECT_NAME": project,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": region,
        "OS_IDENTITY_API_VERSION": "3",
    }
    openrc = "\n".join(f"export {name}={value}" for name, value in variables.items())
    return f"# Written by stackyard up.\nclouds:\n{clouds}\n", f"# Written by stackyard up.\n{openrc}\n"
