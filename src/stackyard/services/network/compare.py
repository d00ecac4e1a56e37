"""Whether this host's kernel is exactly what the database asks for: what `stackyard doctor` wants to know.

What the rows ask for is compared, spec by spec, with what the driver has applied, and the driver looks in the kernel
whether that is there and whole. What is being worked on is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.specs import NetworkPart
from stackyard.services import keys
from stackyard.services.network import marks, placement, wanted
from stackyard.services.network.reconcile import EVERYTHING, repair_what, there

_BUSY = sa.select(reconcile.work.c.resource_id)


@dataclass(frozen=True)
class _Wish:
    """What is wanted, by kind and id, and the ids that are being worked on."""

    specs: dict[str, dict[str, NetworkPart]]
    busy: frozenset[str]


def differences(runtime: Runtime) -> list[str]:
    """Where kernel and database differ, a line each; what is broken is marked for repair. Raises HostError."""
    driver = runtime[keys.NETWORK_DRIVER]
    wish = runtime.database.read("network.wish", _wish, runtime)
    unapplied = driver.unapplied([spec for specs in wish.specs.values() for spec in specs.values()])
    observed = driver.observe()
    busy = wish.busy | runtime.database.read("network.busy", _busy)
    lines = []
    for kind, specs in wish.specs.items():
        present, noun = there(observed, kind), kind.replace("_", " ")
        for one in sorted((specs.keys() | present) - busy):
            if one not in specs:
                lines.append(f"{noun} {one}: there, but not wanted")
            elif one not in present:
                lines.append(f"{noun} {one}: {observed.problems.get(one, 'wanted, but not there')}")
            elif one in unapplied:
                lines.append(f"{noun} {one}: there, but not as it is wanted")
    repair_what(runtime, observed)
    return lines


def _busy(tx: Transaction) -> frozenset[str]:
    return frozenset(tx.connection.execute(_BUSY).scalars())


def _wish(tx: Transaction, runtime: Runtime) -> _Wish:
    specs = {
        kind: {
            spec.id: spec
            for one in sorted(placement.only_mine(tx, kind, {str(row[0]) for row in tx.all(statement)}))
            if (spec := _spec(tx, runtime, kind, one)) is not None
        }
        for kind, statement in EVERYTHING.items()
    }
    return _Wish(specs, _busy(tx))


def _spec(tx: Transaction, runtime: Runtime, kind: str, resource_id: str) -> NetworkPart | None:
    if kind == marks.NETWORK:
        return wanted.network(tx, runtime, resource_id)
    if kind == marks.ROUTER:
        return wanted.router(tx, resource_id)
    if kind == marks.PORT:
        return wanted.port(tx, resource_id)
    if kind == marks.ADDRESS_GROUP:
        return wanted.address_group(tx, resource_id)
    return wanted.security_group(tx, resource_id)
