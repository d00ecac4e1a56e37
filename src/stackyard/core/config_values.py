"""Reading the values of settings: from TOML, and from the texts of environment variables."""

from __future__ import annotations

NAMES: dict[object, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[int, ...]: "a list of whole numbers",
    tuple[str, ...]: "a list of texts",
}
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def converted(value: object, wanted: object) -> object:
    """The value as the wanted type, or None. No guessing: "1" is no number, and true is none either."""
    if wanted == tuple[int, ...]:
        fits = isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
        return tuple(value) if fits and isinstance(value, list) else None
    if wanted == tuple[str, ...]:
        return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
    if wanted is float and type(value) is int:
        return float(value)
    return value if type(value) is wanted else None


def from_text(text: str, wanted: object) -> object:
    """What a variable's text says, read as the wanted type; the text itself when it does not say such a thing."""
    try:
        if wanted is bool:
            return _BOOLEANS[text.strip().lower()]
        if wanted is int:
            return int(text)
        if wanted is float:
            return float(text)
        if wanted == tuple[int, ...]:
            return [int(item) for item in text.split(",") if item.strip()]
        if wanted == tuple[str, ...]:
            return [item.strip() for item in text.split(",") if item.strip()]
    except (KeyError, ValueError):
        return text
    return text
