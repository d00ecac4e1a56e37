"""Volume types: what each kind of volume promises, and who may use it."""

from __future__ import annotations

from stackyard.services.volume.types.finding import default, find

__all__ = ["default", "find"]
