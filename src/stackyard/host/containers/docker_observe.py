"""The Docker Engine's answers as observations. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stackyard.host.containers.docker_create import HOSTNAME_LABEL, ID_LABEL, HostFeatures
from stackyard.host.errors import HostError, SpecError
from stackyard.host.specs import ContainerObservation, ContainerStats, EngineInfo, ImageObservation

_NEVER = "0001-01-01"
_ENDED = frozenset({"exited", "dead", "restarting"})
_EXIT_IN_STATUS = re.compile(r"\((\d+)\)")
_NOISE = re.compile(
    r"(failed to create task for container: |failed to create shim task: |OCI runtime (create|exec) failed: "
    r"|runc create failed: |container_linux\.go:\d+: |starting container process caused: "
    r"|unable to start container process: |failed to create shim: |error during container init: )"
)
_REASONS = (
    (re.compile(r'exec: "(?P<word>[^"]*)": executable file not found'), "the command {word!r} is not in the image"),
    (re.compile(r'exec: "(?P<word>[^"]*)": (stat .*: )?no such file'), "the command {word!r} is not in the image"),
    (re.compile(r'exec: "(?P<word>[^"]*)": (stat .*: )?is a directory'), "the command {word!r} is a directory"),
    (re.compile(r'exec: "(?P<word>[^"]*)": (stat .*: )?permission denied'), "the command {word!r} is not executable"),
    (re.compile(r"exec (?P<word>\S+): no such file or directory"), "the interpreter of {word!r} is not in the image"),
    (re.compile(r"exec format error"), "the command is not a program for this machine's architecture"),
    (re.compile(r'(chdir to cwd \("|mkdir )(?P<word>[^":]+)'), "the working directory {word!r} cannot be used"),
    (re.compile(r"no command specified", re.IGNORECASE), "neither the container nor its image names a command"),
    (
        re.compile(r"unable to apply caps: operation not permitted"),
        "a privileged container needs all capabilities, and this machine withholds some from the container engine",
    ),
    (re.compile(r"unable to find user (?P<word>\S+):"), "the image's user {word!r} does not exist in it"),
)


def container_observation(document: Mapping[str, Any]) -> ContainerObservation:
    """From GET /containers/{id}/json."""
    state, config = document["State"], document["Config"]
    status = state["Status"]
    labels = config.get("Labels") or {}
    started = _time(state.get("StartedAt"))
    ran = status in _ENDED or (status == "created" and bool(state.get("Error")))
    return ContainerObservation(
        id=labels.get(ID_LABEL, ""),
        state="exited" if status == "removing" else status,
        pid=state.get("Pid", 0),
        exit_code=state.get("ExitCode") if ran else None,
        error=plain_reason(state.get("Error") or ""),
        oom_killed=bool(state.get("OOMKilled")),
        health=_health((state.get("Health") or {}).get("Status")),
        started_at=started,
        finished_at=_time(state.get("FinishedAt")),
        hostname=labels.get(HOSTNAME_LABEL) or config.get("Hostname", ""),
        image=config.get("Image", ""),
        command=tuple(config.get("Cmd") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        environment=dict(_variable(line) for line in config.get("Env") or ()),
        workdir=config.get("WorkingDir", ""),
        labels=_own_labels_removed(labels),
        ports=tuple(sorted(config.get("ExposedPorts") or ())),
    )


def listed_observation(document: Mapping[str, Any]) -> ContainerObservation:
    """From one entry of GET /containers/json."""
    labels = document.get("Labels") or {}
    state = document["State"]
    status = document.get("Status", "")
    code = _EXIT_IN_STATUS.search(status) if state in _ENDED else None
    health = next((word for word in ("unhealthy", "healthy") if f"({word})" in status), None)
    return ContainerObservation(
        id=labels.get(ID_LABEL, ""),
        state="exited" if state == "removing" else state,
        exit_code=int(code[1]) if code else None,
        health="starting" if "(health: starting)" in status else health,
        hostname=labels.get(HOSTNAME_LABEL, ""),
        image=document.get("Image", ""),
        labels=_own_labels_removed(labels),
    )


def image_observation(document: Mapping[str, Any]) -> ImageObservation:
    """From GET /images/{name}/json or an entry of GET /images/json."""
    names = (name for name in document.get("RepoTags") or () if name != "<none>:<none>")
    return ImageObservation(id=document["Id"], names=tuple(names), size=document["Size"])


def engine_info(info: Mapping[str, Any], sandbox_mode: str) -> EngineInfo:
    """From GET /info."""
    return EngineInfo(
        name="docker",
        version=info.get("ServerVersion", ""),
        sandbox_mode=sandbox_mode,
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        cpus=info.get("NCPU", 0),
        memory=info.get("MemTotal", 0) >> 20,
        kernel_version=info.get("KernelVersion", ""),
        operating_system=info.get("OperatingSystem", ""),
        architecture=info.get("Architecture", ""),
    )


def container_stats(before: Mapping[str, Any], after: Mapping[str, Any], network: tuple[int, int]) -> ContainerStats:
    """From two samples of GET /containers/{id}/stats, and the bytes received and sent. Knows cgroup v1 and v2."""
    memory = after.get("memory_stats") or {}
    details = memory.get("stats") or {}
    # Page cache that the kernel would give back at once is not use: v1 and v2 name it differently.
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    blocks = (after.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return ContainerStats(
        cpu_percent=_cpu_percent(before.get("cpu_stats") or {}, after.get("cpu_stats") or {}),
        memory_used=max(memory.get("usage", 0) - cache, 0),
        memory_limit=memory.get("limit", 0),
        block_read=sum(entry["value"] for entry in blocks if entry["op"].lower() == "read"),
        block_written=sum(entry["value"] for entry in blocks if entry["op"].lower() == "write"),
        network_received=network[0],
        network_sent=network[1],
        cpu_nanoseconds=((after.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0),
    )


def network_counters(text: str) -> tuple[int, int]:
    """Bytes received and sent on all links but loopback, from the text of /proc/PID/net/dev."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            fields = numbers.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def plain_reason(message: str) -> str:
    """Why a start failed, in plain words where the engine's and runc's are known, else theirs without the noise."""
    for pattern, reason in _REASONS:
        if match := pattern.search(message):
            return reason.format(**match.groupdict())
    return _NOISE.sub("", message).removesuffix(": unknown").removesuffix(": unknown.").strip()


