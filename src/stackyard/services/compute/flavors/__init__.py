"""Flavors: the sizes that servers come in. rows.py finds them, the other modules are their API."""

from __future__ import annotations

from stackyard.services.compute.flavors.rows import find, seed, snapshot

__all__ = ["find", "seed", "snapshot"]
