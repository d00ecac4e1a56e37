"""The keys that Fernet tokens and receipts are encrypted with."""

from __future__ import annotations

from cryptography.fernet import Fernet, MultiFernet

from stackyard.core.db import Transaction
from stackyard.services.identity import generation
from stackyard.services.identity.key_ring import KeyRing

RING = KeyRing("identity_fernet_keys", lambda: Fernet.generate_key().decode())


def cipher(tx: Transaction, at: int) -> MultiFernet:
    """What encrypts with the primary key and opens with any, at generation `at`."""
    return generation.memory(tx).remember(at, "cipher", lambda: _load(tx))


def _load(tx: Transaction) -> MultiFernet:
    rows = RING.keys(tx)
    if not rows:
        raise RuntimeError("there are no token keys: the identity service has not been bootstrapped")
    return MultiFernet([Fernet(row.key) for row in rows])
