"""Tokens that are signed rather than encrypted: JSON Web Signatures by ES256, with Keystone's claims.

Anybody can read what is in one; only who has a private key of the ring can make one. The public half of every key of
the ring verifies, so that tokens outlive a rotation.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackyard.core.db import Transaction
from stackyard.services.identity import generation
from stackyard.services.identity.key_ring import KeyRing
from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.payload import Federation, Token

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

ALGORITHM = "ES256"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points the curve P-256 has; a private key is any number from one to one below."""

_DELEGATION_CLAIMS = {kind: f"openstack_{kind}_id" for kind in payload.DELEGATIONS if kind} | {
    payload.APPLICATION_CREDENTIAL: "openstack_app_cred_id"
}


def _draw() -> str:
    return base64.b64encode((secrets.randbelow(_ORDER - 1) + 1).to_bytes(32, "big")).decode()


RING = KeyRing("identity_jws_keys", _draw)


@dataclass(frozen=True, slots=True)
class Signer:
    """The ring's keys, ready for use: the primary one, and the public halves of all by their ids."""

    key_id: str
    private: EllipticCurvePrivateKey
    public: Mapping[str, EllipticCurvePublicKey]


def signer(tx: Transaction, at: int) -> Signer | None:
    """The keys at generation `at`; None when there are none, in a cloud that has never signed tokens."""
    return generation.memory(tx).remember(at, "signer", lambda: _load(tx))


def _load(tx: Transaction) -> Signer | None:
    rows = RING.keys(tx)
    return load([row.key for row in rows]) if rows else None


def load(drawn: list[str]) -> Signer:
    """The keys as the ring keeps them, made ready; the first one signs."""
    from cryptography.hazmat.primitives.asymmetric import ec

    private = [ec.derive_private_key(int.from_bytes(base64.b64decode(key), "big"), ec.SECP256R1()) for key in drawn]
    public = {_key_id(key.public_key()): key.public_key() for key in private}
    return Signer(next(iter(public)), private[0], public)


def _key_id(key: EllipticCurvePublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return base64.urlsafe_b64encode(hashlib.sha256(point).digest()[:9]).decode()


def seal(keys: Signer, token: Token) -> str:
    """The token's text."""
    import jwt

    return jwt.encode(_claims(token), keys.private, algorithm=ALGORITHM, headers={"kid": keys.key_id})


def _claims(token: Token) -> dict[str, Any]:
    federation = token.federation
    claims = {
        "sub": token.user_id,
        "iat": payload.micros(token.issued_at) / 1_000_000,
        "exp": payload.micros(token.expires_at) / 1_000_000,
        "openstack_methods": token.methods,
        "openstack_audit_ids": token.audit_ids,
        "openstack_system": "all" if token.scope == payload.SYSTEM else None,
        "openstack_domain_id": token.scope_id if token.scope == payload.DOMAIN else None,
        "openstack_project_id": token.scope_id if token.scope == payload.PROJECT else None,
        "openstack_group_ids": None if federation is None else federation.group_ids,
        "openstack_idp_id": None if federation is None else federation.identity_provider_id,
        "openstack_protocol_id": None if federation is None else federation.protocol_id,
    }
    if token.delegation:
        claims[_DELEGATION_CLAIMS[token.delegation]] = token.delegation_id
    return {name: value for name, value in claims.items() if value is not None}


def looks_like_one(text: str) -> bool:
    """Whether a text has the form of a signed token, which an encrypted one never has."""
    return text.count(".") == 2


def unseal(keys: Signer, text: str) -> Token | None:
    """The token of a text; None when the text was not made by `seal` with one of these keys."""
    import jwt

    try:
        key = keys.public.get(str(jwt.get_unverified_header(text).get("kid")))
        if key is None:
            return None
        # When a token ends is for who uses it to look at, by the cloud's clock and with the window for expired ones.
        unchecked = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
        return _token(jwt.decode(text, key, algorithms=[ALGORITHM], options=unchecked))  # type: ignore[arg-type]
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        return None


def _token(claims: dict[str, Any]) -> Token:
    delegation = next((kind for kind, claim in _DELEGATION_CLAIMS.items() if claim in claims), "")
    federation = None
    if "openstack_idp_id" in claims:
        groups = tuple(claims["openstack_group_ids"])
        federation = Federation(claims["openstack_idp_id"], claims["openstack_protocol_id"], groups)
    scope, scope_id = payload.UNSCOPED, ""
    if "openstack_project_id" in claims:
        scope, scope_id = payload.PROJECT, claims["openstack_project_id"]
    elif "openstack_domain_id" in claims:
        scope, scope_id = payload.DOMAIN, claims["openstack_domain_id"]
    elif "openstack_system" in claims:
        scope = payload.SYSTEM
    return Token(
        user_id=claims["sub"],
        methods=tuple(claims["openstack_methods"]),
        scope=scope,
        scope_id=scope_id,
        issued_at=payload.moment(round(claims["iat"] * 1_000_000)),
        expires_at=payload.moment(round(claims["exp"] * 1_000_000)),
        audit_ids=tuple(claims["openstack_audit_ids"]),
        delegation=delegation,
        delegation_id=claims[_DELEGATION_CLAIMS[delegation]] if delegation else "",
        federation=federation,
    )
