"""The keys that credentials are encrypted with: in the database, each locked with the cloud's own secret.

Being in the database they are the same for every API process, and a rotation is one transaction with the encryption
anew of all that they sealed: nobody ever meets a text whose key is gone. Being locked with a secret that is elsewhere
(see secret_file) they are worth nothing to whoever has the database alone.
"""

from __future__ import annotations

import base64

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import bindparam

from stackyard.core.db import Moment, Transaction, metadata
from stackyard.services.identity import generation
from stackyard.services.identity.credentials.secret_file import SecretFileError, secret_of

keys = sa.Table(
    "identity_credential_keys",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("locked", sa.String(255), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

SEALED: list[sa.Column[str]] = []
"""Every column that holds sealed text: whoever keeps some declares it here, so that a rotation finds it."""

_ALL = sa.select(keys).order_by(keys.c.position.desc())
_INSERT = sa.insert(keys)
_DELETE = sa.delete(keys).where(keys.c.position < bindparam("below"))


def seal(tx: Transaction, text: str) -> str:
    """Encrypt a secret text for the database; makes the first key when there is none yet."""
    cipher = _cipher(tx)
    if cipher is None:
        # Two transactions may do so at once: the one that comes second meets the first's row and runs again.
        key = Fernet.generate_key()
        tx.insert_once(_INSERT, _row(tx, 1, key))
        generation.bump(tx)
        cipher = MultiFernet([Fernet(key)])
    return cipher.encrypt(text.encode()).decode()


def unseal(tx: Transaction, sealed: str) -> str:
    """The text of what `seal` made. Raises SecretFileError when it was made with other keys."""
    cipher = _cipher(tx)
    try:
        if cipher is not None:
            return cipher.decrypt(sealed).decode()
    except InvalidToken:
        pass
    raise SecretFileError("a credential was encrypted with a key that this database does not have")


def rotate(tx: Transaction) -> int:
    """Make a new key and encrypt with it all that older ones sealed. Returns how many texts that were.

    The last key is kept until the next rotation, for what another transaction seals while this one is not committed;
    older ones are dropped. A cloud that has never sealed anything has no key, and gets none.
    """
    old = _cipher(tx)
    if old is None:
        return 0
    position = tx.scalar(sa.select(sa.func.max(keys.c.position))) + 1
    key = Fernet.generate_key()
    tx.execute(_INSERT, _row(tx, position, key))
    new = Fernet(key)
    count = 0
    for column in SEALED:
        table = column.table
        change = sa.update(table).where(table.c.id == bindparam("key")).values({column.name: bindparam("sealed")})
        for row in tx.all(sa.select(table.c.id, column.label("old")).where(column.is_not(None))):
            tx.execute(change, {"key": row.id, "sealed": new.encrypt(old.decrypt(row.old)).decode()})
            count += 1
    tx.execute(_DELETE, {"below": position - 1})
    generation.bump(tx)
    return count


def _row(tx: Transaction, position: int, key: bytes) -> dict[str, object]:
    return {"position": position, "locked": _lock(tx).encrypt(key).decode(), "created_at": tx.now}


def _cipher(tx: Transaction) -> MultiFernet | None:
    """What seals with the newest key and opens with any; None when there is no key yet."""
    at = generation.current(tx)
    memory = generation.memory(tx)
    found: MultiFernet | None = memory.get(at, "credential cipher")
    if found is None:
        found = _load(tx)
        if found is not None:
            memory.put(at, "credential cipher", found)
    return found


def _load(tx: Transaction) -> MultiFernet | None:
    rows = tx.all(_ALL)
    lock = _lock(tx) if rows else None
    opened = []
    for row in rows:
        assert lock is not None  # noqa: S101 (there are rows)
        try:
            opened.append(Fernet(lock.decrypt(row.locked)))
        except InvalidToken:
            raise SecretFileError(
                "the credential keys were locked with another secret than this cloud's; give it the right file"
            ) from None
    return MultiFernet(opened) if opened else None


def _lock(tx: Transaction) -> Fernet:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"stackyard credential keys")
    return Fernet(base64.urlsafe_b64encode(derive.derive(secret_of(tx.database))))
