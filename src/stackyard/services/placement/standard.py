"""The standard resource classes and traits, which every cloud has, and the custom ones of this cloud beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.placement.tables import custom_classes, custom_traits

CUSTOM = "CUSTOM_"
SHARES = "MISC_SHARES_VIA_AGGREGATE"
"""A provider with this trait shares what it has with the trees that have a provider in one of its aggregates."""

_CLASSES = sa.select(custom_classes.c.name).order_by(custom_classes.c.name)
_SOME_TRAITS = sa.select(custom_traits.c.name).where(custom_traits.c.name.in_(bindparam("keys", expanding=True)))


@lru_cache(maxsize=1)
def standard_classes() -> tuple[str, ...]:
    """Resource classes, in the order in which they were introduced."""
    import os_resource_classes

    return tuple(os_resource_classes.STANDARDS)


@lru_cache(maxsize=1)
def standard_traits() -> frozenset[str]:
    """Traits."""
    import os_traits

    return frozenset(os_traits.get_traits())


def unknown_classes(tx: Transaction, names: Iterable[str]) -> list[str]:
    """Those of the names that no resource class has, sorted."""
    missing = set(names) - set(standard_classes())
    if missing:
        missing -= {row.name for row in tx.all(_CLASSES)}
    return sorted(missing)


def unknown_traits(tx: Transaction, names: Iterable[str]) -> list[str]:
    """Those of the names that no trait has, sorted."""
    missing = set(names) - standard_traits()
    if missing:
        missing -= {row.name for row in tx.all(_SOME_TRAITS, {"keys": sorted(missing)})}
    return sorted(missing)
