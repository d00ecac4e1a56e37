"""From a token to the text that clients carry and back, by whichever kind of keys."""

from __future__ import annotations

from stackyard.core.db import Transaction
from stackyard.services.identity import fernet
from stackyard.services.identity.key_ring import MAX_ACTIVE_KEYS, Rotation
from stackyard.services.identity.tokens import jws, payload
from stackyard.services.identity.tokens.payload import Token

LONGEST = 8192
"""Characters that a token may have; headers that are longer come from nobody who means well."""


def write(tx: Transaction, at: int, provider: str, token: Token) -> str:
    """The text of a new token, of the kind that the setting token.provider says."""
    if provider == "jws":
        signer = jws.signer(tx, at)
        if signer is None:
            raise RuntimeError("there are no keys to sign tokens with: the identity service has not been started")
        return jws.seal(signer, token)
    return payload.seal(fernet.cipher(tx, at), token)


def read(tx: Transaction, at: int, text: str) -> Token | None:
    """The token of a text of either kind; None for one that was not made with keys that are kept."""
    if len(text) > LONGEST:
        return None
    if jws.looks_like_one(text):
        signer = jws.signer(tx, at)
        return None if signer is None else jws.unseal(signer, text)
    return payload.unseal(fernet.cipher(tx, at), text)


def create_keys(tx: Transaction) -> None:
    """Make the first keys of every kind, unless there are some."""
    fernet.RING.create(tx)
    jws.RING.create(tx)


def rotate_keys(tx: Transaction, max_active_keys: int = MAX_ACTIVE_KEYS) -> dict[str, Rotation]:
    """Rotate the keys of every kind; what was done, by provider."""
    return {"fernet": fernet.RING.rotate(tx, max_active_keys), "jws": jws.RING.rotate(tx, max_active_keys)}
