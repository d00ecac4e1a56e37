"""What is inside a token: as few bytes as can be, since every request carries them."""

from __future__ import annotations

import base64
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.fernet import InvalidToken, MultiFernet

METHODS = ("password", "token", "application_credential")
"""Authentication methods by bit; new ones are appended."""

UNSCOPED, PROJECT, DOMAIN, SYSTEM = range(4)
_VERSION = 1
_HEX = re.compile(r"[0-9a-f]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token's own facts. `scope_id` is a project or domain id, empty for the system and unscoped ones.

    `audit_ids` are the token's own and, when it was got with another token, that of the first in the chain.
    """

    user_id: str
    methods: tuple[str, ...]
    scope: int = UNSCOPED
    scope_id: str = ""
    issued_at: datetime
    expires_at: datetime
    audit_ids: tuple[str, ...]
    application_credential_id: str | None = None

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
    credential_id: Any


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def new_audit_id() -> str:
    """A random audit id, in Keystone's form."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()


def seal(cipher: MultiFernet, token: Token) -> str:
    """The token's text."""
    packed = _Packed(
        version=_VERSION,
        user_id=_shrink(token.user_id),
        methods=sum(1 << METHODS.index(method) for method in token.methods),
        scope=token.scope,
        scope_id=_shrink(token.scope_id),
        issued=(token.issued_at - _EPOCH) // _MICROSECOND,
        expires=(token.expires_at - _EPOCH) // _MICROSECOND,
        audit_ids=[base64.urlsafe_b64decode(audit_id + "==") for audit_id in token.audit_ids],
        credential_id=_shrink(token.application_credential_id or ""),
    )
    return cipher.encrypt(_encode(packed)).decode().rstrip("=")


def unseal(cipher: MultiFernet, text: str) -> Token | None:
    """The token of a text; None when the text was not made by `seal` with one of these keys."""
    try:
        data = cipher.decrypt(text.encode("ascii") + b"=" * (-len(text) % 4))
        packed = _decode(data)
    except (InvalidToken, msgspec.MsgspecError, ValueError):
        return None
    if packed.version != _VERSION:
        return None
    return Token(
        user_id=_grow(packed.user_id),
        methods=tuple(name for bit, name in enumerate(METHODS) if packed.methods & (1 << bit)),
        scope=packed.scope,
        scope_id=_grow(packed.scope_id),
        issued_at=_EPOCH + packed.issued * _MICROSECOND,
        expires_at=_EPOCH + packed.expires * _MICROSECOND,
        audit_ids=tuple(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for raw in packed.audit_ids),
        application_credential_id=_grow(packed.credential_id) or None,
    )


def _shrink(text: str) -> str | bytes:
    return bytes.fromhex(text) if _HEX.fullmatch(text) else text


def _grow(packed: str | bytes) -> str:
    return packed.hex() if isinstance(packed, bytes) else packed
