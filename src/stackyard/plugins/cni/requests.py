"""What a container runtime asks of us: its environment and its configuration, checked."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stackyard.core.body import OpenBody, convert
from stackyard.core.errors import ApiError

VERSIONS = ("0.4.0", "1.0.0", "1.1.0")
"""The versions of the specification that results are written in."""

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z")
_DEVICE = re.compile(r"[^\s/:]{1,15}\Z")
_OWN_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}\Z")
_PATH = re.compile(r"/[A-Za-z0-9_./-]{1,250}\Z")

INCOMPATIBLE, UNSUPPORTED, UNKNOWN, INVALID_ENVIRONMENT, IO_FAILURE, UNDECODABLE, INVALID_CONFIG, TRY_LATER = (
    1, 2, 3, 4, 5, 6, 7, 11,
)  # fmt: skip
"""Codes of the specification's errors."""
UNAVAILABLE = 50
"""The plug-in cannot serve ADD now (STATUS)."""
FAILED = 100
"""The first code that is a plug-in's own: the network service refuses."""


class CniError(Exception):
    """An error as the runtime is told it."""

    def __init__(self, code: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        """Without the version, which only the command knows when the configuration cannot be read."""
        return {"code": self.code, "msg": self.message, "details": self.details}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A call as the command passes it on: variables of its environment without `CNI_`, and its standard input."""

    command: str
    container_id: str = ""
    netns: str = ""
    ifname: str = ""
    args: str = ""
    config: Any = None


class Attachment(msgspec.Struct, frozen=True):
    """A container's interface that the runtime still knows."""

    container_id: str = msgspec.field(name="containerID")
    ifname: str


class Config(OpenBody, kw_only=True):
    """The network configuration. `network`, `subnet` and `security_groups` are names or ids; what a chain of plug-ins
    or a runtime adds to it is left alone."""

    cni_version: str = msgspec.field(name="cniVersion", default="1.0.0")
    name: str = ""
    network: str = ""
    subnet: str = ""
    security_groups: list[str] | None = None
    project: str = ""
    addresses: list[str] = []
    mac: str = ""
    dns: dict[str, Any] = {}
    runtime_config: dict[str, Any] = msgspec.field(name="runtimeConfig", default_factory=dict)
    previous: dict[str, Any] | None = msgspec.field(name="prevResult", default=None)
    valid: list[Attachment] = msgspec.field(name="cni.dev/valid-attachments", default_factory=list)


def read_config(request: Request) -> Config:
    """The configuration; raises CniError."""
    if not isinstance(request.config, dict):
        raise CniError(UNDECODABLE, "the network configuration is not a JSON object")
    try:
        config = convert(request.config, Config, "config")
    except ApiError as error:
        raise CniError(INVALID_CONFIG, "the network configuration is wrong", error.message) from None
    if config.cni_version not in VERSIONS:
        raise CniError(
            INCOMPATIBLE, f"CNI version {config.cni_version} is not served", f"these are: {', '.join(VERSIONS)}"
        )
    return config


def check_environment(request: Request, *, with_namespace: bool) -> None:
    """Whether the variables can be used; raises CniError, naming the one that cannot."""
    if not _CONTAINER.match(request.container_id):
        raise CniError(INVALID_ENVIRONMENT, f"CNI_CONTAINERID is {request.container_id!r}")
    known = _DEVICE.match(request.ifname) and request.ifname not in (".", "..")
    if not known or not _OWN_DEVICE.match(request.ifname) or request.ifname == "lo":
        raise CniError(INVALID_ENVIRONMENT, f"CNI_IFNAME is {request.ifname!r}, no name of an interface")
    if with_namespace and (not _PATH.match(request.netns) or ".." in request.netns.split("/")):
        raise CniError(INVALID_ENVIRONMENT, f"CNI_NETNS is {request.netns!r}, no path of a namespace")


def read_args(text: str) -> dict[str, str]:
    """CNI_ARGS, `KEY=VALUE;KEY=VALUE`; raises CniError."""
    found = {}
    for part in text.split(";") if text else ():
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise CniError(INVALID_ENVIRONMENT, f"CNI_ARGS has {part!r}, which is not KEY=VALUE")
        found[key] = value
    return found
