"""How a container of a Docker Engine joins the network namespace that was made before it: two ways.

`runtime`: the engine has our OCI runtime registered; the namespace is ours alone and a container costs half of what it
does with Docker's own network. `pause`: an engine that we did not start; a small container that only sleeps holds the
namespace, and the real one joins it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Protocol

from stackyard.host.containers import namespaces, runtime
from stackyard.host.containers.docker_create import (
    SANDBOX_CLOUD_LABEL,
    SANDBOX_LABEL,
    checked_id,
    default_hostname,
)
from stackyard.host.containers.docker_http import DockerHTTP, raise_for_status
from stackyard.host.containers.os_errors import told
from stackyard.host.containers.pause_image import PAUSE_IMAGE, pause_archive
from stackyard.host.errors import ConflictError, HostError, NotFoundError

RUN_DIR = Path("/run/stackyard")


class Sandboxes(Protocol):
    """The namespaces of one cloud on one engine."""

    mode: str

    def path(self, container_id: str) -> Path:
        """Where the namespace is mounted."""
        ...

    def ensure(self, container_id: str) -> str:
        """Make it, if it is not there, and return its path."""
        ...

    def remove(self, container_id: str) -> None:
        """Remove it; nothing to do when there is none."""
        ...

    def all(self) -> frozenset[str]:
        """The ids of those that exist, whole or in part."""
        ...

    def leave(self) -> None:
        """Remove the directories, when nothing is left in them."""
        ...

    def place(self, body: dict[str, Any], container_id: str, hostname: str) -> None:
        """Add to a create request what puts the container into its sandbox."""
        ...

    def created(self, container_id: str, engine_id: str) -> None:
        """The engine has created the container under this id of its own."""
        ...

    def started(self, pid: int, hostname: str) -> None:
        """It runs as this process."""
        ...

    def removed(self, engine_id: str) -> None:
        """The engine's container is gone."""
        ...


class RuntimeSandboxes:
    """Namespaces that we make; our OCI runtime puts the containers into them."""

    mode = "runtime"

    def __init__(self, cloud_id: str, script: runtime.Runtime, *, shared: bool = False) -> None:
        self._directory = RUN_DIR / checked_id(cloud_id) / "netns"
        self._runtime = script
        self._shared = shared

    def path(self, container_id: str) -> Path:
        return self._directory / checked_id(container_id)

    def ensure(self, container_id: str) -> str:
        path = self.path(container_id)
        namespaces.make_namespace(path)
        return str(path)

    def remove(self, container_id: str) -> None:
        namespaces.remove_namespace(self.path(container_id))

    def all(self) -> frozenset[str]:
        return _entries(self._directory)

    def leave(self) -> None:
        if not self._shared:
            self._runtime.forget_all()
        remove_empty(self._directory)

    def place(self, body: dict[str, Any], container_id: str, hostname: str) -> None:
        if not namespaces.is_namespace(self.path(container_id)):
            raise NotFoundError(f"container {container_id} has no sandbox")
        body["Hostname"] = hostname
        # "host" spares Docker's own namespace and its 70 ms; the runtime never lets a process into the host's.
        body["HostConfig"] |= {"NetworkMode": "host", "Runtime": runtime.NAME}

    def created(self, container_id: str, engine_id: str) -> None:
        with told(f"record the sandbox of container {container_id}"):
            self._runtime.record(engine_id, str(self.path(container_id)))

    def started(self, pid: int, hostname: str) -> None:
        """Nothing to do: Docker gave it the host name."""

    def removed(self, engine_id: str) -> None:
        self._runtime.forget(engine_id)


