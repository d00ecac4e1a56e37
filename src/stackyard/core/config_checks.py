"""How a setting is declared: its default, its help, and what a value must be beside its type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field
from typing import Any

Check = Callable[[Any], str | None]
"""Says what a value of the right type must be when it is not ("between 1 and 65535"), else None."""


def between(low: float, high: float) -> Check:
    """A number from `low` to `high`, both included."""
    return lambda value: None if low <= value <= high else f"between {low} and {high}"


def at_least(low: float) -> Check:
    """A number not below `low`."""
    return lambda value: None if value >= low else f"at least {low}"


def one_of(*choices: str) -> Check:
    """One of these texts."""
    return lambda value: None if value in choices else f"one of {', '.join(choices)}"


def regex(value: str) -> str | None:
    """A regular expression, or nothing."""
    try:
        re.compile(value)
    except re.error as error:
        return f"a regular expression ({error})"
    return None


def ports(value: tuple[int, ...]) -> str | None:
    """A list of TCP or UDP ports."""
    return None if all(1 <= port <= 65535 for port in value) else "a list of ports between 1 and 65535"


def address(value: str) -> str | None:
    """An IP address of either version, or nothing."""
    import ipaddress

    try:
        found = ipaddress.ip_address(value) if value else None
    except ValueError:
        return "an IP address such as 192.0.2.10"
    return "an address that other hosts reach" if found and (found.is_loopback or found.is_unspecified) else None


def short_name(value: str) -> str | None:
    """A host's name as it stands in rows, or nothing."""
    return None if re.fullmatch(r"[A-Za-z0-9_.-]{0,253}", value) else "letters, digits, '_', '.', '-', at most 253"


def cidr(version: int) -> Check:
    """A network of this IP version in CIDR notation, no host bits set."""

    def check(value: str) -> str | None:
        import ipaddress

        try:
            if ipaddress.ip_network(value).version == version:
                return None
        except ValueError:
            pass
        return f"an IPv{version} network such as {'10.0.0.0/24' if version == 4 else 'fd00:1:2::/64'}"

    return check


def number_range(highest: int) -> Check:
    """Two numbers from 1 to `highest` with a colon between them, the first not above the second."""

    def check(value: str) -> str | None:
        match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", value)
        fits = match is not None and 1 <= int(match[1]) <= int(match[2]) <= highest
        return None if fits else f"two numbers from 1 to {highest} as first:last"

    return check


def named_interfaces(value: tuple[str, ...]) -> str | None:
    """A list of name:interface, each name once."""
    fits = all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}:[^\s/:]{1,15}", item) for item in value)
    names = {item.partition(":")[0] for item in value}
    return None if fits and len(names) == len(value) else "a list of name:interface, each name once"


def vlan_ranges(value: tuple[str, ...]) -> str | None:
    """A list of name:first:last with VLANs from 1 to 4094."""
    in_range = number_range(4094)
    fits = all(item.count(":") == 2 and in_range(item.partition(":")[2]) is None for item in value)
    return None if fits else "a list of name:first:last with VLANs from 1 to 4094"


def setting(default: Any, help_text: str, check: Check | None = None, *, secret: bool = False) -> Any:
    """Declare one setting. A secret one is left out of every repr, list and error message."""
    return field(default=default, repr=not secret, metadata={"help": help_text, "check": check, "secret": secret})
