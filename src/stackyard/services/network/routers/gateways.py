"""A router's gateways: its ports on external networks. The first has the default route.

Whatever is asked, the gateways are written as a whole: which there are afterwards, each one of those before or new.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, owners, resources
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.ports import choice
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.resources import either, flag
from stackyard.services.network.routers.bodies import GatewayInfo, refuse_overlap
from stackyard.services.network.tables import floating_ips, ndp_proxies, ports, router_ports, routers, subnets

_FLOATING = sa.select(floating_ips.c.floating_network_id).where(floating_ips.c.router_id == bindparam("id"))
_PROXIES = sa.select(ndp_proxies.c.id).where(ndp_proxies.c.router_id == bindparam("id")).limit(1)
_LEGS = (
    sa.select(ports.c.fixed_ips)
    .join(router_ports, router_ports.c.port_id == ports.c.id)
    .where(router_ports.c.router_id == bindparam("id"))
)
_SUBNETS = sa.select(subnets).where(subnets.c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway, as rows keep it."""

    port_id: str
    network_id: str
    ips: list[dict[str, str]]
    enable_snat: bool = True
    qos_policy_id: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A gateway that is to be: the external network's row, what the body says, and the one that it is now."""

    network: Any
    info: GatewayInfo
    now: Gateway | None = None


Slot = Gateway | Wanted
"""A gateway that stays as it is, or one that is made or changed."""


def of(row: Any) -> list[Gateway]:
    """A router's gateways, in order."""
    if row.gateway_port_id is None:
        return []
    first = Gateway(
        row.gateway_port_id, row.gateway_network_id, row.gateway_ips, row.enable_snat, row.gateway_qos_policy_id
    )
    return [first, *(Gateway(**item) for item in row.extra_gateways)]


def set_first(tx: Transaction, runtime: Runtime, row: Any, network: Any, info: GatewayInfo) -> None:
    """Lead a router out through an external network, or change how it does; further gateways stay."""
    before = of(row)
    now = before[0] if before and before[0].network_id == network.id else None
    replace(tx, runtime, row, [Wanted(network, info, now), *before[1:]])


