"""What a create asks for, checked as far as the body alone allows: no database, no other service."""

from __future__ import annotations

import base64
import binascii
import shlex
from typing import Any

import msgspec
from msgspec import UNSET

from stackyard.core.errors import InvalidField
from stackyard.core.microversion import Microversion
from stackyard.services.containers.containers import names
from stackyard.services.containers.containers.bodies import (
    PULL_POLICIES,
    CreateOnHost,
    CreateWithEntrypoint,
    HealthCheckBody,
    LegacyCreate,
    Mount,
    Net,
    RestartPolicy,
)
from stackyard.services.containers.containers.values import decimal, flag, nothing_for_none, whole
from stackyard.services.containers.faults import parameter_since

CPU_RANGE = (0.1, 16.0)
MEMORY_RANGE = (4, 8192)
DISK_RANGE = (1, 160)
DEFAULT_MEMORY = 512
DRIVERS = ("docker", "glance")
_SINCE = {
    "auto_remove": 3,
    "runtime": 5,
    "hostname": 9,
    "mounts": 11,
    "privileged": 21,
    "healthcheck": 22,
    "exposed_ports": 24,
    "registry": 31,
}


class Draft(msgspec.Struct, kw_only=True):
    """A container to be made. `files` are the contents of bind mounts, in the order of `spec["mounts"]`."""

    name: str
    image: str
    image_driver: str
    cpu: float
    memory: int
    disk: int
    hostname: str
    interactive: bool
    tty: bool
    auto_remove: bool
    auto_heal: bool
    spec: dict[str, Any]
    files: list[bytes]
    nets: list[Net]
    security_groups: list[str]
    exposed_ports: list[str] | None
    registry: str | None
    host: str | None
    availability_zone: str | None


def draft(body: LegacyCreate, version: Microversion) -> Draft:
    """Check a create's body; raises BadRequest naming the field."""
    _refuse_early(body, version)
    name = body.name or names.generated()
    interactive = flag("interactive", None if body.interactive is UNSET else body.interactive)
    tty = flag("tty", None if body.tty is UNSET else body.tty)
    if 20 <= version.minor < 36 and body.interactive is not UNSET:
        tty = interactive
    driver = nothing_for_none(body.image_driver) or "docker"
    if driver not in DRIVERS:
        raise _invalid("image_driver", f"'{driver}' is not one of {', '.join(DRIVERS)}.")
    if body.exposed_ports is not None and body.security_groups is not None and version.minor >= 20:
        raise _invalid("exposed_ports", "it cannot be given together with security_groups.")
    mounts, files = _mounts(body.mounts or [])
    return Draft(
        name=name,
        image=body.image,
        image_driver=driver,
        cpu=decimal("cpu", body.cpu, *CPU_RANGE) or 0.0,
        memory=whole("memory", body.memory, *MEMORY_RANGE) or DEFAULT_MEMORY,
        disk=whole("disk", body.disk, *DISK_RANGE) or 0,
        hostname=body.hostname or names.dns_label(name),
        interactive=interactive,
        tty=tty,
        auto_remove=flag("auto_remove", body.auto_remove),
        auto_heal=flag("auto_heal", None if body.auto_heal is UNSET else body.auto_heal),
        spec=_spec(body, version, mounts),
        files=files,
        nets=[_net(index, net) for index, net in enumerate(body.nets or [])],
        security_groups=list(dict.fromkeys(body.security_groups or [])),
        exposed_ports=None if body.exposed_ports is None else [_exposed(port) for port in body.exposed_ports],
        registry=body.registry,
        host=body.host if isinstance(body, CreateOnHost) else None,
        availability_zone=body.availability_zone,
    )


def _refuse_early(body: LegacyCreate, version: Microversion) -> None:
    for name, minor in _SINCE.items():
        value = getattr(body, name)
        empty_is_absent = name in ("mounts", "healthcheck", "registry")
        given = value is not UNSET and value is not None and not (empty_is_absent and not value)
        if given and version.minor < minor:
            raise parameter_since(name, f"1.{minor}", version)


