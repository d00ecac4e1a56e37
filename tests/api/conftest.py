"""HTTP cases against a whole cloud in process."""

from __future__ import annotations

from tests.cloud import cloud, still_cloud

__all__ = ["cloud", "still_cloud"]
