"""The little language in extra specs: requirements such as `>= 4`, `<is> True` or `<or> a <or> b`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.ge,  # as Nova and Cinder have it
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
_TEXTS: dict[str, Callable[[Any, Any], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
}
_TRUE = ("true", "1", "yes", "on", "t", "y")


def matches(value: str, requirement: str) -> bool:
    """Whether a value meets a requirement: an operator and operands, or else the very text."""
    words = requirement.split()
    if not words:
        return value == requirement
    first, operands = words[0], words[1:]
    if first == "<or>":
        return value in [word for word in operands if word != "<or>"]
    if first == "<in>":
        return bool(operands) and operands[0] in value
    if first == "<is>":
        return bool(operands) and (value.lower() in _TRUE) == (operands[0].lower() in _TRUE)
    if first == "<all-in>":
        return all(word in value for word in operands)
    if first in _TEXTS:
        return bool(operands) and _TEXTS[first](value, operands[0])
    if first in _NUMBERS:
        try:
            return bool(operands) and _NUMBERS[first](float(value), float(operands[0]))
        except ValueError:
            return False
    return value == requirement
