"""qemu-img as machines use it; it is the whole host's (host/image_tool.py)."""

from __future__ import annotations

from stackyard.host.image_tool import (
    ImageToolError,
    as_name,
    convert,
    create,
    grow,
    info,
    make_file,
    node,
    opened,
    refuse_what_leads_elsewhere,
    run,
)

__all__ = [
    "ImageToolError",
    "as_name",
    "convert",
    "create",
    "grow",
    "info",
    "make_file",
    "node",
    "opened",
    "refuse_what_leads_elsewhere",
    "run",
]
