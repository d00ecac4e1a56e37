"""Which quotas there are at a microversion, and what a request may set them to."""

from __future__ import annotations

from typing import Any

import msgspec

from stackyard.core.call import Call
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.compute.fields import Whole, whole
from stackyard.services.compute.quotas.limits import INJECTED, NETWORK, RESOURCES


def shown(call: Call, *, network_until: int) -> tuple[str, ...]:
    """The resources that the call's microversion knows; the network's are gone after 2.`network_until`."""
    hidden: set[str] = set()
    if call.since(2, network_until + 1):
        hidden |= set(NETWORK)
    if call.since(2, 57):
        hidden |= set(INJECTED)
    return tuple(name for name in RESOURCES if name not in hidden)


def given(body: Any, envelope: str, known: tuple[str, ...]) -> dict[str, Any]:
    """What stands under the envelope, nothing beside it, and only what is known; raises BadRequest."""
    inside = body.get(envelope)
    if len(body) != 1 or not isinstance(inside, dict):
        raise BadRequest(f"Invalid input for body: expected an object with the one key '{envelope}', an object.")
    unknown = sorted(set(inside) - set(known))
    if unknown:
        raise InvalidField(envelope, f"there is no {', '.join(unknown)[:255]}; there are {', '.join(sorted(known))}")
    return inside


def limits(values: dict[str, Any], envelope: str) -> dict[str, int]:
    """The limits that a request sets: whole numbers from -1, also as text."""
    found: dict[str, int] = {}
    for name, value in values.items():
        if isinstance(value, bool):
            raise InvalidField(f"{envelope}.{name}", f"{value} is not a whole number")
        try:
            found[name] = whole(f"{envelope}.{name}", msgspec.convert(value, Whole), least=-1)
        except msgspec.ValidationError:
            raise InvalidField(f"{envelope}.{name}", f"'{str(value)[:80]}' is not a whole number") from None
    return found
