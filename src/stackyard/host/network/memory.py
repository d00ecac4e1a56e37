"""The in-memory twin of the kernel driver: same checks, same promises, no packets. For tests of everything above."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from stackyard.host.network import checks, names, router_checks
from stackyard.host.network.metadata import MetadataHandler
from stackyard.host.specs import (
    AddressGroupSpec,
    NetworkObservation,
    NetworkPart,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    SecurityGroupSpec,
    Tap,
)


class MemoryNetworkDriver:
    """Remembers specs. `networks`, `ports`, `security_groups`, ... hold them by id; `calls` is what was called.

    `fail_next` makes the next call of a method fail; `lose` makes a resource look broken until it is applied again.
    """

    def __init__(self) -> None:
        self.networks: dict[str, NetworkSpec] = {}
        self.ports: dict[str, PortSpec] = {}
        self.security_groups: dict[str, SecurityGroupSpec] = {}
        self.address_groups: dict[str, AddressGroupSpec] = {}
        self.routers: dict[str, RouterSpec] = {}
        self.metadata_handler: MetadataHandler | None = None
        self.meters: dict[str, tuple[int, int]] = {}
        self.calls: list[tuple[str, str]] = []
        self.started = False
        self._failures: dict[str, list[Exception]] = {}
        self._lost: dict[str, str] = {}
        self._lock = threading.RLock()

    def fail_next(self, method: str, error: Exception) -> None:
        """Make the next call of `method` raise `error` and change nothing; several queue up."""
        with self._lock:
            self._failures.setdefault(method, []).append(error)

    def lose(self, resource_id: str, problem: str = "it was lost") -> None:
        """Make a resource look broken to `observe` until it is applied again."""
        with self._lock:
            self._lost[resource_id] = problem

    def _called(self, method: str, resource_id: str = "") -> None:
        self.calls.append((method, resource_id))
        waiting = self._failures.get(method)
        if waiting:
            raise waiting.pop(0)

    def start(self) -> None:
        """See NetworkDriver."""
        with self._lock:
            self._called("start")
            self.started = True

    def close(self) -> None:
        """Nothing to give back."""

    def apply_network(self, spec: NetworkSpec) -> None:
        """See NetworkDriver."""
        checks.check_network(spec)
        with self._lock:
            self._called("apply_network", spec.id)
            self.networks[spec.id] = spec
            self._lost.pop(spec.id, None)

    def remove_network(self, network_id: str) -> None:
        """See NetworkDriver."""
        with self._lock:
            self._called("remove_network", network_id)
            self.networks.pop(network_id, None)
            self._lost.pop(network_id, None)

    def entrance(self, network_id: str) -> str | None:
        """See NetworkDriver."""
        with self._lock:
            spec = self.networks.get(network_id)
            return "/proc/self/ns/net" if spec is not None and spec.service_port is not None else None

    def apply_port(self, spec: PortSpec) -> None:
        """See NetworkDriver."""
        checks.check_port(spec)
        with self._lock:
            self._called("apply_port", spec.id)
            self.ports[spec.id] = spec
            self._lost.pop(spec.id, None)

    def tap(self, port_id: str) -> Tap:
        """See NetworkDriver; there is no device to open."""
        return Tap(namespace="/run/netns/nowhere", device=names.port(port_id))

    def remove_port(self, port_id: str) -> None:
        """See NetworkDriver."""
        with self._lock:
            self._called("remove_port", port_id)
            self.ports.pop(port_id, None)
            self._lost.pop(port_id, None)

    def apply_security_group(self, spec: SecurityGroupSpec) -> None:
        """See NetworkDriver."""
        checks.check_security_group(spec)
        with self._lock:
            self._called("apply_security_group", spec.id)
            self.security_groups[spec.id] = spec
            self._lost.pop(spec.id, None)

    def remove_security_group(self, group_id: str) -> None:
        """See NetworkDriver."""
        with self._lock:
            self._called("remove_security_group", group_id)
            self.security_groups.pop(group_id, None)
            self._lost.pop(group_id, None)

    def apply_address_group(self, spec: AddressGroupSpec) -> None:
        """See NetworkDriver."""
        checks.check_address_group(spec)
        with self._lock:
            self._called("apply_address_group", spec.id)
            self.address_groups[spec.id] = spec
            self._lost.pop(spec.id, None)

    def remove_address_group(self, group_id: str) -> None:
        """See NetworkDriver."""
        with self._lock:
            self._called("remove_address_group", group_id)
            self.address_groups.pop(group_id, None)
            self._lost.pop(group_id, None)

    def apply_router(self, spec: RouterSpec) -> None:
        """See NetworkDriver."""
        router_checks.check_router(spec)
        with self._lock:
            self._called("apply_router", spec.id)
            self.routers[spec.id] = spec
            self._lost.pop(spec.id, None)

    def remove_router(self, router_id: str) -> None:
        """See NetworkDriver."""
        with self._lock:
            self._called("remove_router", router_id)
            self.routers.pop(router_id, None)
            self._lost.pop(router_id, None)

    def answer_metadata(self, handler: MetadataHandler) -> None:
        """See NetworkDriver: `metadata_handler` is what was given."""
        self.metadata_handler = handler

    def read_meters(self) -> dict[str, tuple[int, int]]:
        """See NetworkDriver: what `meters` has been given for the labels of the routers that are there."""
        with self._lock:
            self._called("read_meters")
            labels = {label.id for router in self.routers.values() for label in router.metering}
            return {label: self.meters.get(label, (0, 0)) for label in labels}

    def unapplied(self, specs: Sequence[NetworkPart]) -> frozenset[str]:
        """See NetworkDriver."""
        with self._lock:
            tables: tuple[Mapping[str, NetworkPart], ...] = (
                self.networks, self.ports, self.security_groups, self.address_groups, self.routers,
            )  # fmt: skip
            return frozenset(spec.id for spec in specs if not any(table.get(spec.id) == spec for table in tables))

    def observe(self) -> NetworkObservation:
        """See NetworkDriver."""
        with self._lock:
            self._called("observe")
            problems = dict(self._lost)
            for port in self.ports.values():
                if port.network_id not in self.networks:
                    problems.setdefault(port.id, "its network is not there")
            return NetworkObservation(
                networks=frozenset(self.networks.keys() - problems.keys()),
                ports=frozenset(self.ports.keys() - problems.keys()),
                routers=frozenset(self.routers.keys() - problems.keys()),
                security_groups=frozenset(self.security_groups.keys() - problems.keys()),
                address_groups=frozenset(self.address_groups.keys() - problems.keys()),
                problems=problems,
            )

    def purge(self) -> None:
        """See NetworkDriver."""
        with self._lock:
            self._called("purge")
            for table in (
                self.networks, self.ports, self.security_groups, self.address_groups, self.routers, self._lost,
            ):  # fmt: skip
                table.clear()
            self.started = False
