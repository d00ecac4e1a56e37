"""Identifiers in the forms that OpenStack's APIs use."""

from __future__ import annotations

import re
import uuid

_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


def new_uuid() -> str:
    """A random UUID with dashes: networks, images, containers."""
    return str(uuid.uuid4())


def new_hex() -> str:
    """A random UUID without dashes: projects, users, roles."""
    return uuid.uuid4().hex


def new_request_id() -> str:
    """A request id: req- and a UUID."""
    return f"req-{uuid.uuid4()}"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID, with or without dashes."""
    return _UUID.fullmatch(text) is not None
