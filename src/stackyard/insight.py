"""What all services together tell of their resources: for `stackyard why`, `status` and `doctor`."""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Transaction
from stackyard.core.explain import Explanation
from stackyard.core.reconcile import work
from stackyard.services.compute import api as compute
from stackyard.services.containers import explain as containers
from stackyard.services.identity import explain as identity
from stackyard.services.image import explain as image
from stackyard.services.network import explain as network
from stackyard.services.volume import explain as volume

TELLERS = (identity, image, network, containers, volume)


def explain(tx: Transaction, resource_id: str) -> list[Explanation]:
    """Every resource of this id, whatever its kind."""
    return [found for teller in TELLERS for found in teller.explain(tx, resource_id)]


def find_by_name(tx: Transaction, name: str) -> list[str]:
    """The ids of every resource of this name, whatever its kind."""
    return list(dict.fromkeys(found for teller in TELLERS for found in teller.named(tx, name)))


def expected(tx: Transaction) -> dict[str, set[str]]:
    """The ids of what should be on this host now, by kind; under busy those that are being worked on."""
    busy = {row.resource_id for row in tx.all(sa.select(work.c.resource_id))}
    return {
        **network.expected(tx),
        **containers.expected(tx),
        **compute.expected(tx),
        **volume.expected(tx),
        "busy": busy,
    }


def counts(tx: Transaction) -> dict[str, int]:
    """How many there are, by kind."""
    return {kind: number for teller in TELLERS for kind, number in teller.counts(tx).items()}
