"""Running containers: the Protocol that every engine driver implements, and the literal table of drivers.

Read `ContainerEngine` first; `docker.py` drives a Docker Engine over its socket, `memory.py` is the in-memory twin.
tests/contract/test_container_engine.py holds every driver to the same promises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol, TypeAlias

from stackyard.host.specs import (
    ContainerObservation,
    ContainerSpec,
    ContainerStats,
    EngineEvent,
    EngineInfo,
    ExecResult,
    ImageObservation,
    ProcessTable,
)

# Within the Protocol the word `list` is its method.
Images: TypeAlias = list[ImageObservation]


class ContainerEngine(Protocol):
    """One container engine on one host. Every method may be called from any thread.

    Raises `stackyard.host.errors`: EngineUnavailableError when the engine does not answer, NotFoundError,
    ConflictError (wrong state), SpecError (never possible). `create`, `start`, `stop`, `remove`, the sandbox calls and
    `load_image` may be repeated: already done is done.
    """

    def info(self) -> EngineInfo:
        """What the engine is."""
        ...

    def apart(self, name: str, prefix: str) -> ContainerEngine:
        """The same engine for other containers of this cloud, named `<prefix>-<id>`.

        They have a listing, sandboxes, events and a purge of their own; images are shared, those that they load are
        purged with them. The caller closes it.
        """
        ...

    def ensure_sandbox(self, container_id: str) -> str:
        """Make the network namespace that the container will join, if it is not there; return its path.

        It exists before the container starts and outlives its restarts, so that a port can be wired into it first and
        no process ever runs without its network.
        """
        ...

    def remove_sandbox(self, container_id: str) -> None:
        """Remove the namespace (and with it the ports inside)."""
        ...

    def sandboxes(self) -> frozenset[str]:
        """The ids of all sandboxes of this cloud."""
        ...

    def create(self, spec: ContainerSpec) -> None:
        """Create the container, not started."""
        ...

    def start(self, container_id: str) -> None:
        """Start it; SpecError names the cause when its command cannot run (not found, not executable)."""
        ...

    def stop(self, container_id: str, timeout: int) -> None:
        """Ask it to end; after `timeout` seconds kill it."""
        ...

    def kill(self, container_id: str, signal: str) -> None:
        """Send a signal, by name (SIGHUP) or number as text, to its first process."""
        ...

    def pause(self, container_id: str) -> None:
        """Freeze its processes."""
        ...

    def unpause(self, container_id: str) -> None:
        """Thaw its processes."""
        ...

    def remove(self, container_id: str, *, force: bool = False) -> None:
        """Delete the container; `force` also when it runs. Leaves the sandbox."""
        ...

    def update(self, container_id: str, *, memory: int | None = None, cpus: float | None = None) -> None:
        """Change limits of a container (MiB, cores), running or not."""
        ...

    def inspect(self, container_id: str) -> ContainerObservation | None:
        """What it is doing; None when the engine has no such container."""
        ...

    def list(self) -> list[ContainerObservation]:
        """All containers of this cloud (with the fields that a listing gives cheaply: id, state, image, labels)."""
        ...

    def logs(
        self,
        container_id: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> bytes:
        """What it has printed, in order; `tail` lines from the end, `since` a Unix time."""
        ...

    def execute(self, container_id: str, command: tuple[str, ...]) -> ExecResult:
        """Run a command inside and wait for its end."""
        ...

    def stats(self, container_id: str) -> ContainerStats:
        """Use of a running container, sampled now."""
        ...

    def top(self, container_id: str, ps_arguments: str | None = None) -> ProcessTable:
        """Its processes, as the host's ps shows them."""
        ...

    def get_archive(self, container_id: str, path: str) -> tuple[bytes, dict[str, object]]:
        """A tar of `path` inside the container, and what stat says of it (name, size, mode, mtime, linkTarget)."""
        ...

    def put_archive(self, container_id: str, path: str, data: bytes) -> None:
        """Unpack a tar into the directory `path` inside the container."""
        ...

    def commit(self, container_id: str, image: str) -> str:
        """Make an image of the container's file system, named `image`; return its content id."""
        ...

    def export(self, container_id: str) -> Iterator[bytes]:
        """A tar of the container's whole file system, in chunks."""
        ...

    def find_image(self, name: str) -> ImageObservation | None:
        """The image of that name (or content id) in the engine's own store."""
        ...

    def images(self) -> Images:
        """All images in the engine's store."""
        ...

    def pull_image(self, name: str, *, username: str | None = None, password: str | None = None) -> ImageObservation:
        """Fetch from a registry; SpecError when it has no such image, HostError when it cannot be reached."""
        ...

    def load_image(self, archive: BinaryIO, name: str) -> ImageObservation:
        """Load a `docker save` archive under the name `name`; the names in the archive do not count.

        SpecError when it holds no image.
        """
        ...

    def save_image(self, name: str) -> Iterator[bytes]:
        """The image as a `docker save` archive, in chunks."""
        ...

    def remove_image(self, name: str) -> None:
        """Remove a name, and the image when it was the last one."""
        ...

    def events(self) -> Iterator[EngineEvent]:
        """Blocks and yields what happens to this cloud's containers, until `close`; ends when the engine goes away."""
        ...

    def purge(self) -> None:
        """Remove every container, sandbox and loaded name that this cloud made, and nothing else."""
        ...

    def close(self) -> None:
        """Let go of connections; containers stay."""
        ...
