"""Filters: each says of a host whether it will do. All are pure.

A filter first takes out of a request what concerns it (its aspect); most concern few requests. Fixed filters look at
nothing that servers change, so which hosts pass them is worked out once for all requests with the same aspects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from stackyard.services.compute.scheduler import matching
from stackyard.services.compute.scheduler.hosts import HostState, Snapshot
from stackyard.services.compute.scheduler.request import DISK, MEMORY, VCPU, Circumstances, Request

ALWAYS = "always"
"""The aspect of filters that ask nothing of the request."""

HYPERVISORS = {"machine": ("qemu", "kvm"), "container": ("docker",), "system": ("lxc", "container")}
"""What images call the hypervisors of each kind of server."""
MODES = {"machine": "hvm", "container": "exe", "system": "exe"}
_ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "i386": "i686"}
_RUNS_TOO = {"x86_64": ("i686",), "aarch64": ("armv7l",)}
_SCOPE = "aggregate_instance_extra_specs:"
_CAPABILITIES = "capabilities:"


@dataclass(frozen=True, slots=True)
class Filter:
    """`aspect` is None when the filter does not concern the request; `passes` is given it otherwise."""

    name: str
    aspect: Callable[[Request, Circumstances, Snapshot], Any]
    passes: Callable[[HostState, Any], bool]


def _always(*_: object) -> Hashable:
    return ALWAYS


def _image_aspect(request: Request, *_: object) -> Hashable:
    given = request.image_properties

    def either(*names: str) -> str | None:
        found = next((given[name] for name in names if given.get(name)), None)
        return None if found is None else str(found).lower()

    architecture = either("hw_architecture", "architecture")
    wanted = (
        request.kind,
        _ARCHITECTURES.get(architecture, architecture) if architecture else None,
        either("img_hv_type", "hypervisor_type"),
        either("hw_vm_mode", "vm_mode"),
        either("img_hv_requested_version", "hypervisor_version_requires"),
    )
    return wanted if any(wanted[1:]) else None


def _image(host: HostState, wanted: Any) -> bool:
    kind, architecture, hypervisor, mode, version = wanted
    if architecture not in (None, host.architecture, *_RUNS_TOO.get(host.architecture, ())):
        return False
    if hypervisor is not None and hypervisor not in HYPERVISORS.get(kind, ()):
        return False
    if mode is not None and mode != MODES.get(kind):
        return False
    return version is None or _version_matches(host.hypervisor_version, version)


def _version_matches(version: int, requirement: str) -> bool:
    """Whether a version as Nova's integer (8002001) meets `>=8.2,<9`."""
    have = (version // 1_000_000, version // 1_000 % 1_000, version % 1_000)
    for part in requirement.replace(" ", "").split(","):
        number = part.lstrip("<>=!")
        word = part[: len(part) - len(number)] or "=="
        pieces = number.split(".")
        if not all(piece.isdecimal() for piece in pieces):
            return False
        wanted = tuple(int(piece) for piece in pieces[:3])
        cut = have[: len(wanted)] if word in ("==", "!=") else have
        meets = {"==": cut == wanted, "!=": cut != wanted, ">=": have >= wanted, "<=": have <= wanted,
                 ">": have > wanted, "<": have < wanted}.get(word, False)  # fmt: skip
        if not meets:
            return False
    return True


def _specs_aspect(request: Request, _: Circumstances, snapshot: Snapshot) -> Hashable:
    """Scoped extra specs, and unscoped ones that some aggregate knows."""
    wanted = []
    for key, value in request.extra_specs.items():
        if key.startswith(_SCOPE):
            wanted.append((key.removeprefix(_SCOPE), str(value)))
        elif ":" not in key and key in snapshot.metadata_keys:
            wanted.append((key, str(value)))
    return tuple(sorted(wanted)) or None


def _specs(host: HostState, wanted: Any) -> bool:
    for key, requirement in wanted:
        values = [metadata[key] for metadata in host.aggregates if key in metadata]
        if not any(matching.matches(part.strip(), requirement) for value in values for part in str(value).split(",")):
            return False
    return True


def _tenant_aspect(request: Request, _: Circumstances, snapshot: Snapshot) -> Hashable:
    isolates = any(key.startswith("filter_tenant_id") for key in snapshot.metadata_keys)
    return request.project_id if isolates else None


def _tenant(host: HostState, project: Any) -> bool:
    allowed = [
        tenant.strip()
        for metadata in host.aggregates
        for key, value in metadata.items()
        if key.startswith("filter_tenant_id")
        for tenant in str(value).split(",")
    ]
    return not allowed or project in allowed


def _isolation_aspect(request: Request, _: Circumstances, snapshot: Snapshot) -> Hashable:
    wanted = [
        (key, str(value))
        for key, value in request.image_properties.items()
        if key in snapshot.metadata_keys and value is not None
    ]
    return tuple(sorted(wanted)) or None


def _isolation(host: HostState, wanted: Any) -> bool:
    for key, value in wanted:
        for metadata in host.aggregates:
            if key in metadata and value not in [part.strip() for part in str(metadata[key]).split(",")]:
                return False
    return True


def _traits_aspect(request: Request, *_: object) -> Hashable:
    required, forbidden = request.traits()
    return (required, forbidden) if required or forbidden else None


def _traits(host: HostState, wanted: Any) -> bool:
    required, forbidden = wanted
    return required <= host.traits and not forbidden & host.traits


FIXED: tuple[Filter, ...] = (
    Filter("leaving out disabled hosts", _always, lambda host, _: host.enabled),
    Filter("leaving out hosts that are down", _always, lambda host, _: host.up),
    Filter("availability zone", lambda request, *_: request.zone, lambda host, zone: host.zone == zone),
    Filter("kind of server", lambda request, *_: request.kind, lambda host, kind: kind in host.kinds),
    Filter("image properties", _image_aspect, _image),
    Filter("aggregates' extra specs", _specs_aspect, _specs),
    Filter("aggregates' projects", _tenant_aspect, _tenant),
    Filter("aggregates' image properties", _isolation_aspect, _isolation),
    Filter("traits", _traits_aspect, _traits),
)


def facts(host: HostState) -> Mapping[str, Any]:
    """A host in the words of `query` hints and `capabilities:` extra specs."""
    memory, disk, vcpus = (host.stock.get(name) for name in (MEMORY, DISK, VCPU))
    return {
        "host": host.name,
        "hypervisor_hostname": host.name,
        "hypervisor_type": host.hypervisor,
        "hypervisor_version": host.hypervisor_version,
        "host_ip": host.address,
        "cpu_info": {"arch": host.architecture},
        "free_ram_mb": host.free.get(MEMORY, 0),
        "free_disk_mb": host.free.get(DISK, 0) * 1024,
        "total_usable_ram_mb": memory.capacity if memory else 0,
        "total_usable_disk_gb": disk.capacity if disk else 0,
        "vcpus_total": vcpus.capacity if vcpus else 0,
        "vcpus_used": host.used.get(VCPU, 0),
    }


def _capabilities_aspect(request: Request, *_: object) -> Hashable:
    wanted = [
        (key.removeprefix(_CAPABILITIES).replace(":", "."), str(value))
        for key, value in request.extra_specs.items()
        if key.startswith(_CAPABILITIES)
    ]
    return tuple(sorted(wanted)) or None


def _capabilities(host: HostState, wanted: Any) -> bool:
    known: Any = facts(host)
    for path, requirement in wanted:
        value = known
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None or not matching.matches(str(value), requirement):
            return False
    return True


def _near(host: HostState, network: Any) -> bool:
    try:
        return ipaddress.ip_address(host.address) in network
    except ValueError:
        return False


def _group_aspect(_: Request, circumstances: Circumstances, __: Snapshot) -> Any:
    return circumstances if circumstances.policy in ("affinity", "anti-affinity") else None


def _group(host: HostState, circumstances: Any) -> bool:
    there = circumstances.group_hosts
    if circumstances.policy == "affinity":
        return not there or host.name in there
    return bool(there.get(host.name, 0) < circumstances.max_per_host)


def _needs(name: str) -> Filter:
    return Filter(
        WORDS[name],
        lambda request, *_: request.resources().get(name),
        lambda host, amount: host.free.get(name, 0) >= amount and host.gives(name, amount),
    )


def _others_aspect(request: Request, *_: object) -> Any:
    return {name: amount for name, amount in request.resources().items() if name not in WORDS} or None


WORDS = {MEMORY: "RAM", VCPU: "CPUs", DISK: "disk"}

CHANGING: tuple[Filter, ...] = (
    Filter("host asked for", lambda request, *_: request.host, lambda host, name: host.name == name),
    Filter("hosts to be left out", lambda request, *_: request.exclude_hosts or None,
           lambda host, names: host.name not in names),
    Filter("hint same_host", lambda _, found, __: found.same, lambda host, names: host.name in names),
    Filter("hint different_host", lambda _, found, __: found.different or None,
           lambda host, names: host.name not in names),
    Filter("hint build_near_host_ip", lambda _, found, __: found.near, _near),
    Filter("hint query", lambda _, found, __: found.query, lambda host, query: matching.answers(query, facts(host))),
    Filter("capabilities", _capabilities_aspect, _capabilities),
    Filter("server group", _group_aspect, _group),
)  # fmt: skip

CAPACITY: tuple[Filter, ...] = (
    *(_needs(name) for name in WORDS),
    Filter("other resources", _others_aspect, lambda host, resources: host.fits(resources)),
)
