"""What oauthlib asks about consumers and tokens. Imported with it, when a signed request comes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from oauthlib.oauth1 import RequestValidator
from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.credentials import keys
from stackyard.services.identity.oauth1 import tables

FindToken = Callable[[Transaction, str], Row[Any] | None]

_HEX = frozenset("0123456789abcdef")
_WORD = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.")
_LONGEST_NONCE = 128
_NOBODY = "0" * 32
"""Stands for an unknown consumer or token, so that verifying takes as long as for a known one."""

_NOBODYS_SECRET = secrets.token_hex(16)


class Validator(RequestValidator):
    """Answers from one transaction. `find_token` finds the token that the request may be signed with, None for none."""

    enforce_ssl = False
    allowed_signature_methods = ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512")
    dummy_client = dummy_access_token = _NOBODY

    def __init__(self, tx: Transaction, find_token: FindToken | None, lifetime: int) -> None:
        super().__init__()
        self._tx = tx
        self._find_token = find_token
        self._lifetime = lifetime

    @property
    def timestamp_lifetime(self) -> int:
        """Seconds around its time that a request is good for."""
        return self._lifetime

    def check_client_key(self, client_key: str) -> bool:
        """Whether it could be a consumer's id at all."""
        return len(client_key) == len(_NOBODY) and set(client_key) <= _HEX

    def check_access_token(self, request_token: str) -> bool:
        """Whether it could be a token's id at all."""
        return self.check_client_key(request_token)

    def check_nonce(self, nonce: str) -> bool:
        """Whether it is of a size and of letters that can be remembered."""
        return 0 < len(nonce) <= _LONGEST_NONCE and set(nonce) <= _WORD

    def validate_timestamp_and_nonce(self, *_: Any, **__: Any) -> bool:
        """The time has been checked before this; the nonce is once the signature is found to be good."""
        return True

    def validate_realms(self, *_: Any, **__: Any) -> bool:
        """There are none here."""
        return True

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        """Whether there is such a consumer."""
        del request
        return self._consumer(client_key) is not None

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        """Whether there is such a token of this consumer."""
        del request
        row = self._token(token)
        return row is not None and bool(row.consumer_id == client_key)

    def get_client_secret(self, client_key: str, request: Any) -> str:
        """The consumer's secret, or nobody's."""
        del request
        return self._secret(self._consumer(client_key))

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        """The token's secret, or nobody's."""
        del client_key, request
        return self._secret(self._token(token))

    def _consumer(self, consumer_id: str) -> Row[Any] | None:
        return self._tx.first(tables.CONSUMER_BY_ID, {"id": consumer_id})

    def _token(self, token_id: str) -> Row[Any] | None:
        return None if self._find_token is None else self._find_token(self._tx, token_id)

    def _secret(self, row: Row[Any] | None) -> str:
        return _NOBODYS_SECRET if row is None else keys.unseal(self._tx, row.secret)
