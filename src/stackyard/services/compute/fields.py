"""Fields that many bodies have, with Nova's limits; what takes a number or a flag takes it as text too, as there."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.numbers import MAX_INT, Whole, whole

__all__ = [
    "MAX_INT",
    "Description",
    "Flag",
    "HostName",
    "Id",
    "MetadataKey",
    "Name",
    "Text",
    "Whole",
    "ZoneName",
    "flag",
    "number",
    "truth",
    "whole",
]

_NUMBER = re.compile(r"-?[0-9]{1,20}", re.ASCII)

_PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ue000-\uf8ff]"

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"\A(?!\s){_PRINTABLE}+(?<!\s)\Z")]
"""Printable characters, with no space at either end."""

Description = Annotated[str, Meta(max_length=255, pattern=rf"\A{_PRINTABLE}*\Z")]

Text = Annotated[str, Meta(max_length=255)]

Flag = (
    bool
    | Literal["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"]
    | Literal["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]
)

Id = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-]*\Z")]
"""The id of a project or user."""

HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-._]*\Z")]
"""The name of a host of the cloud, perhaps with its domain."""

ZoneName = Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"\A(?!\s)(?:(?!:){_PRINTABLE})+(?<!\s)\Z")]
"""A Name without colons: they part zone and host where both are given."""

MetadataKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-_:. ]{1,255}\Z")]


def truth(value: bool | str) -> bool:
    """What a Flag says."""
    return value if isinstance(value, bool) else value.lower() in ("true", "1", "on", "yes")


def number(name: str, text: str) -> int | None:
    """What a path says that names something by a number; None for one that nothing has. Raises BadRequest."""
    if not _NUMBER.fullmatch(text):
        raise BadRequest(f"{name} must be an integer, not {text[:255]}", kind="InvalidInput")
    found = int(text)
    return found if 0 <= found <= MAX_INT else None


def flag(name: str, text: str) -> bool:
    """What a query parameter says that is a Flag; raises InvalidField."""
    try:
        return truth(msgspec.convert(text, Flag))
    except msgspec.ValidationError:
        raise InvalidField(name, f"'{text[:40]}' is not a boolean") from None
