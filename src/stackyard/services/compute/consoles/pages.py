"""The pages that show consoles in a browser: ours, with noVNC's and xterm.js's own files beside them."""

from __future__ import annotations

import mimetypes
from functools import cache
from pathlib import Path

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound

SOCKET = "/console/socket"
VNC = "/console/vnc.html"
SERIAL = "/console/serial.html"

_ROOT = Path(__file__).with_name("web")
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8"}
_HEADERS = {
    "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@cache
def _known() -> dict[str, Path]:
    """Every file by its path below the root; nothing else is ever opened."""
    return {str(path.relative_to(_ROOT)): path for path in _ROOT.rglob("*") if path.is_file()}


def show(tx: Transaction, call: Call) -> Reply:
    """GET /console/{file}."""
    del tx
    path = _known().get(call.path["file"])
    if path is None:
        raise NotFound("The resource could not be found.")
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    kept = "no-store" if path.suffix == ".html" else "public, max-age=86400"
    return Reply(path.read_bytes(), media_type=kind, headers=_HEADERS | {"cache-control": kept})
