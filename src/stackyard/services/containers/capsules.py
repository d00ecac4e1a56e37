"""Capsules (several containers that share one network namespace) are not offered yet; every call says so."""

from __future__ import annotations

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotImplementedHere


def refuse(tx: Transaction, call: Call) -> None:
    """Any call on capsules."""
    del tx, call
    raise NotImplementedHere("Capsules are not offered by this cloud yet; create containers on one network instead.")
