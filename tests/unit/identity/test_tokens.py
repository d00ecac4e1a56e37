"""What a token's text holds, and what opens it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.fernet import Fernet, MultiFernet
from hypothesis import given
from hypothesis import strategies as st

from stackyard.services.identity.tokens import payload
from stackyard.services.identity.tokens.payload import METHODS, Token, new_audit_id, seal, unseal

CIPHER = MultiFernet([Fernet(Fernet.generate_key())])

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
    assert len(text) < 255
    assert unseal(MultiFernet([Fernet(Fernet.generate_key())]), text) is None
