"""What a port forwarding may be given, and the reading of its ports. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network.resources import Text, either

PROTOCOLS = {"tcp": "tcp", "udp": "udp", "sctp": "sctp", "dccp": "dccp", "6": "tcp", "17": "udp", "132": "sctp",
             "33": "dccp"}  # fmt: skip
_RANGE = re.compile(r"([0-9]{1,5})(?::([0-9]{1,5}))?")
_LARGEST = 65535

Port = int | str | None
Range = tuple[int, int]


class ForwardingFields(Body):
    """What a port forwarding may be changed to."""

    external_port: Port | UnsetType = UNSET
    external_port_range: Port | UnsetType = UNSET
    internal_port: Port | UnsetType = UNSET
    internal_port_range: Port | UnsetType = UNSET
    internal_port_id: Text | UnsetType = UNSET
    internal_ip_address: Text | UnsetType | None = UNSET
    protocol: str | int | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class NewForwarding(ForwardingFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def read_protocol(given: str | int) -> str:
    """A transport protocol, by name or number; raises InvalidField."""
    found = PROTOCOLS.get(str(given).lower())
    if found is None:
        raise InvalidField("protocol", f"'{given}' is not in {sorted(set(PROTOCOLS.values()))}.")
    return found


def read_ports(side: str, body: ForwardingFields) -> Range | None:
    """The first and last port of a side (`external`, `internal`), None when the body names none.

    Raises InvalidField, and BadRequest when port and range do not say the same.
    """
    names = (f"{side}_port", f"{side}_port_range")
    found = {name: _range(name, either(getattr(body, name), None)) for name in names}
    one, many = found.values()
    if one is not None and one[0] != one[1]:
        raise InvalidField(names[0], f"it is a single port; use {names[1]} for a range.")
    if one is not None and many is not None and one != many:
        raise BadRequest(f"{names[0]} and {names[1]} do not say the same.", kind="BadRequest")
    return many if one is None else one


def _range(name: str, given: Port) -> Range | None:
    if given is None:
        return None
    match = _RANGE.fullmatch(str(given))
    if match is None:
        raise InvalidField(name, f"'{given}' is neither a port nor a range of ports as 80:89.")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= _LARGEST:
        raise InvalidField(name, f"'{given}' is not within 1 to {_LARGEST}, first port first.")
    return first, last


def refuse_uneven(inner: Range, outer: Range) -> None:
    """Raise BadRequest unless as many ports lead to as many, or all of them to one."""
    if inner[0] != inner[1] and inner[1] - inner[0] != outer[1] - outer[0]:
        raise BadRequest(
            "Invalid ranges of internal and/or external ports. The relation between internal and external ports must "
            "be N-N or 1-N",
            kind="BadRequest",
        )


def overlap(row: Any, side: str, ports: Range) -> bool:
    """Whether a stored forwarding has ports of this side in common with a range."""
    first, last = getattr(row, f"{side}_port_start"), getattr(row, f"{side}_port_end")
    return bool(first <= ports[1] and ports[0] <= last)


def collision(side: str, row: Any, values: Mapping[str, Any]) -> BadRequest:
    """Two forwardings want the same port."""
    existing = f"{getattr(row, f'{side}_port_start')}:{getattr(row, f'{side}_port_end')}"
    wanted = f"{values[f'{side}_port_start']}:{values[f'{side}_port_end']}"
    return BadRequest(
        f"There is a port collision with the {side}_port_range. The following ranges collide: {existing} and {wanted}",
        kind="BadRequest",
    )
