"""Identifiers in the forms that OpenStack's APIs use."""

from __future__ import annotations

import os
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
    """A request id: req- and a random UUID, written down without an object in between, since every request has one."""
    digits = os.urandom(16).hex()
    return f"req-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID, with or without dashes."""
    return _UUID.fullmatch(text) is not None
