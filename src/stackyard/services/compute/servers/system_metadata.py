"""What a server's system metadata may hold: what must not be lost and is shown to nobody."""

from __future__ import annotations

from typing import Any

SHELVED_IMAGE = "shelved_image_id"
"""The image that it was put by as."""

MADE_FROM = "made_from"
"""{"image_id", "image"}: what its root disk was made of, when that is another image than the server's."""


def without(server: Any, *names: str) -> dict[str, Any]:
    """All of a server's but these."""
    return {name: value for name, value in (server.system_metadata or {}).items() if name not in names}
