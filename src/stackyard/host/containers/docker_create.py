"""A ContainerSpec as the Docker Engine's create request, and the files that the container sees. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackyard.host.errors import SpecError
from stackyard.host.specs import ContainerSpec, HealthCheck

CLOUD_LABEL = "stackyard.cloud"
ID_LABEL = "stackyard.id"
HOSTNAME_LABEL = "stackyard.hostname"
# Pause containers carry labels of their own, so that no listing of containers has to leave them out.
SANDBOX_CLOUD_LABEL = "stackyard.sandbox.cloud"
SANDBOX_LABEL = "stackyard.sandbox"
_OWN_LABELS = "stackyard."

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,254}\Z")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62})\Z")
_CAPABILITY = re.compile(r"[A-Z_]{2,32}\Z")
_SIGNAL = re.compile(r"[A-Za-z0-9+]{1,16}\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:%a-z]{1,64}\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,253}\Z")

_DEFAULT_HOSTS = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


@dataclass(frozen=True)
class HostFeatures:
    """What the engine and kernel can limit."""

    cpu_quota: bool
    disk_limit: bool


def container_name(container_id: str, prefix: str = "zun") -> str:
    """The engine's name of one of our containers; SpecError when the id cannot be part of a name."""
    return f"{prefix}-{checked_id(container_id)}"


def checked_id(container_id: str) -> str:
    """The id, when it is safe as a name and as a file name."""
    if not _ID.match(container_id):
        raise SpecError(f"not a container id: {container_id!r}")
    return container_id


def is_image_name(name: str) -> bool:
    """Whether the text can be an image's name or content id (and is safe in a URL's path)."""
    return bool(_NAME.match(name)) and ".." not in name and "//" not in name


def checked_signal(signal: str) -> str:
    """The signal's name or number, when it looks like one."""
    if not _SIGNAL.match(signal):
        raise SpecError(f"not a signal: {signal!r}")
    return signal


def hostname_of(spec: ContainerSpec) -> str:
    """The container's host name: as asked, or the first part of its id as Docker does."""
    return spec.hostname or default_hostname(spec.id)


def default_hostname(container_id: str) -> str:
    """The host name of a container that is given none."""
    return container_id.replace("-", "")[:12]


def check_spec(spec: ContainerSpec) -> None:
    """SpecError for what no engine can do, or what would break out of a file that we write."""
    checked_id(spec.id)
    if not is_image_name(spec.image):
        raise SpecError(f"not an image name: {spec.image!r}")
    if spec.hostname is not None and not _HOSTNAME.match(spec.hostname):
        raise SpecError(f"not a host name: {spec.hostname!r}")
    if spec.restart_policy not in {"no", "always", "on-failure", "unless-stopped"}:
        raise SpecError(f"no such restart policy: {spec.restart_policy!r}")
    if (spec.memory or 0) < 0 or (spec.cpus or 0) < 0 or (spec.disk or 0) < 0:
        raise SpecError("limits of memory, cpus and disk must not be negative")
    if any(not name or "=" in name or "\0" in name for name in spec.environment):
        raise SpecError("an environment variable's name must not be empty or contain '='")
    _check_words("command", (*(spec.command or ()), *(spec.entrypoint or ()), *spec.environment.values()))
    _check_pattern("DNS server", _ADDRESS, (*spec.dns_servers, *spec.hosts.values()))
    _check_pattern("domain or host name", _DOMAIN, (*spec.dns_search, *spec.hosts))
    if spec.workdir is not None and not spec.workdir.startswith("/"):
        raise SpecError(f"the working directory {spec.workdir!r} is not an absolute path")
    _check_pattern("capability", _CAPABILITY, spec.capabilities)
    for path in spec.tmpfs:
        if not path.startswith("/") or ":" in path or "\0" in path:
            raise SpecError(f"a file system in memory needs an absolute path, not {path!r}")
    for mount in spec.mounts:
        if not mount.source.startswith("/") or not mount.target.startswith("/"):
            raise SpecError(f"a mount needs absolute paths, not {mount.source!r} on {mount.target!r}")


def container_files(spec: ContainerSpec) -> dict[str, str]:
    """The files under /etc that tell the container its names and its resolver, whatever Docker's network mode."""
    hostname = hostname_of(spec)
    hosts = "".join(f"{ip}\t{name}\n" for name, ip in spec.hosts.items())
    own = "" if hostname in spec.hosts else f"127.0.1.1\t{hostname}\n"
    search = f"search {' '.join(spec.dns_search)}\n" if spec.dns_search else ""
    return {
        "hostname": f"{hostname}\n",
        "hosts": _DEFAULT_HOSTS + own + hosts,
        "resolv.conf": "".join(f"nameserver {server}\n" for server in spec.dns_servers) + search,
    }


def create_body(spec: ContainerSpec, cloud_id: str, files: Path, features: HostFeatures) -> dict[str, Any]:
    """The create request without what places it in its sandbox. `files` holds what container_files gave."""
    hostname = hostname_of(spec)
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": {
            **{name: value for name, value in spec.labels.items() if not name.startswith(_OWN_LABELS)},
            CLOUD_LABEL: cloud_id,
            ID_LABEL: spec.id,
            HOSTNAME_LABEL: hostname,
        },
        "Tty": spec.tty,
        "OpenStdin": spec.interactive,
        "HostConfig": _host_config(spec, files, features),
    }
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if spec.entrypoint is not None:
        # An empty list would keep the image's own: one empty word is how Docker's client resets it.
        body["Entrypoint"] = list(spec.entrypoint) or [""]
    if spec.workdir is not None:
        body["WorkingDir"] = spec.workdir
    if spec.health_check is not None:
        body["Healthcheck"] = _health_check(spec.health_check)
    return body


def _host_config(spec: ContainerSpec, files: Path, features: HostFeatures) -> dict[str, Any]:
    policy = "" if spec.restart_policy == "no" else spec.restart_policy
    retries = spec.restart_retries if spec.restart_policy == "on-failure" else 0
    config: dict[str, Any] = {
        "Privileged": spec.privileged,
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": retries},
        "Mounts": [
            *(
                {"Type": "bind", "Source": str(files / name), "Target": f"/etc/{name}"}
                for name in container_files(spec)
            ),
            *({"Type": "bind", "Source": m.source, "Target": m.target, "ReadOnly": m.read_only} for m in spec.mounts),
        ],
    }
    if spec.capabilities:
        config |= {"CapAdd": list(spec.capabilities)}
    if spec.tmpfs:
        config |= {"Tmpfs": dict.fromkeys(spec.tmpfs, "rw,nosuid,nodev,mode=755")}
    if spec.memory:
        config |= {"Memory": spec.memory << 20}
    if spec.cpus and features.cpu_quota:
        config |= {"NanoCpus": round(spec.cpus * 1e9)}
    if spec.disk and features.disk_limit:
        config |= {"StorageOpt": {"size": f"{spec.disk}M"}}
    return config


def _health_check(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": ["CMD-SHELL", check.command],
        "Interval": round(check.interval * 1e9),
        "Timeout": round(check.timeout * 1e9),
        "Retries": check.retries,
    }


def _check_words(what: str, words: tuple[str, ...]) -> None:
    if any("\0" in word for word in words):
        raise SpecError(f"the {what} contains a zero byte")


def _check_pattern(what: str, pattern: re.Pattern[str], values: tuple[str, ...]) -> None:
    for value in values:
        if not pattern.match(value):
            raise SpecError(f"not a {what}: {value!r}")