def _spec(body: LegacyCreate, version: Microversion, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    pull = body.image_pull_policy.lower() if body.image_pull_policy is not None else None
    if pull is not None and pull not in PULL_POLICIES:
        raise _invalid("image_pull_policy", f"'{body.image_pull_policy}' is not one of {', '.join(PULL_POLICIES)}.")
    if body.cpu_policy not in (None, "shared"):
        raise _invalid("cpu_policy", f"'{body.cpu_policy}' is not offered here; leave it out, or say shared.")
    return {
        "command": _command(body.command, version),
        "entrypoint": body.entrypoint if isinstance(body, CreateWithEntrypoint) else None,
        "environment": body.environment or {},
        "labels": {key: _label(value) for key, value in (body.labels or {}).items()},
        "workdir": body.workdir,
        "image_pull_policy": pull,
        "restart_policy": None if body.restart_policy is None else _restart(body.restart_policy),
        "runtime": body.runtime,
        "privileged": flag("privileged", None if body.privileged is UNSET else body.privileged),
        "cpu_policy": body.cpu_policy,
        "healthcheck": _health(body.healthcheck) if body.healthcheck is not None and body.healthcheck.cmd else None,
        "mounts": mounts,
    }


def _label(value: str | float | bool) -> str:
    return value if isinstance(value, str) else str(value)


def _command(command: object, version: Microversion) -> list[str] | None:
    if command is None:
        return None
    if version.minor < 20:
        if not isinstance(command, str):
            raise _invalid("command", "it must be a string before API version 1.20.")
        try:
            return shlex.split(command) or None
        except ValueError as error:
            raise _invalid("command", f"it cannot be split as a shell would: {error}.") from None
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise _invalid("command", "it must be a list of strings from API version 1.20.")
    return command or None


def _restart(policy: RestartPolicy) -> dict[str, str]:
    known = ("no", "always", "on-failure", "unless-stopped")
    if policy.name not in known:
        raise _invalid("restart_policy.Name", f"'{policy.name}' is not one of {', '.join(known)}.")
    retries = whole("restart_policy.MaximumRetryCount", policy.retries, 0, 2**31 - 1) or 0
    if retries and policy.name in ("always", "unless-stopped"):
        raise _invalid(
            "restart_policy.MaximumRetryCount", f"maximum retry count not valid with restart policy of {policy.name}."
        )
    return {"Name": policy.name, "MaximumRetryCount": "0" if policy.name == "no" else str(retries)}


def _health(check: HealthCheckBody) -> dict[str, Any]:
    found: dict[str, Any] = {"test": check.cmd}
    for name in ("interval", "retries", "timeout"):
        number = whole(f"healthcheck.{name}", getattr(check, name), 0, 86400)
        if number is not None:
            found[name] = number
    return found


def _net(index: int, net: Net) -> Net:
    if (net.network is None) == (net.port is None):
        raise _invalid(f"nets[{index}]", "exactly one of network and port must be given.")
    return net


def _mounts(mounts: list[Mount]) -> tuple[list[dict[str, Any]], list[bytes]]:
    found: list[dict[str, Any]] = []
    files: list[bytes] = []
    for index, mount in enumerate(mounts):
        field = f"mounts[{index}]"
        if mount.type == "volume":
            found.append(_volume(field, mount))
            continue
        if mount.type != "bind":
            raise _invalid(f"{field}.type", f"'{mount.type}' is neither volume nor bind.")
        _check_destination(field, mount.destination, "file")
        try:
            files.append(base64.b64decode(mount.source or "", validate=True))
        except (binascii.Error, ValueError):
            raise _invalid(f"{field}.source", "the content of a file must be base64.") from None
        found.append({"type": "bind", "destination": mount.destination, "file": str(index)})
    return found, files


def _check_destination(field: str, path: str, what: str) -> None:
    if not path.startswith("/") or path.rstrip("/") == "" or ".." in path:
        raise _invalid(f"{field}.destination", f"'{path}' is not an absolute path of a {what}.")


def _volume(field: str, mount: Mount) -> dict[str, Any]:
    """One that is there (`source`: its id or name), or one of `size` GiB that is made for the container."""
    _check_destination(field, mount.destination, "directory")
    size = whole(f"{field}.size", mount.size, 1, 2**31 - 1)
    if not mount.source and size is None:
        raise _invalid(field, "a volume is told by its source, or made in a size.")
    return {"type": "volume", "destination": mount.destination, "source": mount.source or None, "size": size}


def _exposed(port: str) -> str:
    number, _, protocol = port.partition("/")
    protocol = protocol or "tcp"
    if protocol not in ("tcp", "udp"):
        raise _invalid("exposed_ports", f"value {protocol} is an invalid protocol")
    if not number.isascii() or not number.isdigit() or not 1 <= int(number[:6]) <= 65535:
        raise _invalid("exposed_ports", f"value {number} is invalid as publish port.")
    return f"{int(number)}/{protocol}"


def _invalid(name: str, reason: str) -> InvalidField:
    return InvalidField(name, reason, kind="SchemaValidationError")
