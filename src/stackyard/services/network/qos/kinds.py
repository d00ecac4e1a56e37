"""The types of rules: which fields each has, and what may stand in them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import InvalidField
from stackyard.services.network.resources import integer

LARGEST = 2**31 - 1
DSCP_MARKS = (0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56)
"""What Neutron takes: the class selectors, assured forwarding, expedited forwarding."""

_DIRECTIONS = ("egress", "ingress")
_Number = int | str | UnsetType
_BodyType = type[Body]


class _Owned(Body):
    project_id: str | UnsetType | None = UNSET
    tenant_id: str | UnsetType | None = UNSET


class BandwidthLimitFields(_Owned):
    """A rule of type bandwidth_limit."""

    max_kbps: _Number = UNSET
    max_burst_kbps: _Number = UNSET
    direction: str | UnsetType = UNSET


class DscpMarkingFields(_Owned):
    """A rule of type dscp_marking."""

    dscp_mark: _Number = UNSET


class MinimumBandwidthFields(_Owned):
    """A rule of type minimum_bandwidth."""

    min_kbps: _Number = UNSET
    direction: str | UnsetType = UNSET


class PacketRateLimitFields(_Owned):
    """A rule of type packet_rate_limit."""

    max_kpps: _Number = UNSET
    max_burst_kpps: _Number = UNSET
    direction: str | UnsetType = UNSET


class MinimumPacketRateFields(_Owned):
    """A rule of type minimum_packet_rate."""

    min_kpps: _Number = UNSET
    direction: str | UnsetType = UNSET


@dataclass(frozen=True)
class Kind:
    """A type of rule: the field that is `required`, one with a default of 0, the `directions` where it has them."""

    type: str
    body: _BodyType
    required: str
    burst: str | None = None
    directions: tuple[str, ...] = ()
    alias: bool = True

    @property
    def names(self) -> tuple[str, str]:
        """The names of one and of several in bodies and paths."""
        return f"{self.type}_rule", f"{self.type}_rules"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that such a rule shows."""
        burst = (self.burst,) if self.burst else ()
        return (self.required, *burst, *(("direction",) if self.directions else ()))

    def complete(self, body: Any) -> dict[str, Any]:
        """All fields of a new rule; raises InvalidField."""
        found = self.given(body)
        if self.required not in found:
            raise InvalidField(self.required, "it must be given.")
        if self.burst:
            found.setdefault(self.burst, 0)
        if self.directions:
            found.setdefault("direction", "egress")
        return found

    def given(self, body: Any) -> dict[str, Any]:
        """The fields that a body has, checked; raises InvalidField."""
        return {name: self._read(name, getattr(body, name)) for name in self.fields if getattr(body, name) is not UNSET}

    def _read(self, name: str, value: Any) -> Any:
        if name == "direction":
            return _one_of(name, value, self.directions)
        if isinstance(value, bool):
            raise InvalidField(name, f"'{value}' is not an integer.")
        number = integer(name, value)
        if name == "dscp_mark":
            return _one_of(name, number, DSCP_MARKS)
        if not 0 <= number <= LARGEST:
            raise InvalidField(name, f"{number} is not between 0 and {LARGEST}.")
        return number

    def parameters(self) -> list[dict[str, Any]]:
        """What such a rule takes, as rule type details show it."""
        choices: Mapping[str, tuple[Any, ...]] = {"direction": self.directions, "dscp_mark": DSCP_MARKS}
        return [
            {"parameter_name": name, "parameter_type": "choices", "parameter_values": list(choices[name])}
            if name in choices
            else {
                "parameter_name": name,
                "parameter_type": "range",
                "parameter_values": {"start": 0, "end": LARGEST},
            }
            for name in self.fields
        ]


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise InvalidField(name, f"'{value}' is not in {list(allowed)}.")
    return value


BANDWIDTH_LIMIT = Kind("bandwidth_limit", BandwidthLimitFields, "max_kbps", "max_burst_kbps", _DIRECTIONS)
DSCP_MARKING = Kind("dscp_marking", DscpMarkingFields, "dscp_mark")
MINIMUM_BANDWIDTH = Kind("minimum_bandwidth", MinimumBandwidthFields, "min_kbps", directions=_DIRECTIONS)
MINIMUM_PACKET_RATE = Kind("minimum_packet_rate", MinimumPacketRateFields, "min_kpps", directions=(*_DIRECTIONS, "any"))
PACKET_RATE_LIMIT = Kind(
    "packet_rate_limit", PacketRateLimitFields, "max_kpps", "max_burst_kpps", _DIRECTIONS, alias=False
)

KINDS = (BANDWIDTH_LIMIT, DSCP_MARKING, MINIMUM_BANDWIDTH, MINIMUM_PACKET_RATE, PACKET_RATE_LIMIT)
