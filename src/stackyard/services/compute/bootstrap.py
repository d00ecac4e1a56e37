"""What a new cloud has of compute: flavors."""

from __future__ import annotations

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute import flavors


def bootstrap(tx: Transaction, runtime: Runtime) -> None:
    """Make what is not there yet."""
    del runtime
    flavors.seed(tx)
