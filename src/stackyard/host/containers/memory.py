"""The in-memory twin of an engine: the same promises as the real ones, kept without a kernel. For tests.

What a process would print and how it would end is a function that the test gives (`run`); `finish` ends one,
`fail_next` makes the next call of a method fail, `available = False` takes the whole engine away.
"""

from __future__ import annotations

import dataclasses
import io
import queue
import tarfile
import threading
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import msgspec

from stackyard.host.containers import Images
from stackyard.host.containers.docker_create import check_spec, checked_id, checked_signal
from stackyard.host.containers.memory_images import MemoryImage, MemoryImages
from stackyard.host.containers.memory_state import Container, Outcome, Run, observation, run_forever
from stackyard.host.errors import ConflictError, EngineUnavailableError, HostError, NotFoundError, SpecError
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

__all__ = ["MemoryEngine", "MemoryImage", "Outcome"]

_KILLED = 137
_RESTARTING = frozenset({"always", "unless-stopped"})


class MemoryEngine:
    """An engine with `images` in its store and those of `registry` to be pulled."""

    def __init__(
        self,
        images: Mapping[str, MemoryImage] | None = None,
        registry: Mapping[str, MemoryImage] | None = None,
        run: Run = run_forever,
    ) -> None:
        self.available = True
        self.store = MemoryImages(images or {}, registry or {})
        self._run = run
        self._containers: dict[str, Container] = {}
        self._sandboxes: set[str] = set()
        self._failures: dict[str, list[HostError]] = {}
        self._watchers: list[queue.SimpleQueue[EngineEvent | None]] = []
        self._lock = threading.RLock()

    def apart(self, name: str, prefix: str) -> MemoryEngine:
        del name, prefix
        made = MemoryEngine(run=self._run)
        made.store = self.store.shared()
        return made

    # ------------------------------------------------------------------------------------------- what tests call

    def fail_next(self, method: str, error: HostError) -> None:
        """The next call of `method` raises this; several calls queue up."""
        self._failures.setdefault(method, []).append(error)

    def finish(self, container_id: str, exit_code: int = 0, *, oom_killed: bool = False) -> None:
        """The container's process ends by itself; its restart policy may start it again."""
        with self._lock:
            container = self._get(container_id)
            if oom_killed:
                container.oom_killed = True
                self._emit(container_id, "oom")
            self._end(container, exit_code)
            policy = container.spec.restart_policy
            if policy in _RESTARTING or (policy == "on-failure" and exit_code):
                self._begin(container)

    def set_health(self, container_id: str, health: str) -> None:
        """Its health check says so."""
        with self._lock:
            self._get(container_id).health = health
            self._emit(container_id, "health")

    def write(self, container_id: str, output: bytes, *, stderr: bool = False) -> None:
        """The container's process prints this."""
        with self._lock:
            self._get(container_id).write(output, stderr=stderr)

    # ------------------------------------------------------------------------------------------ engine, sandboxes

    def info(self) -> EngineInfo:
        self._enter("info")
        return EngineInfo(
            name="memory",
            version="1",
            sandbox_mode="memory",
            runtimes=("memory",),
            cpus=4,
            memory=8192,
            kernel_version="0",
            operating_system="none",
            architecture="x86_64",
        )

    def ensure_sandbox(self, container_id: str) -> str:
        self._enter("ensure_sandbox")
        self._sandboxes.add(checked_id(container_id))
        return f"/run/stackyard/memory/netns/{container_id}"

    def remove_sandbox(self, container_id: str) -> None:
        self._enter("remove_sandbox")
        self._sandboxes.discard(container_id)

    def sandboxes(self) -> frozenset[str]:
        self._enter("sandboxes")
        return frozenset(self._sandboxes)

    # ------------------------------------------------------------------------------------------------- containers

    def create(self, spec: ContainerSpec) -> None:
        check_spec(spec)
        self._enter("create")
        with self._lock:
            if spec.id not in self._sandboxes:
                raise NotFoundError(f"container {spec.id} has no sandbox")
            image = self.store.find(spec.image)
            if image is None:
                raise NotFoundError(f"No such image: {spec.image}")
            if spec.id not in self._containers:
                self._containers[spec.id] = Container(spec, image)

    def start(self, container_id: str) -> None:
        self._enter("start")
        with self._lock:
            container = self._get(container_id)
            if container.state == "paused":
                raise ConflictError("cannot start a paused container, try unpause instead")
            if container.state == "running":
                return
            if container_id not in self._sandboxes:
                raise HostError(f"the network namespace of container {container_id} is gone")
            words = container.words()
            missing = container.image.programs is not None and words[:1] and words[0] not in container.image.programs
            if missing or not words:
                named = f"the command {words[0]!r} is not in the image" if words else "there is no command to run"
                container.error, container.exit_code = named, 127
                raise SpecError(named)
            self._begin(container)

    def stop(self, container_id: str, timeout: int) -> None:
        self._enter("stop")
        del timeout  # a process in memory ends at once
        with self._lock:
            container = self._get(container_id)
            if container.state in {"running", "paused"}:
                self._end(container, 0)

    def kill(self, container_id: str, signal: str) -> None:
        name = checked_signal(signal).upper().removeprefix("SIG")
        self._enter("kill")
        with self._lock:
            container = self._running(container_id)
            container.signals.append(signal)
            if name in {"KILL", "9", "TERM", "15", "INT", "2", "QUIT", "3"}:
                self._end(container, _KILLED)

    def pause(self, container_id: str) -> None:
        self._enter("pause")
        with self._lock:
            container = self._running(container_id)
            container.state = "paused"
            self._emit(container_id, "pause")

    def unpause(self, container_id: str) -> None:
        self._enter("unpause")
        with self._lock:
            container = self._get(container_id)
            if container.state != "paused":
                raise ConflictError(f"container {container_id} is not paused")
            container.state = "running"
            self._emit(container_id, "unpause")

    def remove(self, container_id: str, *, force: bool = False) -> None:
        self._enter("remove")
        with self._lock:
            container = self._containers.get(container_id)
            if container is None:
                return
            if container.state in {"running", "paused"}:
                if not force:
                    raise ConflictError(f"cannot remove the running container {container_id}: stop it or force")
                self._end(container, _KILLED)
            del self._containers[container_id]
            self._emit(container_id, "destroy")

    def update(self, container_id: str, *, memory: int | None = None, cpus: float | None = None) -> None:
        self._enter("update")
        with self._lock:
            container = self._get(container_id)
            changes = {"memory": memory, "cpus": cpus}
            given = {name: value for name, value in changes.items() if value is not None}
            container.spec = msgspec.structs.replace(container.spec, **given)

    def inspect(self, container_id: str) -> ContainerObservation | None:
        self._enter("inspect")
        with self._lock:
            container = self._containers.get(container_id)
            return None if container is None else observation(container)

    def list(self) -> list[ContainerObservation]:
        self._enter("list")
        with self._lock:
            return [observation(container) for container in self._containers.values()]

    # ------------------------------------------------------------------------------------------------ what it does

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
        self._enter("logs")
        with self._lock:
            wanted = [stream for stream, asked in ((1, stdout), (2, stderr)) if asked]
            return self._get(container_id).read(wanted, timestamps=timestamps, tail=tail, since=since)

    def execute(self, container_id: str, command: tuple[str, ...]) -> ExecResult:
        self._enter("execute")
        with self._lock:
            container = self._running(container_id)
            programs = container.image.programs
        if programs is not None and command[0] not in programs:
            return ExecResult(output=f"exec: {command[0]}: not found\r\n".encode(), exit_code=126)
        outcome = self._run(command)
        return ExecResult(output=outcome.stdout + outcome.stderr, exit_code=outcome.exit_code or 0)

    def stats(self, container_id: str) -> ContainerStats:
        self._enter("stats")
        with self._lock:
            container = self._get(container_id)
            if container.state not in {"running", "paused"}:
                raise ConflictError(f"container {container_id} is not running")
            limit = (container.spec.memory or 8192) << 20
        return ContainerStats(
            cpu_percent=0.0,
            memory_used=1 << 20,
            memory_limit=limit,
            block_read=0,
            block_written=0,
            network_received=0,
            network_sent=0,
        )

    def top(self, container_id: str, ps_arguments: str | None = None) -> ProcessTable:
        self._enter("top")
        del ps_arguments
        with self._lock:
            container = self._running(container_id)
            row = (str(container.pid), " ".join(container.words()))
        return ProcessTable(titles=("PID", "CMD"), processes=(row,))

    def get_archive(self, container_id: str, path: str) -> tuple[bytes, dict[str, object]]:
        self._enter("get_archive")
        with self._lock:
            data = self._get(container_id).files.get(path)
        if data is None:
            raise NotFoundError(f"Could not find the file {path} in container {container_id}")
        name = path.rpartition("/")[2]
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        stat = {"name": name, "size": len(data), "mode": 0o644, "mtime": "1970-01-01T00:00:00Z", "linkTarget": ""}
        return content.getvalue(), stat

    def put_archive(self, container_id: str, path: str, data: bytes) -> None:
        self._enter("put_archive")
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                files = {entry.name: archive.extractfile(entry) for entry in archive if entry.isfile()}
                unpacked = {f"{path.rstrip('/')}/{name}": content.read() for name, content in files.items() if content}
        except tarfile.TarError as error:
            raise SpecError(f"the archive is not a tar: {error}") from error
        with self._lock:
            self._get(container_id).files |= unpacked

    def commit(self, container_id: str, image: str) -> str:
        self._enter("commit")
        with self._lock:
            return self.store.add(image, dataclasses.replace(self._get(container_id).image)).id

    def export(self, container_id: str) -> Iterator[bytes]:
        self._enter("export")
        content = io.BytesIO()
        with self._lock, tarfile.open(fileobj=content, mode="w") as archive:
            directory = tarfile.TarInfo("bin")
            directory.type = tarfile.DIRTYPE
            archive.addfile(directory)
            for path, data in self._get(container_id).files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return iter((content.getvalue(),))

    # ----------------------------------------------------------------------------------------------------- images

    def find_image(self, name: str) -> ImageObservation | None:
        self._enter("find_image")
        return self.store.observe(name)

    def images(self) -> Images:
        self._enter("images")
        return self.store.all()

    def pull_image(self, name: str, *, username: str | None = None, password: str | None = None) -> ImageObservation:
        self._enter("pull_image")
        del username, password
        return self.store.pull(name)

    def load_image(self, archive: BinaryIO, name: str) -> ImageObservation:
        self._enter("load_image")
        return self.store.load(archive.read(), name)

    def save_image(self, name: str) -> Iterator[bytes]:
        self._enter("save_image")
        return iter((self.store.save(name),))

    def remove_image(self, name: str) -> None:
        self._enter("remove_image")
        self.store.remove(name)

    # ------------------------------------------------------------------------------------------- events and the end

    def events(self) -> Iterator[EngineEvent]:
        self._enter("events")
        watcher: queue.SimpleQueue[EngineEvent | None] = queue.SimpleQueue()
        self._watchers.append(watcher)
        return iter(watcher.get, None)

    def purge(self) -> None:
        for container_id in list(self._containers):
            self.remove(container_id, force=True)
        self._sandboxes.clear()
        self.store.purge()

    def close(self) -> None:
        for watcher in self._watchers:
            watcher.put(None)
        self._watchers.clear()

    # ------------------------------------------------------------------------------------------------------ inside

    def _enter(self, method: str) -> None:
        if not self.available:
            raise EngineUnavailableError("the engine in memory was taken away")
        failures = self._failures.get(method)
        if failures:
            raise failures.pop(0)

    def _get(self, container_id: str) -> Container:
        container = self._containers.get(container_id)
        if container is None:
            raise NotFoundError(f"the engine has no container {container_id}")
        return container

    def _running(self, container_id: str) -> Container:
        container = self._get(container_id)
        if container.state != "running":
            raise ConflictError(f"container {container_id} is {container.state}, not running")
        return container

    def _begin(self, container: Container) -> None:
        outcome = self._run(container.words())
        container.begin()
        container.write(outcome.stdout)
        container.write(outcome.stderr, stderr=True)
        self._emit(container.spec.id, "start")
        if outcome.exit_code is not None:
            self._end(container, outcome.exit_code)

    def _end(self, container: Container, exit_code: int) -> None:
        container.end(exit_code)
        self._emit(container.spec.id, "die")

    def _emit(self, container_id: str, action: str) -> None:
        for watcher in self._watchers:
            watcher.put(EngineEvent(container_id=container_id, action=action))
