"""What a network may be given: bodies, and the reading of their fields."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, UnsetType, field

from stackyard.core.body import Body
from stackyard.core.errors import InvalidField, NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.network import resources
from stackyard.services.network.faults import invalid
from stackyard.services.network.resources import Flag, Text, either
from stackyard.services.network.segments import provider
from stackyard.services.network.segments.provider import Segment

_DOMAIN = re.compile(
    r"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
_LARGEST_MTU = 65521
_MOST_SEGMENTS = 64


class SegmentFields(Body):
    """One of several segments that a body lists."""

    network_type: Text | UnsetType | None = field(name="provider:network_type", default=UNSET)
    physical_network: Text | UnsetType | None = field(name="provider:physical_network", default=UNSET)
    segmentation_id: int | str | UnsetType | None = field(name="provider:segmentation_id", default=UNSET)


class NetworkFields(SegmentFields):
    """What a network may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    admin_state_up: Flag | UnsetType = UNSET
    shared: Flag | UnsetType = UNSET
    external: Flag | UnsetType = field(name="router:external", default=UNSET)
    is_default: Flag | UnsetType = UNSET
    mtu: int | str | UnsetType | None = UNSET
    port_security_enabled: Flag | UnsetType = UNSET
    dns_domain: Text | UnsetType | None = UNSET
    qos_policy_id: Text | UnsetType | None = UNSET
    segments: list[SegmentFields] | UnsetType | None = UNSET


class NewNetwork(NetworkFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET
    availability_zone_hints: list[Text] | UnsetType | None = UNSET
    vlan_transparent: Flag | UnsetType | None = UNSET
    tags: list[Any] | UnsetType | None = UNSET


def read_segment(body: SegmentFields, where: str = "provider:segmentation_id") -> Segment | None:
    """The segment that a body's provider attributes ask for; None when it has none of them."""
    kind, physical, number = (
        either(value, None) for value in (body.network_type, body.physical_network, body.segmentation_id)
    )
    if kind is None and physical is None and number is None:
        return None
    return Segment(kind, physical or None, None if number is None else resources.integer(where, number))


def read_segments(body: NetworkFields) -> list[Segment]:
    """The segments that a body asks for, as provider attributes or as a list; empty: whatever is right."""
    single = read_segment(body)
    listed = either(body.segments, None)
    if listed is None:
        return [] if single is None else [single]
    if single is not None:
        raise invalid("Segments and provider values cannot both be set.", kind="SegmentsSetInConjunctionWithProviders")
    if len(listed) > _MOST_SEGMENTS:
        raise InvalidField("segments", f"a network has at most {_MOST_SEGMENTS} segments.")
    found = [
        read_segment(item, f"segments[{i}].provider:segmentation_id") or Segment() for i, item in enumerate(listed)
    ]
    provider.refuse_duplicates(found)
    return found


def read_mtu(given: int | str | UnsetType | None) -> int:
    """Bytes; 0, as null or nothing, says the cloud's own."""
    mtu = 0 if given is UNSET or given is None else resources.integer("mtu", given)
    if mtu and not 68 <= mtu <= _LARGEST_MTU:
        raise InvalidField("mtu", f"{mtu} is not between 68 and {_LARGEST_MTU} bytes.")
    return mtu


def read_domain(text: str | None, where: str = "dns_domain") -> str:
    """A DNS domain, or an empty text."""
    if text and (len(text) > 253 or not _DOMAIN.fullmatch(text)):
        raise InvalidField(where, f"'{text}' is not a valid DNS domain.")
    return text or ""


def read_zones(given: list[str] | UnsetType | None, runtime: Runtime) -> list[str]:
    """Availability zones to prefer; raises AvailabilityZoneNotFound."""
    hints = either(given, None) or []
    for zone in hints:
        if zone != runtime.settings.network.availability_zone:
            raise NotFound(f"AvailabilityZone {zone} could not be found.", kind="AvailabilityZoneNotFound")
    if len(set(hints)) != len(hints):
        raise InvalidField("availability_zone_hints", "a zone is named twice.")
    return hints
