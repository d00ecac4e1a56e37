"""What the in-memory engine knows of a container."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stackyard.host.containers.docker_create import hostname_of
from stackyard.host.containers.memory_images import MemoryImage
from stackyard.host.specs import ContainerObservation, ContainerSpec

_pids = itertools.count(1000)


class Outcome(NamedTuple):
    """What a process prints, and the code it ends with; None goes on until it is ended."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None


Run = Callable[[Sequence[str]], Outcome]


def run_forever(_words: Sequence[str]) -> Outcome:
    """Prints nothing and goes on; as a command run inside a container it ends with 0."""
    return Outcome()


@dataclass
class Container:
    """One container and its one process."""

    spec: ContainerSpec
    image: MemoryImage
    state: str = "created"
    pid: int = 0
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    health: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    signals: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    lines: list[tuple[float, int, bytes]] = field(default_factory=list)

    def words(self) -> tuple[str, ...]:
        """What is run: an entrypoint of the spec's own takes the image's command away, as in Docker."""
        spec, image = self.spec, self.image
        entrypoint = image.entrypoint if spec.entrypoint is None else spec.entrypoint
        inherited = image.command if spec.entrypoint is None else ()
        return (*entrypoint, *(inherited if spec.command is None else spec.command))

    def begin(self) -> None:
        """The process starts."""
        self.state, self.pid, self.error, self.exit_code = "running", next(_pids), "", None
        self.oom_killed = False
        self.started_at = _now()
        self.health = "starting" if self.spec.health_check else None

    def end(self, exit_code: int) -> None:
        """The process ends."""
        self.state, self.pid, self.exit_code, self.finished_at = "exited", 0, exit_code, _now()

    def write(self, output: bytes, *, stderr: bool = False) -> None:
        """It prints."""
        self.lines += ((time.time(), 2 if stderr else 1, line) for line in output.splitlines(keepends=True))

    def read(self, streams: Sequence[int], *, timestamps: bool, tail: int | None, since: float | None) -> bytes:
        """What it has printed on these streams."""
        kept = [(at, line) for at, stream, line in self.lines if stream in streams and at >= (since or 0)]
        if tail is not None:
            kept = kept[-tail:] if tail else []
        return b"".join((f"{_text(at)} ".encode() if timestamps else b"") + line for at, line in kept)


def observation(container: Container) -> ContainerObservation:
    """As an engine would tell it."""
    spec, image = container.spec, container.image
    return ContainerObservation(
        id=spec.id,
        state=container.state,
        pid=container.pid,
        exit_code=container.exit_code,
        error=container.error,
        oom_killed=container.oom_killed,
        health=container.health,
        started_at=container.started_at,
        finished_at=container.finished_at,
        hostname=hostname_of(spec),
        image=spec.image,
        command=(() if spec.entrypoint else image.command) if spec.command is None else spec.command,
        entrypoint=image.entrypoint if spec.entrypoint is None else spec.entrypoint,
        environment={**image.environment, **spec.environment},
        workdir=spec.workdir or image.workdir,
        labels=dict(spec.labels),
        ports=image.ports,
    )


def _now() -> str:
    return _text(time.time())


def _text(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat().replace("+00:00", "Z")
