"""What is inside a token or a receipt: as few bytes as can be, since every request carries them."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec
from cryptography.fernet import InvalidToken, MultiFernet

S = TypeVar("S")

METHODS = (
    "password",
    "token",
    "application_credential",
    "totp",
    "oauth1",
    "mapped",
    "saml2",
    "openid",
    "external",
    "ec2credential",
)
"""Authentication methods by bit; new ones are appended."""

UNSCOPED, PROJECT, DOMAIN, SYSTEM = range(4)

APPLICATION_CREDENTIAL, TRUST, ACCESS_TOKEN = "application_credential", "trust", "access_token"
EC2_CREDENTIAL = "ec2_credential"
DELEGATIONS = ("", APPLICATION_CREDENTIAL, TRUST, ACCESS_TOKEN, EC2_CREDENTIAL)
"""What a token may act through, by number; new ones are appended."""

_VERSION = 2
_HEX = re.compile(r"(?:[0-9a-f]{32}){1,2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Federation(msgspec.Struct, frozen=True):
    """Where a federated user signed in, and the groups that the mapping put the user into for this token's life."""

    identity_provider_id: str
    protocol_id: str
    group_ids: tuple[str, ...] = ()


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token's own facts. `scope_id` is a project or domain id, empty for the system and unscoped ones.

    `audit_ids` are the token's own and, when it was got with another token, that of the first in the chain.
    `delegation` is one of DELEGATIONS, empty for a token that acts by its user's own right, and `delegation_id` which.
    """

    user_id: str
    methods: tuple[str, ...]
    scope: int = UNSCOPED
    scope_id: str = ""
    issued_at: datetime
    expires_at: datetime
    audit_ids: tuple[str, ...]
    delegation: str = ""
    delegation_id: str = ""
    federation: Federation | None = None

    @property
    def chain_id(self) -> str:
        """The audit id of the first token of the chain."""
        return self.audit_ids[-1]


class _Packed(msgspec.Struct, array_like=True):
    version: int
    user_id: Any
    methods: int
    scope: int
    scope_id: Any
    issued: int
    expires: int
    audit_ids: list[bytes]
    delegation: int = 0
    delegation_id: Any = ""
    federation: list[Any] | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says: which methods a user has signed in with so far."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


class _PackedReceipt(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    kind: Literal["receipt1"]
    user_id: Any
    methods: int
    issued: int
    expires: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
_decode_receipt = msgspec.msgpack.Decoder(_PackedReceipt).decode


def new_audit_id() -> str:
    """A random audit id, in Keystone's form."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()


def seal(cipher: MultiFernet, token: Token) -> str:
    """The token's text."""
    packed = _Packed(
        version=_VERSION,
        user_id=_shrink(token.user_id),
        methods=_bits(token.methods),
        scope=token.scope,
        scope_id=_shrink(token.scope_id),
        issued=micros(token.issued_at),
        expires=micros(token.expires_at),
        audit_ids=[base64.urlsafe_b64decode(audit_id + "==") for audit_id in token.audit_ids],
        delegation=DELEGATIONS.index(token.delegation),
        delegation_id=_shrink(token.delegation_id),
        federation=None if token.federation is None else _shrink_federation(token.federation),
    )
    return _seal(cipher, packed)


def unseal(cipher: MultiFernet, text: str) -> Token | None:
    """The token of a text; None when the text was not made by `seal` with one of these keys."""
    packed = _unseal(cipher, text, _decode)
    if packed is None or packed.version != _VERSION:
        return None
    return Token(
        user_id=_grow(packed.user_id),
        methods=_names(packed.methods),
        scope=packed.scope,
        scope_id=_grow(packed.scope_id),
        issued_at=moment(packed.issued),
        expires_at=moment(packed.expires),
        audit_ids=tuple(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for raw in packed.audit_ids),
        delegation=DELEGATIONS[packed.delegation],
        delegation_id=_grow(packed.delegation_id),
        federation=None if packed.federation is None else _grow_federation(packed.federation),
    )


def seal_receipt(cipher: MultiFernet, receipt: Receipt) -> str:
    """The receipt's text."""
    packed = _PackedReceipt(
        kind="receipt1",
        user_id=_shrink(receipt.user_id),
        methods=_bits(receipt.methods),
        issued=micros(receipt.issued_at),
        expires=micros(receipt.expires_at),
    )
    return _seal(cipher, packed)


def unseal_receipt(cipher: MultiFernet, text: str) -> Receipt | None:
    """The receipt of a text; None when the text was not made by `seal_receipt` with one of these keys."""
    packed = _unseal(cipher, text, _decode_receipt)
    if packed is None:
        return None
    return Receipt(
        user_id=_grow(packed.user_id),
        methods=_names(packed.methods),
        issued_at=moment(packed.issued),
        expires_at=moment(packed.expires),
    )


def _seal(cipher: MultiFernet, packed: msgspec.Struct) -> str:
    return cipher.encrypt(_encode(packed)).decode().rstrip("=")


def _unseal(cipher: MultiFernet, text: str, decode: Callable[[bytes], S]) -> S | None:
    try:
        return decode(cipher.decrypt(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (InvalidToken, msgspec.MsgspecError, ValueError):
        return None


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return _EPOCH + count * _MICROSECOND


def _bits(methods: tuple[str, ...]) -> int:
    return sum(1 << METHODS.index(method) for method in methods)


def _names(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in enumerate(METHODS) if bits & (1 << bit))


def _shrink(text: str) -> str | bytes:
    return bytes.fromhex(text) if _HEX.fullmatch(text) else text


def _grow(packed: str | bytes) -> str:
    return packed.hex() if isinstance(packed, bytes) else packed


def _shrink_federation(federation: Federation) -> list[Any]:
    return [_shrink(federation.identity_provider_id), federation.protocol_id, *map(_shrink, federation.group_ids)]


def _grow_federation(packed: list[Any]) -> Federation:
    identity_provider_id, protocol_id, *group_ids = packed
    return Federation(_grow(identity_provider_id), protocol_id, tuple(map(_grow, group_ids)))
