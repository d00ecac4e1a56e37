"""Ends connections that the security groups no longer allow, and those of addresses that have left their port."""

from __future__ import annotations

from collections.abc import Iterable

from stackyard.host.network.applied import Applied, port_addresses
from stackyard.host.network.conntrack import Connection
from stackyard.host.network.fabric import Fabric
from stackyard.host.network.security_groups import Remotes, allows
from stackyard.host.specs import PortSpec, SecurityGroupSpec

_DHCP_PORTS = frozenset({67, 68, 546, 547})
_UDP = 17


def shrank(spec: SecurityGroupSpec, before: SecurityGroupSpec | None) -> bool:
    """Whether something that was allowed may be allowed no longer."""
    if before is None:
        return True
    return bool(set(before.rules) - set(spec.rules)) or bool(set(before.members) - set(spec.members))


def permitted(connection: Connection, port: PortSpec, applied: Applied, remotes: Remotes | None = None) -> bool:
    """Whether the port's groups, as applied, let the connection begin. True as well while a group is unknown."""
    remotes = remotes or Remotes(applied.groups, applied.address_groups)
    if connection.protocol == _UDP and connection.destination_port in _DHCP_PORTS:
        return True
    if any(group not in applied.groups for group in port.security_groups):
        return True
    own = port_addresses(port)
    directions = [
        direction
        for direction, address in (("ingress", connection.destination), ("egress", connection.source))
        if address in own
    ]
    rules = [rule for group in port.security_groups for rule in applied.groups[group].rules]

    return all(
        any(rule.direction == direction and allows(rule, connection, remotes) for rule in rules)
        for direction in directions
    )


def end_forbidden(fabric: Fabric, applied: Applied, ports: Iterable[PortSpec]) -> int:
    """End the tracked connections of these ports that their groups do not allow any longer; says how many."""
    by_key: dict[tuple[int, str], PortSpec] = {}
    for port in ports:
        zone = fabric.zones.get(port.network_id)
        if zone is not None and port.port_security:
            by_key.update({(zone, address): port for address in port_addresses(port)})
    if not by_key:
        return 0

    remotes = Remotes(applied.groups, applied.address_groups)

    def forbidden(connection: Connection) -> bool:
        ends = {connection.source, connection.destination}
        found = (by_key.get((connection.zone, address)) for address in ends)
        return any(port is not None and not permitted(connection, port, applied, remotes) for port in found)

    zones = {zone for zone, _ in by_key}
    return fabric.end_connections(forbidden, zones.pop() if len(zones) == 1 else None)


def end_of_addresses(fabric: Fabric, network_id: str, addresses: frozenset[str]) -> int:
    """End every tracked connection of addresses that have left, before somebody else gets them."""
    zone = fabric.zones.get(network_id)
    if zone is None or not addresses:
        return 0
    return fabric.end_connections(lambda item: item.source in addresses or item.destination in addresses, zone)
