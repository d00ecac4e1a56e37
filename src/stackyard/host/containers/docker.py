"""Drives a Docker Engine (20.10 or newer) over its unix socket: the ContainerEngine Protocol.

Every container is named `<prefix>-<id>` and labelled with its cloud; nothing without that label is ever touched. They
run in network namespaces made before them (see sandboxes.py).
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from stackyard.host.containers import Images, docker_create, docker_observe, runtime
from stackyard.host.containers.docker_create import CLOUD_LABEL, ID_LABEL, HostFeatures, container_name
from stackyard.host.containers.docker_http import DockerHTTP, StreamedReply, raise_for_status
from stackyard.host.containers.docker_images import DockerImages, split_name
from stackyard.host.containers.os_errors import told
from stackyard.host.containers.pause_image import PAUSE_IMAGE
from stackyard.host.containers.sandboxes import PauseSandboxes, RuntimeSandboxes, Sandboxes
from stackyard.host.containers.streams import json_lines, last_lines, printed
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

_START_TIMEOUT = 120
_EXEC_TIMEOUT = 600
_SAMPLE_INTERVAL = 0.15
_PURGE_THREADS = 4
_EVENTS = ("start", "die", "oom", "health_status", "destroy", "pause", "unpause")


class DockerEngine:
    """One Docker Engine, one cloud on it. Cheap to make: the engine is first called when it is needed.

    `revive` is called when it does not answer, and is to start it if that is for us to do. `part`: see `apart`.
    """

    def __init__(
        self, socket_path: str, cloud_id: str, state_dir: Path, *,
        revive: Callable[[], None] | None = None, part: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._same = (socket_path, cloud_id, state_dir, revive)
        self._http = DockerHTTP(socket_path, revive)
        self._part, self._prefix = part or ("", "zun")
        self._cloud_id = docker_create.checked_id(f"{cloud_id}-{self._part}" if part else cloud_id)
        self._files = state_dir / (f"containers-{self._part}" if part else "containers")
        self._images = DockerImages(self._http, state_dir / (f"images-{self._part}" if part else "images-loaded"))
        self._runtime = runtime.Runtime(state_dir)
        self._state_lock = threading.Lock()
        self._known: tuple[Sandboxes, HostFeatures] | None = None
        self._closed = threading.Event()
        self._watchers: set[StreamedReply] = set()

    # -------------------------------------------------------------------------------------- engine and sandboxes

    def info(self) -> EngineInfo:
        return docker_observe.engine_info(self._http.call("GET", "/info"), self._sandboxes.mode)

    def apart(self, name: str, prefix: str) -> DockerEngine:
        socket_path, cloud_id, state_dir, revive = self._same
        return DockerEngine(socket_path, cloud_id, state_dir, revive=revive, part=(name, prefix))

    def ensure_sandbox(self, container_id: str) -> str:
        return self._sandboxes.ensure(container_id)

    def remove_sandbox(self, container_id: str) -> None:
        self._sandboxes.remove(container_id)

    def sandboxes(self) -> frozenset[str]:
        return self._sandboxes.all()

    # ------------------------------------------------------------------------------------------------ containers

    def create(self, spec: ContainerSpec) -> None:
        docker_create.check_spec(spec)
        sandboxes, features = self._probed()
        files = self._files / spec.id
        with told(f"write the files of container {spec.id}"):
            _write_files(files, docker_create.container_files(spec))
        body = docker_create.create_body(spec, self._cloud_id, files, features)
        sandboxes.place(body, spec.id, docker_create.hostname_of(spec))
        engine_id = self._create(spec, body)
        sandboxes.created(spec.id, engine_id)

    def start(self, container_id: str) -> None:
        path = self._path(container_id, "start")
        reply = self._http.request("POST", path, timeout=_START_TIMEOUT)
        if reply.status >= 400 and runtime.MISSING_RECORD in reply.message:
            # We were killed between Docker's create and our record of it.
            self._sandboxes.created(container_id, self._document(container_id)["Id"])
            reply = self._http.request("POST", path, timeout=_START_TIMEOUT)
        if reply.status >= 400:
            if reply.status == 404 and "No such container" in reply.message:
                if self._name(container_id) in reply.message:
                    raise NotFoundError(reply.message)
                raise HostError(f"the sandbox of container {container_id} is gone: make it anew and create it again")
            if reply.status == 409:
                raise ConflictError(reply.message)
            raise docker_observe.start_error(reply.status, reply.message)
        if self._sandboxes.mode == "pause" and reply.status != 304:
            self._name_host(container_id)

    def stop(self, container_id: str, timeout: int) -> None:
        self._http.call("POST", self._path(container_id, "stop"), {"t": timeout}, timeout=timeout + 60)

    def kill(self, container_id: str, signal: str) -> None:
        signal = docker_create.checked_signal(signal)
        self._http.call("POST", self._path(container_id, "kill"), {"signal": signal})

    def pause(self, container_id: str) -> None:
        self._http.call("POST", self._path(container_id, "pause"))

    def unpause(self, container_id: str) -> None:
        reply = self._http.request("POST", self._path(container_id, "unpause"))
        if reply.status == 500 and "is not paused" in reply.message:
            raise ConflictError(reply.message)
        raise_for_status(reply.status, reply.body)

    def remove(self, container_id: str, *, force: bool = False) -> None:
        found = self._find(container_id)
        if found is not None:
            self._remove(found["Id"], force=force)
        shutil.rmtree(self._files / container_id, ignore_errors=True)

    def update(self, container_id: str, *, memory: int | None = None, cpus: float | None = None) -> None:
        body: dict[str, Any] = {}
        if memory is not None:
            # Docker keeps swap at twice the memory, and refuses a limit that would exceed the old swap limit.
            body |= {"Memory": memory << 20, "MemorySwap": memory << 21}
        if cpus is not None and self._probed()[1].cpu_quota:
            body |= {"NanoCpus": round(cpus * 1e9)}
        self._http.call("POST", self._path(container_id, "update"), body=body)

    def inspect(self, container_id: str) -> ContainerObservation | None:
        document = self._find(container_id)
        return None if document is None else docker_observe.container_observation(document)

    def list(self) -> list[ContainerObservation]:
        filters = _filters(label=[f"{CLOUD_LABEL}={self._cloud_id}"])
        listed = self._http.call("GET", "/containers/json", {"all": True, "filters": filters})
        return [docker_observe.listed_observation(entry) for entry in listed]

    # ------------------------------------------------------------------------------------------------- what it does

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
        document = self._document(container_id)
        if not stdout and not stderr:
            return b""
        # Docker counts the lines of both streams, whichever is asked for: of one alone we count ourselves.
        one_stream = stdout != stderr
        query = {
            "stdout": stdout,
            "stderr": stderr,
            "timestamps": timestamps,
            "tail": "all" if tail is None or one_stream else tail,
            "since": None if since is None else f"{since:.9f}",
        }
        with self._http.stream("GET", self._path(container_id, "logs"), query) as reply:
            reply.check()
            output = printed(reply.chunks(), tty=document["Config"]["Tty"])
        return last_lines(output, tail) if one_stream else output

    def execute(self, container_id: str, command: tuple[str, ...]) -> ExecResult:
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": [*command]}
        made = self._http.call("POST", self._path(container_id, "exec"), body=body)["Id"]
        start = {"Detach": False, "Tty": False}
        with self._http.stream("POST", f"/exec/{made}/start", body=start, timeout=_EXEC_TIMEOUT) as reply:
            reply.check()
            output = printed(reply.chunks(), tty=False)
        return ExecResult(output=output, exit_code=self._http.call("GET", f"/exec/{made}/json")["ExitCode"])

    def stats(self, container_id: str) -> ContainerStats:
        pid = self._document(container_id)["State"]["Pid"]
        if not pid:
            raise ConflictError(f"container {container_id} is not running")
        path, query = self._path(container_id, "stats"), {"stream": False, "one-shot": True}
        before = self._http.call("GET", path, query)
        self._closed.wait(_SAMPLE_INTERVAL)
        after = self._http.call("GET", path, query)
        # Docker counts nothing for a namespace that it did not make; the kernel does.
        try:
            network = docker_observe.network_counters(Path(f"/proc/{pid}/net/dev").read_text())
        except OSError as error:
            raise ConflictError(f"container {container_id} is not running") from error
        return docker_observe.container_stats(before, after, network)

    def top(self, container_id: str, ps_arguments: str | None = None) -> ProcessTable:
        reply = self._http.request("GET", self._path(container_id, "top"), {"ps_args": ps_arguments})
        if reply.status == 500 and ps_arguments:
            raise SpecError(f"ps does not take the arguments {ps_arguments!r}: {reply.message}")
        raise_for_status(reply.status, reply.body)
        table = reply.json()
        return ProcessTable(titles=tuple(table["Titles"]), processes=tuple(tuple(row) for row in table["Processes"]))

    def get_archive(self, container_id: str, path: str) -> tuple[bytes, dict[str, object]]:
        reply = self._http.request("GET", self._path(container_id, "archive"), {"path": path}, timeout=600)
        raise_for_status(reply.status, reply.body)
        stat: dict[str, object] = msgspec.json.decode(base64.b64decode(reply.headers["X-Docker-Container-Path-Stat"]))
        return reply.body, stat

    def put_archive(self, container_id: str, path: str, data: bytes) -> None:
        self._http.call("PUT", self._path(container_id, "archive"), {"path": path}, data, timeout=600)

    def commit(self, container_id: str, image: str) -> str:
        repository, tag = split_name(image)
        query = {"container": self._name(container_id), "repo": repository, "tag": tag}
        made: str = self._http.call("POST", "/commit", query, {}, timeout=600)["Id"]
        return made

    def export(self, container_id: str) -> Iterator[bytes]:
        self._document(container_id)
        return self._exported(self._path(container_id, "export"))

    def _exported(self, path: str) -> Iterator[bytes]:
        with self._http.stream("GET", path) as reply:
            reply.check()
            yield from reply.chunks()

    # ---------------------------------------------------------------------------------------------------- images

    def find_image(self, name: str) -> ImageObservation | None:
        return self._images.find(name)

    def images(self) -> Images:
        return self._images.all()

    def pull_image(self, name: str, *, username: str | None = None, password: str | None = None) -> ImageObservation:
        return self._images.pull(name, username, password)

    def load_image(self, archive: BinaryIO, name: str) -> ImageObservation:
        return self._images.load(archive, name)

    def save_image(self, name: str) -> Iterator[bytes]:
        return self._images.save(name)

    def remove_image(self, name: str) -> None:
        self._images.remove(name)

    # ------------------------------------------------------------------------------------------ events and the end

    def events(self) -> Iterator[EngineEvent]:
        filters = _filters(type=["container"], event=[*_EVENTS], label=[f"{CLOUD_LABEL}={self._cloud_id}"])
        with contextlib.ExitStack() as stack:
            # The engine has answered, and so listens, before this returns: what happens from now on is told.
            reply = stack.enter_context(self._http.stream("GET", "/events", {"filters": filters}, timeout=None))
            reply.check()
            self._watchers.add(reply)
            return self._watch(reply, stack.pop_all())

    def _watch(self, reply: StreamedReply, stack: contextlib.ExitStack) -> Iterator[EngineEvent]:
        # An engine that goes away in the middle of a line ends the stream; so does our own close().
        with stack, contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            stack.callback(self._watchers.discard, reply)
            for line in json_lines(reply.chunks()):
                if self._closed.is_set():
                    return
                yield self._event(line)

    def purge(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_PURGE_THREADS) as pool:
            # All are tried; the first failure is raised then.
            list(pool.map(lambda entry: self.remove(entry.id, force=True), self.list()))
            list(pool.map(self.remove_sandbox, self.sandboxes()))
        self._sandboxes.leave()
        self._images.purge()
        if self._sandboxes.mode == "pause":
            with contextlib.suppress(HostError):  # another cloud's sandboxes may need it
                self._images.remove(PAUSE_IMAGE)
        shutil.rmtree(self._files, ignore_errors=True)

    def close(self) -> None:
        self._closed.set()
        for watcher in tuple(self._watchers):
            watcher.interrupt()
        self._http.close()

    # --------------------------------------------------------------------------------------------------- inside

    @property
    def _sandboxes(self) -> Sandboxes:
        return self._probed()[0]

    def _probed(self) -> tuple[Sandboxes, HostFeatures]:
        """What the engine can do, asked once. An engine restarted with other runtimes refuses ours by name."""
        with self._state_lock:
            if self._known is None:
                info = self._http.call("GET", "/info")
                ours = (info.get("Runtimes") or {}).get(runtime.NAME, {}).get("path") == str(self._runtime.path)
                sandboxes: Sandboxes = (
                    RuntimeSandboxes(self._cloud_id, self._runtime, shared=bool(self._part))
                    if ours
                    else PauseSandboxes(self._cloud_id, self._http)
                )
                self._known = sandboxes, docker_observe.host_features(info)
            return self._known

    def _name(self, container_id: str) -> str:
        return container_name(container_id, self._prefix)

    def _path(self, container_id: str, action: str) -> str:
        return f"/containers/{self._name(container_id)}/{action}"

    def _create(self, spec: ContainerSpec, body: dict[str, Any]) -> str:
        """The engine's id of the new container, or of the one that an earlier call made."""
        name = self._name(spec.id)
        reply = self._http.request("POST", "/containers/create", {"name": name}, body)
        if reply.status == 500 and "StorageOpt" in body["HostConfig"]:
            # The driver can limit disks only on some mounts of its file system: asking is the only way to know.
            del body["HostConfig"]["StorageOpt"]
            reply = self._http.request("POST", "/containers/create", {"name": name}, body)
        if reply.status == 409:
            found = self._find(spec.id)
            if found is None:
                raise ConflictError(reply.message)
            return str(found["Id"])
        if reply.status == 500 and "Cannot mkdir" in reply.message:
            raise SpecError(f"the working directory {spec.workdir!r} cannot be used: {reply.message}")
        raise_for_status(reply.status, reply.body)
        return str(reply.json()["Id"])

    def _remove(self, engine_id: str, *, force: bool) -> None:
        query = {"force": force, "v": True}
        reply = self._http.request("DELETE", f"/containers/{engine_id}", query, timeout=120)
        if reply.status == 409 and "already in progress" in reply.message:
            raise HostError(reply.message)
        if reply.status != 404:
            raise_for_status(reply.status, reply.body)
        self._sandboxes.removed(engine_id)

    def _find(self, container_id: str) -> dict[str, Any] | None:
        reply = self._http.request("GET", self._path(container_id, "json"))
        if reply.status == 404:
            return None
        raise_for_status(reply.status, reply.body)
        document: dict[str, Any] = reply.json()
        if (document["Config"].get("Labels") or {}).get(CLOUD_LABEL) != self._cloud_id:
            raise ConflictError(f"the engine has a container {self._name(container_id)} that is not of this cloud")
        return document

    def _document(self, container_id: str) -> dict[str, Any]:
        document = self._find(container_id)
        if document is None:
            raise NotFoundError(f"the engine has no container {container_id}")
        return document

    def _name_host(self, container_id: str) -> None:
        document = self._document(container_id)
        hostname = docker_observe.container_observation(document).hostname
        with contextlib.suppress(HostError, OSError):  # it has ended already
            self._sandboxes.started(document["State"]["Pid"], hostname)

    def _event(self, line: dict[str, Any]) -> EngineEvent:
        container_id = line["Actor"]["Attributes"].get(ID_LABEL, "")
        action = line["Action"].partition(":")[0]
        if action == "start" and self._sandboxes.mode == "pause":
            with contextlib.suppress(NotFoundError, EngineUnavailableError):
                self._name_host(container_id)  # restarted by Docker's own policy
        return EngineEvent(container_id=container_id, action="health" if action == "health_status" else action)


def _filters(**given: list[str]) -> str:
    return msgspec.json.encode(given).decode()


def _write_files(directory: Path, files: dict[str, str]) -> None:
    # Users of the container read them, users of the host have no way there.
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.mkdir(exist_ok=True, mode=0o755)
    for name, text in files.items():
        (directory / name).write_text(text)
