"""Whole numbers in bodies, which clients send as text too, as the real services allow."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from stackyard.core.errors import InvalidField

MAX_INT = 0x7FFFFFFF

Whole = int | Annotated[str, Meta(min_length=1, max_length=20, pattern=r"\A-?[0-9]+\Z")]
"""A whole number; `whole` reads it and checks its limits."""


def whole(name: str, value: int | str, *, least: int = 0, most: int = MAX_INT) -> int:
    """What a Whole says; raises InvalidField outside of its limits."""
    number = int(value)
    if number < least:
        raise InvalidField(name, f"{value} is less than the minimum of {least}")
    if number > most:
        raise InvalidField(name, f"{value} is greater than the maximum of {most}")
    return number
