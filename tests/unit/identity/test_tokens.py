"""What a token's text holds, and what opens it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import given
from hypothesis import strategies as st

from stackyard.services.identity.tokens import jws, payload
from stackyard.services.identity.tokens.payload import METHODS, Receipt, Token, new_audit_id, seal, unseal

CIPHER = MultiFernet([Fernet(Fernet.generate_key())])
SIGNER, OTHER = jws.load([jws.RING.draw(), jws.RING.draw()]), jws.load([jws.RING.draw()])

_ids = st.uuids().map(lambda found: found.hex) | st.text(min_size=1, max_size=64)
_moments = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)).map(lambda found: found.replace(tzinfo=UTC))  # noqa: DTZ001
_tokens = st.builds(
    Token,
    user_id=_ids,
    methods=st.sets(st.sampled_from(METHODS), min_size=1).map(
        lambda chosen: tuple(name for name in METHODS if name in chosen)
    ),
    scope=st.sampled_from([payload.UNSCOPED, payload.PROJECT, payload.DOMAIN, payload.SYSTEM]),
    scope_id=_ids | st.just(""),
    issued_at=_moments,
    expires_at=_moments,
    audit_ids=st.lists(st.builds(new_audit_id), min_size=1, max_size=2).map(tuple),
    delegation=st.sampled_from(payload.DELEGATIONS),
    delegation_id=_ids | st.just(""),
    federation=st.none() | st.builds(payload.Federation, _ids, _ids, st.lists(_ids).map(tuple)),
)


@given(_tokens)
def test_what_is_sealed_is_unsealed(token: Token) -> None:
    assert unseal(CIPHER, seal(CIPHER, token)) == token


_receipts = st.builds(
    Receipt,
    user_id=_ids,
    methods=st.sets(st.sampled_from(METHODS), min_size=1).map(
        lambda chosen: tuple(name for name in METHODS if name in chosen)
    ),
    issued_at=_moments,
    expires_at=_moments,
)


@given(_receipts, _tokens)
def test_receipts_are_not_tokens_nor_tokens_receipts(receipt: Receipt, token: Token) -> None:
    text = payload.seal_receipt(CIPHER, receipt)
    assert payload.unseal_receipt(CIPHER, text) == receipt
    assert unseal(CIPHER, text) is None
    assert payload.unseal_receipt(CIPHER, seal(CIPHER, token)) is None


def _meant(token: Token) -> Token:
    """The token without ids that its scope and delegation do not have."""
    scoped = token.scope in (payload.PROJECT, payload.DOMAIN)
    changes = {} if scoped else {"scope_id": ""}
    return msgspec.structs.replace(token, **changes, **({} if token.delegation else {"delegation_id": ""}))


@given(_tokens.map(_meant))
def test_what_is_signed_is_verified(token: Token) -> None:
    text = jws.seal(SIGNER, token)
    assert jws.looks_like_one(text)
    assert jws.unseal(SIGNER, text) == token
    assert jws.unseal(OTHER, text) is None
    assert unseal(CIPHER, text) is None


@given(st.text(max_size=400) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True))
def test_anything_else_is_not_signed(text: str) -> None:
    assert jws.unseal(SIGNER, text) is None


@given(st.text(max_size=400))
def test_anything_else_is_no_token(text: str) -> None:
    assert unseal(CIPHER, text) is None


@given(_tokens, st.data())
def test_a_changed_token_is_no_token(token: Token, data: st.DataObject) -> None:
    raw = bytearray(seal(CIPHER, token).encode())
    at = data.draw(st.integers(0, len(raw) - 5))
    raw[at] = data.draw(st.sampled_from(b"ABCDEFGHabcdefgh0123456789-_").filter(lambda other: other != raw[at]))
    assert unseal(CIPHER, raw.decode()) is None


def test_a_token_of_other_keys_is_no_token() -> None:
    now = datetime.now(UTC)
    token = Token(
        user_id="a" * 32,
        methods=("password",),
        issued_at=now,
        expires_at=now + timedelta(hours=1),
        audit_ids=(new_audit_id(),),
    )
    text = seal(CIPHER, token)
    assert len(text) < 250
    assert unseal(MultiFernet([Fernet(Fernet.generate_key())]), text) is None


def test_tokens_stay_below_250_characters() -> None:
    now = datetime.now(UTC)
    token = Token(
        user_id="a" * 32,
        methods=("password", "totp", "token"),
        scope=payload.PROJECT,
        scope_id="b" * 32,
        issued_at=now,
        expires_at=now + timedelta(hours=1),
        audit_ids=(new_audit_id(), new_audit_id()),
        delegation=payload.APPLICATION_CREDENTIAL,
        delegation_id="c" * 32,
    )
    assert len(seal(CIPHER, token)) < 250
    federated = Token(
        user_id="a" * 64,
        methods=("mapped",),
        scope=payload.DOMAIN,
        scope_id="b" * 32,
        issued_at=now,
        expires_at=now + timedelta(hours=1),
        audit_ids=(new_audit_id(),),
        federation=payload.Federation("corporate", "openid", ("d" * 32,)),
    )
    assert len(seal(CIPHER, federated)) < 275
