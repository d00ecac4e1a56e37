"""What a server asks of the host it is to run on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

import msgspec

VCPU, MEMORY, DISK = "VCPU", "MEMORY_MB", "DISK_GB"

_RESOURCES = re.compile(r"resources[A-Za-z0-9_-]{0,64}:([A-Z0-9_]+)")
_TRAIT = re.compile(r"trait[A-Za-z0-9_-]{0,64}:([A-Z0-9_]+)")


class NoValidHost(Exception):
    """No host can take the server; the text tells how many hosts each filter left, and what the last one lacked."""


class Request(msgspec.Struct, kw_only=True):
    """A server as the scheduler sees it.

    `memory` is MiB, `disk` GiB (root, ephemeral and swap together) · `host` the only host that will do (its name),
    whatever filters say when it is `forced` ·
    `image_properties` as the image has them, `extra_specs` as the flavor has them · `exclude_hosts` the names of hosts
    that will not do: where a server is now that shall move, where building it has failed.
    """

    vcpus: int
    memory: int
    disk: int
    project_id: str
    user_id: str
    kind: str = "machine"
    zone: str | None = None
    host: str | None = None
    hints: Mapping[str, Any] = {}
    server_group_id: str | None = None
    forced: bool = False
    image_properties: Mapping[str, Any] = {}
    extra_specs: Mapping[str, str] = {}
    exclude_hosts: frozenset[str] = frozenset()

    def resources(self) -> dict[str, int]:
        """How much of each resource class it takes; extra specs `resources:CLASS` add to it, replace it or (0) drop it.

        Numbered groups of resources are taken from the same host, which is one provider.
        """
        found = {VCPU: self.vcpus, MEMORY: self.memory, DISK: self.disk}
        for key, value in self.extra_specs.items():
            match = _RESOURCES.fullmatch(key)
            if match is not None and str(value).isdecimal():
                found[match[1]] = int(value)
        return {name: amount for name, amount in found.items() if amount > 0}

    def traits(self) -> tuple[frozenset[str], frozenset[str]]:
        """The traits that the host must have and must not have, by the flavor and by the image."""
        required: set[str] = set()
        forbidden: set[str] = set()
        for source in (self.image_properties, self.extra_specs):
            for key, value in source.items():
                match = _TRAIT.fullmatch(key)
                if match is not None:
                    (forbidden if value == "forbidden" else required).add(match[1])
        return frozenset(required), frozenset(forbidden)


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What a request's hints and its server group come to, as hosts' names.

    `group_hosts` how many servers of the group each host has · `same` hosts of which one it must be · `different` hosts
    that it must not be · `near` the network that the host's address must lie in · `query` that hint, parsed.
    """

    policy: str | None = None
    max_per_host: int = 1
    group_hosts: Mapping[str, int] = {}
    same: frozenset[str] | None = None
    different: frozenset[str] = frozenset()
    near: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    query: Any = None
