"""What the rest of the network service asks of policies: may this one be used, and what does it come to for a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.host.specs import BandwidthLimit, PacketRateLimit, Qos
from stackyard.services.network import owners, sharing
from stackyard.services.network.tables import qos_default_policies, qos_policies

_POLICY = sa.select(qos_policies).where(qos_policies.c.id == bindparam("id"))
_DEFAULT = sa.select(qos_default_policies.c.qos_policy_id).where(
    qos_default_policies.c.project_id == bindparam("project")
)
_SERVICE_OWNERS = ("network:", "neutron:")


def not_found(policy_id: str) -> NotFound:
    """No such policy, or the caller may not know of it."""
    return NotFound(f"QoS policy {policy_id} could not be found.", kind="QosPolicyNotFound")


def usable(tx: Transaction, caller: Caller, policy_id: str) -> None:
    """Check that a policy is the caller's own or shared with him, so that he may use it; raises QosPolicyNotFound."""
    row = tx.first(_POLICY, {"id": policy_id})
    if row is None or not sees(tx, caller, row):
        raise not_found(policy_id)


def sees(tx: Transaction, caller: Caller, row: Any) -> bool:
    """Whether a policy is the caller's own or shared with him."""
    if caller.is_admin or row.project_id == caller.project_id:
        return True
    return sharing.is_shared(tx, "qos_policy", row.id, caller.project_id)


def default_policy(tx: Transaction, project_id: str) -> str | None:
    """The id of the policy that new networks of a project get when none is named."""
    found = tx.scalar(_DEFAULT, {"project": project_id})
    return None if found is None else str(found)


def of_policy(tx: Transaction, policy_id: str | None) -> Qos | None:
    """What a policy asks of a host; None for no policy, or one without a rule that a host can follow."""
    row = tx.first(_POLICY, {"id": policy_id}) if policy_id else None
    return None if row is None else qos(row.rules)


def effective_policy(port: Any, network: Any) -> str | None:
    """The policy in force for a port: its own, else its network's unless the port is of the network's own services."""
    if port.qos_policy_id:
        return str(port.qos_policy_id)
    owner = port.device_owner
    if network is None or (owner.startswith(_SERVICE_OWNERS) and owner != owners.ROUTER_GATEWAY):
        return None
    return network.qos_policy_id or None


def of_port(tx: Transaction, port: Any, network: Any) -> Qos | None:
    """What is asked of a port, from the rows of the port and of its network."""
    return of_policy(tx, effective_policy(port, network))


def qos(rules: Iterable[Mapping[str, Any]]) -> Qos | None:
    """Rules, as policies show them, for a host. A limit of 0 is no limit, as in Neutron. Pure."""
    bandwidth: list[BandwidthLimit] = []
    packets: list[PacketRateLimit] = []
    dscp = minimum = None
    for rule in rules:
        if rule["type"] == "bandwidth_limit" and rule["max_kbps"]:
            burst = rule["max_burst_kbps"] or 0
            bandwidth.append(
                BandwidthLimit(direction=rule["direction"], max_kbps=rule["max_kbps"], max_burst_kbps=burst)
            )
        elif rule["type"] == "packet_rate_limit" and rule["max_kpps"]:
            burst = rule["max_burst_kpps"] or 0
            packets.append(
                PacketRateLimit(direction=rule["direction"], max_kpps=rule["max_kpps"], max_burst_kpps=burst)
            )
        elif rule["type"] == "dscp_marking":
            dscp = rule["dscp_mark"]
        elif rule["type"] == "minimum_bandwidth" and rule["direction"] == "egress" and rule["min_kbps"]:
            minimum = rule["min_kbps"]
    if not bandwidth and not packets and dscp is None and minimum is None:
        return None
    return Qos(
        bandwidth=tuple(sorted(bandwidth, key=_direction)),
        packet_rate=tuple(sorted(packets, key=_direction)),
        dscp=dscp,
        minimum_kbps=minimum,
    )


def _direction(limit: BandwidthLimit | PacketRateLimit) -> str:
    return limit.direction
