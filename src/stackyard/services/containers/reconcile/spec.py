"""A container's row as the plain spec that an engine makes true. A pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stackyard.host.specs import BindMount, ContainerSpec, HealthCheck
from stackyard.services.containers.reconcile.plan import BUILD_LABEL

MIB_PER_GIB = 1024


def container_spec(
    row: Any, image: str, *, sources: Sequence[Path], dns_servers: Sequence[str], dns_search: Sequence[str]
) -> ContainerSpec:
    """`image` is the name in the engine's store, `sources` are paths of the host in the order of the row's mounts."""
    spec = row.spec
    restart = spec["restart_policy"] or {"Name": "no", "MaximumRetryCount": "0"}
    return ContainerSpec(
        id=row.uuid,
        image=image,
        command=_words(spec["command"]),
        entrypoint=_words(spec["entrypoint"]),
        environment=spec["environment"],
        labels={**spec["labels"], BUILD_LABEL: str(row.build)},
        workdir=spec["workdir"],
        hostname=row.hostname,
        memory=row.memory or None,
        cpus=row.cpu or None,
        disk=row.disk * MIB_PER_GIB or None,
        restart_policy=restart["Name"],
        restart_retries=int(restart["MaximumRetryCount"]),
        tty=row.tty,
        interactive=row.interactive,
        privileged=spec["privileged"],
        health_check=_health_check(spec["healthcheck"]),
        mounts=tuple(
            BindMount(source=str(path), target=mount["destination"])
            for mount, path in zip(spec["mounts"], sources, strict=True)
        ),
        dns_servers=tuple(dns_servers),
        dns_search=tuple(dns_search),
        hosts=own_name(row.hostname, row.addresses),
    )


def own_name(hostname: str, addresses: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """The container's host name with its first address, IPv4 before IPv6: what asks for its own name finds it there."""
    found = [(str(address["version"]) != "4", address["addr"]) for network in addresses.values() for address in network]
    return {hostname: min(found, key=lambda one: one[0])[1]} if found else {}


def _words(words: list[str] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)


def _health_check(asked: dict[str, Any] | None) -> HealthCheck | None:
    if asked is None:
        return None
    given = {name: asked[name] for name in ("interval", "timeout", "retries") if asked.get(name)}
    return HealthCheck(command=asked["test"], **given)
