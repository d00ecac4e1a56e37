"""Query strings in Placement's syntax: which keys a microversion knows, and what their values say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from stackyard.core.call import Call
from stackyard.services.placement.answers import is_uuid_like
from stackyard.services.placement.faults import bad_query

MAX_AMOUNT = 2**63 - 1


class Traits(NamedTuple):
    """`required`: of each set one at least; `forbidden`: none."""

    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()

    def names(self) -> frozenset[str]:
        """All that are named."""
        return self.forbidden.union(*self.required)

    def allow(self, there: frozenset[str]) -> bool:
        """Whether these traits will do."""
        return not self.forbidden & there and all(some & there for some in self.required)


class Membership(NamedTuple):
    """`required`: a member of one at least of each set of aggregates; `forbidden`: of none."""

    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()

    def allow(self, there: frozenset[str]) -> bool:
        """Whether these aggregates will do."""
        return not self.forbidden & there and all(some & there for some in self.required)


def check_keys(call: Call, known: Iterable[str], pattern: re.Pattern[str] | None = None) -> None:
    """Refuse keys that this microversion does not know."""
    names = set(known)
    for key in call.query.keys():  # noqa: SIM118 (no mapping: keys may come several times)
        if key not in names and (pattern is None or pattern.fullmatch(key) is None):
            raise bad_query(
                f"Invalid query string parameters: Additional properties are not allowed ('{key[:255]}' was unexpected)"
            )


def check_uuid(key: str, value: str | None) -> None:
    """Refuse what is no UUID."""
    if value is not None and not is_uuid_like(value):
        raise bad_query(f"Invalid query string parameters: '{value[:255]}' is not a 'uuid' ({key})")


def resources(text: str) -> dict[str, int]:
    """`VCPU:2,MEMORY_MB:1024`."""
    form = "Badly formed resources parameter. Expected resources query string parameter in form: "
    form += "?resources=VCPU:2,MEMORY_MB:1024. Got: "
    if not text.strip():
        raise bad_query(f"{form}empty string.")
    found = {}
    for part in text.split(","):
        pieces = part.split(":")
        if len(pieces) != 2:
            raise bad_query(f"{form}{part}.")
        name, amount = pieces
        if not re.fullmatch(r"\s*[+-]?\d{1,20}\s*", amount):
            raise bad_query(f"Requested resource {name} expected positive integer amount. Got: {amount[:64]}.")
        if not 1 <= int(amount) <= MAX_AMOUNT:
            raise bad_query(f"Requested resource {name} requires amount >= 1. Got: {int(amount)}.")
        found[name] = int(amount)
    return found


def traits(call: Call, key: str) -> Traits:
    """All values of `required` (or with a suffix): `A,B`, `!A` since 1.22, `in:A,B` and several values since 1.39."""
    values = call.query.all(key)
    if not call.since(1, 39):
        values = values[-1:]
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        more, less = _traits(value, forbids=call.since(1, 22), any_of=call.since(1, 39))
        required += more
        forbidden |= less
    return Traits(tuple(required), frozenset(forbidden))


def plain_traits(value: str) -> Traits:
    """`A,!B`, without `in:` (for root_required)."""
    required, forbidden = _traits(value, forbids=True, any_of=False)
    return Traits(tuple(required), frozenset(forbidden))


def _traits(value: str, *, forbids: bool, any_of: bool) -> tuple[list[frozenset[str]], set[str]]:
    start = "Invalid query string parameters: "
    if value.startswith("in:"):
        if not any_of:
            raise bad_query(
                f"{start}The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. "
                f"Got: {value}"
            )
        names = [part.strip() for part in value[3:].split(",")]
        form = f"{start}Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC."
        if not all(names):
            raise bad_query(f"{form} Got an empty trait in: {value}")
        if any(name.startswith("!") for name in names):
            raise bad_query(
                f"{start}The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. Got: {value}"
            )
        return [frozenset(names)], set()
    names = [part.strip() for part in value.split(",")]
    forbidden = {name.lstrip("!") for name in names if name.startswith("!")}
    wanted = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if forbids else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
    form = f"{start}Expected 'required' parameter value of the form: {wanted}."
    if not all(names) or not all(forbidden):
        raise bad_query(f"{form} Got an empty trait in: {value}")
    if forbidden and not forbids:
        raise bad_query(f"{form} Got: {value}")
    return [frozenset({name}) for name in names if not name.startswith("!")], forbidden


def member_of(call: Call, key: str) -> Membership:
    """All values of `member_of` (or with a suffix): a UUID, `in:UUID,UUID`; since 1.32 either after a `!`."""
    values = call.query.all(key)
    if len(values) > 1 and not call.since(1, 24):
        raise bad_query(f"Multiple {key} parameters are not supported")
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        more, less = _aggregates(value)
        if more:
            required.append(frozenset(more))
        if less and not call.since(1, 32):
            raise bad_query(f"Forbidden {key} parameters are not supported in the specified microversion")
        forbidden |= less
    return Membership(tuple(required), frozenset(forbidden))


def _aggregates(value: str) -> tuple[set[str], set[str]]:
    if "," in value and not value.startswith(("in:", "!in:")):
        raise bad_query(
            "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid "
            f"microversion. Got: {value}"
        )
    names = set(value.removeprefix("!").removeprefix("in:").split(","))
    for name in names:
        if not is_uuid_like(name):
            raise bad_query(
                f"Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). Got: {name}"
            )
    return (set(), names) if value.startswith("!") else (names, set())


def in_tree(value: str) -> str:
    """A provider's UUID."""
    text = value.strip()
    if not is_uuid_like(text):
        raise bad_query(
            f"Invalid query string parameters: Expected 'in_tree' parameter to be a format of uuid. Got: {value[:255]}"
        )
    return text
