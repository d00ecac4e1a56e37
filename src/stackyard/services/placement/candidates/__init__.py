"""Allocation candidates: which combinations of providers a request could be allocated from.

request.py reads what is asked, search.py finds combinations (pure, on a world), operations.py answers.
"""

from __future__ import annotations

from stackyard.services.placement.candidates.operations import ROUTES

__all__ = ["ROUTES"]