class PauseSandboxes:
    """Namespaces of pause containers, shown at the same paths."""

    mode = "pause"

    def __init__(self, cloud_id: str, http: DockerHTTP) -> None:
        self._cloud_id = checked_id(cloud_id)
        self._directory = RUN_DIR / cloud_id / "netns"
        self._http = http

    def path(self, container_id: str) -> Path:
        return self._directory / checked_id(container_id)

    def ensure(self, container_id: str) -> str:
        name = self._name(container_id)
        pid = self._pid(name)
        if pid is None:
            self._create(name, container_id)
        if not pid:
            self._http.call("POST", f"/containers/{name}/start", timeout=120)
            pid = self._pid(name)
        source = Path(f"/proc/{pid}/ns/net")
        if not pid or not source.exists():
            raise HostError(f"the sandbox of container {container_id} does not run on this machine")
        path = self.path(container_id)
        if not (namespaces.is_namespace(path) and path.stat().st_ino == source.stat().st_ino):
            namespaces.remove_namespace(path)
            with told(f"show the sandbox of container {container_id} at {path}"):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
                path.touch(mode=0o444)
                namespaces.bind(source, path)
        return str(path)

    def remove(self, container_id: str) -> None:
        reply = self._http.request("DELETE", f"/containers/{self._name(container_id)}", {"force": True, "v": True})
        if reply.status not in {404, 409}:
            raise_for_status(reply.status, reply.body)
        namespaces.remove_namespace(self.path(container_id))

    def all(self) -> frozenset[str]:
        filters = f'{{"label":["{SANDBOX_CLOUD_LABEL}={self._cloud_id}"]}}'
        listed = self._http.call("GET", "/containers/json", {"all": True, "filters": filters})
        return _entries(self._directory) | {entry["Labels"][SANDBOX_LABEL] for entry in listed}

    def leave(self) -> None:
        remove_empty(self._directory)

    def place(self, body: dict[str, Any], container_id: str, hostname: str) -> None:
        if not self._pid(self._name(container_id)):
            raise NotFoundError(f"container {container_id} has no sandbox")
        if not any(line.startswith("HOSTNAME=") for line in body["Env"]):
            body["Env"].append(f"HOSTNAME={hostname}")
        body["HostConfig"] |= {"NetworkMode": f"container:{self._name(container_id)}"}

    def created(self, container_id: str, engine_id: str) -> None:
        """Nothing to do: the create request names the sandbox."""

    def started(self, pid: int, hostname: str) -> None:
        # Docker refuses a host name together with another container's network, but the UTS namespace is its own.
        if pid:
            namespaces.set_hostname(pid, hostname)

    def removed(self, engine_id: str) -> None:
        """Nothing to do."""

    def _name(self, container_id: str) -> str:
        return f"zun-sandbox-{checked_id(container_id)}"

    def _pid(self, name: str) -> int | None:
        """Its process: 0 when it is there but does not run, None when it is not there."""
        reply = self._http.request("GET", f"/containers/{name}/json")
        if reply.status == 404:
            return None
        raise_for_status(reply.status, reply.body)
        document = reply.json()
        if document["Config"]["Labels"].get(SANDBOX_CLOUD_LABEL) != self._cloud_id:
            raise ConflictError(f"the engine has a container named {name} that is not of this cloud")
        return int(document["State"]["Pid"])

    def _create(self, name: str, container_id: str) -> None:
        body = {
            "Image": PAUSE_IMAGE,
            # The joining container has this name until we set its own; for one without a name of its own it is right.
            "Hostname": default_hostname(container_id),
            "Labels": {SANDBOX_CLOUD_LABEL: self._cloud_id, SANDBOX_LABEL: container_id},
            "HostConfig": {"NetworkMode": "none"},
        }
        reply = self._http.request("POST", "/containers/create", {"name": name}, body)
        if reply.status == 404:
            with self._http.stream("POST", "/images/load", {"quiet": True}, pause_archive()) as loaded:
                loaded.check()
                for _ in loaded.chunks():
                    pass
            reply = self._http.request("POST", "/containers/create", {"name": name}, body)
        if reply.status != 409:
            raise_for_status(reply.status, reply.body)


def remove_empty(directory: Path) -> None:
    """Remove a directory of one cloud under /run/stackyard, and those above it, as far as they are empty."""
    for path in (directory, directory.parent, RUN_DIR):
        with contextlib.suppress(OSError):  # another cloud's, or a sandbox that is still in use
            path.rmdir()


def _entries(directory: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in directory.iterdir())
    except FileNotFoundError:
        return frozenset()
