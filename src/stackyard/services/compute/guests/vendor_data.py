"""What the operator tells every guest: the object in a JSON file, read again when the file changes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger("stackyard.compute.guests")

_LIMIT = 1 << 20
_read: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}


def static(path: Path | None) -> dict[str, Any]:
    """The file's object; nothing, rather than no metadata at all, when there is none or it cannot be read."""
    if path is None:
        return {}
    try:
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size)
        known = _read.get(path)
        if known is None or known[0] != stamp:
            known = _read[path] = (stamp, _parse(path))
    except OSError as error:
        log.warning("the vendor data cannot be read", extra={"file": str(path), "error": error.strerror})
        return {}
    return known[1]


def _parse(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LIMIT:
        log.warning("the vendor data is too large", extra={"file": str(path), "limit": _LIMIT})
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("the vendor data is no JSON object", extra={"file": str(path), "error": str(error)})
        return {}
