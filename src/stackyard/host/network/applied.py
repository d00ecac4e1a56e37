"""What this process has applied: lets a change be small and a repetition cost nothing. Never needed for correctness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackyard.host.network import checks
from stackyard.host.specs import (
    AddressGroupSpec,
    NetworkPart,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    SecurityGroupSpec,
)


@dataclass
class Applied:
    """Specs by id, each as last applied in full. `prints` tell whether a port's wire is still the one that was made.

    `stateless` and `rated` are the devices in the kernel's set and map of those, None while nobody has looked; `quick`
    tells whether the filter's quick way is open.
    """

    networks: dict[str, NetworkSpec] = field(default_factory=dict)
    ports: dict[str, PortSpec] = field(default_factory=dict)
    groups: dict[str, SecurityGroupSpec] = field(default_factory=dict)
    address_groups: dict[str, AddressGroupSpec] = field(default_factory=dict)
    routers: dict[str, RouterSpec] = field(default_factory=dict)
    stateless: set[str] | None = None
    rated: set[str] | None = None
    quick: bool | None = None
    prints: dict[str, tuple[int, int, int] | None] = field(default_factory=dict)

    def lacks(self, spec: NetworkPart) -> bool:
        """Whether this very spec is not what was applied last."""
        tables: tuple[Mapping[str, NetworkPart], ...] = (
            self.networks, self.ports, self.groups, self.address_groups, self.routers,
        )  # fmt: skip
        return not any(table.get(spec.id) == spec for table in tables)

    def clear(self) -> None:
        """Forget everything."""
        for table in (self.networks, self.ports, self.groups, self.address_groups, self.routers, self.prints):
            table.clear()
        self.stateless = self.rated = self.quick = None

    def routers_on(self, network_id: str) -> list[RouterSpec]:
        """Routers with a leg on the network; a leg's MTU is its network's."""
        return [
            router
            for router in self.routers.values()
            if any(leg.network_id == network_id for leg in router.interfaces)
            or any(leg.network_id == network_id for leg in router.gateways)
        ]

    def ports_of_group(self, group_id: str) -> list[PortSpec]:
        """Ports that are in the group."""
        return [port for port in self.ports.values() if group_id in port.security_groups]

    def ports_looking_at(self, group_id: str) -> list[PortSpec]:
        """Ports whose groups have rules that name the group as remote."""
        looking = {
            group.id for group in self.groups.values() if any(rule.remote_group == group_id for rule in group.rules)
        }
        return [port for port in self.ports.values() if looking.intersection(port.security_groups)]

    def ports_admitting(self, address_group_id: str) -> list[PortSpec]:
        """Ports whose groups have rules that name the address group."""
        looking = {
            group.id
            for group in self.groups.values()
            if any(rule.remote_address_group == address_group_id for rule in group.rules)
        }
        return [port for port in self.ports.values() if looking.intersection(port.security_groups)]


def port_addresses(spec: PortSpec) -> frozenset[str]:
    """A port's own addresses, and single ones that it may use besides, in canonical form."""
    pairs = (checks.network(pair.ip) for pair in spec.allowed_pairs)
    single = {str(pair.network_address) for pair in pairs if pair.num_addresses == 1}
    return frozenset(single | {str(checks.address(item.ip)) for item in spec.addresses})
