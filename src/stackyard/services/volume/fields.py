"""Fields that many bodies have, with Cinder's limits; what takes a number or a flag takes it as text too, as there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stackyard.core.errors import InvalidField
from stackyard.core.numbers import MAX_INT, Whole, whole

__all__ = [
    "MAX_INT",
    "Description",
    "Flag",
    "Host",
    "Key",
    "Metadata",
    "Name",
    "Specs",
    "Text",
    "Uuid",
    "Whole",
    "flag",
    "specs",
    "stripped",
    "truth",
    "whole",
]

_PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ue000-\uf8ff]"

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
"""Not blank; spaces at its ends are dropped by who reads it."""

Text = Annotated[str, Meta(max_length=255)]
Description = Annotated[str, Meta(max_length=255, pattern=rf"\A(?:{_PRINTABLE}|[\r\n\t])*\Z")]

Flag = (
    bool
    | Literal["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t"]
    | Literal["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f"]
)
_TRUE = ("true", "1", "on", "yes", "y", "t")

Uuid = Annotated[
    str, Meta(pattern=r"\A[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z")
]
Host = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-._#@:/+\[\]]*\Z")]
"""Where volumes are: `host`, `host@backend`, `host@backend#pool`."""

Key = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9-_:. /]{1,255}\Z")]
Metadata = dict[Key, Text]
Specs = dict[Key, Text | None]


def truth(value: bool | str) -> bool:
    """What a Flag says."""
    return value if isinstance(value, bool) else value.lower() in _TRUE


def flag(name: str, text: str) -> bool:
    """What a query parameter says that is a Flag; raises InvalidField."""
    try:
        return truth(msgspec.convert(text, Flag))
    except msgspec.ValidationError:
        raise InvalidField(name, f"'{text[:40]}' is not a boolean") from None


def stripped(value: str | None) -> str | None:
    """A name or a description without the spaces at its ends."""
    return None if value is None else value.strip()


def specs(given: Mapping[str, Any]) -> dict[str, str]:
    """Extra specs as they are kept: a null is the text that Cinder shows for it, none."""
    return {key: value for key, value in given.items() if value is not None}
