"""Sign in with a time-based one-time passcode (RFC 6238): six digits, HMAC-SHA1, half a minute each.

The secrets are the user's credentials of type totp, in base32. A passcode is good once: whoever watches it being typed
cannot use it again, though it would still be of its half minute.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction, metadata
from stackyard.services.identity.credentials import store
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.tokens.evidence import Evidence, Proof, find_user
from stackyard.services.identity.users import lockout

SECONDS = 30
DIGITS = 6
CREDENTIAL_TYPE = "totp"

uses = sa.Table(
    "identity_totp_uses",
    metadata,
    sa.Column("credential_id", sa.ForeignKey("identity_credentials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("step", sa.BigInteger, nullable=False),
)

_LAST = sa.select(uses.c.step).where(uses.c.credential_id == bindparam("credential"))
_INSERT = sa.insert(uses)
_UPDATE = (
    sa.update(uses)
    .where(uses.c.credential_id == bindparam("credential"), uses.c.step < bindparam("new"))
    .values(step=bindparam("new"))
)


def gather(tx: Transaction, call: Call, auth: Auth, evidence: Evidence) -> None:
    """Find the user and the secrets, and leave the passcode to be verified."""
    assert auth.identity.totp is not UNSET  # noqa: S101 (`prepare` has looked)
    reference = auth.identity.totp.user
    user = find_user(tx, reference)
    secrets = [] if user is None else store.of_user(tx, user.id, CREDENTIAL_TYPE)
    evidence.proofs.append(Proof("totp", partial(_verify, call, secrets, reference.passcode)))
    evidence.claim(user)
    if user is not None:
        lockout.look_at(tx, call, user, evidence)


async def _verify(call: Call, secrets: list[store.Credential], passcode: str) -> bool:
    """Whether the passcode is one of now and has not been used; from here on it has been."""
    now = call.runtime.database.clock.now()
    previous = call.runtime.settings.password.totp_included_previous_windows
    for credential in secrets:
        step = step_of(credential.blob, passcode, now, previous)
        if step is not None:
            return await call.write("sign in: use passcode", _use, credential.id, step)
    return False


def _use(tx: Transaction, credential_id: str, step: int) -> bool:
    if tx.first(_LAST, {"credential": credential_id}) is None:
        tx.insert_once(_INSERT, {"credential_id": credential_id, "step": step})
        return True
    return tx.execute(_UPDATE, {"credential": credential_id, "new": step}).rowcount == 1


def step_of(secret: str, passcode: str, now: datetime, previous: int) -> int | None:
    """The half minute that a passcode is of, of the present and the `previous` ones; None for a wrong one.

    A secret that is no base32 or has less than 128 bits has no passcodes, as in Keystone.
    """
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    try:
        key = base64.b32decode(secret.strip() + "=" * (-len(secret.strip()) % 8), casefold=True)
        generator = TOTP(key, DIGITS, SHA1(), SECONDS)  # noqa: S303 (what RFC 6238 and every authenticator use)
    except (binascii.Error, ValueError):
        return None
    present = int(now.timestamp()) // SECONDS
    given = passcode.encode()
    for step in range(present, present - previous - 1, -1):
        if hmac.compare_digest(generator.generate(step * SECONDS), given):
            return step
    return None
