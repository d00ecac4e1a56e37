"""From the bodies of new ports to what is to be written, looking up only once what several of them name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.network import default_groups, owners
from stackyard.services.network.addresses import read_mac
from stackyard.services.network.faults import conflict
from stackyard.services.network.ports import attributes, rows
from stackyard.services.network.ports.bindings import vif_type
from stackyard.services.network.ports.bodies import (
    NewPortBody,
    check_port_security,
    read_dns_name,
    read_groups,
    read_pairs,
    read_vnic_type,
)
from stackyard.services.network.qos import api as qos
from stackyard.services.network.resources import either, flag
from stackyard.services.network.tables import routers

_ROUTER = sa.select(routers.c.project_id).where(routers.c.id == bindparam("id"))


class Creation:
    """The ports that one request makes."""

    def __init__(self, tx: Transaction, call: Call) -> None:
        self._tx = tx
        self._call = call
        self._default_groups: dict[str, str] = {}
        self._groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self._policies: set[str] = set()
        self._vif_types: dict[tuple[str, str], str] = {}

    def new_port(self, body: NewPortBody, network: Any, project_id: str) -> rows.NewPort:
        """What is to be written for a body; raises Neutron's faults."""
        owner = either(body.device_owner, "") or ""
        check_device(self._tx, self._call, project_id, owner, body.device_id)
        secure = flag("port_security_enabled", body.port_security_enabled, default=network.port_security_enabled)
        mac = read_mac("mac_address", body.mac_address) if isinstance(body.mac_address, str) else None
        groups = self._groups_of(body, project_id, default=secure and not owner.startswith("network:"))
        pairs = read_pairs(either(body.allowed_address_pairs, None), mac or "")
        check_port_security(secure, groups, pairs)
        domain = network.dns_domain or self._call.runtime.settings.network.dns_domain
        host = either(body.binding_host, "") or ""
        vnic_type = read_vnic_type(either(body.vnic_type, "normal"))
        return rows.NewPort(
            network_id=network.id,
            project_id=project_id,
            name=either(body.name, ""),
            description=either(body.description, "") or "",
            mac=mac,
            fixed_ips=either(body.fixed_ips, None),
            device_id=either(body.device_id, "") or "",
            device_owner=owner,
            admin_state_up=flag("admin_state_up", body.admin_state_up, default=True),
            port_security=secure,
            security_groups=groups,
            address_pairs=pairs,
            dns_name=read_dns_name(either(body.dns_name, ""), domain),
            binding_host=host,
            vnic_type=vnic_type,
            binding_profile=attributes.read_profile(either(body.binding_profile, None)),
            tags=attributes.read_tags(body),
            more=attributes.read_new(body)
            | {"vif_type": self._vif_type(host, vnic_type), "qos_policy_id": self._policy(body)},
        )

    def _groups_of(self, body: NewPortBody, project_id: str, *, default: bool) -> Sequence[str]:
        given = either(body.security_groups, None)
        if given is None:
            return [self._default_group(project_id)] if default else []
        key = (project_id, tuple(given))
        if key not in self._groups:
            self._groups[key] = read_groups(self._tx, given, usable_by(self._call, project_id))
        return self._groups[key]

    def _default_group(self, project_id: str) -> str:
        if project_id not in self._default_groups:
            self._default_groups[project_id] = default_groups.ensure(self._tx, self._call.runtime, project_id)
        return self._default_groups[project_id]

    def _policy(self, body: NewPortBody) -> str | None:
        policy_id = either(body.qos_policy_id, None)
        if policy_id and policy_id not in self._policies:
            qos.usable(self._tx, self._call.caller, policy_id)
            self._policies.add(policy_id)
        return policy_id or None

    def _vif_type(self, host: str, vnic_type: str) -> str:
        key = (host, vnic_type)
        if key not in self._vif_types:
            self._vif_types[key] = vif_type(self._tx, self._call.runtime, host, vnic_type)
        return self._vif_types[key]


def usable_by(call: Call, project_id: str) -> frozenset[str | None] | None:
    """Whose security groups a port of this project may be put into by the caller."""
    return None if call.caller.is_admin else frozenset({project_id, call.caller.project_id})


def check_device(tx: Transaction, call: Call, project_id: str, owner: str, device_id: object) -> None:
    """Keep tenants from giving a port to another project's router; raises DeviceIDNotOwnedByTenant."""
    if not isinstance(device_id, str) or owner not in owners.ROUTER or call.caller.is_admin:
        return
    router_owner = tx.scalar(_ROUTER, {"id": device_id})
    if router_owner is not None and router_owner != project_id:
        raise conflict(
            "DeviceIDNotOwnedByTenant",
            f"The following device_id {device_id} is not owned by your tenant or matches another tenants router.",
        )
