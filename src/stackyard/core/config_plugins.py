"""Settings of the plug-ins by which other programs use the cloud's networks."""

from __future__ import annotations

from dataclasses import dataclass

from stackyard.core.config_checks import one_of, setting


@dataclass(frozen=True, slots=True)
class Kuryr:
    """Docker's network and IPAM plug-in."""

    enabled: bool = setting(default=True, help_text="Serve Docker's network plug-in.")
    socket: str = setting(
        "/run/docker/plugins/kuryr.sock",
        "Where Docker finds the plug-in; the file's name is the driver's. One that another cloud serves is left to it.",
    )
    docker_socket: str = setting(
        "",
        "Path of the Docker Engine's socket, where the names of containers are asked for; empty: the usual places.",
    )
    project: str = setting("demo", "Name (in the default domain) or id of the project that Docker's networks are in.")
    scope: str = setting(
        "local", "local: each Docker Engine has networks of its own; global: all of a swarm share them.",
        one_of("local", "global"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cni:
    """The CNI plug-in, for pods and podman containers."""

    enabled: bool = setting(default=True, help_text="Serve stackyard-cni, by cni.sock in the state directory.")
    default_project: str = setting(
        "demo",
        "Name (in the default domain) or id of the project whose networks are used when a configuration names none.",
    )
