"""Containers, as one host runs them, and what it sees of its container engine."""

from __future__ import annotations

from stackyard.host.specs.base import Spec


class BindMount(Spec, frozen=True):
    """A path of the host, or a named volume's mount point, shown inside a container."""

    source: str
    target: str
    read_only: bool = False


class HealthCheck(Spec, frozen=True):
    """A command (run by the shell) that must exit 0."""

    command: str
    interval: float = 30
    timeout: float = 30
    retries: int = 3


class ContainerSpec(Spec, frozen=True):
    """A container, as any engine can make it. `id` is ours; engines name theirs `<prefix>-<id>` from it.

    `command` and `entrypoint` override the image's when not None. `memory` is MiB; `cpus` may be fractional; 0 and None
    mean no limit. `restart_policy` is no, always, on-failure or unless-stopped. The container runs in the sandbox of
    the same id, which must exist. `capabilities` are given beyond the engine's usual ones; on each path of `tmpfs` lies
    an empty file system in memory.
    """

    id: str
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    workdir: str | None = None
    hostname: str | None = None
    memory: int | None = None
    cpus: float | None = None
    disk: int | None = None
    restart_policy: str = "no"
    restart_retries: int = 0
    tty: bool = False
    interactive: bool = False
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    health_check: HealthCheck | None = None
    mounts: tuple[BindMount, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    hosts: dict[str, str] = {}


class ContainerObservation(Spec, frozen=True):
    """What the engine says of one container.

    `state` is created, running, paused, restarting, exited or dead; `health` is None, starting, healthy or unhealthy.
    `exit_code` and `finished_at` speak of the last run; `error` is the engine's own text when a start failed.
    `ports` are the image's exposed ports (80/tcp). Times are ISO 8601 text.
    """

    id: str
    state: str
    pid: int = 0
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    health: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    hostname: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    workdir: str = ""
    labels: dict[str, str] = {}
    ports: tuple[str, ...] = ()


class ExecResult(Spec, frozen=True):
    """What a command run inside a container printed (stdout and stderr as they came) and its exit code."""

    output: bytes
    exit_code: int


class ContainerStats(Spec, frozen=True):
    """One sample of use. `cpu_percent` is measured between two samples, 100 a core; `cpu_nanoseconds` since start."""

    cpu_percent: float
    memory_used: int
    memory_limit: int
    block_read: int
    block_written: int
    network_received: int
    network_sent: int
    cpu_nanoseconds: int = 0


class ProcessTable(Spec, frozen=True):
    """What ps prints of a container's processes."""

    titles: tuple[str, ...]
    processes: tuple[tuple[str, ...], ...]


class ImageObservation(Spec, frozen=True):
    """An image in the engine's store: its content id, the names it has, its size in bytes."""

    id: str
    names: tuple[str, ...]
    size: int


class EngineEvent(Spec, frozen=True):
    """Something happened to one of our containers, seen by the engine (start, die, oom, health, destroy)."""

    container_id: str
    action: str


class EngineInfo(Spec, frozen=True):
    """The engine itself: `sandbox_mode` names how containers join our network namespaces (see the driver)."""

    name: str
    version: str
    sandbox_mode: str
    runtimes: tuple[str, ...]
    cpus: int
    memory: int
    kernel_version: str
    operating_system: str
    architecture: str
