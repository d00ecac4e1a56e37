"""Request bodies, by microversion: what a create and an update may hold, before anything is looked up."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body
from stackyard.core.microversion import Microversion
from stackyard.services.containers.containers.values import Flag, Number

Name = Annotated[str, Meta(min_length=2, max_length=255, pattern=r"\A[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")]
ImageName = Annotated[str, Meta(min_length=2, max_length=255, pattern=r"[a-zA-Z0-9][a-zA-Z0-9_.-]")]
Short = Annotated[str, Meta(min_length=1, max_length=255)]
HostOfCloud = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-._]*\Z")]
HostName = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"\A[a-zA-Z0-9][a-zA-Z0-9-._]*\Z")]
"""Of a container: what the kernel and every engine take."""
PULL_POLICIES = ("never", "always", "ifnotpresent")


class Net(Body):
    """One network to join: by name or id, or by a port of one's own."""

    network: Short | None = None
    port: Short | None = None
    v4_fixed_ip: str | None = msgspec.field(name="v4-fixed-ip", default=None)
    v6_fixed_ip: str | None = msgspec.field(name="v6-fixed-ip", default=None)


class Mount(Body):
    """A volume (of the volume service) or a file whose content comes along, base64."""

    destination: str
    type: str = "volume"
    source: str | None = None
    size: int | str | None = None


class HealthCheckBody(Body):
    """A command that must succeed; seconds."""

    cmd: Annotated[str, Meta(min_length=1, max_length=255)] = ""
    interval: int | str | None = None
    retries: int | str | None = None
    timeout: int | str | None = None


class RestartPolicy(Body):
    """What happens when the container's process ends."""

    name: str = msgspec.field(name="Name")
    retries: int | str | None = msgspec.field(name="MaximumRetryCount", default=None)


class LegacyCreate(Body):
    """Create before 1.20: the command is one string, split as a shell would."""

    image: ImageName
    name: Name | None = None
    command: Any = None
    cpu: Number = None
    cpu_policy: str | None = None
    memory: Number = None
    disk: Number = None
    workdir: str | None = None
    environment: dict[str, str] | None = None
    labels: dict[str, str | int | float | bool] | None = None
    image_pull_policy: str | None = None
    image_driver: str | None = None
    restart_policy: RestartPolicy | None = None
    interactive: Flag | UnsetType = UNSET
    tty: Flag | UnsetType = UNSET
    security_groups: list[Short] | None = None
    exposed_ports: dict[str, dict[str, Any] | None] | None = None
    hints: dict[str, Any] | None = None
    nets: list[Net] | None = None
    mounts: list[Mount] | None = None
    runtime: str | None = None
    hostname: HostName | None = None
    auto_remove: bool | str | None = None
    auto_heal: Flag | UnsetType = UNSET
    availability_zone: Short | None = None
    privileged: Flag | UnsetType = UNSET
    healthcheck: HealthCheckBody | None = None
    registry: Name | None = None


class Create(LegacyCreate):
    """Create from 1.20: the command is a list."""


class CreateOnHost(Create):
    """From 1.39: also the host."""

    host: HostOfCloud | None = None


class CreateWithEntrypoint(CreateOnHost):
    """From 1.40: also the entrypoint."""

    entrypoint: list[str] | None = None


def create_body(version: Microversion | None) -> type[LegacyCreate]:
    """The body type of a create at a microversion."""
    minor = version.minor if version is not None else 1
    if minor < 20:
        return LegacyCreate
    if minor < 39:
        return Create
    return CreateOnHost if minor < 40 else CreateWithEntrypoint


class Update(Body):
    """PATCH, and resize_container."""

    name: Name | UnsetType | None = UNSET
    cpu: Number | UnsetType = UNSET
    memory: Number | UnsetType = UNSET
    auto_heal: Flag | UnsetType = UNSET
