"""Who may do what, over every route of every service."""

from __future__ import annotations

from tests.cloud import still_cloud

__all__ = ["still_cloud"]
