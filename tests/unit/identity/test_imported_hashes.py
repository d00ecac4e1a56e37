"""Hashes that a Keystone made, and texts that are none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackyard.services.identity import imported_hashes, passwords

PASSWORD = "correct horse bättery"
MADE_BY_KEYSTONE = {
    "bcrypt": "$2b$04$aWXwJnKv/GJ3XeT.ZTIwxOqgZ5z1xZLzLCEULxIWTeB/VN5rL/M4G",
    "bcrypt_sha256": "$bcrypt-sha256$v=2,t=2b,r=5$bVmHPq/x43MR90Uvp1roW.$/jqOmEh0Fa2xxQSGMrs5NL.txEzZRwK",
    "bcrypt_sha256 of 12 rounds": (
        "$bcrypt-sha256$v=2,t=2b,r=12$6OD8JLoNeV1YBKs9Qmqhdu$MzloR5wIN/zx.rGGZa5aTyZr7.o9GOG"
    ),
    "scrypt": "$scrypt$ln=10,r=8,p=1$a76gP4MFes6PJODZk/8f1w$GdCyxcRxEcitfYwcsgUxO1W6O+3YRM03ChDH24qK+aI",
    "scrypt by default": "$scrypt$ln=16,r=8,p=1$/zP3G0cllKizjYsNh1NDjQ$G406CdDIsDH0ajW4IY1w915cUiLEzWd+X2zcGG38+6g",
    "pbkdf2_sha512": (
        "$pbkdf2-sha512$1000$8z84mUMyH+iUEdXqLuHSMw$d6cahGHJa0FzJUSDeFk/PhvU1pSCasPjQsjWC7YZdpjqkwjc+nSonpf180Kq8fj"
        "/0dgx24iMB9bU734rf3vJfg"
    ),
}


@pytest.mark.parametrize("stored", MADE_BY_KEYSTONE.values(), ids=MADE_BY_KEYSTONE)
def test_the_right_password_and_no_other_is_verified(stored: str) -> None:
    assert passwords.verify_password(stored, PASSWORD)
    for wrong in ("", PASSWORD + "x", PASSWORD.upper(), "x" * 4096):
        assert not passwords.verify_password(stored, wrong)


def test_bcrypt_looks_at_72_bytes_as_keystones_does() -> None:
    stored = "$2b$04$0EzPKsNlu3anz4xxHJsXtezsCfHV29XMDxAcxZ1JDKMWhMfHFYE3q"
    assert passwords.verify_password(stored, "x" * 72)
    assert passwords.verify_password(stored, "x" * 100)
    assert not passwords.verify_password(stored, "x" * 71)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "garbage",
        "$2b$",
        "$2b$99$aWXwJnKv/GJ3XeT.ZTIwxOqgZ5z1xZLzLCEULxIWTeB/VN5rL/M4G",
        "$bcrypt-sha256$v=2$salt$digest",
        "$bcrypt-sha256$v=2,t=2b,r=x$bVmHPq/x43MR90Uvp1roW.$/jqOmEh0Fa2xxQSGMrs5NL.txEzZRwK",
        "$scrypt$ln=60,r=8,p=1$a76gP4MFes6PJODZk/8f1w$GdCyxcRxEcitfYwcsgUxO1W6O+3YRM03ChDH24qK+aI",
        "$scrypt$ln=10$a76gP4MFes6PJODZk/8f1w$GdCyxcRxEcitfYwcsgUxO1W6O+3YRM03ChDH24qK+aI",
        "$pbkdf2-sha512$0$8z84mUMyH+iUEdXqLuHSMw$d6cahGHJ",
        "$pbkdf2-sha512$1000$!$d6cahGHJ",
        "$5$rounds=1000$salt$digest",
        "$argon2id$v=19$m=19456,t=2,p=1$broken",
    ],
)
def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    assert not passwords.verify_password(stored, PASSWORD)


_parts = st.text("abcXYZ0123456789+/=.,$", max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["scrypt", "pbkdf2-sha512", "bcrypt-sha256"]), _parts, _parts, _parts)
def test_broken_hashes_raise_nothing(kind: str, parameters: str, salt: str, digest: str) -> None:
    assert imported_hashes.verify(f"${kind}${parameters}x${salt}${digest}", PASSWORD) is False