def start_error(status: int, message: str) -> HostError:
    """What a failed start is: SpecError when the command or its directory is to blame."""
    reason = plain_reason(message)
    known = any(pattern.search(message) for pattern, _ in _REASONS)
    if known or status == 400:
        return SpecError(reason)
    return HostError(f"the container cannot start: {reason}")


def pull_error(name: str, message: str) -> HostError:
    """What a failed pull is: SpecError when the registry answered that it has no such image for us."""
    lowered = message.lower()
    refusals = (
        "not found",
        "denied",
        "unauthorized",
        "manifest unknown",
        "does not exist",
        "invalid reference",
        "name unknown",
        "no matching manifest",
        "name invalid",
        "repository name",
    )
    outages = ("dial tcp", "timeout", "connection refused", "no such host", "lookup ", "toomanyrequests", "eof")
    if any(word in lowered for word in refusals) and not any(word in lowered for word in outages):
        return SpecError(f"the registry does not give the image {name}: {message}")
    return HostError(f"the image {name} could not be pulled: {message}")


def _cpu_percent(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    used = _total(after) - _total(before)
    whole = after.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cores = after.get("online_cpus") or len((after.get("cpu_usage") or {}).get("percpu_usage") or ()) or 1
    return max(used / whole * cores * 100, 0.0) if whole > 0 else 0.0


def _total(cpu: Mapping[str, Any]) -> int:
    return int((cpu.get("cpu_usage") or {}).get("total_usage", 0))


def _time(text: str | None) -> str | None:
    return None if not text or text.startswith(_NEVER) else text


def _health(status: str | None) -> str | None:
    return None if status in {None, "", "none"} else status


def _variable(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value


def _own_labels_removed(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if not name.startswith("stackyard.")}


def host_features(info: Mapping[str, Any]) -> HostFeatures:
    """What GET /info says of limits: disks on drivers that have quotas; overlay2 has them on xfs with pquota only."""
    driver = info.get("Driver", "")
    details = dict(entry[:2] for entry in info.get("DriverStatus") or ())
    on_xfs = driver == "overlay2" and details.get("Backing Filesystem") == "xfs"
    return HostFeatures(cpu_quota=bool(info.get("CpuCfsQuota")), disk_limit=on_xfs or driver in {"btrfs", "zfs"})