def clear_first(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Take a router's first gateway away; the next one, if any, takes its place."""
    replace(tx, runtime, row, of(row)[1:])


def replace(tx: Transaction, runtime: Runtime, row: Any, slots: Sequence[Slot]) -> None:
    """Have a router have these gateways; raises Neutron's faults, among them for what others depend on."""
    before = of(row)
    stay = {gateway.port_id for gateway in map(_now, slots) if gateway is not None}
    gone = [gateway for gateway in before if gateway.port_id not in stay]
    _refuse_lost(tx, row, gone, {_network_id(slot) for slot in slots})
    for index, slot in enumerate(slots):
        if isinstance(slot, Wanted):
            if index and either(slot.info.qos_policy_id, None):
                raise invalid("only a router's first gateway can have a qos_policy_id.")
            _check(tx, row, slot, [_network_id(other) for other in slots[:index]])
    for gateway in gone:
        port_rows.remove(tx, runtime, gateway.port_id)
    after = [slot if isinstance(slot, Gateway) else _settle(tx, runtime, row, slot) for slot in slots]
    if after != before:
        _store(tx, row, after)
        timeline.record(tx, marks.ROUTER, row.id, "gateways changed", ", ".join(one.network_id for one in after))
        marks.router(tx, row.id)


def _now(slot: Slot) -> Gateway | None:
    return slot if isinstance(slot, Gateway) else slot.now


def _network_id(slot: Slot) -> str:
    return slot.network_id if isinstance(slot, Gateway) else str(slot.network.id)


def _store(tx: Transaction, row: Any, gateways: Sequence[Gateway]) -> None:
    first = gateways[0] if gateways else None
    changes: dict[str, Any] = {
        "gateway_port_id": first.port_id if first else None,
        "gateway_network_id": first.network_id if first else None,
        "gateway_ips": first.ips if first else [],
        "enable_snat": first.enable_snat if first else True,
        "gateway_qos_policy_id": first.qos_policy_id if first else None,
        "extra_gateways": [dataclasses.asdict(gateway) | {"qos_policy_id": None} for gateway in gateways[1:]],
    }
    if first is None:
        changes["enable_ndp_proxy"] = False
    resources.touch(tx, routers, row.id, **changes)


def _refuse_lost(tx: Transaction, row: Any, gone: Sequence[Gateway], left: set[str]) -> None:
    lost = {gateway.network_id for gateway in gone} - left
    if not lost:
        return
    for floating in tx.all(_FLOATING, {"id": row.id}):
        if floating.floating_network_id in lost:
            raise conflict(
                "RouterExternalGatewayInUseByFloatingIp",
                f"Gateway cannot be updated for router {row.id}, since a gateway to external network "
                f"{floating.floating_network_id} is required by one or more floating IPs.",
            )
    if not left and tx.first(_PROXIES, {"id": row.id}) is not None:
        raise conflict(
            "RouterGatewayInUseByNDPProxy",
            f"Unable to unset external gateway of router {row.id}, There are one or more ndp proxies still in use on "
            "the router.",
        )


def _check(tx: Transaction, row: Any, wanted: Wanted, others: Sequence[str]) -> None:
    network = wanted.network
    if not network.external:
        raise BadRequest(f"Network {network.id} is not an external network", kind="BadRequest")
    new = choice.subnets_of(tx, network.id)
    held = {item["subnet_id"] for leg in tx.all(_LEGS, {"id": row.id}) for item in leg.fixed_ips}
    present = list(tx.all(_SUBNETS, {"ids": sorted(held)})) if held else []
    for other in sorted(set(others) - {network.id}):
        present += choice.subnets_of(tx, other)
    refuse_overlap(new, present)
    edges = {subnet.gateway_ip for subnet in new if subnet.gateway_ip}
    for item in _addresses(wanted.info) or []:
        if item.get("ip_address") in edges:
            raise BadRequest(f"External IP {item['ip_address']} is the same as the gateway IP", kind="BadRequest")


def _addresses(info: GatewayInfo) -> list[dict[str, str]] | None:
    return None if info.external_fixed_ips is UNSET else info.external_fixed_ips or None


def _settle(tx: Transaction, runtime: Runtime, row: Any, wanted: Wanted) -> Gateway:
    """Make a gateway's port, or give it the addresses asked for."""
    info, now, addresses = wanted.info, wanted.now, _addresses(wanted.info)
    snat = flag("enable_snat", info.enable_snat, default=True)
    policy = either(info.qos_policy_id, now.qos_policy_id if now is not None else None) or None
    if now is not None:
        ips = now.ips if addresses is None else _readdress(tx, now, addresses)
        return Gateway(now.port_id, now.network_id, ips, snat, policy)
    new = port_rows.NewPort(
        network_id=wanted.network.id, project_id="", fixed_ips=addresses, device_id=row.id,
        device_owner=owners.ROUTER_GATEWAY, port_security=False,
    )  # fmt: skip
    made = port_rows.insert(tx, runtime, new)
    if not made["fixed_ips"]:
        raise BadRequest(
            f"Network {wanted.network.id} has no subnet that a router's gateway could be on.", kind="BadRequest"
        )
    return Gateway(made["id"], str(wanted.network.id), made["fixed_ips"], snat, policy)


def _readdress(tx: Transaction, gateway: Gateway, addresses: list[dict[str, str]]) -> list[dict[str, str]]:
    port = port_rows.read(tx, gateway.port_id)
    wish = choice.Wish(
        port.network_id, port.mac_address, owners.ROUTER_GATEWAY, addresses, port.fixed_ips, port_id=port.id
    )
    fixed = port_rows.change_addresses(tx, port, choice.choose(tx, wish))
    if fixed != port.fixed_ips:
        resources.touch(tx, ports, port.id, fixed_ips=fixed)
    return fixed


# ------------------------------------------------------------------------------------------------ several gateways


def added(row: Any, wanted: Sequence[Wanted]) -> list[Slot]:
    """All gateways with further ones after them."""
    return [*of(row), *wanted]


def removed(row: Any, infos: Sequence[GatewayInfo]) -> list[Slot]:
    """The gateways without those that are described; raises UnableToMatchGateways."""
    left = of(row)
    if infos and not left:
        raise BadRequest(
            f"Unable to remove extra gateways from a router {row.id}: it has none.", kind="UnableToRemoveGateways"
        )
    for info in infos:
        match = _match(row, left, info)
        if match is None:
            raise _unmatched(row, f"there is none to network {info.network_id} with these addresses")
        left = [gateway for gateway in left if gateway is not match]
    return list(left)


def updated(row: Any, wanted: Sequence[Wanted]) -> list[Slot]:
    """The gateways described and no others, in that order: those that match stay, changed; the rest are new."""
    free = of(row)
    slots: list[Slot] = []
    for one in wanted:
        match = _match(row, free, one.info)
        free = [gateway for gateway in free if gateway is not match]
        slots.append(dataclasses.replace(one, now=match))
    return slots


def _match(row: Any, gateways: Sequence[Gateway], info: GatewayInfo) -> Gateway | None:
    """The gateway to that network which has one of the addresses, or the only one when none are given."""
    there = [gateway for gateway in gateways if gateway.network_id == info.network_id]
    given = {item["ip_address"] for item in _addresses(info) or [] if item.get("ip_address")}
    if given:
        return next((one for one in there if given & {item["ip_address"] for item in one.ips}), None)
    if len(there) > 1:
        raise _unmatched(
            row, f"there are several to network {info.network_id} and external_fixed_ips does not say which one"
        )
    return there[0] if there else None


def _unmatched(row: Any, reason: str) -> BadRequest:
    return BadRequest(
        f"Unable to match a requested gateway port to existing gateway ports for router {row.id}: {reason}.",
        kind="UnableToMatchGateways",
    )
