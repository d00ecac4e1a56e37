"""The identity data's generation: one value that changes whenever anything in this service's tables does.

What is worked out from those tables (who a token stands for, its body) is kept under it; see core/generation.py.
"""

from __future__ import annotations

from stackyard.core.generation import Generation, Memory

__all__ = ["IDENTITY", "Memory", "bump", "current", "generations", "memory"]

IDENTITY = Generation("identity")

generations = IDENTITY.table
current = IDENTITY.current
bump = IDENTITY.bump
memory = IDENTITY.memory
