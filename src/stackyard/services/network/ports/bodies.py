"""What a port may be given: bodies, and the reading of their fields."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType, field
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network import sharing
from stackyard.services.network.addresses import read_mac, read_network
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.resources import Flag, Text
from stackyard.services.network.tables import security_groups

_HOST_NAME = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?"
)
_MOST_PAIRS = 10
VNIC_TYPES = ("normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "vdpa",
              "accelerator-direct", "accelerator-direct-physical", "remote-managed")  # fmt: skip

_GROUPS = sa.select(security_groups.c.id, security_groups.c.project_id, security_groups.c.stateful).where(
    security_groups.c.id.in_(bindparam("ids", expanding=True))
)


class PortFields(Body):
    """What a port may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    admin_state_up: Flag | UnsetType = UNSET
    fixed_ips: list[dict[str, str]] | UnsetType | None = UNSET
    mac_address: str | UnsetType | None = UNSET
    security_groups: list[str] | UnsetType | None = UNSET
    port_security_enabled: Flag | UnsetType = UNSET
    allowed_address_pairs: list[dict[str, str | None]] | UnsetType | None = UNSET
    device_id: Text | UnsetType | None = UNSET
    device_owner: Text | UnsetType | None = UNSET
    dns_name: Text | UnsetType | None = UNSET
    binding_host: Text | UnsetType | None = field(name="binding:host_id", default=UNSET)
    binding_profile: dict[str, Any] | UnsetType | None = field(name="binding:profile", default=UNSET)
    vnic_type: Text | UnsetType = field(name="binding:vnic_type", default=UNSET)
    extra_dhcp_opts: list[dict[str, Any]] | UnsetType | None = UNSET
    dns_domain: Text | UnsetType | None = UNSET
    qos_policy_id: Text | UnsetType | None = UNSET
    propagate_uplink_status: Flag | UnsetType = UNSET
    numa_affinity_policy: Text | UnsetType | None = UNSET
    hints: dict[str, Any] | UnsetType | None = UNSET
    trusted: Flag | UnsetType | None = UNSET


class PortChanges(PortFields):
    """The body of a PUT."""

    data_plane_status: Text | UnsetType | None = UNSET


class NewPortBody(PortFields, kw_only=True):
    """The body of a POST."""

    network_id: Text
    device_profile: Text | UnsetType | None = UNSET
    hardware_offload_type: Text | UnsetType | None = UNSET
    tags: list[Any] | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def read_pairs(given: Sequence[dict[str, str | None]] | None, mac: str) -> list[dict[str, str]]:
    """Allowed address pairs, each once, with the port's own MAC where none is given."""
    found = []
    for index, item in enumerate(given or []):
        where = f"allowed_address_pairs[{index}]"
        address = item.get("ip_address")
        if address is None or item.keys() - {"ip_address", "mac_address"}:
            raise InvalidField(where, "a pair has an ip_address and perhaps a mac_address, nothing else.")
        read_network(f"{where}.ip_address", address, exact="/" in address)
        text = address if "/" in address else str(ipaddress.ip_address(address))
        pair_mac = item.get("mac_address")
        found.append(
            {"ip_address": text, "mac_address": read_mac(f"{where}.mac_address", pair_mac) if pair_mac else mac}
        )
    if len({(item["ip_address"], item["mac_address"]) for item in found}) != len(found):
        raise BadRequest("Request contains duplicate address pairs.", kind="DuplicateAddressPairInRequest")
    if len(found) > _MOST_PAIRS:
        raise BadRequest(
            f"The number of allowed address pairs exceeds the maximum {_MOST_PAIRS}.",
            kind="AllowedAddressPairExhausted",
        )
    return found


def read_dns_name(text: str | None, domain: str) -> str:
    """A host's name, in lower case; a fully qualified one must be in `domain` and is kept without it."""
    if not text:
        return ""
    if len(text) > 253 or not _HOST_NAME.fullmatch(text) or text.replace(".", "").isdigit():
        raise InvalidField("dns_name", f"'{text}' is not a valid PQDN or FQDN.")
    name = text.lower()
    if name.endswith("."):
        ending = f".{domain.rstrip('.').lower()}."
        if not name.endswith(ending):
            raise InvalidField("dns_name", f"'{text}' is a FQDN that does not end in the DNS domain '{domain}'.")
        name = name.removesuffix(ending)
    return name


def read_vnic_type(text: str) -> str:
    """The kind of network card. Hosts here make the normal one; a port of another kind stays unplugged."""
    if text not in VNIC_TYPES:
        raise InvalidField("binding:vnic_type", f"'{text}' is not in {list(VNIC_TYPES)}.")
    return text


def read_groups(tx: Transaction, given: Sequence[str], projects: frozenset[str | None] | None) -> list[str]:
    """Ids of security groups, each once, that belong to `projects` (None: any) or are shared with one of them.

    Raises SecurityGroupNotFound, and SecurityGroupConflict for stateful and stateless ones together.
    """
    wanted = list(dict.fromkeys(given))
    if not wanted:
        return []
    found = {row.id: row for row in tx.all(_GROUPS, {"ids": wanted})}
    for group_id in wanted:
        if group_id not in found or not (
            projects is None
            or found[group_id].project_id in projects
            or any(sharing.is_shared(tx, "security_group", group_id, project) for project in projects)
        ):
            raise not_found("SecurityGroup", group_id)
    if len({row.stateful for row in found.values()}) > 1:
        raise conflict(
            "SecurityGroupConflict",
            "Error Cannot apply both stateful and stateless security groups on the same port at the same time while "
            "attempting the operation.",
        )
    return wanted


def check_port_security(enabled: bool, groups: Sequence[str], pairs: Sequence[Any]) -> None:
    """Without port security there are neither security groups nor address pairs; raises Neutron's conflicts."""
    if enabled:
        return
    if groups:
        raise conflict(
            "PortSecurityPortHasSecurityGroup",
            "Port has security group associated. Cannot disable port security until security group is removed.",
        )
    if pairs:
        raise conflict(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        )
